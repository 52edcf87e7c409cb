"""Reads archived events into stories: what was decided of each share, what became of it, by which rule and by whom.

Takes lines as `run --json`, `kcat -J` and Doorman's log write them; asks nobody, and believes what the archive says.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from sys import intern
from typing import Any

from doorman.errors import Rejected
from doorman.events.dead_letters import read_kept
from doorman.events.messages import OUTCOMES, EventType
from doorman.parsing import parse_time, write_time

UNTOLD = "untold"
"""Decided, and nothing stands in the archive of what became of it."""

_SETTLED = ("accepted", "rejected")
_KINDS = {str(kind): kind.split(".")[-2] for kind in (*OUTCOMES, EventType.DECIDED)}
# the sweep tells what is held so, on every tick
_KINDS[EventType.PENDING] = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What one event tells of one share; texts are empty where it does not say.

    Attributes:
        at: RFC 3339, in UTC as Doorman writes it.
        kind: `decided`, or the outcome.
        reason: with the error code or the condition that failed.
        by: the person who decided, and why.
    """

    at: str
    kind: str
    name: str
    owner: str
    rule: str
    reason: str
    decision: str
    facts: str
    digest: str
    by: str
    approve: str


@dataclass(frozen=True, slots=True)
class Story:
    """All that the archive says of one share.

    Attributes:
        moments: in order of time.
        last: what stands; a decision without an outcome after it stays a decision.
    """

    project_id: str
    image_id: str
    moments: Sequence[Moment]
    last: Moment

    @property
    def outcome(self) -> str:
        """The word for how it stands."""
        return UNTOLD if self.last.kind == "decided" else self.last.kind


@dataclass(slots=True, eq=False)
class Archive:
    """What was read of each share; `strange` lines were none of Doorman's, `is_ours`: one was."""

    strange: int = 0
    is_ours: bool = False
    _moments: dict[tuple[str, str], list[Moment]] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    def read(self, lines: Iterable[str]) -> None:
        """Read lines; an event that stands in several files counts once."""
        for line in lines:
            if line.strip():
                self._read(line)

    def finish(self) -> list[Story]:
        """Put everything in order: each decision before what came of it, the latest stories first."""
        for moments in self._moments.values():
            moments.sort(key=lambda moment: (moment.at, moment.kind != "decided"))
        stories = [Story(*share, moments, _conclude(moments)) for share, moments in self._moments.items()]
        return sorted(stories, key=lambda story: story.last.at, reverse=True)

    def _read(self, line: str) -> None:
        try:
            kind, event_id, at, data = _unwrap(json.loads(line))
            self.is_ours = True
            if not kind or (event_id or line) in self._seen:
                return
            entries = [
                (data["project_id"], entry["image_id"], _moment(kind, at, data, entry)) for entry in data["images"]
            ]
        except (Rejected, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            self.strange += 1
            return
        self._seen.add(event_id or line)
        for project_id, image_id, moment in entries:
            moments = self._moments.setdefault((intern(str(project_id)), str(image_id)), [])
            before = [(each.kind, each.reason) for each in moments[-1:]]
            if moment.kind != "held" or before != [("held", moment.reason)]:
                moments.append(moment)


def count(stories: Iterable[Story]) -> dict[str, list[tuple[str, int]]]:
    """Count how shares stand, by what people ask for, the largest first; days in order."""
    listed = list(stories)
    told = {
        "outcome": Counter(story.outcome for story in listed),
        "owner": Counter(story.last.owner for story in listed),
        "rule": Counter(story.last.rule for story in listed),
        "reason": Counter(_without_value(story.last.reason) for story in listed),
    }
    return {name: counter.most_common() for name, counter in told.items()}


def count_days(stories: Iterable[Story]) -> list[tuple[str, Counter[str]]]:
    """Count what was told last of each share, by day and outcome."""
    days: dict[str, Counter[str]] = {}
    for story in stories:
        days.setdefault(story.last.at[:10], Counter())[story.outcome] += 1
    return sorted(days.items())


def _unwrap(value: Mapping[str, Any]) -> tuple[str, str, str, Mapping[str, Any]]:
    """Give kind, id, time and data of a kept event, or of a line of Doorman's log; an empty kind tells of no share.

    Raises:
        Rejected, LookupError, TypeError, ValueError: it is none of ours.
    """
    if "specversion" in value or "event" not in value:
        event = read_kept(value, "line")
        kind = EventType(event["type"])
        return _KINDS.get(kind, ""), str(event["id"]), _time(event.get("time")), event["data"]
    at = _time(value["timestamp"])
    if value["event"] == "share.decided":
        return "decided", str(value["event_id"]), at, value["data"]
    if value["event"] == "outcome":
        return str(value["outcome"]), "", at, {"project_id": value["project_id"], "images": [value]}
    return "", "", at, {}


def _conclude(moments: list[Moment]) -> Moment:
    """Find what stands.

    An event is told after its cloud was read, so that what was read earlier may be told later: a check that found a
    share still pending changes nothing where nothing was decided since it was settled.
    """
    stands = settled = None
    for moment in moments:
        if moment.kind == "audited":
            continue
        if (moment.kind, moment.reason) == ("skipped", "already_settled"):
            stands = settled or moment
        elif moment.reason != "still_pending" or settled is None or stands is not settled:
            stands = moment
            settled = moment if moment.kind in _SETTLED else settled
    return stands or moments[-1]


def _without_value(reason: str) -> str:
    """Take away what differs from share to share: the condition that failed counts, not the value it saw."""
    head, colon, _ = reason.partition(":")
    return f"{head})" if colon else reason


def _time(text: object) -> str:
    return write_time(parse_time(text) if isinstance(text, str) else None) or ""


def _moment(kind: str, at: str, data: Mapping[str, Any], entry: Mapping[str, Any]) -> Moment:
    more = entry.get("error_code") or entry.get("failed_condition")
    facts = ", ".join(f"{fact}: {seen}" for fact, seen in (entry.get("facts") or {}).items())
    return Moment(
        at=at,
        kind=kind,
        name=str(entry.get("name") or ""),
        owner=intern(str(entry.get("owner") or "")),
        rule=intern(str(entry.get("rule") or "")),
        reason=intern(f"{entry['reason']} ({more})" if more else str(entry["reason"])),
        decision=intern(str(entry.get("decision") or "")),
        facts=intern(facts),
        digest=intern(str(data.get("policy_digest") or "")),
        by=intern(f"{data['actor']}: {data.get('reason') or ''}" if data.get("actor") else ""),
        approve=str(entry.get("approve") or ""),
    )
