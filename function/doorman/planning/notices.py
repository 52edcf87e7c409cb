"""What people are told of events: which of them matter to a channel, and the text of one message. Pure.

An event is a claim and an image's name its sharer's own words: all of it arrives as text, whatever a service makes of
its markup, and commands are written anew from checked IDs.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, groupby
from typing import Final

from pydantic import ValidationError
from pydantic_core import to_json

from doorman.errors import Rejected
from doorman.events.messages import OUTCOMES, EventType, about_fault
from doorman.events.outcomes import FEW, approve_command
from doorman.events.schemas import OutcomeData, OutcomeEntry, PendingData, PendingEntry
from doorman.models import CloudEvent
from doorman.parsing import Json, parse_time, visible
from doorman.planning.channels import Channel, Severity

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
class News:
    """What an event tells of one share, or, without an image, of a project that cannot be read; texts are as they came.

    Attributes:
        mark: the same as long as the same is told; of the daily report, as it is sent again.
        word: how the image ended, or `pending`.
        is_daily: it belongs to the daily report.
        is_new: it came since the last daily report; where nobody knows when, it did not.
        detail: the error, or the condition that failed and the value that it saw.
    """

    mark: str
    word: str
    severity: Severity
    project_id: str
    is_daily: bool
    is_new: bool = False
    image_id: str = ""
    name: str = ""
    owner: str = ""
    rule: str = ""
    reason: str = ""
    detail: str = ""

    @property
    def why(self) -> tuple[int, str, str, str, str, str]:
        """What shares of one group have in common: the condition that failed, not the value that it saw."""
        kind = self.detail.partition(":")[0]
        return _ORDER.index(self.word), self.project_id, self.owner, self.reason, kind, self.rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message, as plain text."""

    title: str
    body: str
    severity: Severity


def read_news(event: CloudEvent) -> tuple[str | None, list[News]]:
    """Read of which project an event tells people, and what; None where it is of a type that tells them nothing.

    Raises:
        Rejected: its data is wrong; the text names the first field.
    """
    word = _WORDS.get(event.type)
    if word is None:
        return None, []
    data, is_daily = _read_data(event, PendingData if word == "pending" else OutcomeData), "daily" in event.extensions
    tell = partial(News, word=word, project_id=data.project_id, is_daily=is_daily)
    news = [
        tell(
            mark=f"{event.id} {entry.image_id}" if is_daily else _mark(entry),
            severity=_SEVERITY.get(word, "info"),
            is_new=_is_new(entry, event.time),
            image_id=entry.image_id,
            name=entry.name or "",
            owner=entry.owner or "",
            rule=entry.rule or "",
            reason=entry.reason.value,
            detail=entry.error_code or entry.failed_condition or "" if isinstance(entry, OutcomeEntry) else "",
        )
        for entry in data.images
    ]
    if isinstance(data, PendingData) and data.error:
        news.append(tell(mark=f"{event.id} unread", severity="error", detail=data.error))
    return data.project_id, news


def _read_data(event: CloudEvent, model: type[OutcomeData | PendingData]) -> OutcomeData | PendingData:
    try:
        # as JSON, whose words and lists the strict models take; within the process data is no JSON yet
        return model.model_validate_json(event.data if isinstance(event.data, Json) else to_json(event.data))
    except ValidationError as error:
        raise Rejected(about_fault(error)) from error


def _mark(entry: OutcomeEntry | PendingEntry) -> str:
    return f"{entry.key[:MAX_KEY]} {getattr(entry, 'settled_at', None) or ''}"


def _is_new(entry: OutcomeEntry | PendingEntry, now: datetime | None) -> bool:
    shared = parse_time(entry.shared_at or "") if isinstance(entry, PendingEntry) else None
    if shared is None or now is None:
        return False
    return now - shared < NEW  # whose difference has no end, as a sender's time may have


def pick(channel: Channel, news: Iterable[News], *, known: Collection[str] = (), is_each: bool = False) -> list[News]:
    """Keep what a channel is to hear, each thing once.

    What merely waits or has drifted is heard in the daily report alone, each time as long as it is so.

    Args:
        known: marks of what it was told before.
        is_each: somebody keeps those marks, so that also what has drifted is told when it is new.
    """
    heard = (each for each in news if _hears(channel, each) and (each.word not in _DAILY or each.is_daily or is_each))
    return list({each.mark: each for each in heard if each.mark not in known}.values())


def _hears(channel: Channel, news: News) -> bool:
    return (
        news.word in channel.types
        and (channel.severities is None or news.severity in channel.severities)
        and (channel.projects is None or news.project_id in channel.projects)
        and (channel.owners is None or not news.image_id or news.owner in channel.owners)
    )


def write_message(news: Collection[News], *, names: Mapping[str, str], limit: int) -> Message:
    """Write one message for all that is told, the most urgent first.

    Args:
        names: the policy's groups by the project IDs in them.
        limit: characters that title and body may have together.
    """
    shares = sorted((each for each in news if each.image_id), key=lambda each: (each.why, each.image_id))
    unread = (each for each in news if not each.image_id)
    blocks = [[f"project {_name(each.project_id, names)}: {plain(each.detail, MAX_DETAIL)}"] for each in unread]
    blocks += [_write_group(list(group), names) for _, group in groupby(shares, key=lambda each: each.why)]
    title = f"Doorman: {_sum_up(shares)}"
    severity = max((each.severity for each in news), key=("info", "action", "error").index)
    return Message(title=title, body=_fit(blocks, limit - _size(title) - len("\r\n")), severity=severity)


def plain(text: str, most: int = MAX_NAME) -> str:
    """Give foreign text as one that no service takes for more, cut with a count where it is long."""
    cut = text[:most]
    while len(spelt := visible(cut)) > most:  # what is hidden takes ten characters, which others need
        cut = cut[: -max(1, (len(spelt) - most) // 10)]
    shown = _MARKUP.sub(lambda found: chr(ord(found[0]) + _TWIN), spelt)
    return shown if cut == text else f"{shown}... (and {len(text) - len(cut)} characters more)"


def _sum_up(shares: Collection[News]) -> str:
    """Say in a few words what came: `1 failed, 40 waiting (3 of them new)`."""
    counts, new = Counter(each.word for each in shares), sum(each.is_new for each in shares)
    parts = [
        f"{counts[word]} {_SAID.get(word, word)}" + (f" ({new} of them new)" if word == "pending" and new else "")
        for word in _ORDER
        if counts[word]
    ]
    return ", ".join(parts) or "a project could not be read"


def _write_group(group: Sequence[News], names: Mapping[str, str]) -> list[str]:
    first, details = group[0], {each.detail for each in group}
    detail = first.detail if len(details) == 1 else first.detail.partition(":")[0]
    why = first.reason + (f" ({plain(detail, MAX_DETAIL)})" if detail else "")
    why += f", rule {plain(first.rule)}" if first.rule else ""
    owner = _name(first.owner, names) if first.owner else "an unknown owner"
    lines = [
        f"{len(group)} {_SAID.get(first.word, first.word)}: {why}",
        f"of {owner} for {_name(first.project_id, names)}",
    ]
    lines += [f"{each.image_id} {plain(each.name)}".rstrip() for each in group[:FEW]]
    lines += [f"and {len(group) - FEW} more"] if len(group) > FEW else []
    if first.word in {"held", "pending"}:
        images = (each.image_id for each in group)
        lines.append(approve_command(*images, project_id=first.project_id, reason=first.reason))
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
    groups = ((texts[:kept], len(texts) - kept) for kept in range(min(len(texts), limit), 0, -1))
    beginnings = ((["\n".join(blocks[0][:kept])], len(texts)) for kept in range(len(blocks[0]) - 1, 0, -1))
    for kept, left in chain(groups, beginnings):
        if _size(text := "\n\n".join([*kept, *([rest.format(left)] if left else [])])) <= limit:
            return text
    return rest.format(len(texts))


def _size(text: str) -> int:
    """Count characters as the strictest service does: in UTF-16, where an emoji is two."""
    return len(text.encode("utf-16-le", errors="replace")) // 2
