"""Sends event files with `doorman send`: the requests that arrive, and what is said of the answers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from doorman.entrypoints.cli.main import main
from doorman.sandbox.serving import serve
from doorman.version import USER_AGENT
from tests.entrypoints.cli.command import Command

EVENT = {"specversion": "1.0", "id": "1", "source": "/test", "type": "t"}
REQUEST = "POST /x HTTP/1.1\nContent-Type: application/json\nce-specversion: 1.0\nce-id: 7\n\n{}"


@pytest.fixture
def came() -> list[Any]:
    """What came through the door: path, user agent, content type, the event's ID, and body."""
    return []


@pytest.fixture
def door(came: list[Any]) -> Iterator[str]:
    """A door on loopback that answers 204, or 400 to what is no JSON."""

    async def take(request: Request) -> Response:
        body = await request.body()
        agent, kind, id_ = (request.headers.get(name) for name in ("user-agent", "content-type", "ce-id"))
        came.append((request.url.path, agent, kind, id_, body))
        return Response(status_code=204) if body.startswith((b"{", b"[")) else Response("body: not JSON\n", 400)

    with serve(Starlette(routes=[Route("/{_:path}", take, methods=["POST"])])) as url:
        yield url


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with an event in each form, and no sink in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("K_SINK", raising=False)
    (tmp_path / "one.json").write_text(json.dumps(EVENT))
    (tmp_path / "two.json").write_text(json.dumps([EVENT, EVENT]))
    (tmp_path / "raw.http").write_text(REQUEST)
    (tmp_path / "windows.json").write_text(json.dumps(EVENT), encoding="utf-16")
    (tmp_path / "umlaut.http").write_text(REQUEST.replace("7", "ü"), encoding="utf-8")
    (tmp_path / "bad.json").write_text("garbage")
    return tmp_path


def test_each_file_is_posted_in_its_form(folder: Path, door: str, came: list[Any], command: Command) -> None:
    """Structured, batched and binary, with our name on it, also those that Windows wrote; bytes stay as they are."""
    assert folder.is_dir()
    files = ["one.json", "two.json", "raw.http", "windows.json", "umlaut.http"]
    assert command("send", *files, "--to", f"{door}/doorman/default").out.splitlines() == [
        f"{file}: 204 No Content" for file in files
    ]
    path = "/doorman/default"
    assert came == [
        (path, USER_AGENT, "application/cloudevents+json", None, json.dumps(EVENT).encode()),
        (path, USER_AGENT, "application/cloudevents-batch+json", None, json.dumps([EVENT, EVENT]).encode()),
        (path, USER_AGENT, "application/json", "7", b"{}"),
        (path, USER_AGENT, "application/cloudevents+json", None, json.dumps(EVENT).encode()),
        (path, USER_AGENT, "application/json", "ü".encode().decode("latin-1"), b"{}"),
    ]


def test_what_is_refused_is_shown_with_its_reason(
    folder: Path, door: str, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """Malformed files are sent as they are; the others go on. K_SINK says where to."""
    assert folder.is_dir()
    monkeypatch.setenv("K_SINK", door)
    found = command("send", "bad.json", "one.json", code=1).out.splitlines()
    assert found == ["bad.json: 400 Bad Request: body: not JSON", "one.json: 204 No Content"]


def test_the_default_is_called_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who named no address is told what names one."""
    assert folder.is_dir()
    monkeypatch.setattr("doorman.entrypoints.cli.send._LOCAL", "http://127.0.0.1:1")
    assert main(["send", "one.json"]) == 1
    said = "one.json: not sent to http://127.0.0.1:1 (the default: K_SINK or --to names another): "
    assert capsys.readouterr().out.startswith(said)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://127.0.0.1:1", "Connection refused"),
        ("smn:urn:x", "missing an 'http://' or 'https://' protocol"),
        ("http://\x7f", "this is no URL"),
        ("http://xn--a", "this is no URL"),
        ("http://user:pass-word@127.0.0.1:1", "Connection refused"),
        ("http://user:pass-word/@127.0.0.1", "to http://***@127.0.0.1: this is no URL"),
        ("user:pass-word@127.0.0.1", "missing an 'http://' or 'https://' protocol"),
    ],
)
def test_where_nobody_is_it_is_said(url: str, text: str, folder: Path, command: Command) -> None:
    """No stack trace for a wrong address, and no password."""
    assert folder.is_dir()
    line = command("send", "one.json", "--to", url, code=1).out
    assert line.startswith("one.json: not sent to ")
    assert text in line
    assert "word" not in line
