"""What commands read and write: files by name, lines and tables for people, one CloudEvent a line for programs.

Nothing foreign reaches a terminal unescaped.
"""

import contextlib
import os
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from pydantic_core import to_json

from doorman.errors import Misconfigured
from doorman.events.cloudevents import to_structured
from doorman.models import CloudEvent
from doorman.policy.document.faults import BrokenFile, Fault

ERASE = "\r\x1b[K"
"""Takes away the line of progress, which stands on stderr."""

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
    """Stderr for the log: nobody has to read it for a command to go on."""

    def write(self, text: str) -> int:
        """Write what can be written."""
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with contextlib.suppress(OSError):
            sys.stderr.flush()

    def isatty(self) -> bool:
        """Say whether a person reads it."""
        return sys.stderr.isatty()


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


COLUMNS = ("IMAGE", "NAME", "OWNER", "DECISION", "RULE", "REASON", "OUTCOME")
NOTHING = "-"


def write_lines(events: Iterable[CloudEvent]) -> None:
    """Write events as CloudEvents in JSON, one a line, at once."""
    sys.stdout.write("".join(to_json(to_structured(event)).decode() + "\n" for event in events))


def rows(events: Iterable[CloudEvent]) -> list[tuple[str, ...]]:
    """Lay out outcome events, one row an image, below a heading; columns that would all be the same are left out."""
    entries = _entries(events)
    has_projects = len({event.data["project_id"] for event, _ in entries}) > 1
    has_held = any(entry.get("approve") for _, entry in entries)
    cells = sorted(
        (
            *((event.data["project_id"],) if has_projects else ()),
            *_row(event, entry),
            *((entry.get("approve", ""),) if has_held else ()),
        )
        for event, entry in entries
    )
    heading = (*(("PROJECT",) if has_projects else ()), *COLUMNS, *(("TO ACCEPT IT",) if has_held else ()))
    return [heading, *cells] if cells else []


def decided_rows(event: CloudEvent) -> list[str]:
    """Lay out what is about to be done, a line an image."""
    where = f" into vault {event.data['vault_id']}" if event.data["vault_id"] else ""
    return [
        visible(
            f"{entry['decision']}ing {entry['image_id']} ({entry['name'] or NOTHING}) of {entry['owner'] or NOTHING}"
            f" for {event.data['project_id']}{where}: {entry['rule'] or 'default'}, {entry['reason']}"
        )
        for _, entry in _entries([event])
    ]


def show(events: Sequence[CloudEvent], *, nothing: str) -> list[str]:
    """Write the table and the totals; `nothing` where there are none."""
    found = rows(events)
    return [*(table(found) if found else []), *([""] if found else []), totals(events) or nothing]


def totals(events: Iterable[CloudEvent]) -> str:
    """Count the shares, what was told of them, and of those that were only decided the decisions."""
    told = _entries(events)
    entries = [(fate_of(event), entry) for event, entry in told]
    shares = {(event.data["project_id"], entry["image_id"]) for event, entry in told}
    fates = Counter(fate for fate, _ in entries)
    decided = Counter(str(entry["decision"]) for fate, entry in entries if fate == "audited")
    parts = [f"{count} {fate}" for fate, count in sorted(fates.items())]
    note = f" (decided: {_count(decided)})" if decided else ""
    if not entries:
        return ""
    return f"{len(shares)} share{'s' if len(shares) > 1 else ''}: {', '.join(parts)}{note}"


def uses(events: Iterable[CloudEvent]) -> list[tuple[str, ...]]:
    """Lay out the servers that were found, below a heading."""
    cells = sorted(
        (
            event.data["project_id"],
            entry["server_id"],
            *(entry[key] or NOTHING for key in ("name", "image_id", "image_name", "owner", "member_status", "reason")),
        )
        for event in events
        for entry in event.data.get("servers", ())
    )
    heading = ("PROJECT", "SERVER", "NAME", "IMAGE", "NAME OF IMAGE", "OWNER", "STANDS", "REASON")
    return [heading, *cells] if cells else []


def fate_of(event: CloudEvent) -> str:
    """Give the word in an outcome's type: `accepted`, `held`, ..."""
    return event.type.split(".")[-2]


def _entries(events: Iterable[CloudEvent]) -> list[tuple[CloudEvent, Mapping[str, Any]]]:
    return [(event, entry) for event in events for entry in event.data.get("images", ())]


def _row(event: CloudEvent, entry: Mapping[str, Any]) -> tuple[str, ...]:
    code = f" ({entry['error_code']})" if entry["error_code"] else ""
    cells = (entry["name"], entry["owner"], entry["decision"], entry["rule"])
    return (entry["image_id"], *(each or NOTHING for each in cells), entry["reason"] + code, _outcome(event, entry))


def _outcome(event: CloudEvent, entry: Mapping[str, Any]) -> str:
    """Say how it ended; of drift, how the share stands."""
    fate = fate_of(event)
    return f"{fate} ({entry['member_status'] or 'gone'})" if fate == "drifted" else fate


def _count(words: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in sorted(words.items()))
