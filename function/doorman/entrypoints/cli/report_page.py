"""Renders the report's page: one file that needs no network and no script. The only room that knows jinja2."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from doorman.events.report import UNTOLD, Story, count, count_days
from doorman.parsing import parse_time, visible

MOST = 5000
"""So many stories stand on a page; of each other one `--image` tells."""

TOP = 15
"""Bars of one picture."""

KINDS = ("accepted", "rejected", "held", "failed", "drifted", "skipped", "audited", UNTOLD)
_HEIGHT = 120


def render(stories: Sequence[Story], name: Callable[[str], str]) -> str:
    """Render the page.

    Args:
        name: gives a project's name with its ID.
    """
    now = datetime.now(UTC)
    environment = Environment(
        loader=PackageLoader("doorman.entrypoints.cli", "."), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["visible"] = visible
    environment.filters["who"] = lambda project_id: visible(name(project_id)) if project_id else "unknown"
    environment.filters["age"] = lambda at: _say_age(at, now)
    counts = count(stories)
    return environment.get_template("report.html.j2").render(
        at=now.strftime("%Y-%m-%d %H:%M UTC"),
        stories=stories[:MOST],
        total=len(stories),
        outcomes=dict(counts["outcome"]),
        kinds=KINDS,
        pictures={name: counts[name][:TOP] for name in ("reason", "owner", "rule")},
        days=_stack(count_days(stories)),
        needed=[story for story in stories if story.fate in {"held", "failed", "drifted", UNTOLD}][:MOST],
        height=_HEIGHT,
    )


def _say_age(at: str, now: datetime) -> str:
    moment = parse_time(at)
    days = (now - moment).days if moment else 0
    return f"{days} day{'' if days == 1 else 's'} ago" if days > 0 else ""


def _stack(days: Sequence[tuple[str, Counter[str]]]) -> list[tuple[str, list[tuple[str, int, float, float]]]]:
    """Place the parts of each day's bar: kind, count, top and height in pixels."""
    most = max((sum(kinds.values()) for _, kinds in days), default=1)
    placed = []
    for day, kinds in days:
        bottom, parts = float(_HEIGHT), []
        for kind in (each for each in KINDS if kinds[each]):
            height = kinds[kind] / most * _HEIGHT
            bottom -= height
            parts.append((kind, kinds[kind], round(bottom, 1), round(height, 1)))
        placed.append((day, parts))
    return placed
