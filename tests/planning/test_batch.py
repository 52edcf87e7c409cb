"""What events ask for is merged by image, and every share that the cloud shows is decided."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorman.models import Cause, Notice, Share
from doorman.planning.batch import Observed, RequestedImage, decide, find_crowds, merge_notices
from doorman.policy.policy import Policy
from tests.builders import BAD, CAUSE, GOLDEN, RECEIVER, START, STRANGER, image_id

ONE, TWO, THREE = image_id(1), image_id(2), image_id(3)
OTHER = Cause(id="cause-2", correlation="correlation-2")


def notice(
    *images: str, cause: Cause = CAUSE, sent_at: datetime | None = None, tries: int = 1, tried: Sequence[str] = ()
) -> Notice:
    """Make a notice of these images."""
    return Notice(
        project_id=RECEIVER, images=images, cause=cause, sent_at=sent_at, tries=tries, tried_vaults=tuple(tried)
    )


def gather(*notices: Notice, window: float = 60) -> dict[str, RequestedImage]:
    """Merge notices at START."""
    return merge_notices(notices, now=START, window=window)


def test_one_notice() -> None:
    """Each of its images is asked for with what the notice says."""
    assert gather(notice(ONE, TWO, tries=2, tried=["v"])) == {
        image: RequestedImage(image_id=image, cause=CAUSE, tries=2, tried_vaults=("v",)) for image in (ONE, TWO)
    }


def test_same_image_twice() -> None:
    """The first to arrive is the cause; claims count as far as all make them: the fewest tries, the common vaults."""
    merged = gather(notice(ONE, tries=2, tried=["a", "b"]), notice(TWO, ONE, cause=OTHER, tries=3, tried=["c", "a"]))
    assert merged == {
        ONE: RequestedImage(image_id=ONE, cause=CAUSE, tries=2, tried_vaults=("a",)),
        TWO: RequestedImage(image_id=TWO, cause=OTHER, tries=3, tried_vaults=("c", "a")),
    }


@pytest.mark.parametrize(
    ("age", "is_young"),
    [(None, False), (0, True), (59.9, True), (60, False), (10**9, False), (-1, True), (-60, True), (-60.1, False)],
)
def test_age(age: float | None, *, is_young: bool) -> None:
    """Within the window, or up to a minute in the future: clocks differ. Unknown counts as past it."""
    sent_at = None if age is None else START - timedelta(seconds=age)
    assert gather(notice(ONE, sent_at=sent_at))[ONE].is_young is is_young


def test_window_of_nothing() -> None:
    """A visibility window of 0 waits for nobody."""
    assert not gather(notice(ONE, sent_at=START), window=0)[ONE].is_young


@pytest.mark.parametrize("ages", [(0, 100), (100, 0)])
def test_young_and_old_notice_of_one_image(ages: tuple[int, int]) -> None:
    """The young one keeps the image waiting, whichever came first."""
    first, second = (notice(ONE, sent_at=START - timedelta(seconds=age)) for age in ages)
    assert gather(first, second)[ONE].is_young


@pytest.mark.parametrize(
    ("ages", "since"),
    [
        ([None], None),
        ([30.5], 31),
        ([0], 0),
        ([86_400], 86_400),
        ([10**6], 86_400),
        ([30, 90.2, None], 91),
        ([-30], -30),
    ],
)
def test_since_when_a_settlement_counts(ages: list[float | None], since: float | None) -> None:
    """From the oldest event's own time, in whole seconds, and at most a day back."""
    notices = [notice(ONE, sent_at=None if age is None else START - timedelta(seconds=age)) for age in ages]
    assert gather(*notices)[ONE].since == (None if since is None else START - timedelta(seconds=since))


def test_a_run_counts_from_its_start() -> None:
    """It has no event whose time could count, and waits for no share to show."""
    began = replace(notice(ONE), counts_from=START - timedelta(seconds=30.5))
    assert gather(began)[ONE] == RequestedImage(image_id=ONE, cause=CAUSE, since=START - timedelta(seconds=31))


NOTICES = st.lists(
    st.builds(
        notice,
        st.sampled_from([ONE, TWO, THREE]),
        cause=st.sampled_from([CAUSE, OTHER]),
        sent_at=st.none() | st.integers(-100, 100).map(lambda age: START + timedelta(seconds=age)),
        tries=st.integers(1, 5),
        tried=st.lists(st.sampled_from("abc"), unique=True),
    ),
    max_size=8,
)


@given(NOTICES)
def test_merging(notices: list[Notice]) -> None:
    """Every image that a notice names is asked for once, with the first cause and what all of them tried."""
    requested = gather(*notices)
    assert list(requested) == list(dict.fromkeys(image for each in notices for image in each.images))
    for image, one in requested.items():
        mine = [each for each in notices if image in each.images]
        assert one.cause == mine[0].cause
        assert one.tries == min(each.tries for each in mine)
        assert set(one.tried_vaults) == set.intersection(*(set(each.tried_vaults) for each in mine))
        assert one.is_young is any(gather(each)[image].is_young for each in mine)


@given(NOTICES)
def test_asking_twice_changes_nothing(notices: list[Notice]) -> None:
    """A redelivered event in the same batch asks for the same."""
    assert gather(*notices, *notices) == gather(*notices)


def share(number: int, owner: str | None) -> Share:
    """Make a share of this owner."""
    return Share(image_id=image_id(number), project_id=RECEIVER, owner=owner, full_ecs=False)


def test_shares_are_decided(policy: Policy) -> None:
    """Pending ones and those that stand otherwise; not our own images, nor those that the cloud does not know."""
    observed = Observed(
        pending={ONE: share(1, GOLDEN), TWO: share(2, RECEIVER)},
        current={THREE: share(3, BAD), image_id(4): None, image_id(5): share(5, STRANGER)},
        unreadable=frozenset({image_id(6)}),
    )
    decided = decide(observed, policy, project_id=RECEIVER, now=START)
    found = {image: decision.action for image, decision in decided.items()}
    assert found == {ONE: "accept", THREE: "reject", image_id(5): "hold"}


@pytest.mark.parametrize(("limit", "held"), [(None, []), (3, []), (2, [1, 2, 3]), (1, [1, 2, 3])])
def test_brake(limit: int | None, held: list[int], policy: Policy) -> None:
    """Above the limit all acceptable shares of an owner are held, and nobody else's; what is rejected counts not."""
    policy = replace(policy, accepts_per_owner=limit)
    shares = {
        each.image_id: each
        for each in [*(share(number, GOLDEN) for number in (1, 2, 3)), share(4, BAD), share(5, BAD), share(6, RECEIVER)]
    }
    crowds = find_crowds(shares.values(), policy, project_id=RECEIVER, now=START)
    decided = decide(Observed(pending=shares, crowds=crowds), policy, project_id=RECEIVER, now=START)
    assert [image for image, each in decided.items() if each.reason == "limit_reached"] == list(map(image_id, held))
    assert [decided[image_id(number)].action for number in (4, 5)] == ["reject", "reject"]


def test_brake_looks_at_all_that_waits(policy: Policy) -> None:
    """However events are grouped: one image of a crowd is held as the whole crowd is."""
    policy = replace(policy, accepts_per_owner=1)
    crowd = find_crowds([share(1, GOLDEN), share(2, GOLDEN)], policy, project_id=RECEIVER, now=START)
    decided = decide(Observed(pending={ONE: share(1, GOLDEN)}, crowds=crowd), policy, project_id=RECEIVER, now=START)
    assert (decided[ONE].action, decided[ONE].facts["accepts_per_owner"]) == ("hold", "1")
