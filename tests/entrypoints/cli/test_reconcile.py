"""`doorman reconcile`: what was settled earlier against today's policy."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from doorman.entrypoints.cli.main import main
from doorman.sandbox.state import Cloud
from tests.chain import BAD, GOLDEN, POLICY, STRANGER
from tests.entrypoints.cli.command import Command


def settled(cloud: Cloud) -> dict[str, str]:
    """Share one image of each kind, all of them settled; only `fine` stands as the policy would have it."""
    return {
        "bad": cloud.add_share(BAD, "receiver", status="accepted"),
        "golden": cloud.add_share(GOLDEN, "receiver", status="rejected"),
        "stranger": cloud.add_share(STRANGER, "receiver", status="accepted"),
        "kept out": cloud.add_share(STRANGER, "receiver", status="rejected"),
        "fine": cloud.add_share(GOLDEN, "receiver", status="accepted"),
    }


@pytest.mark.usefixtures("sink")
def test_drift_is_told_and_nothing_is_changed(cloud: Cloud, taken: list[dict[str, Any]], command: Command) -> None:
    """One row a share with how it stands; the exit code says that something stands otherwise; the sink hears of it."""
    images = settled(cloud)
    lines = command("reconcile", code=1).out.splitlines()
    assert sorted(line.split()[0] for line in lines[1:5]) == sorted(images[key] for key in images if key != "fine")
    assert lines[6] == "4 shares: 4 drifted"
    assert sum(line.endswith("drifted (accepted)") for line in lines) == 2
    assert cloud.writes == []
    assert [event["type"] for event in taken] == ["dev.doorman.share.drifted.v1"]


def test_the_next_commands_bear_the_options_of_this_one(cloud: Cloud, tmp_path: Path, command: Command) -> None:
    """They settle the same projects, by the same policy."""
    file = tmp_path / "another policy.yaml"
    file.write_text(POLICY)
    images = settled(cloud)
    told = command("reconcile", "--project", "receiver", "--policy", str(file), code=1).out.splitlines()
    assert [line for line in told if line.startswith("  doorman")] == [
        f"  doorman reconcile --enforce --project receiver --policy '{file}'",
        f"  doorman reject {images['stranger']} --project receiver --reason TEXT --policy '{file}'",
    ]
    cloud.fail_image(cloud.add_share(GOLDEN, "receiver"), "IMG.0067", at="submit")
    told = command("run", "--os-cloud", "", "--policy", str(file), code=1).out.splitlines()
    assert told[-1] == f"  doorman run --policy '{file}'"


def test_enforced_it_settles_what_the_policy_decides(cloud: Cloud, command: Command) -> None:
    """What the policy would leave to a person stays as somebody settled it, and is still told."""
    images = settled(cloud)
    assert command("reconcile", "--enforce", "--yes", code=1).out.splitlines()[-4:] == [
        "4 shares: 1 accepted, 4 drifted, 1 rejected",
        "",
        "to reject what was accepted and would be held:",
        f"  doorman reject {images['stranger']} --project receiver --reason TEXT",
    ]
    assert {key: cloud.member_status(image, "receiver") for key, image in images.items()} == {
        "bad": "rejected",
        "golden": "accepted",
        "stranger": "accepted",
        "kept out": "rejected",
        "fine": "accepted",
    }
    cloud.unshare(images["stranger"], "receiver")
    assert main(["reconcile", "--enforce", "--yes"]) == 0


@pytest.mark.usefixtures("sink")
def test_before_it_settles_anew_it_shows_and_asks(
    cloud: Cloud, taken: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """After the answer no nothing is written or told; where nothing drifted nobody is asked."""
    bad = cloud.add_share(BAD, "receiver", status="accepted")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\ny\n"))
    told = command("reconcile", "--enforce", code=1)
    assert "1 share: 1 drifted" in told.out
    assert told.err == "settle anew what the policy accepts or rejects? [y/N] doorman: nothing was changed\n"
    assert (cloud.writes, taken) == ([], [])
    assert main(["reconcile", "--enforce"]) == 0
    assert cloud.member_status(bad, "receiver") == "rejected"
    assert main(["reconcile", "--enforce"]) == 0


def test_where_nothing_would_be_settled_nobody_is_asked(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """What the policy would hold stays as it is, whatever the answer."""
    cloud.add_share(STRANGER, "receiver", status="accepted")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    told = command("reconcile", "--enforce", code=1)
    assert "1 share: 1 drifted" in told.out
    assert told.err == "doorman: nothing was changed\n"
    assert cloud.writes == []


def test_what_a_person_keeps_out_is_no_failure(cloud: Cloud, command: Command) -> None:
    """It is listed, since the policy would hold it, with the fact that a person may have wanted it."""
    cloud.add_share(STRANGER, "receiver", status="rejected")
    (entry,) = json.loads(command("reconcile", "--json").out)["data"]["images"]
    assert (entry["reason"], entry["facts"]["person"]) == ("owner_not_allowed", "possible")


def test_nothing_drifted(cloud: Cloud, command: Command) -> None:
    """Said in words."""
    cloud.add_share(GOLDEN, "receiver", status="accepted")
    found = command("reconcile", "--usage").out.splitlines()
    assert found == ["nothing drifted", "", "no server was booted from a share that should not be used"]


def test_the_file_alone_does_not_make_the_command_write(cloud: Cloud, tmp_path: Path) -> None:
    """`enforce` in the policy is for the sweep; here a person says so."""
    (tmp_path / "policy.yaml").write_text(POLICY + "reconcile: {enforce: true}\n")
    settled(cloud)
    assert main(["reconcile"]) == 1
    assert cloud.writes == []


def test_usage_lists_servers(cloud: Cloud, command: Command) -> None:
    """With the image, whose it is, how it stands, and why it should not be used; a withdrawn share is drift as well."""
    images = settled(cloud)
    gone = cloud.add_share(GOLDEN, "receiver", status="accepted")
    cloud.unshare(gone, "receiver")
    servers = {key: cloud.add_server("receiver", image).id for key, image in {**images, "gone": gone}.items()}
    told = command("reconcile", "--usage", code=1).out
    rows = {line.split()[1]: line.split()[-2:] for line in told[told.index("PROJECT") :].splitlines()[1:]}
    assert rows == {
        servers["bad"]: ["accepted", "rejected_by_rule"],
        servers["golden"]: ["rejected", "allowed_owner"],
        servers["stranger"]: ["accepted", "owner_not_allowed"],
        servers["kept out"]: ["rejected", "owner_not_allowed"],
        servers["gone"]: ["-", "withdrawn"],
    }
    assert "drifted (gone)" in told
    types = [json.loads(line)["type"] for line in command("reconcile", "--usage", "--json", code=1).out.splitlines()]
    assert types.count("dev.doorman.share.used.v1") == 1


def test_without_the_right_to_read_servers_the_rest_is_done(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """What is missing is said, and fails the command."""
    cloud.faults.add("status", method="GET", path="servers/detail", status=403)
    bad = cloud.add_share(BAD, "receiver", status="accepted")
    assert main(["reconcile", "--usage", "--enforce", "--yes"]) == 1
    assert cloud.member_status(bad, "receiver") == "rejected"
    assert "grant reading servers in this project" in capsys.readouterr().err
