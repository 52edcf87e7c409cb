"""`doorman approve` and `doorman reject`: a person settles shares, and it is told who and why."""

import io
import json
import os
from typing import Any

import pytest

from doorman.entrypoints.cli.main import main
from doorman.sandbox.state import Cloud
from tests.chain import BAD, GOLDEN, SECOND_VAULT, STRANGER, VAULT
from tests.entrypoints.cli.command import Command

NOBODY = "99999999-0000-4000-8000-000000000000"
ASKED = ("--project", "receiver", "--reason", "ticket 4711")


def type_in(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """Let a person answer the question."""
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))


@pytest.mark.usefixtures("sink")
def test_a_held_share_is_accepted_by_hand(cloud: Cloud, taken: list[dict[str, Any]], command: Command) -> None:
    """The outcome names the person as Keystone does, the reason in the person's own words, and why it was decided."""
    stranger, other = cloud.add_share(STRANGER, "receiver"), cloud.add_share(STRANGER, "receiver")
    shown = command("approve", stranger.upper(), stranger, *ASKED, "--yes", "--json")
    decided, told = (json.loads(line) for line in shown.out.splitlines())
    assert (decided["type"], shown.err) == ("dev.doorman.share.decided.v1", "")
    assert told["type"] == "dev.doorman.share.accepted.v1"
    data = {key: told["data"][key] for key in ("actor", "reason", "project_id")}
    assert data == {"actor": "doorman", "reason": "ticket 4711", "project_id": "receiver"}
    (entry,) = told["data"]["images"]
    found = [entry[key] for key in ("image_id", "rule", "reason", "decision", "member_status")]
    assert found == [stranger, "by hand", "decided_by_person", "accept", "accepted"]
    assert [event["type"] for event in taken] == ["dev.doorman.share.decided.v1", "dev.doorman.share.accepted.v1"]
    assert cloud.member_status(stranger, "receiver") == "accepted"
    assert cloud.member_status(other, "receiver") == "pending"


def test_several_are_rejected_at_once_whatever_the_policy_says(cloud: Cloud, command: Command) -> None:
    """An allowed owner's share as well as one that is accepted already."""
    golden, accepted = cloud.add_share(GOLDEN, "receiver"), cloud.add_share(GOLDEN, "receiver", status="accepted")
    assert command("reject", golden, accepted, *ASKED, "--yes").out.splitlines()[-1] == "2 shares: 2 rejected"
    assert {cloud.member_status(image, "receiver") for image in (golden, accepted)} == {"rejected"}


def test_without_yes_it_shows_what_it_will_do_and_asks(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """How the shares stand and what the policy would do stand above the question; no means no."""
    bad = cloud.add_share(BAD, "receiver", name="tool")
    type_in(monkeypatch, "n\n")
    told = command("approve", bad, NOBODY, *ASKED, code=1)
    assert told.err.splitlines()[:-1] == [
        f"image {bad}",
        f"  name tool, owner {BAD}, Ubuntu 22.04 server, 40 GB, 0 days old",
        "  stands as pending in project receiver",
        "  would be rejected: rejected_by_rule, rule known-bad",
        "",
        f"image {NOBODY}",
        "  not_shared: the cloud knows no such share of this project",
        "",
    ]
    assert "approve" not in told.err
    assert told.err.splitlines()[-1] == (
        "accept 2 shares in project receiver, because: ticket 4711 [y/N] doorman: nothing was changed"
    )
    assert (told.out, cloud.writes) == ("", [])


def test_yes_does_it_whatever_the_policy_says(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    """As an answer to the question."""
    bad = cloud.add_share(BAD, "receiver")
    type_in(monkeypatch, "yes\n")
    assert command("approve", bad, *ASKED).out.splitlines()[-1] == "1 share: 1 accepted"


def test_a_whole_server_goes_into_the_named_vault(cloud: Cloud) -> None:
    """First the one that the person names, then those of the policy."""
    for vault in (VAULT, SECOND_VAULT):
        cloud.add_vault("receiver", vault)
    images = [cloud.add_share(owner, "receiver", full_ecs=True) for owner in (STRANGER, GOLDEN)]
    assert main(["approve", images[0], *ASKED, "--yes"]) == 1
    assert main(["approve", images[0], *ASKED, "--yes", "--vault", SECOND_VAULT]) == 0
    assert main(["approve", images[1], *ASKED, "--yes"]) == 0
    assert [job.vault_id for job in cloud.jobs.values()] == [SECOND_VAULT, VAULT]


def test_what_is_so_already_is_done_and_what_is_gone_is_not(cloud: Cloud, command: Command) -> None:
    """A second approval changes nothing and is no failure; an image that is not shared is one."""
    stranger = cloud.add_share(STRANGER, "receiver", status="accepted")
    assert "already_settled" in command("approve", stranger, *ASKED, "--yes").out
    _, row, _, totals = command("approve", NOBODY, *ASKED, "--yes", code=1).out.splitlines()
    assert (row.split(), totals) == ([NOBODY, "-", "-", "-", "-", "not_shared", "skipped"], "1 share: 1 skipped")
    assert cloud.writes == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("approve", "no-image", *ASKED, "--yes"), "IMAGE: 'no-image' is no image ID"),
        (("approve", NOBODY, "--project", "a/b", "--reason", "x", "--yes"), "--project: a/b is not served here"),
        (("approve", NOBODY, *ASKED, "--vault", "a b", "--yes"), "--vault: 'a b' is no ID"),
        (("approve", NOBODY, "--project", "receiver", "--reason", " ", "--yes"), "--reason: say why"),
        (("reject", NOBODY, *ASKED), "--yes: needed where nobody answers"),
        (
            ("reject", NOBODY, "--project", "second", "--reason", "x", "--yes"),
            "--project: second is not served here: name one of receiver",
        ),
    ],
)
@pytest.mark.usefixtures("cloud")
def test_wrong_usage(words: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    """One line that names the argument, and exit code 2."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert command(*words, code=2).err.splitlines()[-1].startswith(f"doorman: {message}")


def test_a_refused_login_is_said_in_one_line(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    """The person's credentials do not open a project that is known by name: nothing can be told of it."""
    monkeypatch.setenv("OS_PROJECT_ID", "")
    monkeypatch.setenv("OS_PROJECT_NAME", "elsewhere")
    assert command("approve", NOBODY, *ASKED, "--yes", code=1).err.startswith("doorman: login refused by Keystone")
    assert cloud.writes == []


def test_a_signature_names_nobody(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    """With AK/SK there is no login that Keystone could name, and $LOGNAME proves nothing; nor is anybody told."""
    monkeypatch.setenv("LOGNAME", "somebody-else")
    (user,) = cloud.directory.users.values()
    cloud.add_access_key("AK", "SK", user, "receiver")
    url = os.environ["OS_AUTH_URL"].removesuffix("/v3")
    keys = {"OS_AUTH_TYPE": "aksk", "OS_ACCESS_KEY": "AK", "OS_SECRET_KEY": "SK", "OS_IMAGE_ENDPOINT_OVERRIDE": url}
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    told = command("reject", cloud.add_share(STRANGER, "receiver"), *ASKED, "--yes", "--json")
    actors = {json.loads(line)["data"]["actor"] for line in told.out.splitlines()}
    assert actors == {"unknown: a signature names nobody"}
    assert told.err == "doorman: nobody else was told: K_SINK is not set, so keep this output as the record\n"


def test_in_audit_mode_nothing_is_changed_and_that_is_said(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """The kill switch holds for people as well."""
    monkeypatch.setenv("DOORMAN_MODE", "audit")
    assert command("approve", cloud.add_share(STRANGER, "receiver"), *ASKED, "--yes", code=1).err.startswith(
        "doorman: nothing was changed: Doorman is in audit mode"
    )
    assert cloud.writes == []
