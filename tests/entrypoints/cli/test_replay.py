"""`doorman replay`: looking at dead letters, sending them again, and collecting them."""

import json
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from doorman.entrypoints.cli.dead_letter_sink import create_app
from doorman.entrypoints.cli.main import main
from doorman.sandbox.serving import serve
from tests.entrypoints.cli.command import Command
from tests.events.test_dead_letters import DIED, EVENT

STRUCTURED = {"content-type": "application/cloudevents+json"}
REFUSED = {**DIED, "id": "e2", "knativeerrorcode": "400", "knativeerrordata": "not base64"}


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A file with two dead letters: one that was not possible then, one that was refused for good."""
    path = tmp_path / "dead.jsonl"
    path.write_text(f"{json.dumps(DIED)}\n{json.dumps(REFUSED)}\n")
    return str(path)


@pytest.fixture
def sent() -> list[dict[str, Any]]:
    """What the broker took."""
    return []


@pytest.fixture
def broker(sent: list[dict[str, Any]]) -> Iterator[str]:
    """A broker that takes every event but `e2`."""

    async def take(request: Request) -> Response:
        event = json.loads(await request.body())
        if event["id"] == "e2":
            return Response(status_code=503)
        sent.append(event)
        return Response(status_code=202)

    async def give(_: Request) -> Response:
        return Response(json.dumps([DIED]))

    async def fail(_: Request) -> Response:
        return Response(status_code=500)

    routes = [Route("/", take, methods=["POST"]), Route("/dead-letters", give), Route("/broken", fail)]
    with serve(Starlette(routes=routes)) as url:
        yield url


def test_on_a_terminal_each_stands_below_the_other(
    file: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table of them is wider than most; what is not known has no line."""
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    Path(file).write_text('{"topic": "t", "payload": null}' + json.dumps(DIED))
    assert command("replay", file).out.splitlines()[:-1] == [
        *("-  -", "  why     there is no event in this", "          record: nothing to send"),
        *("e1  t", "  project receiver", "  images  1", "  code    503"),
        *("  why     not possible at that time:", "          send it again", "  said    the cloud cannot be reached"),
    ]


def test_it_shows_why_each_died_and_sends_nothing(file: str, command: Command) -> None:
    """Dry is what it does without being told otherwise."""
    lines = command("replay", file).out.splitlines()
    assert lines[0].split() == ["ID", "TYPE", "PROJECT", "IMAGES", "CODE", "WHY", "SAID"]
    said = "not possible at that time: send it again  the cloud cannot be reached"
    assert re.sub(" {2,}", "  ", lines[1]) == f"e1  t  receiver  1  503  {said}"
    assert lines[2].startswith("e2  t     receiver  1       400   refused for good")
    assert lines[3] == "2 dead letters: nothing was sent, --send sends them again"


def test_it_sends_them_as_they_were(file: str, broker: str, sent: list[dict[str, Any]], command: Command) -> None:
    """Without what the broker had added, with the same id; what is not taken fails the command."""
    lines = command("replay", file, "--send", "--to", broker, code=1).out.splitlines()
    assert [line.split("  ")[-1].strip() for line in lines[:3]] == ["SENT", "sent (202)", "not taken (503)"]
    assert lines[3] == "2 dead letters"
    assert sent == [EVENT]


def test_one_alone_to_the_sink_of_the_environment(
    file: str, broker: str, sent: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its id."""
    monkeypatch.setenv("K_SINK", broker)
    assert main(["replay", file, "--send", "--only", "e1"]) == 0
    assert sent == [EVENT]


def test_json_for_programs(file: str, command: Command) -> None:
    """One object a letter."""
    assert json.loads(command("replay", file, "--json", "--only", "e1").out) == {
        "id": "e1",
        "source": "/s",
        "type": "t",
        "project_id": "receiver",
        "images": 1,
        "code": 503,
        "why": "not possible at that time: send it again",
        "said": "the cloud cannot be reached",
        "result": None,
    }


def test_they_are_fetched_from_a_url(broker: str, command: Command) -> None:
    """Such as the page of the sandbox's broker, or our own collector."""
    assert command("replay", f"{broker}/dead-letters").out.splitlines()[-1].startswith("1 dead letter: ")
    assert "answered 500" in command("replay", f"{broker}/broken", code=1).err
    assert "cannot be fetched" in command("replay", "http://127.0.0.1:9/", code=1).err


def test_strange_data_is_shown_too(tmp_path: Path, command: Command) -> None:
    """A malformed event may be the very reason; an empty file has nothing to tell."""
    path = tmp_path / "dead.json"
    path.write_text(json.dumps({"id": "e3", "type": "t", "data": 5}))
    assert command("replay", str(path)).out.splitlines()[1].split()[:5] == ["e3", "t", "-", "-", "-"]
    path.write_text("")
    assert command("replay", str(path)).out == "0 dead letters\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("FILE", "--send"), "--to: name the broker's URL"),
        (("FILE", "--only", "e9"), "--only: there is no dead letter with the id e9"),
        (("/nowhere/x",), "/nowhere/x: cannot be read"),
        (("FILE", "--collect", "here"), "--collect: expected [HOST:]PORT"),
        (("FILE", "--collect", "127.0.0.1:99999"), "--collect: expected [HOST:]PORT"),
        (("FILE", "--collect", "192.0.2.1:0"), "--collect: nobody can listen"),
        (("/nowhere/x", "--collect", "0"), "/nowhere/x: cannot be written"),
    ],
)
def test_wrong_usage(words: tuple[str, ...], message: str, file: str, command: Command) -> None:
    """One line that names the argument."""
    assert command("replay", *(file if word == "FILE" else word for word in words), code=2).err.startswith(
        f"doorman: {message}"
    )


def test_a_record_without_an_event_is_not_sent(tmp_path: Path, command: Command) -> None:
    """It is shown, and fails the command, so that nobody takes it for sent."""
    path = tmp_path / "dead.jsonl"
    path.write_text(json.dumps({"topic": "t", "key": "k", "payload": None}))
    assert (
        command("replay", str(path), "--send", "--to", "http://127.0.0.1:9/", code=1)
        .out.splitlines()[1]
        .endswith("not sent (no event)")
    )


@pytest.mark.parametrize("path", ["", "broken", "dead"])
def test_no_password_is_shown(path: str, broker: str, command: Command) -> None:
    """Neither of where they are fetched, whatever goes wrong there, nor of where they are sent."""
    url = f"{broker.replace('//', '//user:pass-word@')}/{path}"
    assert main(["replay", url]) == 1
    shown = command("replay", "http://user:pass-word/@127.0.0.1:1/", code=1)
    assert "***@127.0.0.1" in shown.err
    assert "word" not in shown.out + shown.err


def test_a_broker_that_is_gone(file: str, command: Command) -> None:
    """Nothing was sent, and that is said."""
    assert "not sent (ConnectError)" in command("replay", file, "--send", "--to", "http://127.0.0.1:9/", code=1).out


def test_from_stdin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """As from `kcat -J`."""
    path = tmp_path / "stdin"
    path.write_text(json.dumps(DIED))
    with path.open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert main(["replay", "-"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("1 dead letter")


@pytest.mark.anyio
async def test_what_is_collected_can_be_replayed(tmp_path: Path) -> None:
    """Appended line by line, given back on request; what is no event, or too large, is refused."""
    file = tmp_path / "dead.jsonl"
    transport = httpx.ASGITransport(app=create_app(file, is_giving=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://dead") as client:
        for event in (DIED, REFUSED):
            answer = await client.post("/", json=event, headers=STRUCTURED)
            assert (answer.status_code, answer.content) == (204, b"")
        assert (await client.post("/", content=b"x")).status_code == 400
        assert (await client.post("/", content=b"x" * (256 * 1024 + 1))).status_code == 413
        given = await client.get("/all")
    assert [json.loads(line) for line in given.text.splitlines()] == [DIED, REFUSED]
    assert file.read_text() == given.text


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("host", "is_giving", "status"),
    [("::1", False, 200), ("192.0.2.7", False, 403), ("192.0.2.7", True, 200)],
)
async def test_letters_are_for_this_machine(tmp_path: Path, host: str, is_giving: bool, status: int) -> None:  # noqa: FBT001 - parametrized
    """Whoever may post may not read what others posted, unless that was asked for."""
    app = create_app(tmp_path / "dead.jsonl", is_giving=is_giving)
    transport = httpx.ASGITransport(app=app, client=(host, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://dead") as client:
        assert (await client.post("/", json=DIED, headers=STRUCTURED)).status_code == 204
        assert (await client.get("/")).status_code == status


def test_it_collects_until_it_is_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A signal ends it with exit code 0, and what was taken is in the file."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    file = tmp_path / "dead.jsonl"

    def post() -> None:
        for _ in range(500):
            try:
                httpx.post(
                    f"http://127.0.0.1:{port}/", json=DIED, headers={"content-type": "application/cloudevents+json"}
                )
                break
            except httpx.ConnectError:
                time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=post)
    thread.start()
    assert main(["replay", str(file), "--collect", str(port)]) == 0
    thread.join()
    assert capsys.readouterr().out.startswith(f"collecting dead letters into {file}: ")
    assert json.loads(file.read_text()) == DIED
