"""What people are told of events: which of them matter to a channel, and the text of one message. Pure.

An event is a claim and an image's name its sharer's own words: all of it arrives as text, whatever a service makes of
its markup, and commands are written anew from checked IDs.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from pydantic import ValidationError
from pydantic_core import to_json

from doorman.errors import Rejected
from doorman.events.advice import approve_command
from doorman.events.messages import OUTCOMES, EventType, about_fault
from doorman.events.schemas import OutcomeData, OutcomeEntry, PendingData, PendingEntry
from doorman.models import CloudEvent
from doorman.parsing import Json, parse_time, visible
from doorman.planning.channels import Channel, Severity

FEW: Final = 3
"""Images of one group that are named; more of them are counted."""

MAX_NAME: Final = 60
MAX_DETAIL: Final = 200
MAX_KEY: Final = 64
"""Characters of a key that are remembered; ours are UUIDs."""

NEW: Final = timedelta(days=1)

_WORDS: Final = {str(kind): kind.split(".")[-2] for kind in (*OUTCOMES, EventType.PENDING)}
_ORDER: Final = ("failed", "held", "pending", "drifted", "rejected", "accepted", "skipped", "audited")
_DAILY: Final = frozenset({"pending", "drifted"})
_SEVERITY: Final[Mapping[str, Severity]] = {
    "failed": "error",
    **dict.fromkeys(("held", "pending", "drifted"), "action"),
}
_SAID: Final = {"pending": "waiting", "audited": "decided in audit mode"}

# What some service takes for markup, a mention, a link or an emoji: replaced by its full-width twin, which none does.
_MARKUP = re.compile(r"[@<>\[\]{}*~`|#\\&!/$]|:(?! )|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|\.(?=[^\W\d])")
_TWIN: Final = 0xFEE0


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one event tells; texts are as they came.

    Attributes:
        word: how the images ended, or `pending`.
        is_daily: it belongs to the daily report.
        error: why the project could not be read.
    """

    id: str
    word: str
    severity: Severity
    project_id: str
    is_daily: bool
    time: datetime | None
    entries: tuple[OutcomeEntry | PendingEntry, ...]
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message, as plain text."""

    title: str
    body: str
    severity: Severity


Line = tuple[Told, OutcomeEntry | PendingEntry]


def read_told(event: CloudEvent) -> Told | None:
    """Read what an event tells people; None where it is of a type that tells them nothing.

    Raises:
        Rejected: its data is wrong; the text names the first field.
    """
    word = _WORDS.get(event.type)
    if word is None:
        return None
    model: type[OutcomeData | PendingData] = PendingData if word == "pending" else OutcomeData
    try:
        # as JSON, whose words and lists the strict models take; within the process data is no JSON yet
        data = model.model_validate_json(event.data if isinstance(event.data, Json) else to_json(event.data))
    except ValidationError as error:
        raise Rejected(about_fault(error)) from error
    trouble = data.error if isinstance(data, PendingData) else None
    severity = "error" if trouble else _SEVERITY.get(word, "info") if data.images else "info"
    return Told(
        id=event.id,
        word=word,
        severity=severity,
        project_id=data.project_id,
        is_daily="daily" in event.extensions,
        time=event.time,
        entries=data.images,
        error=trouble,
    )


def pick(channel: Channel, told: Told, *, known: Collection[str] = (), is_each: bool = False) -> Told | None:
    """Leave of an event what a channel is to hear; None where that is nothing.

    What merely waits or has drifted is heard in the daily report alone, each time as long as it is so.

    Args:
        known: marks (`mark`) of what it was told before.
        is_each: somebody keeps those marks, so that also what has drifted is told when it is new.
    """
    if told.word not in channel.types or (told.word in _DAILY and not (told.is_daily or is_each)):
        return None
    if channel.severities is not None and told.severity not in channel.severities:
        return None
    if channel.projects is not None and told.project_id not in channel.projects:
        return None
    entries = tuple(
        entry
        for entry in told.entries
        if (channel.owners is None or entry.owner in channel.owners) and mark(told, entry) not in known
    )
    return replace(told, entries=entries) if entries or told.error else None


def mark(told: Told, entry: OutcomeEntry | PendingEntry) -> str:
    """Give what stays the same as long as the same is told of a share; of the daily report, as it is sent again."""
    if told.is_daily:
        return f"{told.id} {entry.image_id}"
    return f"{entry.key[:MAX_KEY]} {getattr(entry, 'settled_at', None) or ''}"


def write_message(told: Sequence[Told], *, names: Mapping[str, str], now: datetime, limit: int) -> Message:
    """Write one message for all that is told, the most urgent first.

    Args:
        names: the policy's groups by the project IDs in them.
        now: the time of day, for what is new.
        limit: characters that title and body may have together.
    """
    severity = max((each.severity for each in told), key=("info", "action", "error").index)
    title = f"Doorman: {_sum_up(told, now)}"
    errors = [
        [f"project {_name(each.project_id, names)}: {plain(each.error, MAX_DETAIL)}"] for each in told if each.error
    ]
    blocks = [*errors, *(_write_group(group, names) for group in _group(told))]
    return Message(title=title, body=_fit(blocks, limit - _size(title) - len("\r\n")), severity=severity)


def plain(text: str, most: int = MAX_NAME) -> str:
    """Give foreign text as one that no service takes for more, cut with a count where it is long."""
    cut = text[:most]
    while len(spelt := visible(cut)) > most:  # what is hidden takes ten characters, which others need
        cut = cut[: -max(1, (len(spelt) - most) // 10)]
    shown = _MARKUP.sub(lambda found: chr(ord(found[0]) + _TWIN), spelt)
    return shown if cut == text else f"{shown}... (and {len(text) - len(cut)} characters more)"


def _why(line: Line) -> tuple[int, str, str, str, str]:
    told, entry = line
    return _ORDER.index(told.word), told.project_id, entry.owner or "", _kind(entry), entry.rule or ""


def _kind(entry: OutcomeEntry | PendingEntry) -> str:
    """Give the reason without what differs from share to share: the condition that failed, not the value it saw."""
    return f"{entry.reason.value} {_detail(entry).partition(':')[0]}"


def _detail(entry: OutcomeEntry | PendingEntry) -> str:
    return entry.error_code or entry.failed_condition or "" if isinstance(entry, OutcomeEntry) else ""


def _group(told: Iterable[Told]) -> Iterator[tuple[Line, ...]]:
    lines = sorted(((each, entry) for each in told for entry in each.entries), key=lambda x: (_why(x), x[1].image_id))
    return (tuple(group) for _, group in groupby(lines, key=_why))


def _sum_up(told: Iterable[Told], now: datetime) -> str:
    """Say in a few words what came: `1 failed, 40 waiting (3 of them new)`."""
    told = list(told)
    counts = Counter(each.word for each in told for _ in each.entries)
    new = sum(_is_new(entry, each.time or now) for each in told for entry in each.entries)
    parts = [
        f"{counts[word]} {_SAID.get(word, word)}" + (f" ({new} of them new)" if word == "pending" and new else "")
        for word in _ORDER
        if counts[word]
    ]
    return ", ".join(parts) or "a project could not be read"


def _is_new(entry: OutcomeEntry | PendingEntry, now: datetime) -> bool:
    """Say whether a waiting share came since the last daily report; where nobody knows when, it did not."""
    shared = parse_time(entry.shared_at or "") if isinstance(entry, PendingEntry) else None
    return shared is not None and now - shared < NEW  # whose difference has no end, as a sender's time may have


def _write_group(group: Sequence[Line], names: Mapping[str, str]) -> list[str]:
    told, first = group[0]
    details = {_detail(entry) for _, entry in group}
    detail = details.pop() if len(details) == 1 else next(iter(details)).partition(":")[0]
    why = first.reason.value + (f" ({plain(detail, MAX_DETAIL)})" if detail else "")
    why += f", rule {plain(first.rule)}" if first.rule else ""
    owner = _name(first.owner, names) if first.owner else "an unknown owner"
    lines = [
        f"{len(group)} {_SAID.get(told.word, told.word)}: {why}",
        f"of {owner} for {_name(told.project_id, names)}",
    ]
    lines += [f"{entry.image_id} {plain(entry.name or '')}".rstrip() for _, entry in group[:FEW]]
    lines += [f"and {len(group) - FEW} more"] if len(group) > FEW else []
    if told.word in {"held", "pending"}:
        images = " ".join(entry.image_id for _, entry in group) if len(group) <= FEW else "IMAGE..."
        lines.append(approve_command(images, project_id=told.project_id, reason=first.reason))
    return lines


def _name(project_id: str, names: Mapping[str, str]) -> str:
    name = names.get(project_id)
    return f"{name} ({plain(project_id, 64)})" if name else plain(project_id, 64)


def _fit(blocks: Sequence[Sequence[str]], limit: int) -> str:
    """Put as much into a message as it takes, and count the groups that it leaves out, of which one is left out whole.

    Only a group that is too long by itself loses lines: it must not hide the others.
    """
    rest = "and {} more groups of shares, see: doorman pending"
    texts = ["\n".join(block) for block in blocks]
    for kept in range(min(len(texts), limit), 0, -1):
        left = [rest.format(len(texts) - kept)] if kept < len(texts) else []
        if _size(text := "\n\n".join([*texts[:kept], *left])) <= limit:
            return text
    for kept in range(len(blocks[0]) - 1, 0, -1):
        if _size(text := "\n".join([*blocks[0][:kept], "", rest.format(len(texts))])) <= limit:
            return text
    return rest.format(len(texts))


def _size(text: str) -> int:
    """Count characters as the strictest service does: in UTF-16, where an emoji is two."""
    return len(text.encode("utf-16-le", errors="replace")) // 2
