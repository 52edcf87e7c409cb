"""`doorman doctor` on a real Keystone and Glance: everything that it says is true."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from doorman.sandbox.processes import COMMAND
from tests.openstack.worlds import OWNERS, RECEIVER, SECRET, RealWorld
from tests.recordings import played, record, rename, told

GOLDEN, BANNED = OWNERS


def doctor(environ: dict[str, str], folder: Path) -> dict[str, dict[str, Any]]:
    """Run it; give its findings by check, the first of each."""
    ended = subprocess.run(
        [*COMMAND, "doctor", "--json"], env=environ, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.stderr == ""
    assert SECRET not in ended.stdout
    found: dict[str, dict[str, Any]] = {}
    for line in ended.stdout.splitlines():
        found.setdefault(json.loads(line)["check"], json.loads(line))
    assert ended.returncode == int(any(each["mark"] == "mend" for each in found.values()))
    return found


def test_everything_is_true(world: RealWorld, environ: dict[str, str], tmp_path: Path) -> None:
    """Each line against what this Keystone and Glance are known to do; nothing is settled."""
    images = [world.add_image(GOLDEN, f"golden-{number}") for number in range(3)]
    hidden = world.add_image(GOLDEN, "golden-hidden")
    for image in (*images, hidden):
        world.share(image, GOLDEN)
    world.settle(images[0], "accepted")
    world.hide(hidden, GOLDEN)
    before = [world.status(image) for image in images]
    found = doctor(environ, tmp_path)
    assert [world.status(image) for image in images] == before == ["accepted", "pending", "pending"]
    texts = {check: (each["mark"], each["text"]) for check, each in found.items()}
    assert {check: mark for check, (mark, _) in texts.items() if mark != "ok"} == {
        "clock": "unknown",
        "servers": "note",
    }
    expected = {
        "clock": "the cloud does not tell its time",
        "catalog": f"image service at {world.image_url}, as the catalog says",
        "settle": "the role member allows it",
        "list": "the lists can be read: 2 pending, 1 accepted, 0 rejected",
        "member-row": "tells created_at and updated_at, status pending",
        "member-status": "filters: 2 pending, 1 accepted, 0 rejected",
        "limit": "honoured: one image on a page of one",
        "next": "pages follow one another by `next`",
        "os-hidden": "filters: 1 hidden image listed apart",
        "facts": "3 rows; never: kind, os_type, os_version, platform, architecture, firmware",
        "waiting": "3 shares to decide; the policy would: 3 accept, 0 reject, 0 hold",
    }
    assert {check: texts[check][1] for check in expected} == expected
    assert texts["login"][1].startswith("doorman in project receiver; the token ends ")
    assert texts["servers"][1].startswith("the catalog has no public endpoint of the compute service")


def test_the_root_is_true(world: RealWorld, environ: dict[str, str], tmp_path: Path) -> None:
    """Who only reads, who has no role, whose password is wrong, and what access rules allow: as Keystone has it."""
    own = {name: value for name, value in environ.items() if name != "OS_CLOUD"}
    own |= {"OS_AUTH_URL": world.auth_url, "OS_USER_DOMAIN_NAME": "Default", "OS_PASSWORD": SECRET}
    own |= {"OS_PROJECT_ID": world.projects[RECEIVER], "DOORMAN_POLICY": "policy.yaml"}
    reader = doctor({**own, "OS_USERNAME": "reader"}, tmp_path)
    assert (reader["settle"]["mark"], reader["settle"]["text"]) == ("mend", "reader only reads")
    stranger = doctor({**own, "OS_USERNAME": "stranger"}, tmp_path)
    assert stranger["login"]["fix"].startswith("user and password are right")
    assert stranger["list"]["text"] == "not looked at: needs the login"
    wrong = doctor({**own, "OS_USERNAME": "doorman", "OS_PASSWORD": "wrong"}, tmp_path)
    assert wrong["login"]["fix"].startswith("check user name, password")
    lists = {"service": "image", "method": "GET", "path": "/v2/images"}
    settles = {"service": "image", "method": "PUT", "path": "/v2/images/*/members/*"}
    for rules, mark in (([lists], "mend"), ([lists, settles], "ok")):
        made = world.make_application_credential(rules, f"doctor-{len(rules)}")
        known = {"OS_APPLICATION_CREDENTIAL_ID": made["id"], "OS_APPLICATION_CREDENTIAL_SECRET": made["secret"]}
        rest = {name: value for name, value in own.items() if name not in ("OS_PASSWORD", "OS_USER_DOMAIN_NAME")}
        found = doctor({**rest, **known}, tmp_path)
        assert (found["settle"]["mark"], found["read"]["mark"]) == (mark, "mend")


def test_a_recording_says_the_same(
    world: RealWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Played back, `pending` and a dry run say what they said of the real Glance, by other names and with no secret."""
    shares = {world.add_image(owner, f"name-of-{owner}-{number}"): owner for owner in OWNERS for number in range(3)}
    for image, owner in shares.items():
        world.share(image, owner)
    golden, banned = (world.projects[owner] for owner in OWNERS)
    rules = f"version: 1\nrules:\n- {{name: a, owners: [{golden}], decision: accept}}\n"
    rules += f"- {{name: b, owners: [{banned}], decision: reject}}\n"
    policy = tmp_path / "policy.yaml"
    policy.write_text(rules)
    login = {"OS_AUTH_URL": world.auth_url, "OS_USERNAME": "doorman", "OS_PASSWORD": SECRET}
    login |= {"OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_ID": world.projects[RECEIVER], "DOORMAN_API": "glance"}
    for name, value in {**login, "DOORMAN_POLICY": str(policy)}.items():
        monkeypatch.setenv(name, value)
    commands = (("pending",), ("run", "--dry-run"))
    before = [told(capsys, *command) for command in commands]
    recording = record(tmp_path / "recorded")
    rows = [row for answer in recording["answers"] for row in (answer["body"] or {}).get("images", [])]
    listed = [image for event in before[0] for image in event["data"]["images"]]
    assert {image["image_id"] for image in listed} >= set(shares)
    real = {entry[key] for entry in listed for key in ("image_id", "name", "owner")} | set(world.projects.values())
    policy.write_text(rename(rules, real))
    with played(recording, monkeypatch):
        after = [told(capsys, *command) for command in commands]
    assert after == [rename(each, real) for each in before]
    text = json.dumps(recording)
    names = [*real, *world.projects, *world.users.values(), SECRET, "doorman", "127.0.0.1", "RegionOne", "gAAAA"]
    assert [name for name in names if name in text] == []
    assert len(rows) > len(shares)
