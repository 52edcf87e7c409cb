"""`doorman explain --project` and `doorman pending --facts`: why, asked of the cloud itself."""

import io
import json
from pathlib import Path

import pytest

from doorman.entrypoints.cli.main import main
from doorman.policy.tools import share_file
from doorman.sandbox.state import Cloud
from tests.chain import BAD, GOLDEN, POLICY, STRANGER

NOBODY = "99999999-0000-4000-8000-000000000000"


def test_it_says_why_rule_by_rule(cloud: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """How each share stands, what is known of it, and the rules; another policy may be tried."""
    stranger = cloud.add_share(STRANGER, "receiver", name="tool")
    bad = cloud.add_share(BAD, "receiver", status="accepted")
    assert main(["explain", "--project", "receiver", stranger.upper(), bad]) == 0
    lines = capsys.readouterr().out.splitlines()
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
    assert main(["explain", "--project", "receiver", stranger, "--policy", str(other)]) == 0
    assert "would be rejected" in capsys.readouterr().out
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
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What waits counts for the limit, and of what was settled no age is asked, as a run and `reconcile` have it."""
    kept = cloud.add_share(GOLDEN, "receiver", name="kept", status="accepted")
    image, _ = [cloud.add_share(GOLDEN, "receiver", name="other") for _ in range(2)]
    policy = tmp_path / "rules.yaml"
    policy.write_text(RULES)
    monkeypatch.setenv("DOORMAN_POLICY", str(policy))
    assert main(["explain", "--project", "receiver", image, kept]) == 0
    lines = capsys.readouterr().out.splitlines()
    held = "  would be held: limit_reached, rule more"
    assert [line for line in lines if "would be" in line] == [held, "  would be accepted: allowed_owner, rule old"]
    assert "    rule new (reject): asked only when a share comes in" in lines
    assert (main(["reconcile"]), capsys.readouterr().out) == (0, "nothing drifted\n")
    main(["pending", "--facts"])
    (tmp_path / "shares.json").write_text(capsys.readouterr().out)
    data = {"project_id": "receiver", "images": [image]}
    event = {"specversion": "1.0", "id": "e", "source": "/s", "type": "dev.doorman.share.notified.v1", "data": data}
    (tmp_path / "event.json").write_text(json.dumps(event))
    assert main(["explain", str(tmp_path / "event.json"), "--shares", str(tmp_path / "shares.json")]) == 0
    assert held in capsys.readouterr().out.splitlines()
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert main(["approve", image, "--project", "receiver", "--reason", "r"]) == 1
    assert "  the policy would hold it, rule more: limit_reached (accepts_per" in capsys.readouterr().err


def test_what_is_no_share_is_said(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Gone, our own, or unreadable: nothing is decided, and the exit code says so."""
    hidden = cloud.add_share(GOLDEN, "receiver")
    own = cloud.add_share("receiver", "receiver")
    monkeypatch.setenv("DOORMAN_API", "glance")
    cloud.faults.add("status", method="GET", path=f"/v2/images/{hidden}$", status=404)
    assert main(["explain", "--project", "receiver", NOBODY, hidden, own]) == 1
    told = capsys.readouterr().out
    assert "not_shared" in told
    assert "would wait: the image cannot be read" in told
    assert "own_image" in told


def test_for_programs(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """The facts, the decision and how the share stands, one object an image."""
    golden = cloud.add_share(GOLDEN, "receiver")
    assert main(["explain", "--project", "receiver", golden, NOBODY, "--json"]) == 1
    shared, nobody = json.loads(capsys.readouterr().out)
    assert (shared["member_status"], shared["decision"]) == ("pending", "accept")
    assert nobody == {"member_status": None, "image_id": NOBODY}


@pytest.mark.usefixtures("cloud")
def test_an_image_is_named_by_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    """An event file with `--project` is a mistake that is named."""
    assert main(["explain", "--project", "receiver", "event.json"]) == 2
    assert "'event.json' is no image ID" in capsys.readouterr().err


def test_facts_are_the_file_that_shares_takes(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All pending shares but our own; a project that cannot be read is named, and fails the command."""
    images = [cloud.add_share(owner, "receiver") for owner in (GOLDEN, STRANGER)]
    cloud.add_share("receiver", "receiver")
    assert main(["pending", "--facts"]) == 0
    shares = share_file.load(capsys.readouterr().out, file="shares.json")
    assert sorted(share.image_id for share in shares) == sorted(images)
    monkeypatch.setenv("OS_PROJECT_ID", "receiver,foreign")
    assert main(["pending", "--facts", "--project", "foreign"]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out) == []
    assert told.err.startswith("doorman: ")


def test_a_defect_is_no_answer(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not foreseen is raised."""

    async def fail(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("doorman.entrypoints.cli.explain_live._read_pending", fail)
    with pytest.raises(ZeroDivisionError):
        main(["pending", "--facts"])
