"""The sweep's heartbeat and to-do list: the pending report, the same key as long as the same waits."""

from typing import Any

from pydantic_core import to_json

from doorman.events.messages import EventType
from doorman.events.outcomes import make_key
from doorman.events.schemas import DATA
from doorman.models import Cause, CloudEvent
from doorman.planning.sweep import SweepPlan, pending_report
from tests.builders import CAUSE, LIMIT, START, image_id, size_of
from tests.events.test_outcomes import OTHER, WRITER, event_of

ENTRY = {"name": None, "owner": None, "rule": None, "reason": "held_by_rule", "created_at": None, "shared_at": None}


def listed(*numbers: int, cause: Cause = CAUSE, fields: Any = None, **more: Any) -> tuple[CloudEvent, ...]:
    """Write a pending report that lists these images, with these fields; it keeps to its data as published."""
    entries = tuple({"image_id": image_id(number), **ENTRY, **(fields or {})} for number in numbers)
    events = pending_report(WRITER, SweepPlan(entries=entries, count=len(entries)), cause=cause, now=START, **more)
    for event in events:
        DATA[EventType(event.type)].model_validate_json(to_json(event.data))
    return events


def test_nothing() -> None:
    """Nothing pending is told as well, for information."""
    (event,) = listed()
    data = {"project_id": "receiver", "count": 0, "oldest_created_at": None, "images": [], "error": None}
    assert event == event_of("dev.doorman.shares.pending.v1", data, keys=[])


def test_entry() -> None:
    """As it was given, and with its key."""
    (event,) = listed(1, fields={"rule": "r"})
    key = make_key(WRITER, EventType.PENDING, image_id(1), "held_by_rule", None, "r")
    assert event.data["images"] == [{"image_id": image_id(1), **ENTRY, "rule": "r", "key": key}]


def test_severity() -> None:
    """A list asks for somebody, an unreadable project is an error."""
    (waiting,), (unread,) = listed(1), listed(error="the cloud answers 503")
    assert (waiting.extensions["severity"], unread.extensions["severity"]) == ("action", "error")
    assert unread.data["error"] == "the cloud answers 503"


def test_dedupekey() -> None:
    """The next tick with the same list has the same key and another id; another list or error has another."""
    (first,), (next_tick,) = listed(2, 1), listed(1, 2, cause=OTHER, fields={"name": "n"})
    others = [listed(1), listed(1, 2, fields={"rule": "r"}), listed(1, 2, error="x"), listed(1, 2, error="y")]
    assert first.extensions["dedupekey"] == next_tick.extensions["dedupekey"]
    assert len({each.extensions["dedupekey"] for (each,) in [(first,), *others]}) == len(others) + 1
    assert first.id != next_tick.id


def test_more_to_tell() -> None:
    """Exceptions that count no more, and marks for whoever reads it."""
    (event,) = listed(marks={"daily": "true"}, expired=["partner"])
    assert (event.extensions["daily"], event.data["expired_exceptions"]) == ("true", ["partner"])
    assert "expired_exceptions" not in listed()[0].data


def test_longest_list() -> None:
    """500 shares with the longest names that a sharer can think of are told in parts, each with its own id."""
    events = listed(*range(500), fields=dict.fromkeys(("name", "owner"), "\x00" * 1000))
    assert [entry["image_id"] for event in events for entry in event.data["images"]] == [
        image_id(number) for number in range(500)
    ]
    assert max(map(size_of, events)) <= LIMIT
    assert len({event.id for event in events}) == len(events) > 1
