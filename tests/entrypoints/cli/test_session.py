"""How a person says where to log in, by which policy, and which project they mean."""

import json
import os
from pathlib import Path

import pytest

from doorman.entrypoints.cli.main import main
from doorman.sandbox.state import Cloud
from tests.chain import GOLDEN
from tests.entrypoints.cli.command import Command

LOGIN = "auth_url: %s, username: doorman, password: secret, user_domain_name: Default"
CLOUDS = """
clouds:
  team-a: {auth: {LOGIN, project_id: receiver}}
  team-b: {auth: {LOGIN, project_name: two}}
  both: {auth: {LOGIN, project_id: [receiver, second]}}
"""


@pytest.fixture
def clouds(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """The same cloud by entries of a clouds.yaml, and one share in each of two projects."""
    cloud.directory.projects["second"].name = "two"
    for project in ("receiver", "second"):
        cloud.add_share(GOLDEN, project, name=f"of-{project}")
    (tmp_path / "clouds.yaml").write_text(CLOUDS.replace("LOGIN", LOGIN % os.environ["OS_AUTH_URL"]))
    (tmp_path / "clouds.yaml").chmod(0o600)
    for name in [name for name in os.environ if name.startswith("OS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    return cloud


def pending(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """Give the names of the shares that `doorman pending` shows."""
    assert main(["pending", "--json", *words]) == 0
    events = map(json.loads, capsys.readouterr().out.splitlines())
    return sorted(image["name"] for event in events for image in event["data"]["images"])


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("--os-cloud", "team-a"), ["of-receiver"]),
        (("--os-cloud", "team-b"), ["of-second"]),
        (("--os-cloud", "both"), ["of-receiver", "of-second"]),
        (("--os-cloud", "team-a,team-b", "--project", "team-b"), ["of-second"]),
        (("--os-cloud", "team-a,team-b", "--project", "two"), ["of-second"]),
        (("--os-cloud", "team-a,team-b", "--project", "second"), ["of-second"]),
        (("--os-cloud", "both", "--project", "both"), ["of-receiver", "of-second"]),
        (("--os-cloud", "both", "--project", "two"), ["of-second"]),
        (("--os-cloud", "both", "--project", "two", "--project", "receiver"), ["of-receiver", "of-second"]),
    ],
)
@pytest.mark.usefixtures("clouds")
def test_projects(words: tuple[str, ...], names: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """By the entry that leads there, by name, or by ID; people read the shortest name that only one of them has."""
    assert pending(capsys, *words) == names
    assert (main(["pending", *words]), "two (second)" in capsys.readouterr().out) == (0, len(names) == 2)


@pytest.mark.usefixtures("clouds")
def test_policy(tmp_path: Path, command: Command) -> None:
    """A policy file given with the command counts before the environment's."""
    (tmp_path / "other.yaml").write_text("version: 1\ndefault: reject\nrules: []\n")
    (event,) = map(
        json.loads,
        command("pending", "--json", "--os-cloud", "team-a", "--policy", str(tmp_path / "other.yaml")).out.splitlines(),
    )
    assert [image["decision"] for image in event["data"]["images"]] == ["reject"]


@pytest.mark.usefixtures("clouds")
def test_a_person_names_one_project(command: Command) -> None:
    """An entry that serves several does not say in which of them a share is settled."""
    words = ["approve", "0" * 8 + "-0000-4000-8000-" + "0" * 12, "--reason", "x", "--yes", "--os-cloud", "both"]
    assert command(*words, "--project", "both", code=2).err == (
        "doorman: --project: names several projects: receiver, second; name one of them\n"
    )


@pytest.mark.parametrize(("project", "names"), [("two", ["of-second"]), ("receiver", ["of-receiver"])])
@pytest.mark.usefixtures("cloud")
def test_the_environment_may_name_none(
    cloud: Cloud, project: str, names: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Then the command does, by name."""
    for each in ("receiver", "second"):
        cloud.add_share(GOLDEN, each, name=f"of-{each}")
    cloud.directory.projects["second"].name = "two"
    monkeypatch.delenv("OS_PROJECT_ID")
    assert pending(capsys, "--project", project) == names


@pytest.mark.usefixtures("clouds")
def test_notes_stand_beside_the_answer(monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    """What a person should know of their settings goes to stderr."""
    monkeypatch.setenv("DOORMAN_SERVICE_HOST", "10.0.0.1")
    assert "unknown variables, ignored: DOORMAN_SERVICE_HOST" in command("pending", "--os-cloud", "team-a").err
