"""What commands read and write: files by name, and lines for people. Nothing foreign reaches a terminal unescaped."""

import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from doorman.errors import Misconfigured
from doorman.policy.document.faults import BrokenFile, Fault

_STYLES = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "faint": "2"}


def read_bytes(path: str) -> bytes:
    """Read a file.

    Raises:
        Misconfigured: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read: {error.strerror}") from error


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


def say(text: str = "", *, style: str | None = None) -> None:
    """Write one line to stdout, with a style where that is a terminal."""
    shown = visible(text)
    if style and sys.stdout.isatty():
        shown = f"\x1b[{_STYLES[style]}m{shown}\x1b[0m"
    sys.stdout.write(f"{shown}\n")


def say_lines(text: str) -> None:
    """Write a text whose line ends are our own, such as JSON."""
    for line in text.split("\n"):
        say(line)


def visible(text: str) -> str:
    """Escape what would move the cursor, change colours or hide text: an image's name is its sharer's own words."""
    return "".join(each if not _is_hidden(each) else repr(each)[1:-1] for each in text)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out rows in columns, wide enough for everything: nothing is cut."""
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in shown]


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
