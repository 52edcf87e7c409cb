"""`doorman explain --project` and `doorman pending --facts`: why, asked of the cloud itself."""

import json
from pathlib import Path

import pytest

from doorman.policy.tools import share_file
from doorman.sandbox.state import Cloud
from tests.chain import BAD, GOLDEN, POLICY, STRANGER
from tests.entrypoints.cli.command import Command

NOBODY = "99999999-0000-4000-8000-000000000000"


def test_it_says_why_rule_by_rule(cloud: Cloud, tmp_path: Path, command: Command) -> None:
    """How each share stands, what is known of it, and the rules; another policy may be tried."""
    stranger = cloud.add_share(STRANGER, "receiver", name="tool")
    bad = cloud.add_share(BAD, "receiver", status="accepted")
    lines = command("explain", "--project", "receiver", stranger.upper(), bad).out.splitlines()
    assert lines[:4] == [
        f"image {stranger}",
        f"  name tool, owner {STRANGER}, Ubuntu 22.04 server, 40 GB, 0 days old",
        "  stands as pending in project receiver",
        "  would be held: owner_not_allowed, by default, since no rule matches",
    ]
    assert "  stands as accepted in project receiver" in lines
    assert "  would be rejected: rejected_by_rule, rule known-bad" in lines
    other = tmp_path / "other.yaml"
    other.write_text(POLICY.replace("default: hold", "default: reject"))
    assert "would be rejected" in command("explain", "--project", "receiver", stranger, "--policy", str(other)).out
    assert cloud.writes == []


def test_what_is_no_share_is_said(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    """Gone, our own, or unreadable: nothing is decided, and the exit code says so."""
    hidden = cloud.add_share(GOLDEN, "receiver")
    own = cloud.add_share("receiver", "receiver")
    monkeypatch.setenv("DOORMAN_API", "glance")
    cloud.faults.add("status", method="GET", path=f"/v2/images/{hidden}$", status=404)
    told = command("explain", "--project", "receiver", NOBODY, hidden, own, code=1).out
    assert "not_shared" in told
    assert "would wait: the image cannot be read" in told
    assert "own_image" in told


def test_for_programs(cloud: Cloud, command: Command) -> None:
    """The facts, the decision and how the share stands, one object an image."""
    golden = cloud.add_share(GOLDEN, "receiver")
    shared, nobody = json.loads(command("explain", "--project", "receiver", golden, NOBODY, "--json", code=1).out)
    assert (shared["member_status"], shared["decision"]) == ("pending", "accept")
    assert nobody == {"member_status": None, "image_id": NOBODY}


@pytest.mark.usefixtures("cloud")
def test_an_image_is_named_by_its_id(command: Command) -> None:
    """An event file with `--project` is a mistake that is named."""
    assert "'event.json' is no image ID" in command("explain", "--project", "receiver", "event.json", code=2).err


def test_facts_are_the_file_that_shares_takes(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    """All pending shares but our own; a project that cannot be read is named, and fails the command."""
    images = [cloud.add_share(owner, "receiver") for owner in (GOLDEN, STRANGER)]
    cloud.add_share("receiver", "receiver")
    shares = share_file.load(command("pending", "--facts").out, file="shares.json")
    assert sorted(share.image_id for share in shares) == sorted(images)
    monkeypatch.setenv("OS_PROJECT_ID", "receiver,foreign")
    told = command("pending", "--facts", "--project", "foreign", code=1)
    assert json.loads(told.out) == []
    assert told.err.startswith("doorman: ")
