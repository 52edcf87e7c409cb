"""What a person sees: groups that fit the screen, what needs them, what to type next; and what they saw before."""

import io
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from doorman.entrypoints.cli.main import main
from doorman.entrypoints.cli.tables import Known, describe
from doorman.models import CloudEvent, Share
from doorman.sandbox.state import Cloud
from tests.builders import START, image_id
from tests.chain import BAD, GOLDEN, POLICY, STRANGER

SHARE = Share(image_id=image_id(0), project_id="receiver", full_ecs=False)
OWNERS = [f"{number:032x}" for number in range(3)]


class Screen(io.StringIO):
    """A terminal that remembers."""

    def isatty(self) -> bool:
        """Say that it is one."""
        return True


def tell(kind: str, project: str, entries: Sequence[dict[str, Any]]) -> CloudEvent:
    """Make an outcome event as it is written."""
    nothing = dict.fromkeys(("name", "rule", "decision", "facts", "member_status", "error_code", "vault_id"))
    images = [{**nothing, "key": entry["image_id"], **entry} for entry in entries]
    return CloudEvent(
        id=f"{kind}-{project}",
        source="/tests",
        type=f"dev.doorman.share.{kind}.v1",
        data={"project_id": project, "images": images},
    )


def three_hundred() -> list[CloudEvent]:
    """Tell of 300 shares in 12 projects, of which 250 are held."""
    events = []
    for project in range(12):
        entries = [
            {
                "image_id": image_id(project * 25 + number),
                "owner": OWNERS[number % 3],
                "name": "a-rather-long-name-of-an-image-\x1b[2J" * 3,
                "reason": "owner_not_allowed",
                "rule": "a-rule-with-a-rather-long-name-that-goes-on-and-on",
                "failed_condition": "age_days: at most 90, is 121",
            }
            for number in range(25)
        ]
        held = entries[:21] if project < 10 else entries[:20]
        events.append(tell("held", f"{project:032x}", held))
        failed = [{**each, "reason": "job_failed", "error_code": "IMG.0046"} for each in entries[len(held) :]]
        events.append(tell("failed", f"{project:032x}", failed))
    return events


@pytest.mark.parametrize("width", [80, 200])
def test_three_hundred_shares_fit_two_screens(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No line is wider than the screen; what failed and what is held, why, whose, and what to type next stand there."""
    from doorman.entrypoints.cli import screen  # noqa: PLC0415 - the room that needs rich

    terminal = sit_at(monkeypatch, width=width)
    shares = {image_id(0): replace(SHARE, created_at=START, os_version="Ubuntu 22.04")}
    known = Known(names={OWNERS[0]: "partners"}, shares=shares, now=START)
    screen.show(three_hundred(), known, nothing="nothing")
    shown = terminal.getvalue()
    told = shown.replace("\x1b[0m", "").splitlines()
    plain = [strip(line) for line in told]
    assert max(map(len, plain)) <= width
    assert len(plain) <= 48
    assert plain[0] == "failed: 50 shares"
    assert any(line.startswith("held: 250 shares") for line in plain)
    assert any("owner_not_allowed (age_days: at most 90, is 121)" in line for line in plain)
    assert any("\\x1b" in line for line in plain) or width == 80
    assert "\x1b[2J" not in shown
    assert any(f"of partners ({OWNERS[0]}) -> 12 projects" in line for line in plain)
    assert plain[-1] == "  doorman approve IMAGE... --project PROJECT --reason TEXT  # 250 shares"


def test_what_differs_from_share_to_share_makes_no_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares that are too old, each by its own age, are one group."""
    from doorman.entrypoints.cli import screen  # noqa: PLC0415 - the room that needs rich

    terminal = sit_at(monkeypatch)
    entries = [
        {
            "image_id": image_id(age),
            "owner": OWNERS[0],
            "reason": "image_not_allowed",
            "failed_condition": f"age_days: at most 90, is {age}",
        }
        for age in range(91, 99)
    ]
    screen.show([tell("held", OWNERS[1], entries)], Known(), nothing="nothing")
    told = [strip(line).rstrip() for line in terminal.getvalue().splitlines()]
    assert told[:2] == ["held: 8 shares", "    8  image_not_allowed (age_days)"]


def test_a_long_command_goes_over_two_lines_and_nothing_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be copied as it stands."""
    from doorman.entrypoints.cli import screen  # noqa: PLC0415 - the room that needs rich

    terminal = sit_at(monkeypatch)
    entry = {"image_id": image_id(1), "owner": OWNERS[0], "reason": "owner_not_allowed"}
    screen.show([tell("held", OWNERS[1], [entry])], Known(), nothing="nothing")
    screen.show([], Known(), nothing="nothing")
    assert [strip(line).rstrip() for line in terminal.getvalue().splitlines()[-3:]] == [
        f"  doorman approve {image_id(1)} \\",
        f"    --project {OWNERS[1]} --reason TEXT",
        "nothing",
    ]


def strip(line: str) -> str:
    """Take the colours away."""
    while "\x1b[" in line:
        start = line.index("\x1b[")
        line = line[:start] + line[line.index("m", start) + 1 :]
    return line


def sit_at(monkeypatch: pytest.MonkeyPatch, *, width: int = 80, term: str = "xterm") -> Screen:
    """Put a terminal in the place of stdout."""
    screen = Screen()
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", screen)
    return screen


def test_a_terminal_shows_groups_in_colour(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR the same without colours; groups of the policy name owners; the command to type stands below."""
    (tmp_path / "policy.yaml").write_text(POLICY + f"groups: {{strangers: [{STRANGER}]}}\n")
    images = [cloud.add_share(STRANGER, "receiver", name=f"image-{number}", full_ecs=True) for number in range(4)]
    terminal = sit_at(monkeypatch)
    assert main(["pending"]) == 0
    coloured = terminal.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    terminal.seek(0)
    terminal.truncate()
    assert main(["pending"]) == 0
    shown = terminal.getvalue().splitlines()
    assert [strip(line).rstrip() for line in coloured.splitlines()] == [strip(line).rstrip() for line in shown]
    assert "\x1b[1;33mwould be held: 4 shares" in coloured
    assert "33m" not in terminal.getvalue()
    plain = [strip(line).rstrip() for line in shown]
    assert plain[:3] == [
        "would be held: 4 shares",
        f"    4  owner_not_allowed (owners: no rule that accepts names {STRANGER} for …",
        "       of strangers (some-stranger) -> receiver",
    ]
    assert [line.split()[0] for line in plain[3:6]] == sorted(images)[:3]
    assert plain[6:] == [
        "       and 1 more",
        "",
        "4 shares: 4 would be held",
        "",
        "to accept what is held:",
        "  doorman approve IMAGE... --project receiver --reason TEXT  # 4 shares",
    ]


@pytest.mark.parametrize("why", ["no rich", "dumb"])
def test_plain_text_where_rich_is_not(why: str, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function's image has no rich, and some terminals can show nothing else: then it is a row a share."""
    terminal = sit_at(monkeypatch, term="dumb" if why == "dumb" else "xterm")
    monkeypatch.delitem(sys.modules, "doorman.entrypoints.cli.screen", raising=False)
    if why == "no rich":
        monkeypatch.delattr("doorman.entrypoints.cli.screen", raising=False)
        monkeypatch.setitem(sys.modules, "rich.console", None)
    stranger = cloud.add_share(STRANGER, "receiver")
    assert main(["pending"]) == 0
    heading, row, *_ = terminal.getvalue().splitlines()
    assert (heading.split()[0], row.split()[0]) == ("IMAGE", stranger)


def test_what_was_told_is_not_told_again(
    cloud: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state remembers what stands now: what is over is forgotten, what could not be looked at is not."""
    state = str(tmp_path / "told.json")
    first = cloud.add_share(STRANGER, "receiver")
    words = ["pending", "--state", state, "--new", "--fail-on", "held"]
    assert main(words) == 1
    assert first in capsys.readouterr().out
    assert main(words) == 0
    assert capsys.readouterr().out == "no shares wait\n"
    second = cloud.add_share(STRANGER, "receiver")
    assert main([*words, "--json"]) == 1
    (event,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert sorted(entry["image_id"] for entry in event["data"]["images"]) == sorted([first, second])
    monkeypatch.setenv("OS_PROJECT_ID", "foreign")
    assert main(words) == 1
    monkeypatch.setenv("OS_PROJECT_ID", "receiver")
    assert main([*words, "--json"]) == 0
    assert capsys.readouterr().out == ""
    cloud.unshare(first, "receiver")
    cloud.unshare(second, "receiver")
    assert main(words) == 0
    assert json.loads(Path(state).read_text()) == {"keys": []}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--new"], "--new: needs --state FILE"),
        (["--state", "wrong.json", "--new"], "--state: wrong.json is no file of this command"),
        (["--state", "folder/told.json"], "--state: folder/told.json cannot be written: No such file or directory"),
    ],
)
@pytest.mark.usefixtures("cloud")
def test_a_wrong_state_is_wrong_usage(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line that names the argument and the file."""
    monkeypatch.chdir(tmp_path)
    Path("wrong.json").write_text("[]")
    assert main(["pending", *words]) == 2
    assert capsys.readouterr().err.startswith(f"doorman: {message}")


@pytest.mark.parametrize(("asked", "code"), [("failed", 0), ("held", 1), ("drifted", 0)])
def test_a_schedule_says_what_fails_it(asked: str, code: int, cloud: Cloud) -> None:
    """Held shares fail a run only where that was asked for."""
    for owner in (GOLDEN, BAD, STRANGER):
        cloud.add_share(owner, "receiver")
    assert main(["run", "--fail-on", asked]) == code


def test_an_image_is_described_by_what_is_known() -> None:
    """What the cloud does not tell is left out."""
    assert describe(replace(SHARE, full_ecs=True), now=None) == "full-ECS"
    assert describe(replace(SHARE, os_type="Linux", min_disk=40, created_at=START), now=START) == (
        "Linux, 40 GB, 0 days old"
    )


def test_a_vault_is_asked_for_where_one_is_missing(
    cloud: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a real run would hold for want of a vault is shown so, and the command asks for one."""
    (tmp_path / "policy.yaml").write_text(POLICY[: POLICY.index("vaults:")])
    image = cloud.add_share(GOLDEN, "receiver", full_ecs=True)
    assert main(["pending"]) == 0
    *_, totals, _, _, command = capsys.readouterr().out.splitlines()
    assert totals == "1 share: 1 would be held"
    assert command == f"  doorman approve {image} --project receiver --vault VAULT --reason TEXT"
