"""The functions as deployed: loaded by path, served by functions-framework, stopped by SIGTERM."""

import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import apprise
import functions_framework.aio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Message

from doorman.runtime import telemetry
from doorman.sandbox.cloud import create_app
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud
from doorman.version import VERSION
from tests.builders import listening
from tests.chain import GOLDEN, POLICY

SOURCE = str(Path(__file__).parents[1] / "function" / "main.py")
FRAMEWORK = str(Path(sys.executable).with_name("functions-framework"))
JSON = {"content-type": "application/cloudevents+json"}
BATCH = {"content-type": "application/cloudevents-batch+json"}
LAPSED = "exceptions:\n  - {name: once, owners: [x], decision: accept, reason: r, by: b, expires: 2001-01-01}\n"


def notice(*images: str) -> dict[str, Any]:
    """Compose a share notification."""
    data = {"project_id": "receiver", "images": images}
    return {"specversion": "1.0", "id": "n", "source": "/t", "type": "dev.doorman.share.notified.v1", "data": data}


@pytest.fixture
def cloud() -> Cloud:
    """Give a sandbox cloud in which `doorman` serves `receiver`."""
    cloud = Cloud()
    cloud.add_user("doorman", "secret-password", ["receiver"])
    return cloud


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Give the least environment that the functions start with."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY + LAPSED)
    return {
        "PATH": os.environ["PATH"],
        "DOORMAN_POLICY": str(policy),
        "K_SINK": "http://127.0.0.1:9/",
        "OS_AUTH_URL": "http://127.0.0.1:9/v3",
        "OS_USERNAME": "doorman",
        "OS_PASSWORD": "secret-password",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_ID": "receiver",
    }


@contextmanager
def deployed(target: str, environ: dict[str, str]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Start a function as in production; gives its URL, and its log lines once it has ended."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [FRAMEWORK, "--source", SOURCE, "--target", target, "--host", "127.0.0.1", "--port", str(port)]
    log: list[dict[str, Any]] = []
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            transport = httpx.HTTPTransport(retries=7)
            with httpx.Client(transport=transport) as client:
                assert client.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
            yield f"http://127.0.0.1:{port}", log
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=20)
            log.extend(json.loads(line) for line in output.splitlines())
            assert process.returncode == 0
        finally:
            process.kill()


def test_the_deployed_chain_settles_a_share(cloud: Cloud, environ: dict[str, str]) -> None:
    """Three processes started by the framework's own command take a share from notification to outcome.

    The start names the exceptions that count no more.
    """
    image = cloud.add_share(GOLDEN, "receiver", name="golden")
    with serve(create_app(cloud)) as url, listening() as (sink, taken):
        environ |= {"OS_AUTH_URL": f"{url}/identity/v3", "K_SINK": sink}
        with deployed("triage", environ) as (triage, log):
            reply = httpx.post(triage, headers=JSON, json=notice(image))
            assert (reply.status_code, reply.content) == (204, b"")
        _, (kind, check), *_ = taken
        assert kind == "dev.doorman.job.check.v1"
        with deployed("check_job", environ) as (check_job, _):
            event = notice() | {"type": kind, "data": check}
            assert httpx.post(check_job, headers=JSON, json=event).status_code == 204
        with deployed("sweep", environ) as (sweep, _):
            event = notice() | {"type": "dev.knative.sources.ping", "data": None}
            assert httpx.post(sweep, headers=JSON, json=event).status_code == 204
    assert [kind for kind, _ in taken] == [
        "dev.doorman.share.decided.v1",
        "dev.doorman.job.check.v1",
        "dev.doorman.share.accepted.v1",
        "dev.doorman.shares.pending.v1",
    ]
    started, expired, handled = log
    assert (started["event"], started["version"]) == ("started", VERSION)
    assert (expired["event"], expired["name"]) == ("exception.expired", "once")
    assert (handled["event"], handled["event_id"], handled["http_status"]) == ("event.handled", "n", 204)
    assert (handled["submitted"], handled["policy_digest"]) == (1, started["policy_digest"])
    assert "secret-password" not in json.dumps(log)


def test_the_deployed_function_tells_people(environ: dict[str, str], tmp_path: Path) -> None:
    """Without a cloud and a sink; the path names the channel, whose URL stands in no log."""
    channels = tmp_path / "channels.yaml"
    channels.write_text("channels: [{name: ops, url: '${OPS_URL}'}]")
    event = json.loads((Path(SOURCE).parents[1] / "events" / "told" / "failed.json").read_text("utf-8"))
    with listening() as (service, taken):
        environ = {name: environ[name] for name in ("PATH", "DOORMAN_POLICY")}
        url = service.replace("http", "json")
        environ |= {"DOORMAN_CHANNELS": str(channels), "OPS_URL": f"{url}?+ce-type=secret-word"}
        with deployed("notify", environ) as (notify, log):
            replies = [httpx.post(f"{notify}/{path}", headers=JSON, json=event) for path in ("ops", "opps", "")]
    assert [reply.status_code for reply in replies] == [204, 400, 400]
    ((_, message),) = taken
    assert message["title"] == "Doorman: 1 failed"
    found = [line["event"] for line in log if "expired" not in line["event"]]
    assert found == ["started", "notify.sent", *["event.handled"] * 3]
    assert {line.get("project_id") for line in log} == {None, "7f2a9c4e1b6d4f0e8a3c5d7b9e1f2a4c"}
    assert "secret-word" not in json.dumps(log)


def loaded(target: str, environ: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> ASGIApp:
    """Have the framework load a function in this process, as a module of its own."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    monkeypatch.setattr(sys, "path", list(sys.path))
    app: ASGIApp = functions_framework.aio.create_asgi_app(target, SOURCE)  # type: ignore[no-untyped-call]
    return app


def notifying(environ: dict[str, str], url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ASGIApp:
    """Have it load the function `notify`, with one channel."""
    channels = folder / "channels.yaml"
    channels.write_text(f"channels: [{{name: ops, url: '{url}'}}]")
    apprise.Apprise.instantiate("json://x")  # what it loads cannot be loaded twice
    own = {"DOORMAN_CHANNELS": str(channels), "FUNCTION_TARGET": "notify"}
    return loaded("notify", own | environ, monkeypatch)


@pytest.mark.parametrize(
    ("target", "most"), [("triage", 9200), ("check_job", 8800), ("sweep", 8800), ("notify", 5500), ("", 8000)]
)
def test_each_function_loads_its_own(target: str, most: int, environ: dict[str, str], tmp_path: Path) -> None:
    """Before its first event, and nothing of the others, in so many lines: who only tells people needs no cloud."""
    (tmp_path / "channels.yaml").write_text("channels: [{name: ops, url: 'json://127.0.0.1:9'}]")
    environ |= {"DOORMAN_CHANNELS": str(tmp_path / "channels.yaml"), "FUNCTION_TARGET": target}
    script = f"import runpy, sys; runpy.run_path({SOURCE!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True)
    found = set(done.stdout.splitlines()[-1].split())
    handlers = {f"doorman.handlers.{each}" for each in ("triage", "check_job", "sweep", "notify", "doctor", "run")}
    assert found & handlers == ({f"doorman.handlers.{target}"} if target else set())
    telling, serving = {"apprise", "doorman.planning.notices"}, {"doorman.bootstrap", "doorman.cloud.client"}
    assert found & (telling | serving) == (telling if target == "notify" else serving)
    files = [Path(SOURCE).parent / f"{name.replace('.', '/')}.py" for name in found]
    assert sum(len(file.read_text("utf-8").splitlines()) for file in files if file.exists()) <= most


@pytest.mark.anyio
async def test_without_a_target_all_functions_work(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each opens when it is first asked."""
    notifying(environ, "json://127.0.0.1:9", tmp_path, monkeypatch)
    monkeypatch.delitem(sys.modules, "doorman.functions")
    monkeypatch.delenv("FUNCTION_TARGET")
    served = runpy.run_path(SOURCE)
    doors = {f"/{name}": served[name] for name in ("triage", "check_job", "sweep", "functiongraph")}
    doors |= {"/ops": served["notify"], "/init": served["functiongraph"]}
    app = Starlette(routes=[Route(path, door, methods=["POST"]) for path, door in doors.items()])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://door.test") as client:
        answers = [(await client.post(path, headers=JSON, json=notice(str(uuid4())))).status_code for path in doors]
    assert answers == [503, 400, 204, 404, 204, 200]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"DOORMAN_CHANNELS": ""}, "DOORMAN_CHANNELS: missing; set it to the file of channels"),
        ({"DOORMAN_CHANNELS": "/nowhere"}, "DOORMAN_CHANNELS: cannot read /nowhere (FileNotFoundError)"),
        ({}, "channel ops: apprise does not know this URL of a service"),
        ({"HTTPS_PROXY": "http://proxy.test:3128", "NO_PROXY": "10.0.0.0/64"}, "NO_PROXY: "),
    ],
)
def test_channels_that_cannot_work_end_the_start(
    change: dict[str, str],
    named: str,
    *,
    environ: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With one message, when the framework loads the file, before it is told to have started."""
    with pytest.raises(SystemExit) as caught:
        notifying(environ | change, "slack://secret-word", tmp_path, monkeypatch)
    assert str(caught.value).startswith("doorman: ")
    assert named in str(caught.value)
    assert "secret-word" not in str(caught.value)
    assert "started" not in capsys.readouterr().out


def test_logins_are_traced_as_well(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Their client is made at the start."""
    try:
        loaded("triage", environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, monkeypatch)
        connections = sys.modules["doorman.functions"]._connections()  # noqa: SLF001 - no other way to look
        assert isinstance(connections.cloud.of("logins"), telemetry.WatchedClient)
    finally:
        telemetry.set_up({})


@pytest.mark.parametrize("parser", ["httptools", "h11"])
def test_only_a_post_runs_the_function(parser: str, environ: dict[str, str], tmp_path: Path) -> None:
    """Probes and strange verbs run nothing; a body that is no event is refused, one that breaks off is a line.

    So it is with either parser of requests: httptools has no wheel everywhere.
    """
    assert find_spec("httptools")
    if parser == "h11":
        (tmp_path / "httptools.py").write_text("raise ImportError")
        environ["PYTHONPATH"] = str(tmp_path)
    with deployed("triage", environ) as (url, log):
        verbs = [("GET", "/"), ("PUT", "/"), ("HEAD", "/x")]
        answers = [httpx.request(verb, url + path).status_code for verb, path in verbs]
        refused = httpx.post(f"{url}/any/path", content=b"x" * (1 << 20) + b"y")
        for start in (b"Content-Length: 10\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"):
            with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as client:
                client.sendall(b"POST /broken HTTP/1.1\r\nHost: x\r\n" + start)
        assert httpx.get(f"{url}/healthz").status_code == 200
    assert answers == [404, 405, 404]
    assert (refused.status_code, refused.text.split(":")[0]) == (400, "body")
    lines = [(line["event"], line.get("path")) for line in log if line["event"] != "exception.expired"]
    broken = [("request.broken_off", "/broken")] * 2
    assert lines == [("started", None), ("event.handled", None), *broken]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"K_SINK": ""}, "K_SINK"),
        ({"DOORMAN_POLICY": "/nowhere/policy.yaml"}, "/nowhere/policy.yaml"),
        ({"OS_CACERT": "/nowhere/ca.pem"}, "OS_CACERT"),
        ({"OS_CLOUD": "mine", "OS_CLIENT_CONFIG_FILE": "/nowhere/clouds.yaml"}, "/nowhere/clouds.yaml"),
        ({"HTTPS_PROXY": "http://proxy.test:3128", "NO_PROXY": "10.0.0.0/64"}, "NO_PROXY"),
    ],
)
def test_a_start_that_cannot_work_ends_with_one_message(
    environ: dict[str, str], change: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing or wrong setting stops the start: the framework gets a message that names it, and nothing to serve."""
    with pytest.raises(SystemExit) as caught:
        loaded("triage", environ | change, monkeypatch)
    (line,) = str(caught.value).splitlines()
    assert line.startswith("doorman: ")
    assert named in line
    assert "secret-password" not in line


def test_another_doorman_that_was_loaded_before_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the package beside the file is served."""
    other = ModuleType("doorman")
    other.__file__ = "/elsewhere/doorman/__init__.py"
    monkeypatch.setitem(sys.modules, "doorman", other)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(
        SystemExit, match=r"^doorman: another package .* /elsewhere/doorman/__init__\.py: uninstall it$"
    ):
        runpy.run_path(SOURCE)


def test_a_broken_policy_is_told_with_line_and_column(environ: dict[str, str]) -> None:
    """One line on the process's stderr, and no stack trace."""
    Path(environ["DOORMAN_POLICY"]).write_text("version: 1\nrulez: []\n")
    command = [FRAMEWORK, "--source", SOURCE, "--target", "triage", "--port", "0"]
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, ended.stdout, len(ended.stderr.splitlines())) == (1, "", 1)
    assert f"{environ['DOORMAN_POLICY']}:2:1: " in ended.stderr


async def break_off(app: ASGIApp) -> int:
    """Post an event whose body does not come; the status that nobody hears."""
    statuses: list[int] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        statuses.extend([message["status"]] if "status" in message else [])

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}
    await app(scope, receive, send)
    return statuses[0]


@pytest.mark.anyio
@pytest.mark.parametrize(("target", "expected"), [("triage", 503), ("check_job", 400), ("sweep", 204)])
async def test_each_target_is_loaded_by_path(
    target: str, expected: int, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The framework loads the file as a module of its own; each target answers, here without a cloud."""
    app = loaded(target, environ | {"DOORMAN_COLOUR": "green"}, monkeypatch)  # which is noted
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://door.test") as client:
        answers = [
            (await client.get("/healthz")).status_code,
            (await client.put("/")).status_code,
            (await client.post("/", content=b"x" * (1 << 20))).status_code,
            (await client.post("/", headers=JSON, json=notice(str(uuid4())))).status_code,
        ]
        done = [await client.post("/", headers=BATCH, json=[]) for _ in range(2)]
    assert await break_off(app) == 400
    assert answers == [200, 405, 400, expected]
    assert [(each.status_code, each.content, dict(each.headers)) for each in done] == [(204, b"", {})] * 2
