"""Writes the report's page: one file that needs no network and no script. The only room that knows jinja2."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from doorman.errors import Misconfigured
from doorman.events.report import UNTOLD, Story, count, count_days
from doorman.parsing import counted, parse_time, visible

if TYPE_CHECKING:
    from jinja2 import Environment

MOST = 5000
"""So many stories stand on a page; of each other one `--image` tells."""

TOP = 15
"""Bars of one picture."""

KINDS = ("accepted", "rejected", "held", "failed", "drifted", "skipped", "audited", UNTOLD)
_HEIGHT = 120


def try_page(path: str) -> None:
    """Find out whether the page can be written, before the work whose page it is; one that is there stays as it is.

    Raises:
        Misconfigured: jinja2 is missing, or the file cannot be written.
    """
    _open_environment()
    is_there = Path(path).exists()
    _write(path, "a", "")
    if not is_there:
        Path(path).unlink()


def write_page(stories: Sequence[Story], path: str, name: Callable[[str], str]) -> None:
    """Write the page.

    Args:
        name: gives a project's name with its ID.

    Raises:
        Misconfigured: jinja2 is missing, or the file cannot be written.
    """
    environment, now = _open_environment(), datetime.now(UTC)
    environment.filters["visible"] = visible
    environment.filters["who"] = lambda project_id: visible(name(project_id)) if project_id else "unknown"
    environment.filters["age"] = lambda at: _say_age(at, now)
    counts = count(stories)
    page = environment.get_template("report.html.j2").render(
        at=now.strftime("%Y-%m-%d %H:%M UTC"),
        stories=stories[:MOST],
        total=len(stories),
        outcomes=dict(counts["outcome"]),
        kinds=KINDS,
        pictures={name: counts[name][:TOP] for name in ("reason", "owner", "rule")},
        days=_stack(count_days(stories)),
        needed=[story for story in stories if story.outcome in {"held", "failed", "drifted", UNTOLD}][:MOST],
        height=_HEIGHT,
    )
    _write(path, "w", page)


def _open_environment() -> "Environment":
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - the function's image has none
    except ImportError as error:
        raise Misconfigured("the page needs jinja2, which is not installed here: pip install jinja2") from error
    loader = PackageLoader("doorman.entrypoints.cli", ".")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined)


def _write(path: str, mode: str, text: str) -> None:
    try:
        with Path(path).open(mode, encoding="utf-8") as page:
            page.write(text)
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be written: {error.strerror}") from error


def _say_age(at: str, now: datetime) -> str:
    moment = parse_time(at)
    days = (now - moment).days if moment else 0
    return f"{counted(days, 'day')} ago" if days > 0 else ""


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
