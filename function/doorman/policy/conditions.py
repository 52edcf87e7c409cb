"""Conditions of a rule, compiled once from the policy file, each asked of one share: matches, fails, or unknown.

Decides nothing: an unknown fact is None here, and what follows from that is `decision`'s.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fnmatch import translate
from functools import partial
from math import inf
from operator import attrgetter
from typing import Any, Final, NamedTuple

from doorman.models import Api, Share
from doorman.policy.schema import Bounds, ImagesEntry

Test = Callable[[Share, datetime], bool | None]

UNKNOWN: Final = "unknown"
_DAY: Final = 86400
_WILD: Final = re.compile(r"[*?\[]")
ARCHITECTURES: Final = {"x86": "x86_64", "amd64": "x86_64", "arm": "arm64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition of a rule.

    Attributes:
        key: as in the file: `owners`, `images.names`.
        value: what the file asks for, as it is written.
        fact: name of what it looks at: `owner`, `name`.
        test: True where it matches, False where it fails, None where the fact is unknown.
        is_at_door: see `Key`.
    """

    key: str
    value: Any
    fact: str
    test: Test
    is_at_door: bool = False

    @property
    def wanted(self) -> str:
        """What the file asks for, for people."""
        match self.value:
            case date() as last:
                return f"through {last}"
            case dict() as bounds:
                return " and ".join(f"{bound.replace('_', ' ')} {number}" for bound, number in bounds.items())
            case [only]:
                return str(only)
            case list() as several:
                return f"one of {', '.join(several)}"
            case value:
                return str(value).lower()

    def read(self, share: Share, now: datetime) -> str:
        """Say what is seen, for people."""
        return str(now.astimezone(UTC).date()) if self.fact == "today" else value_of(share, self.fact)

    def failure(self, share: Share, now: datetime) -> str:
        """Say in words what a share lacks: `age_days: at most 90, is 121`."""
        seen = self.read(share, now)
        if self.is_at_door and share.created_at is not None:
            seen = str((now - share.created_at).days)
        return f"{self.key.removeprefix('images.')}: {self.wanted}, is {seen}"


class Key(NamedTuple):
    """A key under `images`, in the one place that says what it asks.

    Attributes:
        fact: of a `Share`. make: gives the test, of the fact and of what the file asks for.
        told_by: the image services that tell the fact; the others leave it unknown.
        is_at_door: it changes with time alone, so it counts when the share comes in, and never again.
    """

    fact: str
    make: Callable[[str, Any], Test]
    told_by: tuple[Api, ...] = ("ims", "glance")
    is_at_door: bool = False


def always(_: Share, __: datetime) -> bool:
    """Match every share: the test of a rule without conditions."""
    return True


def on_members(key: str, fact: str, entries: Iterable[str], members: frozenset[str]) -> Condition:
    """Match shares of owners, or with receiving projects, that are `members`; `entries` is how the file names them."""
    return Condition(key=key, value=list(entries), fact=fact, test=_member(fact, members))


def on_day(last: date) -> Condition:
    """Match through `last`, a day in UTC."""
    return Condition(
        key="expires",
        value=last,
        fact="today",
        test=lambda _, now: now.astimezone(UTC).date() <= last,
    )


def on_image(entry: ImagesEntry) -> tuple[Condition, ...]:
    """Return the conditions that `images:` gives."""
    given = _list_given(entry)
    return tuple(
        Condition(
            key=f"images.{name}",
            value=given[name],
            fact=key.fact,
            test=key.make(key.fact, given[name]),
            is_at_door=key.is_at_door,
        )
        for name, key in KEYS.items()
        if name in given
    )


def _list_given(entry: ImagesEntry | Bounds) -> dict[str, Any]:
    """List what the file says; to dump the entry would take a serializer of its own, built for nothing else."""
    return {
        name: _list_given(value) if isinstance(value, Bounds) else value for name, value in entry if value is not None
    }


def value_of(share: Share, fact: str) -> str:
    """Return a fact as people read it; `unknown` where the cloud does not say."""
    value = getattr(share, fact)
    if isinstance(value, str):
        return value
    if isinstance(value, frozenset):
        return ", ".join(sorted(value)) or "none"
    if isinstance(value, datetime):
        return value.isoformat()
    return UNKNOWN if value is None else str(value).lower()


def _known(fact: str, holds: Callable[[Any], bool]) -> Test:
    """Ask a fact, where it is known."""
    get = attrgetter(fact)

    def test(share: Share, _: datetime) -> bool | None:
        value = get(share)
        return None if value is None else holds(value)

    return test


def _member(fact: str, wanted: Iterable[object]) -> Test:
    return _known(fact, frozenset(wanted).__contains__)


def _flag(fact: str, wanted: object) -> Test:
    return _member(fact, {wanted})


def _word(fact: str, wanted: Iterable[str], aliases: Mapping[str, str] | None = None) -> Test:
    """One of some words, whatever their case."""
    words, others = frozenset(each.lower() for each in wanted), aliases or {}
    return _known(fact, lambda value: others.get(value.lower(), value.lower()) in words)


def _glob(fact: str, globs: Iterable[str], *, any_case: bool = False) -> Test:
    """One of some globs; the usual ones, `golden-*` and plain words, need no regular expression."""
    get, wanted = attrgetter(fact), [each.lower() if any_case else each for each in globs]
    words = frozenset(each for each in wanted if not _WILD.search(each))
    prefixes = tuple(each[:-1] for each in wanted if each[-1] == "*" and not _WILD.search(each[:-1]))
    rest = [each for each in wanted if each not in words and each[:-1] not in prefixes]
    if len(prefixes) == len(wanted) and not any_case:
        return lambda share, _: None if (value := get(share)) is None else value.startswith(prefixes)
    match = re.compile("|".join(translate(each) for each in rest)).match if rest else None

    def holds(value: str) -> bool:
        text = value.lower() if any_case else value
        return text.startswith(prefixes) or text in words or (match is not None and match(text) is not None)

    return _known(fact, holds)


def _tags(fact: str, wanted: Iterable[str]) -> Test:
    tags = frozenset(wanted)
    return _known(fact, lambda value: not tags.isdisjoint(value))


def _number(fact: str, bounds: Mapping[str, int]) -> Test:
    low, high = bounds.get("at_least", 0), bounds.get("at_most", inf)
    return _known(fact, lambda value: low <= value <= high)


def _age(fact: str, bounds: Mapping[str, int]) -> Test:
    get, low, high = attrgetter(fact), bounds.get("at_least", 0) * _DAY, bounds.get("at_most", inf) * _DAY

    def test(share: Share, now: datetime) -> bool | None:
        made = get(share)
        # an image from the future is a clock that is wrong, and counts as new
        return None if made is None else low <= max(0.0, (now - made).total_seconds()) <= high

    return test


_system = partial(_glob, any_case=True)

KEYS: Final[Mapping[str, Key]] = {
    "ids": Key("image_id", _word),
    "names": Key("name", _glob),
    "full_ecs": Key("full_ecs", _flag),
    "encrypted": Key("encrypted", _flag),
    "kind": Key("kind", _member, ("ims",)),
    "tags": Key("tags", _tags),
    "os_type": Key("os_type", _word),
    "architecture": Key("architecture", partial(_word, aliases=ARCHITECTURES)),
    "firmware": Key("firmware", _word),
    "hash": Key("hash_value", _word, ("glance",)),
    "disk_gb": Key("min_disk", _number),
    "memory_mb": Key("min_ram", _number),
    "age_days": Key("created_at", _age, is_at_door=True),
    "platform": Key("platform", _system),
    "os_version": Key("os_version", _system),
}
"""What each key under `images` asks, the cheap and telling ones first; what explains, compares and checks reads it."""

SYSTEMS: Final = frozenset(name for name, key in KEYS.items() if key.make is _system)
"""Keys whose patterns match whatever the case."""
PATTERNS: Final = SYSTEMS | {name for name, key in KEYS.items() if key.make is _glob}
