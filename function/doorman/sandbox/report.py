"""Prints for people: a line that changes while work goes on, where there is a terminal, and tables."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from textwrap import fill

SHOWN, WIDTH = 8, 80


@dataclass(slots=True)
class Progress:
    """Lines about what goes on; the last one is overwritten on a terminal, and left out elsewhere."""

    is_terminal: bool
    _shown: str = ""

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self.end()
        print(line, flush=True)

    def show(self, line: str) -> None:
        """Print a line that the next one replaces."""
        if self.is_terminal and line != self._shown:
            sys.stdout.write(f"\r\x1b[K{line}")
            sys.stdout.flush()
            self._shown = line

    def end(self) -> None:
        """Make room for what comes next."""
        if self._shown:
            sys.stdout.write("\r\x1b[K")
            self._shown = ""


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, narrow: Sequence[int] = ()) -> str:
    """Align rows under their heads; only the IDs in the columns `narrow` are shortened."""
    rows = [[_short(cell) if place in narrow else cell for place, cell in enumerate(row)] for row in rows]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in lines
    )


def group(rows: Sequence[Sequence[str]]) -> str:
    """Name the first cells of rows below what else is the same in them, no line wider than a small terminal."""
    lines = []
    for common, some in groupby(sorted(rows, key=_ending), key=_ending):
        names = [row[0] for row in some]
        lines.append(fill(f"{common[0]}: {len(names)} {', '.join(common[1:])}", WIDTH, break_on_hyphens=False))
        lines.append(indent(", ".join(names)))
    return "\n".join(lines)


def _ending(row: Sequence[str]) -> tuple[str, ...]:
    return tuple(row[1:])


def indent(text: str) -> str:
    """Set a text below a heading."""
    return fill(text, WIDTH, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)


def _short(cell: str) -> str:
    return cell if len(cell) <= SHOWN else f"{cell[:SHOWN]}…"
