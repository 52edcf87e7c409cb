"""What a person sees: groups that fit the screen, what needs them, what to type next; and what they saw before."""

import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from docs.pictures import BUSY_POLICY, DOORMAN, FACTORY, fill
from doorman.entrypoints.cli.main import main
from doorman.entrypoints.cli.tables import describe
from doorman.models import Share
from doorman.sandbox.state import Cloud
from tests import terminal
from tests.builders import START, image_id
from tests.chain import BAD, GOLDEN, POLICY, STRANGER, VAULT
from tests.entrypoints.cli.command import Command
from tests.terminal import Screen

SHARE = Share(image_id=image_id(0), project_id="receiver", full_ecs=False)


@pytest.mark.parametrize("width", [80, 200])
def test_three_hundred_shares_fit_two_screens(width: int, cloud: Cloud, tmp_path: Path) -> None:
    """No line is cut in two; what needs somebody, why, whose, what failed and what to type next stand there."""
    projects = fill(cloud)
    policy = tmp_path / "policy.yaml"
    policy.write_text(BUSY_POLICY)
    environ = {**os.environ, "OS_PROJECT_ID": ",".join(projects), "PYTHONPATH": os.pathsep.join(sys.path)}

    def look(command: str) -> list[str]:
        code, shown = terminal.show([*DOORMAN, command], environ=environ, width=width)
        lines = shown.splitlines()
        assert (code, max(map(len, lines)) <= width) == (command != "pending", True), shown
        assert len(lines) <= 2 * terminal.SCREEN, shown
        return lines

    for command, would in (("pending", "would be "), ("run", "")):
        lines = look(command)
        groups = lines[lines.index("would be held: 250 shares" if would else "failed: 4 shares") :]
        assert len(groups) <= 50, groups
        assert f"{would}held: 250 shares" in lines
        assert "   72  image_not_allowed (age_days: at most 90, is …)" in lines
        assert "   24  image_not_allowed (full_ecs: false, is true)" in lines
        assert [line for line in lines if line.startswith("   96  owner_not_allowed (owners: no rule that accepts ")]
        assert f"       of image-factory ({FACTORY}) -> 12 projects" in lines
        assert "  doorman approve IMAGE... --project PROJECT --reason TEXT  # 228 shares" in lines
        assert "\x1b" not in "".join(lines)
    assert "    4  job_failed (IMG.0064), rule golden-images" in lines
    assert f"       of image-factory ({FACTORY}) -> 4 projects" in lines
    assert lines[lines.index("to try again what failed:") + 1] == "  doorman run"
    assert sum(line.startswith("rejecting 1 for eu-de_landing-zone-") for line in lines) == 12
    for image, members in cloud.image_store.members.items():
        for project in members:
            cloud.set_status(image, project, "accepted")
    lines = look("reconcile")
    assert lines[0] == "drifted: 168 shares"
    assert "  doorman reject IMAGE... --project PROJECT --reason TEXT  # 156 shares" in lines
    assert "  doorman reconcile --enforce" in lines


def test_a_long_command_goes_over_two_lines_and_nothing_is_one(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be copied as it stands."""
    image = cloud.add_share(STRANGER, "receiver")
    screen_ = sit_at(monkeypatch)
    assert main(["pending"]) == 0
    assert main(["approve", image, "--project", "receiver", "--reason", "TEXT", "--yes"]) == 0
    assert main(["pending"]) == 0
    told = strip(screen_.getvalue()).splitlines()
    command = told.index(f"  doorman approve {image} \\")
    assert told[command : command + 3] == [
        f"  doorman approve {image} \\",
        "    --project receiver --reason TEXT",
        f"accepting 1 for receiver: {image[:8]}",
    ]
    assert told[-1] == "no shares wait"


def strip(text: str) -> str:
    """Take colours, links and what erases a line away."""
    return re.sub(r"\r\x1b\[K|\x1b\[[0-9;]*m|\x1b\]8;[^\x1b]*\x1b\\", "", text)


def sit_at(monkeypatch: pytest.MonkeyPatch, *, term: str = "xterm") -> Screen:
    """Put a terminal in the place of stdout."""
    screen = Screen()
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", screen)
    return screen


def test_a_terminal_shows_groups_in_colour(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR the same without colours; groups of the policy name owners; the command to type stands below."""
    (tmp_path / "policy.yaml").write_text(POLICY + f"groups: {{strangers: [{STRANGER}]}}\n")
    monkeypatch.setenv("OS_PROJECT_ID", "receiver,second")
    images = [cloud.add_share(STRANGER, "receiver", full_ecs=True) for _ in range(4)]
    cloud.add_share(STRANGER, "second", full_ecs=True)
    screen_ = sit_at(monkeypatch)
    assert main(["pending"]) == 0
    coloured = screen_.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    screen_.seek(0)
    screen_.truncate()
    assert main(["pending"]) == 0
    shown = screen_.getvalue().splitlines()
    assert [strip(line).rstrip() for line in coloured.splitlines()] == [strip(line).rstrip() for line in shown]
    assert "\x1b[1;33mwould be held: 5 shares" in coloured
    assert "33m" not in screen_.getvalue()
    plain = [strip(line).rstrip() for line in shown]
    assert plain[:3] == [
        "would be held: 5 shares",
        f"    5  owner_not_allowed (owners: no rule that accepts names {STRANGER} for …",
        "       of strangers (some-stranger) -> 2 projects",
    ]
    assert [line.split()[-2] for line in plain[3:9:2]] == sorted(images)[:3]
    assert plain[9:14] == [
        "",
        "5 shares: 5 would be held",
        "",
        "to accept what is held:",
        "  doorman approve IMAGE... --project receiver --reason TEXT  # 4 shares",
    ]
    assert plain[-3:] == [
        "to see each share:",
        "  doorman pending | less -S",
        "  doorman explain --project PROJECT IMAGE  # why, rule by rule",
    ]


def test_a_name_that_ends_as_a_reason_does_hides_nothing(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sharer may call one image as the other, with a bracket and more behind it."""
    rule = "images: {names: [golden-*]}\n    decision: accept"
    (tmp_path / "policy.yaml").write_text(POLICY.replace("decision: accept", rule, 1))
    for name in ("a", "a)x"):
        cloud.add_share(GOLDEN, "receiver", name=name)
    screen_ = sit_at(monkeypatch)
    assert main(["pending"]) == 0
    assert "    2  image_not_allowed (names: golden-*, is …)" in strip(screen_.getvalue()).splitlines()


def test_a_line_a_call_and_what_is_known_of_each_image(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line a call with the beginnings of the IDs, the log cut to a line, each image above what it is."""
    monkeypatch.setenv("OS_PROJECT_ID", "receiver,second")
    cloud.add_project("second", name="eu-de_second")
    first = cloud.add_share(GOLDEN, "receiver", name="one", full_ecs=True)
    second = cloud.add_share(GOLDEN, "second", name="two")
    cloud.add_vault("receiver", VAULT)
    cloud.fail_image(second, "IMG.0064", at="job")
    screen_, log = sit_at(monkeypatch), Screen()
    monkeypatch.setattr(sys, "stderr", log)
    assert main(["run"]) == 1
    told = strip(screen_.getvalue()).splitlines()
    assert f"accepting 1 for receiver into vault {VAULT}: {first[:8]}" in told
    assert told.count(f"accepting 1 for eu-de_second: {second[:8]}") == 3
    assert told[told.index("failed: 1 share") :] == [
        "failed: 1 share",
        "    1  job_failed (IMG.0064), rule golden-images",
        f"       of {GOLDEN} -> eu-de_second",
        f"       {second}  two",
        "       Ubuntu 22.04 server, 40 GB, 0 days old",
        "accepted: 1 share",
        "    1  allowed_owner, rule golden-images",
        f"       of {GOLDEN} -> receiver",
        f"       {first}  one",
        "       Ubuntu 22.04 server, 40 GB, 0 days old, full-ECS",
        "",
        "2 shares: 1 accepted, 1 failed",
        "",
        "to try again what failed:",
        "  doorman run",
    ]
    logged = [line.rpartition("\x1b[K")[2] for line in log.getvalue().splitlines() if "job.failed" in line]
    assert [line.partition(" fail_reason")[0] for line in logged] == ["job.failed error_code=IMG.0064"] * 3
    assert f"\x1b]8;id={{}};{(tmp_path / 'policy.yaml').as_uri()}\x1b" in re.sub(
        r";id=\d+", ";id={}", screen_.getvalue()
    )


@pytest.mark.parametrize("why", ["no rich", "dumb"])
def test_plain_text_where_rich_is_not(why: str, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function's image has no rich, and some terminals can show nothing else: then it is a row a share."""
    screen_ = sit_at(monkeypatch, term="dumb" if why == "dumb" else "xterm")
    monkeypatch.delitem(sys.modules, "doorman.entrypoints.cli.screen", raising=False)
    if why == "no rich":
        monkeypatch.delattr("doorman.entrypoints.cli.screen", raising=False)
        monkeypatch.setitem(sys.modules, "rich.console", None)
    stranger = cloud.add_share(STRANGER, "receiver")
    assert main(["pending"]) == 0
    heading, row, *_ = screen_.getvalue().splitlines()
    assert (heading.split()[0], row.split()[0]) == ("IMAGE", stranger)


def test_what_was_told_is_not_told_again(
    cloud: Cloud, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state remembers what stands now: what is over is forgotten, what could not be looked at is not."""
    state = str(tmp_path / "told.json")
    first = cloud.add_share(STRANGER, "receiver")
    words = ["pending", "--state", state, "--new", "--fail-on", "held"]
    assert first in command(*words, code=1).out
    assert command(*words).out == "no shares wait\n"
    second = cloud.add_share(STRANGER, "receiver")
    (event,) = map(json.loads, command(*words, "--json", code=1).out.splitlines())
    assert sorted(entry["image_id"] for entry in event["data"]["images"]) == sorted([first, second])
    monkeypatch.setenv("OS_PROJECT_ID", "foreign")
    assert main(words) == 1
    monkeypatch.setenv("OS_PROJECT_ID", "receiver")
    assert command(*words, "--json").out == ""
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
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """One line that names the argument and the file."""
    monkeypatch.chdir(tmp_path)
    Path("wrong.json").write_text("[]")
    assert command("pending", *words, code=2).err.startswith(f"doorman: {message}")


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


def test_a_vault_is_asked_for_where_one_is_missing(cloud: Cloud, tmp_path: Path, command: Command) -> None:
    """What a real run would hold because it has no vault is shown so, and the command asks for one."""
    (tmp_path / "policy.yaml").write_text(POLICY[: POLICY.index("vaults:")])
    image = cloud.add_share(GOLDEN, "receiver", full_ecs=True)
    *_, totals, _, _, typed = command("pending").out.splitlines()
    assert totals == "1 share: 1 would be held"
    assert typed == f"  doorman approve {image} --project receiver --vault VAULT --reason TEXT"
