"""Asks conditions of shares: each key of `images` matches, fails, and is unknown where the cloud does not say."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from doorman.models import Share
from doorman.policy.conditions import always, on_day, on_image, on_members, value_of
from doorman.policy.schema import ImagesEntry

IMAGE = "6596628c-42d4-4ff1-8660-8ea5ae61f243"
NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)


def share(**facts: Any) -> Share:
    """Make a share of IMAGE with these facts."""
    return Share(**{"image_id": IMAGE, "project_id": "receiver", "full_ecs": None, **facts})


def asked(condition: dict[str, Any], **facts: Any) -> bool | None:
    """Ask the one condition under `images` of a share with these facts."""
    [found] = on_image(ImagesEntry.model_validate(condition))
    return found.test(share(**facts), NOW)


@pytest.mark.parametrize(
    ("condition", "fact", "holding", "failing"),
    [
        ({"names": ["golden-*"]}, "name", ["golden-", "golden-1"], ["Golden-1", "my golden-1", ""]),
        ({"names": ["golden"]}, "name", ["golden"], ["golden-1", "goldenx"]),
        ({"names": ["*"]}, "name", ["", "a\nb"], []),
        ({"names": ["g?lden-[12]", "a*b", "x-*"]}, "name", ["golden-1", "ab", "axb", "x-"], ["golden-3", "abc", "x"]),
        ({"names": ["golden-*", "base"]}, "name", ["golden-1", "base"], ["base-1"]),
        ({"names": ["a.b*"]}, "name", ["a.b", "a.bc"], ["axb"]),
        ({"tags": ["signed", "golden"]}, "tags", [frozenset({"signed", "x"})], [frozenset[str](), frozenset({"x"})]),
        ({"os_type": "Linux"}, "os_type", ["Linux", "linux"], ["Windows", ""]),
        ({"os_type": ["Windows", "Other"]}, "os_type", ["Other"], ["Linux"]),
        ({"platform": "ubuntu*"}, "platform", ["Ubuntu", "UBUNTU Pro"], ["CentOS"]),
        ({"os_version": ["Ubuntu 22.04*", "Debian*"]}, "os_version", ["ubuntu 22.04 server"], ["Ubuntu 20.04"]),
        ({"architecture": "x86_64"}, "architecture", ["x86", "x86_64", "AMD64"], ["arm64"]),
        ({"architecture": "arm64"}, "architecture", ["arm", "aarch64", "arm64"], ["x86", "sparc"]),
        ({"kind": ["data", "iso"]}, "kind", ["data", "iso"], ["server"]),
        ({"firmware": "uefi"}, "firmware", ["uefi", "UEFI"], ["bios"]),
        ({"hash": "A" * 64}, "hash_value", ["a" * 64, "A" * 64], ["b" * 64]),
        ({"full_ecs": False}, "full_ecs", [False], [True]),
        ({"encrypted": True}, "encrypted", [True], [False]),
        ({"disk_gb": {"at_most": 40}}, "min_disk", [0, 40], [41]),
        ({"disk_gb": {"at_least": 10}}, "min_disk", [10, 10**6], [9]),
        ({"memory_mb": {"at_least": 1, "at_most": 2}}, "min_ram", [1, 2], [0, 3]),
    ],
)
def test_a_condition_matches_or_fails_by_its_fact(
    condition: dict[str, Any], fact: str, holding: list[Any], failing: list[Any]
) -> None:
    """The values listed first hold, the second ones fail, and without the fact nobody knows."""
    assert [asked(condition, **{fact: value}) for value in holding] == [True] * len(holding)
    assert [asked(condition, **{fact: value}) for value in failing] == [False] * len(failing)
    assert asked(condition) is None


def test_an_image_id_is_compared_without_case() -> None:
    """A share always has an image ID, so this is never unknown."""
    other = "7a96628c-42d4-4ff1-8660-8ea5ae61f243"
    assert [asked({"ids": [IMAGE.upper()]}), asked({"ids": [other]})] == [True, False]


@pytest.mark.parametrize(
    ("bounds", "days", "matches"),
    [
        ({"at_most": 30}, 30, True),
        ({"at_most": 30}, 30.001, False),
        ({"at_least": 1}, 0.999, False),
        ({"at_least": 1}, 1, True),
        ({"at_most": 0}, -5, True),
        ({"at_least": 1}, -5, False),
    ],
)
def test_age_is_counted_from_the_making_of_the_image(bounds: dict[str, int], days: float, matches: Any) -> None:
    """Both bounds are included; an image that says it comes from the future is new."""
    assert asked({"age_days": bounds}, created_at=NOW - timedelta(days=days)) is matches
    assert asked({"age_days": bounds}) is None


def test_owner_project_and_day() -> None:
    """An owner may be unknown, the receiving project and the day never are."""
    owner, project, day = (
        on_members("owners", "owner", ["aaa"], frozenset({"aaa"})),
        on_members("projects", "project_id", ["receiver"], frozenset({"receiver"})),
        on_day(NOW.date()),
    )
    assert [owner.test(share(owner=each), NOW) for each in ("aaa", "bbb", None)] == [True, False, None]
    assert [project.test(share(project_id=each), NOW) for each in ("receiver", "other")] == [True, False]
    assert [day.test(share(), NOW + timedelta(days=each)) for each in (0, 1)] == [True, False]
    assert always(share(), NOW)


def test_conditions_are_told_in_words() -> None:
    """Each says its key, what it wants and what it sees."""
    entry = ImagesEntry.model_validate(
        {"names": ["golden-*", "base"], "encrypted": False, "disk_gb": {"at_least": 10, "at_most": 40}}
    )
    seen = share(name="golden-1", encrypted=True)
    told = [(each.key, each.wanted, each.fact, each.read(seen, NOW)) for each in on_image(entry)]
    assert told == [
        ("images.names", "one of golden-*, base", "name", "golden-1"),
        ("images.encrypted", "false", "encrypted", "true"),
        ("images.disk_gb", "at least 10 and at most 40", "min_disk", "unknown"),
    ]
    day = on_day(NOW.date())
    assert (day.key, day.wanted, day.read(seen, NOW)) == ("expires", "through 2026-11-05", "2026-11-05")


@pytest.mark.parametrize(
    ("facts", "text"),
    [({"tags": frozenset({"b", "a"})}, "a, b"), ({"tags": frozenset[str]()}, "none"), ({"tags": None}, "unknown")],
)
def test_tags_are_told_in_order(facts: dict[str, Any], text: str) -> None:
    """A set is told sorted, an empty one as none."""
    assert value_of(share(**facts), "tags") == text


def test_a_time_is_told_as_iso_8601() -> None:
    """With its zone."""
    assert value_of(share(created_at=NOW), "created_at") == "2026-11-05T12:00:00+00:00"
