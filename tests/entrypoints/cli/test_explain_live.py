"""`doorman explain --project` and `doorman pending --facts`: why, asked of the cloud itself."""

import io
import json
from pathlib import Path

import pytest

from doorman.policy.tools import share_file
from doorman.sandbox.state import Cloud
from tests.chain import BAD, GOLDEN, POLICY, STRANGER
from tests.entrypoints.cli.command import Command

WHY = f"owners: no rule that accepts names {STRANGER} for project receiver"
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
        f"  would be held: owner_not_allowed ({WHY}), by default, since no rule matches",
    ]
    assert "  stands as accepted in project receiver" in lines
    assert "  would be rejected: rejected_by_rule, rule known-bad" in lines
    other = tmp_path / "other.yaml"
    other.write_text(POLICY.replace("default: hold", "default: reject"))
    assert "would be rejected" in command("explain", "--project", "receiver", stranger, "--policy", str(other)).out
    assert cloud.writes == []


RULES = f"""
version: 1
rules:
  - {{name: new, owners: [{GOLDEN}], images: {{names: [kept], age_days: {{at_most: 5}}}}, decision: reject}}
  - {{name: old, owners: [{GOLDEN}], images: {{names: [kept], age_days: {{at_least: 5}}}}, decision: accept}}
  - {{name: more, owners: [{GOLDEN}], images: {{names: [other]}}, decision: accept}}
limits: {{accepts_per_owner: 1}}
"""


def test_all_commands_say_the_same(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """What waits counts for the limit, and of what was settled no age is asked, as a run and `reconcile` have it."""
    kept = cloud.add_share(GOLDEN, "receiver", name="kept", status="accepted")
    image, _ = [cloud.add_share(GOLDEN, "receiver", name="other") for _ in range(2)]
    policy = tmp_path / "rules.yaml"
    policy.write_text(RULES)
    monkeypatch.setenv("DOORMAN_POLICY", str(policy))
    lines = command("explain", "--project", "receiver", image, kept).out.splitlines()
    held = "  would be held: limit_reached (accepts_per_owner: at most 1, more wait at once), rule more"
    assert [line for line in lines if "would be" in line] == [held, "  would be accepted: allowed_owner, rule old"]
    assert "    rule new (reject): asked only when a share comes in" in lines
    assert command("reconcile").out == "nothing drifted\n"
    (tmp_path / "shares.json").write_text(command("pending", "--facts").out)
    data = {"project_id": "receiver", "images": [image]}
    event = {"specversion": "1.0", "id": "e", "source": "/s", "type": "dev.doorman.share.notified.v1", "data": data}
    (tmp_path / "event.json").write_text(json.dumps(event))
    told = command("explain", str(tmp_path / "event.json"), "--shares", str(tmp_path / "shares.json"))
    assert held in told.out.splitlines()
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    told = command("approve", image, "--project", "receiver", "--reason", "r", code=1)
    assert held in told.err.splitlines()


def test_what_is_no_share_is_said(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    """Gone, our own, or unreadable: nothing is decided, and the exit code says so."""
    hidden = cloud.add_share(GOLDEN, "receiver")
    own = cloud.add_share("receiver", "receiver")
    monkeypatch.setenv("DOORMAN_API", "glance")
    cloud.faults.add("status", method="GET", path=f"/v2/images/{hidden}$", status=404)
    assert command("explain", "--project", "receiver", NOBODY, hidden, own, code=1).out.splitlines()[:7] == [
        f"image {NOBODY}",
        "  not_shared: the cloud knows no such share of this project",
        "",
        f"image {hidden}",
        "  name unknown, owner -, nothing is known of what it is",
        "  stands as pending in project receiver",
        "  would wait: the image cannot be read, so nothing can be decided",
    ]
    assert "would be skipped: own_image" in command("explain", "--project", "receiver", own, code=1).out


def test_for_programs(cloud: Cloud, command: Command) -> None:
    """The facts, the decision and how the share stands, one object an image."""
    golden = cloud.add_share(GOLDEN, "receiver")
    shared, nobody = json.loads(command("explain", "--project", "receiver", golden, NOBODY, "--json", code=1).out)
    assert (shared["member_status"], shared["decision"]) == ("pending", "accept")
    assert nobody == {"member_status": None, "image_id": NOBODY, "project_id": "receiver"}


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
