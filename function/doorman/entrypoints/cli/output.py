"""What commands read and write: files by name, lines for people, one CloudEvent a line for programs.

Nothing foreign reaches a terminal unescaped.
"""

import codecs
import contextlib
import io
import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from shutil import get_terminal_size
from typing import TextIO, cast

from pydantic_core import to_json

from doorman.errors import Misconfigured
from doorman.events.cloudevents import to_structured
from doorman.models import CloudEvent
from doorman.parsing import as_utf8, visible
from doorman.policy.document.faults import BrokenFile, Fault

ERASE = "\r\x1b[K"
"""Takes away the line of progress, which stands on stderr."""

_STYLES = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "faint": "2"}


def read_bytes(path: str) -> bytes:
    """Read a file, `-` for stdin; text in UTF-8, however Windows wrote it.

    Raises:
        Misconfigured: it cannot be read.
    """
    try:
        return as_utf8(sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes())
    except OSError as error:
        hint = "; DOORMAN_POLICY may name another" if path == "policy.yaml" else ""
        raise Misconfigured(f"{path}: cannot be read: {error.strerror}{hint}") from error


def read_text(path: str) -> str:
    """Read a file of text.

    Raises:
        Misconfigured: it cannot be read.
        BrokenFile: it is not UTF-8.
    """
    data = read_bytes(path)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise BrokenFile(path, [Fault(line, column, "this is not UTF-8: save the file as UTF-8")]) from error


def open_text(path: str) -> TextIO:
    """Open a file of text, `-` for stdin, that is too large to be read whole; in UTF-8, or as Windows wrote it."""
    opened = sys.stdin.buffer if path == "-" else Path(path).open("rb")  # noqa: SIM115 - the wrapper closes it
    stream = cast("io.BufferedReader", opened)
    is_utf16 = stream.peek(2)[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}
    return io.TextIOWrapper(stream, "utf-16" if is_utf16 else "utf-8-sig", errors="replace")


def bare(url: str) -> str:
    """Give a URL without the user and password in it, however wrong the rest is: also where a slash stands in one."""
    return re.sub(r"(?s)^(\w+://)?.*@", r"\1***@", url)


def say(text: str = "", *, style: str | None = None) -> None:
    """Write one line to stdout, with a style where that is a terminal."""
    shown = visible(text)
    if style and sys.stdout.isatty():
        shown = f"\x1b[{_STYLES[style]}m{shown}\x1b[0m"
    sys.stdout.write(f"{shown}\n")


def is_screen(stream: TextIO) -> bool:
    """Say whether the stream is a terminal that can redraw a line."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


class SturdyStream:
    """Stdout while a command changes something: where its reader is gone or its disk full, the rest goes to stderr.

    Attributes:
        is_broken: stdout did not take all.
    """

    def __init__(self) -> None:
        self._stream = sys.stdout
        self.is_broken = False

    def write(self, text: str) -> int:
        """Write at once.

        Raises:
            OSError: stderr does not take it either.
        """
        try:
            if is_screen(sys.stderr) and is_screen(self._stream):
                text = ERASE + text
            self._stream.write(text)
            self._stream.flush()
        except OSError as error:
            if self.is_broken:
                raise
            self.is_broken = True
            # what the stream still holds goes nowhere, so that the interpreter's last flush cannot fail
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            self._stream = sys.stderr
            self.write(f"doorman: stdout takes no more ({error.strerror}), so the rest follows here\n{text}")
        return len(text)

    def flush(self) -> None:
        """Do nothing: all is written at once."""

    def isatty(self) -> bool:
        """Say whether a person reads it."""
        return self._stream.isatty()


class LossyStream:
    """Stderr for the log: nobody has to read it for a command to go on.

    Args:
        is_short: on a terminal, a line of the log is cut to one of the screen, without its time.
    """

    def __init__(self, *, is_short: bool = False) -> None:
        self._is_short = is_short and is_screen(sys.stderr)

    def write(self, text: str) -> int:
        """Write what can be written."""
        if self._is_short:  # without time and level
            short = (re.sub(r"^\S+ \[\w+ *\] (\S+) *", r"\1 ", line) for line in text.splitlines())
            text = "".join(f"{cut(line)}\n" for line in short)
        with contextlib.suppress(OSError):
            sys.stderr.write(ERASE + text if is_screen(sys.stderr) else text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with contextlib.suppress(OSError):
            sys.stderr.flush()

    def isatty(self) -> bool:
        """Say whether a person reads it, in colours: what is cut has none."""
        return sys.stderr.isatty() and not self._is_short


def cut(line: str) -> str:
    """Cut a line to the width of the screen."""
    width = get_terminal_size().columns
    return line if len(line) <= width else f"{line[: width - 1]}…"


def complain(*lines: str) -> None:
    """Write lines to stderr: what a person should know beside the answer."""
    sys.stderr.write("".join(f"doorman: {visible(line)}\n" for line in lines))


def say_lines(text: str) -> None:
    """Write a text whose line ends are our own, such as JSON."""
    for line in text.split("\n"):
        say(line)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out rows in columns, wide enough for everything: nothing is cut."""
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in shown]


def write_lines(events: Iterable[CloudEvent]) -> None:
    """Write events as CloudEvents in JSON, one a line, at once."""
    sys.stdout.write("".join(to_json(to_structured(event)).decode() + "\n" for event in events))


def ask(question: str) -> bool:
    """Ask a person on stderr, and say whether they agree.

    Raises:
        Misconfigured: nobody answers.
    """
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer:
        sys.stderr.write("\n")
        raise Misconfigured("--yes: needed where nobody answers (stdin has ended)")
    return answer.strip().lower() in {"y", "yes"}
