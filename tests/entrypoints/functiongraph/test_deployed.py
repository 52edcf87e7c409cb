"""The function as FunctionGraph runs it: as another user, from files it cannot write, with lent credentials."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from doorman.sandbox.cloud import create_app
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud
from tests.chain import GOLDEN, POLICY
from tests.test_functions import SOURCE as MAIN
from tests.test_functions import loaded

UID = 1003
"""The user and group that the engine runs containers as."""

FIRST_ANSWER = 3.0
"""Seconds: a function's time-out unless it is set."""

MAX_ENVIRON = 4096
"""Characters of all environment variables together."""

WHERE = {"PYTHONPATH": sysconfig.get_path("purelib")}
COMMAND = "import sys; from functions_framework._cli import _cli; sys.exit(_cli())"
TIMER = {"trigger_type": "TIMER", "trigger_name": "sweep", "time": "2026-01-31T08:30:00Z", "user_event": ""}
LENT = {
    "X-CFF-Project-Id": "receiver",
    "X-CFF-Request-Id": "7c307f6a-cf68-4e65-8be0-4c77405a1b2c",
    "X-CFF-Auth-Token": "null",
    "X-CFF-Security-Access-Key": "TEMPORARYKEY",
    "X-CFF-Security-Secret-Key": "temporary-secret",
    "X-CFF-Security-Token": "temporary-token",
}


@pytest.fixture
def cloud() -> Cloud:
    """A cloud that knows the temporary keys of the function's agency."""
    cloud = Cloud()
    cloud.settings.job_seconds = 0
    agency = cloud.add_user("agency", "secret", ["receiver"])
    cloud.add_access_key("TEMPORARYKEY", "temporary-secret", agency, "receiver", security_token="temporary-token")
    return cloud


def find_python() -> str:
    """Find a Python of our version that anybody may run, and that finds what is installed."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        probe = [python, "-c", "import sys, functions_framework; print(sys.version_info[:2])"]
        try:
            told = subprocess.run(
                probe, env=WHERE, user=UID, group=UID, extra_groups=[], capture_output=True, text=True, check=True
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        if told.stdout.strip() == str(sys.version_info[:2]):
            return python
    pytest.skip("no Python here that another user may run with what is installed")


@pytest.fixture
def image() -> Iterator[Path]:
    """The product as it lies in the image: readable for everybody, writable for nobody."""
    # pytest's own folders are closed to other users
    tree = Path(tempfile.mkdtemp(prefix="doorman-image-"))
    shutil.copytree(Path(MAIN).parent, tree / "app" / "function", ignore=shutil.ignore_patterns("__pycache__"))
    (tree / "app" / "policy.yaml").write_text(POLICY)
    for path in [tree, *tree.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield tree / "app"
    for path in [tree, *tree.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(tree)


@contextmanager
def deployed(image: Path, environ: dict[str, str]) -> Iterator[tuple[str, float, list[dict[str, Any]]]]:
    """Start the container's command; gives its URL, when it was started, and its log lines once it has ended."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--source", "function/main.py", "--target", "functiongraph", "--host", "127.0.0.1", "--port", str(port)]
    command, log = [find_python(), "-c", COMMAND, *options], list[dict[str, Any]]()
    began = time.monotonic()
    with subprocess.Popen(
        command, cwd=image, env=environ, user=UID, group=UID, extra_groups=[], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield f"http://127.0.0.1:{port}", began, log
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=20)
            log.extend(json.loads(line) for line in output.splitlines())
            assert process.returncode == 0
        finally:
            process.kill()


def await_init(client: httpx.Client) -> int:
    """Post /init as soon as the container listens."""
    while True:
        try:
            return client.post("/init").status_code
        except httpx.ConnectError:
            time.sleep(0.01)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can start a process as another user")
def test_the_first_invocation_is_answered_in_time(cloud: Cloud, image: Path) -> None:
    """A cold start with nothing but the engine's own: the whole run within the least time-out, and no secret logged."""
    with serve(create_app(cloud)) as url:
        environ = {
            **WHERE,
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": "/tmp",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "DOORMAN_POLICY": str(image / "policy.yaml"),
            "OS_PROJECT_ID": "receiver",
            "OS_REGION_NAME": "eu-de",
            "OS_IMAGE_ENDPOINT_OVERRIDE": url,
        }
        assert sum(len(name) + len(value) for name, value in environ.items()) < MAX_ENVIRON
        # Other work on this machine may slow one start down, not three.
        for _ in range(3):
            golden = cloud.add_share(GOLDEN, "receiver", name="golden")
            with deployed(image, environ) as (function, began, log), httpx.Client(base_url=function) as client:
                assert await_init(client) == 200
                reply = client.post("/invoke", json=TIMER, headers=LENT)
                took = time.monotonic() - began
                statuses = [client.post(path).status_code for path in ("/", "/invoke/x")]
                statuses += [client.get(path).status_code for path in ("/healthz", "/invoke")]
            assert (reply.status_code, reply.json()) == (200, {"events": 1, "ignored": []})
            assert cloud.member_status(golden, "receiver") == "accepted"
            assert statuses == [404, 404, 200, 404]
            events = [line["event"] for line in log]
            assert events == ["started", "share.decided", "event.told", "outcome", "event.handled"]
            assert not any(secret in str(log) for secret in ("TEMPORARYKEY", "temporary-secret", "temporary-token"))
            if took < FIRST_ANSWER:
                break
        assert took < FIRST_ANSWER


def load(monkeypatch: pytest.MonkeyPatch, **environ: str) -> httpx.AsyncClient:
    """Load the target by its path, as the framework does, with these settings; gives a client of it."""
    app = loaded("functiongraph", {"FUNCTION_TARGET": "", **environ}, monkeypatch)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://door.test")


@pytest.mark.anyio
async def test_the_target_is_loaded_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The framework tells by its own variable which target it serves; neither login nor sink is asked for."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    nowhere = "http://127.0.0.1:9"
    async with load(monkeypatch, DOORMAN_POLICY=str(policy), OS_IMAGE_ENDPOINT_OVERRIDE=nowhere) as client:
        answers = [
            (await client.get("/healthz")).status_code,
            (await client.put("/invoke")).status_code,
            (await client.post("/elsewhere")).status_code,
            (await client.post("/init")).status_code,
            (await client.post("/invoke", content=b"x")).status_code,
            (await client.post("/invoke", json=TIMER)).status_code,
        ]
    assert answers == [200, 405, 404, 200, 400, 503]


@pytest.mark.anyio
async def test_a_sender_starts_without_policy_and_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sink is all that it needs; a tick asks nothing of it."""
    async with load(monkeypatch, DOORMAN_MODE="forward", K_SINK="http://127.0.0.1:9/") as client:
        answers = [await client.post("/init"), await client.post("/invoke", json=TIMER)]
    found = [(each.status_code, each.text) for each in answers]
    assert found == [(200, ""), (200, '{"events":0,"ignored":["other_type"]}')]


def test_without_login_the_image_service_must_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that come with a call know no catalog: the start says so."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    message = "^doorman: OS_IMAGE_ENDPOINT_OVERRIDE: missing; credentials that come with each call know no catalog$"
    with pytest.raises(SystemExit, match=message):
        load(monkeypatch, DOORMAN_POLICY=str(policy))
