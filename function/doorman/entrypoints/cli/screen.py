"""Shows outcomes on a terminal: grouped by how they ended and why, no line wider than the screen.

The only room that knows rich, which the function's image does not have: there `tables` writes plain text.
"""

import sys
from collections.abc import Sequence
from itertools import groupby, takewhile

from rich.console import Console
from rich.style import Style
from rich.text import Text

from doorman.entrypoints.cli.tables import NOTHING, Known, Line, next_steps, totals
from doorman.parsing import counted, visible

MANY = 6
"""With more groups than these, one image of each stands for the others."""

_MARGIN = " " * 7
_EXAMPLE = "  e.g. "
_STYLES = {"failed": "red", "held": "yellow", "drifted": "yellow", "rejected": "magenta", "accepted": "green"}


def show(found: Sequence[Line], known: Known, *, nothing: str) -> None:
    """Write the groups, the totals and the commands to type next; `nothing` where there are none."""
    console = Console(file=sys.stdout, highlight=False)
    groups = [list(group) for _, group in groupby(found, key=lambda line: line.why)]
    groups.sort(key=lambda group: (group[0].why[0], -len(group)))
    shown = 1 if len(groups) > MANY else 3
    for outcome, some in groupby(groups, key=lambda group: group[0].outcome):
        parts = list(some)
        style = f"bold {_STYLES.get(outcome.split()[-1], '')}"
        _print(console, Text(f"{outcome}: {counted(sum(map(len, parts)), 'share')}", style=style))
        for group in parts:
            _show_group(console, group, known, shown=shown)
    if found:
        console.print()
    _print(console, Text(totals(found) or nothing, style="bold"))
    is_cut = any(len(group) > shown for group in groups)
    for line in next_steps(found, known, width=console.width, is_cut=is_cut):
        console.print(Text(line), soft_wrap=True)


def _show_group(console: Console, group: Sequence[Line], known: Known, *, shown: int) -> None:
    rule = group[0].entry["rule"]
    projects = sorted({known.call(line.project_id) for line in group})
    why = Text(visible(f"{len(group):5}  {_sum_up([line.story for line in group])}"))
    if rule:
        why.append(", rule ").append(visible(rule), Style(link=known.policy_url))
    _print(console, why)
    where = projects[0] if len(projects) == 1 else f"{len(projects)} projects"
    _print(console, Text(visible(f"{_MARGIN}of {known.owner(group[0].entry['owner'])} -> {where}")))
    margin = _EXAMPLE if len(group) > shown else _MARGIN
    for line in group[:shown]:
        cells = [line.entry["name"] or NOTHING, known.what(line.entry["image_id"])]
        cells += [known.call(line.project_id)] if len(projects) > 1 else []
        _print(console, Text(f"{margin}{line.entry['image_id']}  ").append(visible(cells[0]), "dim"))
        if more := "; ".join(filter(None, cells[1:])):
            _print(console, Text(visible(f"{_MARGIN}{more}"), "dim"))
        margin = _MARGIN


def _sum_up(texts: Sequence[str]) -> str:
    """Give what all texts begin with, up to a word's end."""
    first, last = min(texts), max(texts)
    if first == last:
        return first
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    common = "".join(one for one, _ in same)
    return f"{common.rpartition(' ')[0]} …{')' if '(' in common else ''}"


def _print(console: Console, text: Text) -> None:
    console.print(text, no_wrap=True, overflow="ellipsis")
