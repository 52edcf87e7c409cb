"""Conditions of a rule, compiled once from the policy file, each asked of one share: holds, fails, or unknown.

Decides nothing: an unknown fact is None here, and what follows from that is `decision`'s.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fnmatch import translate
from operator import attrgetter
from typing import Any, Final

from .policy_file import ImagesEntry
from .shares import Share

Test = Callable[[Share, datetime], bool | None]

UNKNOWN: Final = "unknown"
_DAY: Final = 86400
_ARCHITECTURES: Final = {"x86": "x86_64", "amd64": "x86_64", "arm": "arm64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition of a rule.

    Attributes:
        key: as in the file: `owners`, `images.names`.
        wanted: what the file asks for, for people.
        fact: name of what it looks at: `owner`, `name`.
        test: True holds, False fails, None where the fact is unknown.
        read: the value seen, for people.
    """

    key: str
    wanted: str
    fact: str
    test: Test
    read: Callable[[Share, datetime], str]


def on_owner(entries: Iterable[str], owners: frozenset[str]) -> Condition:
    """Hold for shares of `owners`; `entries` is how the file names them."""
    return _condition("owners", _any_of(entries), "owner", _member(attrgetter("owner"), owners))


def on_project(projects: Iterable[str]) -> Condition:
    """Hold for shares with one of these receiving projects."""
    wanted = tuple(projects)
    return _condition("projects", _any_of(wanted), "project_id", _member(attrgetter("project_id"), frozenset(wanted)))


def on_day(last: date) -> Condition:
    """Hold through `last`, a day in UTC."""
    return Condition(
        key="expires",
        wanted=f"through {last}",
        fact="today",
        test=lambda _, now: now.astimezone(UTC).date() <= last,
        read=lambda _, now: str(now.astimezone(UTC).date()),
    )


def on_image(entry: ImagesEntry) -> tuple[Condition, ...]:
    """Return the conditions that `images:` gives, the cheap ones first."""
    given = entry.model_dump(exclude_none=True)
    return tuple(
        _condition(f"images.{key}", _wanted(given[key]), fact, make(given[key]))
        for key, (fact, make) in _IMAGE_CONDITIONS.items()
        if key in given
    )


def value_of(share: Share, fact: str) -> str:
    """Return a fact as people read it; `unknown` where the cloud does not say."""
    value = getattr(share, fact)
    if isinstance(value, frozenset):
        return ", ".join(sorted(value)) or "none"
    if isinstance(value, datetime):
        return value.isoformat()
    return UNKNOWN if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _condition(key: str, wanted: str, fact: str, test: Test) -> Condition:
    return Condition(key=key, wanted=wanted, fact=fact, test=test, read=lambda share, _: value_of(share, fact))


def _wanted(value: object) -> str:
    if isinstance(value, Mapping):
        return " and ".join(f"{bound.replace('_', ' ')} {number}" for bound, number in value.items())
    return _any_of(value) if isinstance(value, list) else str(value).lower()


def _any_of(values: Iterable[str]) -> str:
    listed = [str(each) for each in values]
    return listed[0] if len(listed) == 1 else f"one of {', '.join(listed)}"


def _member(get: Callable[[Share], Any], wanted: frozenset[str]) -> Test:
    def test(share: Share, _: datetime) -> bool | None:
        value = get(share)
        return None if value is None else value in wanted

    return test


def _word(fact: str) -> Callable[[list[str]], Test]:
    """One of some words, whatever their case."""

    def make(words: list[str]) -> Test:
        wanted = frozenset(each.lower() for each in words)

        def test(share: Share, _: datetime) -> bool | None:
            value = getattr(share, fact)
            return None if value is None else _ARCHITECTURES.get(value.lower(), value.lower()) in wanted

        return test

    return make


def _pattern(fact: str, *, flags: int = 0) -> Callable[[list[str]], Test]:
    def make(globs: list[str]) -> Test:
        match = re.compile("|".join(translate(each) for each in globs), flags).match

        def test(share: Share, _: datetime) -> bool | None:
            value = getattr(share, fact)
            return None if value is None else match(value) is not None

        return test

    return make


def _flag(fact: str) -> Callable[[bool], Test]:
    def make(wanted: bool) -> Test:  # noqa: FBT001 - the policy's own value
        def test(share: Share, _: datetime) -> bool | None:
            value = getattr(share, fact)
            return None if value is None else value is wanted

        return test

    return make


def _tags(wanted: list[str]) -> Test:
    tags = frozenset(wanted)
    return lambda share, _: None if share.tags is None else not tags.isdisjoint(share.tags)


def _number(fact: str) -> Callable[[Mapping[str, int]], Test]:
    def make(bounds: Mapping[str, int]) -> Test:
        low, high = bounds.get("at_least", 0), bounds.get("at_most", 10**12)

        def test(share: Share, _: datetime) -> bool | None:
            value = getattr(share, fact)
            return None if value is None else low <= value <= high

        return test

    return make


def _age(bounds: Mapping[str, int]) -> Test:
    low, high = bounds.get("at_least", 0) * _DAY, bounds.get("at_most", 10**9) * _DAY

    def test(share: Share, now: datetime) -> bool | None:
        if share.created_at is None:
            return None
        # an image from the future is a clock that is wrong, and counts as new
        return low <= max(0.0, (now - share.created_at).total_seconds()) <= high

    return test


# key in the file: (fact, how to test it)
_IMAGE_CONDITIONS: Final[Mapping[str, tuple[str, Callable[[Any], Test]]]] = {
    "ids": ("image_id", _word("image_id")),
    "full_ecs": ("full_ecs", _flag("full_ecs")),
    "encrypted": ("encrypted", _flag("encrypted")),
    "kind": ("kind", _word("kind")),
    "os_type": ("os_type", _word("os_type")),
    "architecture": ("architecture", _word("architecture")),
    "firmware": ("firmware", _word("firmware")),
    "hash": ("hash_value", _word("hash_value")),
    "disk_gb": ("min_disk", _number("min_disk")),
    "memory_mb": ("min_ram", _number("min_ram")),
    "age_days": ("created_at", _age),
    "tags": ("tags", _tags),
    "platform": ("platform", _pattern("platform", flags=re.IGNORECASE)),
    "os_version": ("os_version", _pattern("os_version", flags=re.IGNORECASE)),
    "names": ("name", _pattern("name")),
}
