"""`doorman sandbox` as people use it: it says where everything is, takes an event, and ends without a trace."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import httpx
import pytest

from doorman.sandbox.__main__ import main
from doorman.sandbox.assembly import environment
from doorman.sandbox.processes import Function, NotStartedError
from doorman.sandbox.samples import EVENTS, POLICY, load

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """Leave our own process as it was: the sandbox listens to SIGTERM."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def running() -> Iterator[subprocess.Popen[str]]:
    """The sandbox in a process of its own, ended by force where a test fails."""
    process = subprocess.Popen(
        [sys.executable, "-m", "doorman.sandbox"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    yield process
    if process.poll() is None:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def read_until(output: IO[str] | None, word: str) -> str:
    """Read lines until one holds `word`."""
    assert output is not None
    text = ""
    for line in output:
        text += line
        if word in line:
            return text
    raise AssertionError(text)


def test_runs_until_it_is_told_to_end(running: subprocess.Popen[str]) -> None:
    """It prints the URLs, works off an event that is posted there, and ends with all its functions."""
    text = read_until(running.stdout, "Ctrl-C")
    found = dict(re.findall(r"^  (cloud|broker|triage|check_job|sweep) +(http://\S+)", text, re.MULTILINE))
    assert sorted(found) == ["broker", "check_job", "cloud", "sweep", "triage"]
    exports = dict(shlex.split(line)[1].split("=", 1) for line in text.splitlines() if line.startswith("export "))
    assert exports == environment(found["cloud"], found["broker"], POLICY)
    message = load(EVENTS / "golden-image.json")
    assert httpx.post(found["broker"], headers=message.headers, content=message.body).status_code == 202
    assert "golden-base  allowed_owner" in read_until(running.stdout, "accepted")
    running.send_signal(signal.SIGINT)
    assert running.wait(30) == 0
    for url in found.values():
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)


def test_port_in_use_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A port that is taken ends the start with one line and exit code 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["--port", str(taken.getsockname()[1])]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "in use" in line


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--port=80000", "doorman sandbox: bind(): port must be 0-65535; --port 0 takes free ports"),
        ("--policy=nowhere.yaml", "doorman sandbox: {folder}/nowhere.yaml: cannot be read: No such file or directory"),
        ("--replay=nowhere", "doorman sandbox: nowhere: no recording ([Errno 2] No such file or directory: {file})"),
        ("--policy=wrong.yaml", "wrong.yaml:1:10: `version` must be the number 1, not the number 2"),
    ],
)
def test_a_wrong_option_is_told_once(
    option: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before any function starts, and without a traceback."""
    (tmp_path / "wrong.yaml").write_text("version: 2")
    monkeypatch.chdir(tmp_path)
    assert main([option]) == 1
    assert capsys.readouterr().err == f"{said.format(folder=tmp_path, file=repr('nowhere/recording.json'))}\n"


def test_a_function_of_a_killed_sandbox_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    """Who listens at its port already answers its health check, too: that ends the start, and says why."""
    with socket.create_server(("127.0.0.1", 0)) as old:
        port = old.getsockname()[1]
        with pytest.raises(NotStartedError, match=f"^port {port} is in use, perhaps by a function of a sandbox"):
            Function("triage", port=port, settings={}, log=tmp_path / "log")


def test_function_that_does_not_start(tmp_path: Path) -> None:
    """What a function says when it cannot start is passed on."""
    settings = environment("http://127.0.0.1:1", "http://127.0.0.1:1/", tmp_path / "missing.yaml")
    function = Function("triage", port=0, settings=settings, log=tmp_path / "log")
    with pytest.raises(NotStartedError, match=r"triage did not start(.|\n)*DOORMAN_POLICY"):
        function.await_start()
    assert function.await_end() != 0


def test_foreign_settings_stay_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of a real cloud reaches the functions, nor they others; one that is killed can be started again."""
    monkeypatch.setenv("OS_CLOUD", "production")
    monkeypatch.setenv("DOORMAN_MODE", "nonsense")
    settings = environment("http://127.0.0.1:1", "http://127.0.0.1:1/", POLICY)
    with Function("sweep", port=0, settings=settings, log=tmp_path / "log") as function:
        with pytest.raises(OSError, match="refused"), socket.create_connection(("127.0.0.2", function.port), 5):
            pass
        function.kill()
        with pytest.raises(httpx.ConnectError):
            httpx.get(function.url)
        function.restart()
        function.await_start()
    assert function.tail().count('"started"') == 2
    assert os.environ["OS_CLOUD"] == "production"
