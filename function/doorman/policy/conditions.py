"""Conditions of a rule, compiled once from the policy file, each asked of one share: holds, fails, or unknown.

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

from doorman.models import Share
from doorman.policy.schema import Api, ImagesEntry

Test = Callable[[Share, datetime], bool | None]

UNKNOWN: Final = "unknown"
SYSTEMS: Final = frozenset({"platform", "os_version"})
"""Keys whose patterns match whatever the case."""
PATTERNS: Final = SYSTEMS | {"names"}
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
        test: True holds, False fails, None where the fact is unknown.
        read: the value seen, for people.
        is_at_door: see `Key`.
    """

    key: str
    value: Any
    fact: str
    test: Test
    read: Callable[[Share, datetime], str]
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

    def failure(self, share: Share, now: datetime) -> str:
        """Say in words what a share lacks: `age_days: at most 90, is 121`."""
        seen = self.read(share, now)
        if self.is_at_door and share.created_at is not None:
            seen = str((now - share.created_at).days)
        return f"{self.key.removeprefix('images.')}: {self.wanted}, is {seen}"


class Key(NamedTuple):
    """A key under `images`, in the one place that says what it asks.

    Attributes:
        fact: of a `Share`. make: how to test it.
        told_by: the image services that tell the fact; the others leave it unknown.
        is_at_door: it changes with time alone, so it counts when the share comes in, and never again.
    """

    fact: str
    make: Callable[[Any], Test]
    told_by: tuple[Api, ...] = ("ims", "glance")
    is_at_door: bool = False


def always(_: Share, __: datetime) -> bool:
    """Hold for every share: the test of a rule without conditions."""
    return True


def on_owner(entries: Iterable[str], owners: frozenset[str]) -> Condition:
    """Hold for shares of `owners`; `entries` is how the file names them."""
    return _condition("owners", list(entries), "owner", _member("owner", owners))


def on_project(entries: Iterable[str], projects: frozenset[str]) -> Condition:
    """Hold for shares with one of these receiving projects; `entries` is how the file names them."""
    return _condition("projects", list(entries), "project_id", _member("project_id", projects))


def on_day(last: date) -> Condition:
    """Hold through `last`, a day in UTC."""
    return Condition(
        key="expires",
        value=last,
        fact="today",
        test=lambda _, now: now.astimezone(UTC).date() <= last,
        read=lambda _, now: str(now.astimezone(UTC).date()),
    )


def on_image(entry: ImagesEntry) -> tuple[Condition, ...]:
    """Return the conditions that `images:` gives."""
    given = entry.model_dump(exclude_none=True)
    return tuple(
        _condition(f"images.{name}", given[name], key.fact, key.make(given[name]), is_at_door=key.is_at_door)
        for name, key in KEYS.items()
        if name in given
    )


def value_of(share: Share, fact: str) -> str:
    """Return a fact as people read it; `unknown` where the cloud does not say."""
    value = getattr(share, fact)
    if isinstance(value, frozenset):
        return ", ".join(sorted(value)) or "none"
    if isinstance(value, datetime):
        return value.isoformat()
    return UNKNOWN if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _condition(key: str, value: object, fact: str, test: Test, *, is_at_door: bool = False) -> Condition:
    def read(share: Share, _: datetime) -> str:
        return value_of(share, fact)

    return Condition(key=key, value=value, fact=fact, test=test, read=read, is_at_door=is_at_door)


def _member(fact: str, wanted: Iterable[object]) -> Test:
    get, values = attrgetter(fact), frozenset(wanted)

    def test(share: Share, _: datetime) -> bool | None:
        value = get(share)
        return None if value is None else value in values

    return test


def _word(fact: str, wanted: Iterable[str], aliases: Mapping[str, str] | None = None) -> Test:
    """One of some words, whatever their case."""
    get, words, others = attrgetter(fact), frozenset(each.lower() for each in wanted), aliases or {}

    def test(share: Share, _: datetime) -> bool | None:
        value = get(share)
        return None if value is None else others.get(value.lower(), value.lower()) in words

    return test


def _glob(fact: str, globs: Iterable[str], *, any_case: bool = False) -> Test:
    """One of some globs; the usual ones, `golden-*` and plain words, need no regular expression."""
    get, wanted = attrgetter(fact), [each.lower() if any_case else each for each in globs]
    words = frozenset(each for each in wanted if not _WILD.search(each))
    prefixes = tuple(each[:-1] for each in wanted if each[-1] == "*" and not _WILD.search(each[:-1]))
    rest = [each for each in wanted if each not in words and each[:-1] not in prefixes]
    if len(prefixes) == len(wanted) and not any_case:
        return lambda share, _: None if (value := get(share)) is None else value.startswith(prefixes)
    match = re.compile("|".join(translate(each) for each in rest)).match if rest else None

    def test(share: Share, _: datetime) -> bool | None:
        value = get(share)
        if value is None:
            return None
        text = value.lower() if any_case else value
        return text.startswith(prefixes) or text in words or (match is not None and match(text) is not None)

    return test


def _tags(wanted: Iterable[str]) -> Test:
    tags = frozenset(wanted)
    return lambda share, _: None if share.tags is None else not tags.isdisjoint(share.tags)


def _number(fact: str, bounds: Mapping[str, int]) -> Test:
    get, low, high = attrgetter(fact), bounds.get("at_least", 0), bounds.get("at_most", inf)

    def test(share: Share, _: datetime) -> bool | None:
        value = get(share)
        return None if value is None else low <= value <= high

    return test


def _age(bounds: Mapping[str, int]) -> Test:
    low, high = bounds.get("at_least", 0) * _DAY, bounds.get("at_most", inf) * _DAY

    def test(share: Share, now: datetime) -> bool | None:
        if share.created_at is None:
            return None
        # an image from the future is a clock that is wrong, and counts as new
        return low <= max(0.0, (now - share.created_at).total_seconds()) <= high

    return test


KEYS: Final[Mapping[str, Key]] = {
    "ids": Key("image_id", partial(_word, "image_id")),
    "names": Key("name", partial(_glob, "name")),
    "full_ecs": Key("full_ecs", lambda wanted: _member("full_ecs", {wanted})),
    "encrypted": Key("encrypted", lambda wanted: _member("encrypted", {wanted})),
    "kind": Key("kind", partial(_member, "kind"), ("ims",)),
    "tags": Key("tags", _tags),
    "os_type": Key("os_type", partial(_word, "os_type")),
    "architecture": Key("architecture", partial(_word, "architecture", aliases=ARCHITECTURES)),
    "firmware": Key("firmware", partial(_word, "firmware")),
    "hash": Key("hash_value", partial(_word, "hash_value"), ("glance",)),
    "disk_gb": Key("min_disk", partial(_number, "min_disk")),
    "memory_mb": Key("min_ram", partial(_number, "min_ram")),
    "age_days": Key("created_at", _age, is_at_door=True),
    "platform": Key("platform", partial(_glob, "platform", any_case=True)),
    "os_version": Key("os_version", partial(_glob, "os_version", any_case=True)),
}
"""What each key under `images` asks, the cheap and telling ones first; what explains, compares and checks reads it."""
