"""The plan of a batch: as few calls as may be, none against policy, and no asked image forgotten."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorman.events.messages import CheckData, CheckedShare
from doorman.events.writing import EventWriter, job_check_event
from doorman.models import MAX_IMAGES, Cause, MemberStatus, Notice, OutcomeType, Reason, Share
from doorman.planning.batch import Observed, RequestedImage, decide, merge_notices
from doorman.planning.plan import (
    MembersCall,
    Plan,
    check_share,
    halve,
    make_plan,
    max_extra_calls,
    pick_vault,
    place,
    regroup,
)
from doorman.policy.policy import load
from tests.builders import (
    BAD,
    CAUSE,
    GOLDEN,
    LIMIT,
    POLICY,
    RECEIVER,
    SECOND_VAULT,
    START,
    STRANGER,
    VAULT,
    image_id,
    size_of,
)

ONE, TWO, THREE = image_id(1), image_id(2), image_id(3)


def share(number: int, owner: str = GOLDEN, **fields: Any) -> Share:
    """Make a pending share."""
    fields = {"full_ecs": False, "member_status": "pending", "name": f"image {number}", **fields}
    return Share(image_id=image_id(number), project_id=RECEIVER, owner=owner, **fields)


def plan(
    *shares: Share,
    current: Mapping[str, Share | None] | None = None,
    unreadable: frozenset[str] = frozenset(),
    tried: tuple[str, ...] = (),
    is_young: bool = False,
    is_audit: bool = False,
    max_images: int = 100,
    policy: str = POLICY,
) -> Plan:
    """Make the plan of a batch that asks for all of these."""
    observed = Observed(pending={each.image_id: each for each in shares}, current=current or {}, unreadable=unreadable)
    images = (*observed.pending, *observed.current, *unreadable)
    sent_at = START if is_young else START - timedelta(1)
    notice = Notice(project_id=RECEIVER, images=images, cause=CAUSE, sent_at=sent_at, tried_vaults=tried)
    requested = merge_notices([notice], now=START, window=60)
    decided = decide(observed, load(policy), project_id=RECEIVER, now=START)
    return make_plan(requested, observed, decided, project_id=RECEIVER, is_audit=is_audit, max_images=max_images)


def told(drawn: Plan) -> list[tuple[str, OutcomeType, Reason]]:
    """Give the outcomes' images, types and reasons."""
    return [(outcome.image_id, outcome.type, outcome.reason) for outcome in drawn.outcomes]


@pytest.mark.parametrize("status", ["pending", "accepted", "rejected"])
def test_own_image(status: MemberStatus) -> None:
    """Skipped under any member status, wherever it was seen: nothing is written."""
    own = share(1, RECEIVER, member_status=status)
    for drawn in (plan(own), plan(own, is_audit=True), plan(current={ONE: own})):
        assert drawn.calls == ()
        assert told(drawn) == [(ONE, OutcomeType.SKIPPED, Reason.OWN_IMAGE)]


@pytest.mark.parametrize("is_young", [True, False])
def test_pending_share_that_no_list_shows(*, is_young: bool) -> None:
    """Nothing is known to decide it by: it must be asked for again, however old the event."""
    assert plan(unreadable=frozenset({ONE}), is_young=is_young) == Plan(
        later={ONE: "the share waits, but its image cannot be read now"}
    )


class TestVaults:
    """Where a whole server's backup goes."""

    def test_next_vault(self) -> None:
        """The first that was not tried."""
        drawn = plan(share(1, full_ecs=True), tried=(VAULT,))
        assert drawn.calls == (MembersCall(status="accepted", vault_id=SECOND_VAULT, images=(ONE,)),)

    def test_vaults_that_failed_here(self) -> None:
        """They are not tried again, even where none is left."""
        server = share(1, full_ecs=True)
        request, decision = RequestedImage(image_id=ONE, cause=CAUSE), decide_one(server)
        assert pick_vault(request, server, decision, None, failed=(VAULT,)) == SECOND_VAULT
        assert pick_vault(request, server, decision, None, failed=(VAULT, SECOND_VAULT)) is None

    def test_vault_that_does_not_serve(self) -> None:
        """Where a choice finds nothing with room, none is mapped for this image."""
        policy = POLICY.partition("vaults:")[0] + "vaults: [{candidates: [v]}]\n"
        drawn = plan(share(1, full_ecs=True, min_disk=40), policy=policy)
        assert drawn.calls == (MembersCall(status="accepted", vault_id="v", images=(ONE,)),)
        ask, decision = RequestedImage(image_id=ONE, cause=CAUSE), decide_one(share(1, full_ecs=True), policy)
        held = replace(decision, action="hold", reason=Reason.VAULT_MISSING, vaults=())
        assert place(ask, share(1, full_ecs=True), decision, []) == (None, held)

    def test_other_images_need_none(self) -> None:
        """No vault is sent along."""
        ask, decision = RequestedImage(image_id=ONE, cause=CAUSE), decide_one(share(1))
        assert place(ask, share(1), decision, None) == (None, decision)


def decide_one(one: Share, policy: str = POLICY) -> Any:
    """Decide one share."""
    return decide(Observed(pending={one.image_id: one}), load(policy), project_id=RECEIVER, now=START)[one.image_id]


def test_missing_vault() -> None:
    """Told as the reason why it would have been held."""
    drawn = plan(share(1, full_ecs=True), policy=POLICY.partition("vaults:")[0], is_audit=True)
    assert told(drawn) == [(ONE, OutcomeType.AUDITED, Reason.VAULT_MISSING)]


class TestSize:
    """No call takes more images than one check can carry."""

    @pytest.mark.parametrize(
        ("count", "most", "sizes"),
        [(5, 2, [2, 2, 1]), (4, 2, [2, 2]), (3, 100, [3]), (1, 1, [1]), (1500, 999_999, [MAX_IMAGES, 500])],
    )
    def test_number(self, count: int, most: int, sizes: list[int]) -> None:
        """As many as the setting says, and never more than a check may name."""
        shares = [share(number) for number in range(count)]
        drawn = plan(*shares, max_images=most)
        assert [len(each.images) for each in drawn.calls] == sizes
        assert [image for each in drawn.calls for image in each.images] == [each.image_id for each in shares]

    @pytest.mark.parametrize("name", ["\x00" * 255, "😀" * 255, '"' * 255, "x"])
    def test_longest_names(self, name: str) -> None:
        """Whatever the sharers call their images, each call's check is an event that brokers take."""
        cause = Cause(id="😀" * 256, correlation="😀" * 256, tracestate="€" * 512, traceparent="0" * 55)
        shares = [share(number, name=name) for number in range(1000)]
        observed = Observed(pending={each.image_id: each for each in shares})
        requested = {each.image_id: RequestedImage(image_id=each.image_id, cause=cause) for each in shares}
        decided = decide(observed, load(POLICY), project_id=RECEIVER, now=START)
        drawn = make_plan(requested, observed, decided, project_id=RECEIVER, is_audit=False, max_images=10_000)
        writer = EventWriter(project_id=RECEIVER, region=None, policy_digest="0" * 16)
        for part in drawn.calls:
            check = CheckData(
                project_id="p" * 64,
                job_id="j" * 64,
                status=part.status,
                images=part.images,
                vault_id="v" * 64,
                submitted_at=START,
                attempt=1,
                tried_vaults=tuple(f"{number:064}" for number in range(20)),
                shares={
                    image: CheckedShare(**check_share(requested[image], observed.pending[image], decided[image]))
                    for image in part.images
                },
            )
            assert size_of(job_check_event(writer, check.model_dump(mode="json"), cause=cause, now=START)) <= LIMIT


def test_carried_share() -> None:
    """What a check takes along of each image."""
    ask = RequestedImage(image_id=ONE, cause=CAUSE)
    carried = {"name": "image 1", "owner": GOLDEN, "rule": "golden-images", "cause": "cause-1"}
    assert check_share(ask, share(1), decide_one(share(1))) == carried


@pytest.mark.parametrize(("images", "extra"), [(1, 10), (2, 10), (10, 16), (100, 22), (1000, 28)])
def test_extra_calls(images: int, extra: int) -> None:
    """What a batch may cause beyond its own calls grows with the logarithm of its images: 2 log2 N + 8."""
    assert max_extra_calls(images) == extra


@pytest.mark.parametrize(
    ("count", "tries", "sizes"),
    [(10, 2, [3, 3, 3, 1]), (10, 3, [1] * 10), (1, 2, [1]), (100, 2, [10] * 10), (0, 2, [])],
)
def test_suspects_travel_in_smaller_groups(count: int, tries: int, sizes: list[int]) -> None:
    """And at the last try alone."""
    images = [image_id(number) for number in range(count)]
    groups = list(regroup(images, tries=tries))
    assert [len(group) for group in groups] == sizes
    assert [image for group in groups for image in group] == images


def test_halves() -> None:
    """Both together are the call, each a call of its own."""
    call = MembersCall(status="accepted", vault_id=None, images=(ONE, TWO, THREE), attempt=2)
    assert halve(call) == [
        MembersCall(status="accepted", vault_id=None, images=(THREE,)),
        MembersCall(status="accepted", vault_id=None, images=(ONE, TWO)),
    ]


SHARES = st.builds(
    share,
    st.integers(0, 30),
    st.sampled_from([GOLDEN, BAD, STRANGER, RECEIVER]),
    full_ecs=st.sampled_from([True, False, None]),
)
SETTLED = st.builds(
    share, st.integers(31, 60), st.sampled_from([GOLDEN, BAD]), member_status=st.sampled_from(["accepted", "rejected"])
)


@given(
    pending=st.lists(SHARES, max_size=12, unique_by=lambda each: each.image_id),
    settled=st.lists(SETTLED, max_size=6, unique_by=lambda each: each.image_id),
    unknown=st.sets(st.integers(61, 70).map(image_id)),
    is_young=st.booleans(),
    is_audit=st.booleans(),
    tried=st.lists(st.sampled_from([VAULT, SECOND_VAULT]), unique=True),
    most=st.integers(1, 5),
)
def test_every_image_ends_in_one_place(
    *,
    pending: list[Share],
    settled: list[Share],
    unknown: set[str],
    is_young: bool,
    is_audit: bool,
    tried: list[str],
    most: int,
) -> None:
    """In a call, an outcome or among those for later, exactly once; calls are only for what policy settles."""
    current: dict[str, Share | None] = {each.image_id: each for each in settled} | dict.fromkeys(unknown)
    drawn = plan(*pending, current=current, is_young=is_young, is_audit=is_audit, tried=tuple(tried), max_images=most)
    called = [image for each in drawn.calls for image in each.images]
    ended = [*called, *(outcome.image_id for outcome in drawn.outcomes), *drawn.later]
    assert sorted(ended) == sorted({each.image_id for each in pending} | current.keys())
    owners = {each.image_id: each.owner for each in pending}
    wanted = {GOLDEN: "accepted", BAD: "rejected"}
    assert all(wanted[owners[image] or ""] == each.status for each in drawn.calls for image in each.images)
    assert not (is_audit and called)
    assert all(1 <= len(each.images) <= most for each in drawn.calls)
