"""The plan of a round: as few calls as may be, none against policy, and no asked image forgotten."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorman.events.messages import CheckData, CheckedShare
from doorman.events.writing import EventWriter, follow
from doorman.models import MAX_IMAGES, Cause, MemberStatus, Notice, Outcome, OutcomeType, Reason, Share
from doorman.planning.batch import Facts, RequestedImage, decide, merge_notices
from doorman.planning.plan import MembersCall, Plan, carried, make_plan, pick_vault
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
TRIAL = """\
  - name: on-trial
    owners: [golden-owner]
    decision: reject
    mode: audit
"""


def share(number: int, owner: str = GOLDEN, **fields: Any) -> Share:
    """Make a pending share."""
    fields = {"full_ecs": False, "member_status": "pending", "name": f"image {number}", **fields}
    return Share(image_id=image_id(number), project_id=RECEIVER, owner=owner, **fields)


def plan(
    *shares: Share,
    standings: Mapping[str, Share | None] | None = None,
    unlisted: frozenset[str] = frozenset(),
    tried: tuple[str, ...] = (),
    is_young: bool = False,
    is_audit: bool = False,
    max_images: int = 100,
    policy: str = POLICY,
) -> Plan:
    """Draw the plan of a round that asks for all of these."""
    facts = Facts(pending={each.image_id: each for each in shares}, standings=standings or {}, unlisted=unlisted)
    images = (*facts.pending, *facts.standings, *unlisted)
    sent_at = START if is_young else START - timedelta(1)
    notice = Notice(project_id=RECEIVER, images=images, cause=CAUSE, sent_at=sent_at, tried_vaults=tried)
    asks = merge_notices([notice], now=START, window=60)
    decided = decide(facts, load(policy), project_id=RECEIVER, now=START)
    return make_plan(asks, facts, decided, project_id=RECEIVER, is_audit=is_audit, max_images=max_images)


def told(drawn: Plan) -> list[tuple[str, OutcomeType, Reason]]:
    """Give the outcomes' images, fates and reasons."""
    return [(outcome.image_id, outcome.fate, outcome.reason) for outcome in drawn.outcomes]


def test_one_call_per_status_and_vault() -> None:
    """However many images and whoever they are of."""
    drawn = plan(share(1), share(2, BAD), share(3), share(4, full_ecs=True), share(5, BAD, full_ecs=True))
    assert drawn == Plan(
        calls=(
            MembersCall(status="accepted", vault_id=None, images=(ONE, THREE)),
            MembersCall(status="rejected", vault_id=None, images=(TWO, image_id(5))),
            MembersCall(status="accepted", vault_id=VAULT, images=(image_id(4),)),
        )
    )


def test_held_share() -> None:
    """It is told and left alone."""
    drawn = plan(share(1, STRANGER))
    assert drawn == Plan(
        outcomes=(
            Outcome(
                fate=OutcomeType.HELD,
                image_id=ONE,
                reason=Reason.OWNER_NOT_ALLOWED,
                cause="cause-1",
                name="image 1",
                owner=STRANGER,
                member_status="pending",
                decision="hold",
                facts={"owner": STRANGER},
            ),
        )
    )


@pytest.mark.parametrize("status", ["pending", "accepted", "rejected"])
def test_own_image(status: MemberStatus) -> None:
    """Skipped under any member status, wherever it was seen: nothing is written."""
    own = share(1, RECEIVER, member_status=status)
    for drawn in (plan(own), plan(own, is_audit=True), plan(standings={ONE: own})):
        assert drawn.calls == ()
        assert told(drawn) == [(ONE, OutcomeType.SKIPPED, Reason.OWN_IMAGE)]


def test_settled_and_gone_images() -> None:
    """Skipped, and nothing is overwritten."""
    standings = {
        ONE: share(1, member_status="accepted"),
        TWO: share(2, member_status="rejected"),
        THREE: None,
        image_id(4): share(4, STRANGER, member_status="rejected"),
    }
    drawn = plan(standings=standings)
    assert (drawn.calls, told(drawn)) == (
        (),
        [
            (ONE, OutcomeType.SKIPPED, Reason.ALREADY_SETTLED),
            (TWO, OutcomeType.SKIPPED, Reason.SETTLED_OTHERWISE),
            (THREE, OutcomeType.SKIPPED, Reason.NOT_SHARED),
            (image_id(4), OutcomeType.SKIPPED, Reason.ALREADY_SETTLED),
        ],
    )


def test_young_share_that_is_not_seen() -> None:
    """It may become visible; the others of the round do not wait for it, and what is settled is settled."""
    drawn = plan(share(1), standings={TWO: None, THREE: share(3, member_status="accepted")}, is_young=True)
    assert drawn.calls == (MembersCall(status="accepted", vault_id=None, images=(ONE,)),)
    assert drawn.invisible == frozenset({TWO})
    assert told(drawn) == [(THREE, OutcomeType.SKIPPED, Reason.ALREADY_SETTLED)]


@pytest.mark.parametrize("is_young", [True, False])
def test_pending_share_that_no_list_shows(*, is_young: bool) -> None:
    """Nothing is known to decide it by: it must be asked for again, however old the event."""
    assert plan(unlisted=frozenset({ONE}), is_young=is_young) == Plan(invisible=frozenset({ONE}))


class TestVaults:
    """Where a whole server's backup goes."""

    def test_next_vault(self) -> None:
        """The first that was not tried."""
        drawn = plan(share(1, full_ecs=True), tried=(VAULT,))
        assert drawn.calls == (MembersCall(status="accepted", vault_id=SECOND_VAULT, images=(ONE,)),)

    def test_no_vault_left(self) -> None:
        """Held: a person must look."""
        drawn = plan(share(1, full_ecs=True), tried=(VAULT, SECOND_VAULT))
        assert told(drawn) == [(ONE, OutcomeType.HELD, Reason.VAULT_FAILED)]
        assert drawn.outcomes[0].vault_id is None

    def test_no_vault_mapped(self) -> None:
        """Held, and the policy is what is missing."""
        drawn = plan(share(1, full_ecs=True), policy=POLICY.partition("vaults:")[0])
        assert (drawn.calls, told(drawn)) == ((), [(ONE, OutcomeType.HELD, Reason.VAULT_MISSING)])

    def test_vault_that_does_not_serve(self) -> None:
        """Where a choice finds nothing with room, none is mapped for this image."""
        policy = POLICY.partition("vaults:")[0] + "vaults: [{candidates: [v]}]\n"
        drawn = plan(share(1, full_ecs=True, min_disk=40), policy=policy)
        assert drawn.calls == (MembersCall(status="accepted", vault_id="v", images=(ONE,)),)
        ask, decision = RequestedImage(image_id=ONE, cause=CAUSE), decide_one(share(1, full_ecs=True), policy)
        assert pick_vault(ask, share(1, full_ecs=True), decision, []) == (None, Reason.VAULT_MISSING)

    def test_other_images_need_none(self) -> None:
        """No vault is sent along."""
        assert pick_vault(RequestedImage(image_id=ONE, cause=CAUSE), share(1), decide_one(share(1)), None) == (
            None,
            None,
        )


def decide_one(one: Share, policy: str = POLICY) -> Any:
    """Decide one share."""
    return decide(Facts(pending={one.image_id: one}), load(policy), project_id=RECEIVER, now=START)[one.image_id]


class TestAudit:
    """Everything is decided, nothing is written."""

    @pytest.mark.parametrize(("is_audit", "policy"), [(True, POLICY), (False, f"mode: audit\n{POLICY}")])
    def test_whole_round(self, *, is_audit: bool, policy: str) -> None:
        """By either switch: what would have been done is told with the vault that would have been used."""
        shares = [share(1), share(2, BAD), share(3, STRANGER), share(4, full_ecs=True)]
        drawn = plan(*shares, is_audit=is_audit, policy=policy)
        assert drawn.calls == ()
        assert [(outcome.fate, outcome.decision, outcome.reason, outcome.vault_id) for outcome in drawn.outcomes] == [
            (OutcomeType.AUDITED, "accept", Reason.ALLOWED_OWNER, None),
            (OutcomeType.AUDITED, "reject", Reason.REJECTED_BY_RULE, None),
            (OutcomeType.AUDITED, "hold", Reason.OWNER_NOT_ALLOWED, None),
            (OutcomeType.AUDITED, "accept", Reason.ALLOWED_OWNER, VAULT),
        ]

    def test_missing_vault(self) -> None:
        """Told as the reason why it would have been held."""
        drawn = plan(share(1, full_ecs=True), tried=(VAULT, SECOND_VAULT), is_audit=True)
        assert told(drawn) == [(ONE, OutcomeType.AUDITED, Reason.VAULT_FAILED)]

    def test_rule_on_trial(self) -> None:
        """What it would have done is told beside what the enforced rules do."""
        drawn = plan(share(1), policy=POLICY.replace("rules:\n", f"rules:\n{TRIAL}"))
        assert drawn.calls == (MembersCall(status="accepted", vault_id=None, images=(ONE,)),)
        assert [(each.fate, each.rule, each.decision, each.reason) for each in drawn.outcomes] == [
            (OutcomeType.AUDITED, "on-trial", "reject", Reason.REJECTED_BY_RULE)
        ]


class TestSize:
    """No call takes more images than one check can carry."""

    @pytest.mark.parametrize(
        ("count", "most", "sizes"),
        [(5, 2, [2, 2, 1]), (4, 2, [2, 2]), (3, 100, [3]), (1, 1, [1]), (1500, 999_999, [MAX_IMAGES, 500])],
    )
    def test_number(self, count: int, most: int, sizes: list[int]) -> None:
        """As many as the setting says, and never more than a check may name."""
        shares = [Share(image_id=image_id(n), project_id=RECEIVER, owner=GOLDEN) for n in range(count)]
        drawn = plan(*shares, max_images=most)
        assert [len(each.images) for each in drawn.calls] == sizes
        assert [image for each in drawn.calls for image in each.images] == [each.image_id for each in shares]

    @pytest.mark.parametrize("name", ["\x00" * 255, "😀" * 255, '"' * 255, "x"])
    def test_longest_names(self, name: str) -> None:
        """Whatever the sharers call their images, each call's check is an event that brokers take."""
        cause = Cause(id="😀" * 256, correlation="😀" * 256, tracestate="€" * 512, traceparent="0" * 55)
        shares = [share(number, name=name) for number in range(1000)]
        facts = Facts(pending={each.image_id: each for each in shares})
        asks = {each.image_id: RequestedImage(image_id=each.image_id, cause=cause) for each in shares}
        decided = decide(facts, load(POLICY), project_id=RECEIVER, now=START)
        drawn = make_plan(asks, facts, decided, project_id=RECEIVER, is_audit=False, max_images=10_000)
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
                shares={image: carried(asks[image], facts.pending[image], decided[image]) for image in part.images},
            )
            assert size_of(follow(writer, check, cause=cause, now=START)) <= LIMIT


def test_carried_share() -> None:
    """What a check takes along of each image."""
    ask = RequestedImage(image_id=ONE, cause=CAUSE)
    assert carried(ask, share(1), decide_one(share(1))) == CheckedShare(
        name="image 1", owner=GOLDEN, rule="golden-images", cause="cause-1"
    )


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
    """In a call, an outcome or among the invisible, exactly once; calls are only for what policy settles."""
    standings: dict[str, Share | None] = {each.image_id: each for each in settled} | dict.fromkeys(unknown)
    drawn = plan(
        *pending, standings=standings, is_young=is_young, is_audit=is_audit, tried=tuple(tried), max_images=most
    )
    called = [image for each in drawn.calls for image in each.images]
    ended = [*called, *(outcome.image_id for outcome in drawn.outcomes), *drawn.invisible]
    assert sorted(ended) == sorted({each.image_id for each in pending} | standings.keys())
    owners = {each.image_id: each.owner for each in pending}
    wanted = {GOLDEN: "accepted", BAD: "rejected"}
    assert all(wanted[owners[image] or ""] == each.status for each in drawn.calls for image in each.images)
    assert not (is_audit and called)
    assert all(1 <= len(each.images) <= most for each in drawn.calls)
