"""Asks `doorman explain` about event files: what it says to people and programs, with and without facts."""

import json
from pathlib import Path
from typing import Any

import pytest

from doorman.entrypoints.cli.main import main
from doorman.policy.tools.share_file import load
from doorman.sandbox.world import SAMPLES
from tests.entrypoints.cli.command import Command

ROOT = Path(__file__).parents[3]
IMAGE = "6596628c-42d4-4ff1-8660-8ea5ae61f243"
OTHER = "7a96628c-42d4-4ff1-8660-8ea5ae61f243"
POLICY = """
version: 1
exceptions:
  - {name: freeze, owners: [ccc], decision: hold, reason: r, by: b, expires: 2020-01-01}
rules:
  - {name: trial, owners: [aaa], mode: audit, decision: reject}
  - {name: golden, owners: [aaa], images: {full_ecs: true}, decision: accept}
  - {name: rest, decision: reject}
vaults: [{candidates: [v1, v2]}, {vault: v3}]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a policy, without one in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DOORMAN_POLICY", raising=False)
    (tmp_path / "policy.yaml").write_text(POLICY)
    return tmp_path


def event(**data: Any) -> dict[str, Any]:
    """Write a notification of IMAGE for the project receiver."""
    return {
        "specversion": "1.0",
        "id": "event-1",
        "source": "/test",
        "type": "dev.doorman.share.notified.v1",
        "data": {"project_id": "receiver", "images": [IMAGE], **data},
    }


def test_without_facts_the_claim_is_shown_as_a_claim(folder: Path, command: Command) -> None:
    """The owner is the event's own word, and so is said to be; what is unknown matches nothing."""
    (folder / "e.json").write_text(json.dumps(event(owner="bbb")))
    assert command.ask("explain e.json") == (
        0,
        [
            "e.json: dev.doorman.share.notified.v1 event-1",
            f"  image {IMAGE} for project receiver",
            "  name unknown, owner bbb (as the event claims; the functions would ask the cloud)",
            "  would be rejected: rejected_by_rule, rule rest",
            "    exception freeze (hold): failed",
            "      expires: wants through 2020-01-01; sees " + _today(command) + ": fails",
            "      owners: wants ccc; sees bbb: fails",
            "    rule trial (reject, in audit mode): failed",
            "      owners: wants aaa; sees bbb: fails",
            "    rule golden (accept): failed",
            "      owners: wants aaa; sees bbb: fails",
            "      images.full_ecs: wants true; sees unknown: unknown, so it cannot match",
            "    rule rest (reject): matched",
            "",
        ],
    )


def _today(command: Command) -> str:
    """Ask the command itself what day it is, in UTC."""
    told = json.loads(command("explain", "e.json", "--json").out)
    return str(told[0]["images"][0]["rules"][0]["conditions"][0]["seen"])


def test_with_facts_everything_is_told(folder: Path, command: Command) -> None:
    """Vaults in their order, rules on trial, and a name that would colour the terminal harmlessly escaped."""
    (folder / "e.json").write_text(json.dumps([event(owner="forged")]))
    (folder / "s.yaml").write_text(f'- {{image_id: {IMAGE.upper()}, owner: aaa, name: "a\\e[31m", full_ecs: true}}')
    code, lines = command.ask("explain e.json --shares s.yaml --policy policy.yaml")
    assert (code, lines[2:9]) == (
        0,
        [
            "  name a\\x1b[31m, owner aaa (as the list of shares says)",
            "  would be accepted: allowed_owner, rule golden",
            "    rests on owner: aaa",
            "    rests on full_ecs: true",
            "    vault the one of v1, v2 with the most room",
            "    then vault v3",
            "    on trial: rule trial would have rejected it (rejected_by_rule)",
        ],
    )
    assert lines[-2] == "    rule rest (reject): not reached"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_files_of_windows_are_read(encoding: str, folder: Path, command: Command) -> None:
    """Events, shares and policy, as PowerShell writes them."""
    (folder / "e.json").write_text(json.dumps(event()), encoding=encoding)
    (folder / "s.yaml").write_text(f"- {{image_id: {IMAGE}, owner: bbb}}", encoding=encoding)
    (folder / "policy.yaml").write_text(POLICY, encoding=encoding)
    code, lines = command.ask("explain e.json --shares s.yaml")
    assert (code, lines[3]) == (0, "  would be rejected: rejected_by_rule, rule rest")


def test_a_policy_in_audit_mode_only_tells(folder: Path, command: Command) -> None:
    """The decision says that nothing is done."""
    (folder / "e.json").write_text(json.dumps(event(owner="bbb")))
    (folder / "policy.yaml").write_text(POLICY.replace("version: 1", "version: 1\nmode: audit"))
    _, lines = command.ask("explain e.json")
    assert lines[3] == "  would be rejected: rejected_by_rule, rule rest, in audit mode: only told, not done"


def test_what_is_not_decided_is_said(folder: Path, command: Command) -> None:
    """The project's own image, an event that names none, one without an owner, one that is refused."""
    (folder / "policy.yaml").write_text("version: 1")
    (folder / "own.json").write_text(json.dumps(event(owner="receiver")))
    (folder / "tick.json").write_text(json.dumps({**event(), "type": "dev.knative.sources.ping"}))
    (folder / "bare.json").write_text(json.dumps(event()))
    (folder / "bad.json").write_text(json.dumps(event(images=[])))
    code, lines = command.ask("explain own.json tick.json bare.json bad.json")
    assert code == 1
    assert lines == [
        "own.json: dev.doorman.share.notified.v1 event-1",
        f"  image {IMAGE} for project receiver",
        "  name unknown, owner receiver (as the event claims; the functions would ask the cloud)",
        "  would be skipped: own_image, the project's own image is no share",
        "",
        "tick.json: names no images: there is nothing to decide",
        "bare.json: dev.doorman.share.notified.v1 event-1",
        f"  image {IMAGE} for project receiver",
        "  name unknown, owner unknown (as the event claims; the functions would ask the cloud)",
        "  the event does not say whose image it is: give --shares FILE, or put `owner` into its data",
        "  would be held: fact_unknown, whatever the rules say",
        "    rests on owner: unknown",
        "",
        lines[-1],
    ]
    assert lines[-1].startswith("bad.json: would be refused: data.images:")


def test_an_image_needs_its_project(folder: Path, command: Command) -> None:
    """Its ID is no event file: the message names the option that is missing."""
    (folder / "policy.yaml").write_text("version: 1")
    assert command("explain", IMAGE, code=2).err == (
        f"doorman: {IMAGE}: no event file; for an image, --project names the project that it is shared with\n"
    )


def test_a_missing_policy_names_its_variable(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who has set nothing learns what to set."""
    (folder / "policy.yaml").unlink()
    assert (main(["explain", str(folder / "e.json")]), capsys.readouterr().err) == (
        2,
        "doorman: policy.yaml: cannot be read: No such file or directory; DOORMAN_POLICY may name another\n",
    )


def test_for_programs(folder: Path, command: Command) -> None:
    """One object a file, with where the facts came from."""
    (folder / "e.json").write_text(json.dumps(event(images=[IMAGE, OTHER], owner="receiver")))
    (folder / "bad.json").write_text("{")
    (folder / "s.yaml").write_text(f"- {{image_id: {IMAGE}, owner: aaa, project_id: elsewhere}}")
    code, lines = command.ask("explain e.json bad.json --shares s.yaml --json")
    told = json.loads("\n".join(lines))
    [decided, own] = told[0]["images"]
    found = (code, told[0]["file"], told[0]["refused"], told[1]["file"], told[1]["images"])
    assert found == (1, "e.json", None, "bad.json", [])
    assert told[1]["refused"].startswith("body: not JSON")
    keys = ("event_id", "facts_from", "skipped", "project_id", "owner", "decision", "reason")
    assert tuple(decided[key] for key in keys) == ("event-1", "shares", None, "receiver", "aaa", "hold", "fact_unknown")
    assert own == {
        "event_id": "event-1",
        "event_type": "dev.doorman.share.notified.v1",
        "facts_from": "event",
        "skipped": "own_image",
        "image_id": OTHER,
        "project_id": "receiver",
        "owner": "receiver",
    }


def test_the_policy_is_found_in_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """DOORMAN_POLICY, as the functions take it."""
    (folder / "e.json").write_text(json.dumps(event(owner="bbb")))
    (folder / "other.yaml").write_text("version: 1\ndefault: reject")
    monkeypatch.setenv("DOORMAN_POLICY", "other.yaml")
    _, lines = command.ask("explain e.json")
    why = "owner_not_allowed (owners: no rule that accepts names bbb for project receiver)"
    assert lines[3] == f"  would be rejected: {why}, by default, since no rule matches"


def test_the_sample_event_is_accepted_by_the_sample_policy(monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    """The command of the documentation works as it stands there."""
    monkeypatch.chdir(ROOT)
    words = "explain events/golden-image.json --policy examples/policy.yaml --shares examples/shares.yaml"
    code, lines = command.ask(words)
    assert (code, lines[3]) == (0, "  would be accepted: allowed_owner, rule golden-images")


def test_the_sample_shares_are_those_of_the_sample_events() -> None:
    """Image, owner, name and kind as the sandbox has them."""
    world = {sample.image_id: (sample.owner, sample.name, sample.full_ecs) for sample in SAMPLES}
    listed = load((ROOT / "examples/shares.yaml").read_text(encoding="utf-8"), file="shares.yaml")
    assert len(listed) > 7
    assert [(each.owner, each.name, each.full_ecs) for each in listed] == [world[each.image_id] for each in listed]


@pytest.mark.parametrize("path", sorted((ROOT / "events").glob("*.*")), ids=lambda path: path.name)
def test_every_sample_event_can_be_explained(path: Path, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    """Refused exactly where its name says so."""
    if path.suffix == ".md":
        return
    monkeypatch.chdir(ROOT)
    code, lines = command.ask(f"explain events/{path.name} --policy examples/policy.yaml")
    is_refused = path.name.startswith(("malformed", "path-like"))
    assert (code, "would be refused" in lines[0]) == ((1, True) if is_refused else (0, False))
