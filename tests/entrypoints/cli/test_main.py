"""Starts the command: which module runs, what it prints and which exit code it ends with, whatever goes wrong."""

import io
import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from doorman.entrypoints.cli.main import COMMANDS, main
from doorman.errors import Misconfigured, Rejected, Unavailable
from doorman.policy.document.faults import BrokenFile, Fault
from doorman.version import VERSION
from tests.entrypoints.cli.command import Command

ROOT = Path(__file__).parents[3]
START = "import sys; from doorman.entrypoints.cli.main import main; sys.exit(main())"


def install(monkeypatch: pytest.MonkeyPatch, run: Callable[[Namespace], int]) -> None:
    """Put a command `send` in place of the real one, which takes one optional word and does `run`."""

    def configure(parser: ArgumentParser) -> None:
        parser.add_argument("word", nargs="?")

    module = ModuleType("doorman.entrypoints.cli.send")
    module.configure, module.run = configure, run  # type: ignore[attr-defined]  # a module made up
    monkeypatch.setitem(sys.modules, "doorman.entrypoints.cli.send", module)


def test_a_command_gets_its_arguments_and_gives_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code is the command's."""
    words: list[str] = []

    def run(arguments: Namespace) -> int:
        words.append(arguments.word)
        return 1

    install(monkeypatch, run)
    assert (main(["send", "hello"]), words) == (1, ["hello"])


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (Misconfigured("K_SINK: missing"), 2, "doorman: K_SINK: missing\n"),
        (Rejected("data.images: missing"), 1, "doorman: data.images: missing\n"),
        (Unavailable("the cloud is away"), 1, "doorman: the cloud is away\n"),
        (BrokenFile("p.yaml", [Fault(2, 1, "b"), Fault(1, 5, "a")]), 2, "p.yaml:1:5: a\np.yaml:2:1: b\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_an_error_is_one_clear_line(
    error: BaseException, code: int, line: str, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """On stderr, without a stack trace; a broken file has one line for each fault."""

    def run(_: Namespace) -> int:
        raise error

    install(monkeypatch, run)
    assert command("send", code=code) == ("", line)


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    """`doorman policy schema | head -0` leaves no stack trace."""
    command = [sys.executable, "-c", START, "policy", "schema"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(30) == 1
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_after_a_broken_pipe_nothing_more_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is still buffered goes nowhere, so that the interpreter's last flush cannot fail."""

    def run(_: Namespace) -> int:
        sys.stdout.write("lost")
        raise BrokenPipeError

    install(monkeypatch, run)
    file = tmp_path / "out"
    with file.open("w", encoding="utf-8") as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert main(["send"]) == 1
    assert file.read_bytes() == b""


def test_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What could not be written is said, without a stack trace."""

    def run(_: Namespace) -> int:
        sys.stdout.write("lost")
        return 0

    install(monkeypatch, run)
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(["send"]) == 1
        monkeypatch.setattr(sys, "stdout", again := os.fdopen(os.open("/dev/full", os.O_WRONLY), "w"))
        with pytest.raises(SystemExit) as ended:
            main(["--print-completion", "bash"])
        again.close()
    assert (ended.value.code, capsys.readouterr().err) == (1, "doorman: No space left on device\n" * 2)


def test_it_speaks_to_terminals_without_unicode(monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    """What the terminal cannot show is escaped, no crash."""
    raw = io.BytesIO()

    def run(_: Namespace) -> int:
        sys.stdout.write("häuschen\n")
        return 0

    install(monkeypatch, run)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    assert main(["send"]) == 0
    assert raw.getvalue() == b"h\\xe4uschen\n"


def test_it_works_where_stdout_is_no_stream_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside another program's own stdout nothing is changed."""
    install(monkeypatch, lambda _: 0)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert main(["send"]) == 0


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints it."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"doorman {VERSION}\n")


@pytest.mark.parametrize("words", ["nonsense", "policy", "policy check", "send", "send x --too y"])
def test_wrong_usage_is_two(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Usage goes to stderr."""
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: doorman")


QUESTIONS = [f"policy {name}" for name in ("check", "test", "suggest", "diff", "schema")]


@pytest.mark.parametrize("name", [*sorted(COMMANDS), *QUESTIONS])
def test_every_command_has_a_module_and_help(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each line of the table leads somewhere; no line of help is wider than 80 columns, examples included."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        main([*name.split(), "--help"])
    told = capsys.readouterr().out
    assert (ended.value.code, told[:9]) == (0, "usage: do")
    example = told[told.index("example:") :].splitlines()[1]
    assert example.startswith(f"  doorman {name}")
    assert "variables:" in told
    assert [line for line in told.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("words", [[], ["help"], ["help", "run"]])
def test_who_does_not_know_is_helped(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The bare command and `help` say what there is."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(" ".join(["usage: doorman", *words[1:]]))


def test_only_the_command_asked_for_is_imported() -> None:
    """`explain` needs neither HTTP nor the functions framework, so they cost nothing."""
    script = (
        "import sys; from doorman.entrypoints.cli.main import main\n"
        "try: main(['explain', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'httpx', 'functions_framework', 'structlog', 'asyncio'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
