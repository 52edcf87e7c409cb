"""A recording played back answers a command as the cloud did that it was made of."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from doorman.sandbox import replay
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud
from tests.builders import BAD, GOLDEN, POLICY, STRANGER
from tests.entrypoints.cli.conftest import cloud
from tests.recordings import played, record, rename, told

__all__ = ["cloud"]


def fill(cloud: Cloud) -> set[str]:
    """Share some images; give all that is somebody's."""
    images = [cloud.add_share(owner, "receiver", name=f"{owner}-image") for owner in (GOLDEN, BAD, STRANGER)]
    images.append(cloud.add_share(GOLDEN, "receiver", full_ecs=True, name="whole-server"))
    names = [cloud.image_store.images[image].name for image in images]
    return {*images, *names, GOLDEN, BAD, STRANGER, "receiver"}


@pytest.mark.parametrize("is_signed", [False, True])
def test_the_same_answers(
    cloud: Cloud,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    is_signed: bool,  # noqa: FBT001 - a table
) -> None:
    """`pending` and a dry run say the same of both, by other names; with a login and without one."""
    real = fill(cloud)
    if is_signed:
        cloud.add_access_key("AK", "SK", next(iter(cloud.directory.users.values())), "receiver")
        url = os.environ["OS_AUTH_URL"].removesuffix("/v3")
        signed = {"OS_ACCESS_KEY": "AK", "OS_SECRET_KEY": "SK", "OS_AUTH_TYPE": "aksk"}
        for name, value in {**signed, "OS_IMAGE_ENDPOINT_OVERRIDE": url, "OS_CBR_ENDPOINT_OVERRIDE": url}.items():
            monkeypatch.setenv(name, value)
    commands = (("pending",), ("run", "--dry-run"))
    before = [told(capsys, *command) for command in commands]
    recording = record(tmp_path / "recorded")
    policy = Path(os.environ["DOORMAN_POLICY"])
    policy.write_text(rename(POLICY, real))
    with played(recording, monkeypatch):
        after = [told(capsys, *command) for command in commands]
    assert after == [rename(each, real) for each in before]
    text = json.dumps(recording)
    assert [each for each in (*real, "secret", "127.0.0.1", "doorman") if each in text] == []
    assert cloud.writes == []


def test_whatever_was_not_asked_is_not_there(tmp_path: Path) -> None:
    """404; and a login that failed fails again."""
    refused = {"method": "POST", "url": "https://host-a.example/v3/auth/tokens", "status": 401, "body": None}
    recording = {"version": 1, "answers": [refused]}
    (tmp_path / replay.FILE).write_text(json.dumps(recording))
    with serve(replay.create_app(replay.read(tmp_path))) as url:
        assert replay.environment(recording, url)["OS_AUTH_URL"] == f"{url}/host-a.example/v3"
        assert httpx.get(f"{url}/host-a.example/v2/images").status_code == 404
        login = httpx.post(f"{url}/host-a.example/v3/auth/tokens", json={"auth": {}})
        assert (login.status_code, "X-Subject-Token" in login.headers) == (401, True)


LOGIN = {"method": "POST", "url": "https://host-a.example/v3/auth/tokens", "status": 201, "body": {"token": "x"}}


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "[]",
        "{}",
        '{"answers": [{}]}',
        json.dumps({"answers": [LOGIN | {"body": [1]}]}),
        json.dumps({"answers": [LOGIN | {"url": "http://evil.invalid/v3/auth/tokens"}]}),
        json.dumps({"answers": [LOGIN | {"url": "https://host-a.example@evil.invalid/v3/auth/tokens"}]}),
        json.dumps({"answers": [LOGIN | {"body": {"token": {"catalog": [{"url": "https://evil.invalid"}]}}}]}),
        json.dumps({"answers": [LOGIN | {"body": {"token": {"project": {"id": "\x1b]8;;x\x07"}}}}]}),
    ],
)
def test_a_recording_of_foreign_making(tmp_path: Path, text: str) -> None:
    """It leads to no real host, moves no cursor, and is refused in words."""
    (tmp_path / replay.FILE).write_text(text)
    with pytest.raises(ValueError, match=r"nested too deep|no answers as|not made up"):
        replay.read(tmp_path)


def test_a_token_that_names_no_project(tmp_path: Path) -> None:
    """Somebody else's form: nothing is served then."""
    (tmp_path / replay.FILE).write_text(json.dumps({"answers": [LOGIN]}))
    assert replay.list_projects(replay.read(tmp_path)) == ["unknown"]


def test_command(tmp_path: Path) -> None:
    """It prints the settings and answers until it is ended."""
    command = [sys.executable, "-P", "-m", "doorman.sandbox", f"--replay={tmp_path}"]
    recording = {"version": 1, "answers": []}
    (tmp_path / replay.FILE).write_text(json.dumps(recording))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        lines = [running.stdout.readline() for _ in range(7)]
        running.terminate()
        assert running.wait(30) == 0
    assert lines[0].startswith("Answering at http://127.0.0.1:")
    assert lines[-1] == "export DOORMAN_API=glance\n"
