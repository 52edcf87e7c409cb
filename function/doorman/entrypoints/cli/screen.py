"""Shows outcomes on a terminal: grouped by how they ended and why, no line wider than the screen.

The only room that knows rich, which the function's image does not have: there `tables` writes plain text.
"""

import sys
from collections.abc import Sequence
from itertools import groupby

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from doorman.entrypoints.cli.tables import NOTHING, Known, Line, lines, to_accept, totals
from doorman.models import CloudEvent
from doorman.parsing import visible

MANY = 6
"""With more groups than these, one image of each stands for the others."""

_INDENT, _ID = 7, 36
WIDE = 120
"""Columns from which on there is room for the project beside name and kind of an image."""

_STYLES = {"failed": "red", "held": "yellow", "drifted": "yellow", "rejected": "magenta", "accepted": "green"}


def show(events: Sequence[CloudEvent], known: Known, *, nothing: str) -> None:
    """Write the groups, the totals and the commands to type next; `nothing` where there are none."""
    console = Console(file=sys.stdout, highlight=False)
    found = lines(events)
    groups = [list(group) for _, group in groupby(found, key=lambda line: line.why)]
    for fate, some in groupby(groups, key=lambda group: group[0].fate):
        parts = list(some)
        console.print(
            Text(f"{fate}: {_count(sum(map(len, parts)))}", style=f"bold {_STYLES.get(fate.split()[-1], '')}")
        )
        for group in parts:
            _show_group(console, group, known, shown=1 if len(groups) > MANY else 3)
    if found:
        console.print()
    console.print(Text(totals(events) or nothing, style="bold"), no_wrap=True, overflow="ellipsis")
    for line in to_accept(found, width=console.width):
        console.print(Text(line), soft_wrap=True)


def _show_group(console: Console, group: Sequence[Line], known: Known, *, shown: int) -> None:
    _, kind, rule, _ = group[0].why
    reason = kind if len({line.reason for line in group}) > 1 else group[0].reason
    projects = sorted({line.project_id for line in group})
    where = projects[0] if len(projects) == 1 else f"{len(projects)} projects"
    owner = known.owner(group[0].entry["owner"])
    why = reason if rule == NOTHING else f"{reason}, rule {rule}"
    for heading in (f"{len(group):5}  {why}", f"       of {owner} -> {where}"):
        console.print(Text(visible(heading)), no_wrap=True, overflow="ellipsis")
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, min_width=_ID)
    parts = 3 if console.width >= WIDE else 2
    width = (console.width - _INDENT - _ID) // parts - 2
    for _ in range(parts):
        grid.add_column(no_wrap=True, overflow="ellipsis", style="dim", max_width=width)
    for line in group[:shown]:
        image = line.entry["image_id"]
        project = line.project_id if len(projects) > 1 else ""
        cells = (image, line.entry["name"] or "", known.what(image), project)
        grid.add_row(*(Text(visible(cell)) for cell in cells[: parts + 1]))
    if len(group) > shown:
        grid.add_row(Text(f"and {len(group) - shown} more", style="dim"))
    console.print(Padding(grid, (0, 0, 0, _INDENT), expand=False))


def _count(number: int) -> str:
    return f"{number} share{'' if number == 1 else 's'}"
