"""What was settled earlier against today's policy: what counts as drift, how the sweep tells it, and what it does."""

from datetime import timedelta

import pytest

from doorman.cloud.project import Cloud
from doorman.errors import Unavailable
from doorman.events.messages import EventType
from doorman.handlers.sweep import Tour, sweep
from doorman.models import Action, MemberStatus, OutcomeType, Reason, Share, Status
from doorman.planning.drift import Drift, conclude_drift, find_drift
from doorman.policy.decision import Decision
from doorman.policy.policy import load
from tests.builders import CAUSE, START, image_id
from tests.chain import BAD, GOLDEN, POLICY, RECEIVER, STRANGER, Chain

HELD = "owner-by-hand"
BY_HAND = POLICY.replace("rules:\n", f"rules:\n  - {{name: by-hand, owners: [{HELD}], decision: hold}}\n")
EXCEPTION = f"""
exceptions:
  - name: partner
    owners: [{STRANGER}]
    decision: accept
    reason: migration
    by: jane
    expires: {START.date()}
"""


def share(owner: str, status: MemberStatus, number: int = 1, **fields: object) -> Share:
    """Describe a settled share."""
    fields = {"full_ecs": False, **fields}
    return Share(image_id=image_id(number), project_id=RECEIVER, owner=owner, member_status=status, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("owner", "status", "action", "is_persons"),
    [
        (GOLDEN, "accepted", None, False),
        (BAD, "rejected", None, False),
        (BAD, "accepted", "reject", False),
        (GOLDEN, "rejected", "accept", False),
        (STRANGER, "accepted", "hold", False),
        (STRANGER, "rejected", "hold", True),
        (HELD, "accepted", "hold", True),
        (HELD, "rejected", "hold", True),
        (RECEIVER, "accepted", None, False),
    ],
)
def test_what_is_drift(owner: str, status: MemberStatus, action: Action | None, *, is_persons: bool) -> None:
    """Whatever the policy would decide otherwise; what a person may have settled is known as that."""
    drifts = find_drift([share(owner, status)], load(BY_HAND), project_id=RECEIVER, now=START)
    assert [(each.decision.action, each.is_perhaps_wanted) for each in drifts] == (
        [] if action is None else [(action, is_persons)]
    )


def test_a_vault_is_needed_to_accept_not_to_stay_accepted() -> None:
    """An accepted full-ECS image whose vault is mapped no longer stands as it should; a rejected one does not."""
    policy = load(POLICY[: POLICY.index("vaults:")])
    settled = [share(GOLDEN, "accepted", 1, full_ecs=True), share(GOLDEN, "rejected", 2, full_ecs=True)]
    (drift,) = find_drift(settled, policy, project_id=RECEIVER, now=START)
    assert (drift.share.image_id, drift.decision.reason, drift.wanted) == (image_id(2), Reason.VAULT_MISSING, None)


def test_an_outcome_of_drift_says_why_the_policy_would_decide_otherwise() -> None:
    """With how the share stands now, and that a person may have wanted it so."""
    decision = Decision(action="hold", reason=Reason.HELD_BY_RULE, rule="by-hand", facts={"owner": HELD})
    told = conclude_drift(Drift(share=share(HELD, "accepted", name="tool"), decision=decision), cause=CAUSE)
    found = (told.type, told.reason, told.rule, told.decision)
    assert found == (OutcomeType.DRIFTED, Reason.HELD_BY_RULE, "by-hand", "hold")
    assert (told.member_status, told.name, told.owner, told.cause) == ("accepted", "tool", HELD, CAUSE.id)
    assert told.facts == {"owner": HELD, "person": "possible"}


@pytest.mark.anyio
async def test_the_sweep_tells_drift_under_one_dedupekey() -> None:
    """Owner removed, rule changed: told on every tick with the same key, and nothing is settled."""
    chain = Chain()
    bad, stranger = chain.share(BAD, status="accepted"), chain.share(STRANGER, status="accepted")
    chain.share(STRANGER, status="rejected")
    chain.share(status="accepted")
    for tick in ("tick-1", "tick-2"):
        await chain.tick(tick)
        await chain.settle()
    first, second = chain.of(EventType.DRIFTED)
    assert [(entry["image_id"], entry["reason"]) for entry in first.data["images"]] == sorted(
        [(bad, "rejected_by_rule"), (stranger, "owner_not_allowed")]
    )
    assert first.extensions["dedupekey"] == second.extensions["dedupekey"]
    assert (first.id == second.id, first.extensions["severity"]) == (False, "action")
    assert chain.members_calls() == []


YOUNG = POLICY.replace(
    f"owners: [{GOLDEN}]\n    decision",
    f"owners: [{GOLDEN}]\n    images: {{age_days: {{at_most: 90}}}}\n    decision",
    1,
)


@pytest.mark.anyio
async def test_what_time_alone_has_changed_is_no_drift() -> None:
    """Let in under an exception that has ended since, or as a young image that has grown old: it stays."""
    chain = Chain(policy=YOUNG + EXCEPTION)
    young, excepted = chain.share(), chain.share(STRANGER)
    await chain.tick("tick-1")
    await chain.settle()
    assert chain.told() == sorted(
        [(young, "accepted", "allowed_owner"), (excepted, "accepted", "allowed_by_exception")]
    )
    await chain.wait(timedelta(days=91).total_seconds())
    await chain.tick("tick-2")
    assert chain.of(EventType.DRIFTED) == []


@pytest.mark.anyio
async def test_a_rule_that_rejects_revokes_what_an_exception_let_in() -> None:
    """That is drift, with the rule's reason."""
    ban = f"rules:\n  - {{name: revoked, owners: [{STRANGER}], decision: reject}}\n"
    chain = Chain(policy=POLICY.replace("rules:\n", ban) + EXCEPTION.replace(str(START.date()), "2020-01-01"))
    image = chain.share(STRANGER, status="accepted")
    await chain.tick()
    assert chain.told(kind=EventType.DRIFTED) == [(image, "drifted", "rejected_by_rule")]


@pytest.mark.anyio
async def test_the_sweep_settles_anew_where_the_policy_says_so() -> None:
    """What the policy decides; what it would leave to a person stays as it is."""
    chain = Chain(policy=POLICY + "reconcile: {tell: false, enforce: true}\n")
    bad, stranger = chain.share(BAD, status="accepted"), chain.share(STRANGER, status="accepted")
    await chain.tick()
    await chain.settle()
    assert chain.told(kind=EventType.REJECTED) == [(bad, "rejected", "rejected_by_rule")]
    assert [event.data["status"] for event in chain.of(EventType.DECIDED)] == ["rejected"]
    assert chain.cloud.member_status(stranger, RECEIVER) == "accepted"


@pytest.mark.anyio
async def test_a_tick_tells_no_drift_where_the_policy_does_not_want_it() -> None:
    """Neither list of what is settled is read then."""
    chain = Chain(policy=POLICY + "reconcile: {tell: false}\n")
    chain.share(BAD, status="accepted")
    await chain.tick()
    assert [event.type for event in chain.tray.events] == [EventType.PENDING]
    assert not any("member_status=accepted" in call.query for call in chain.cloud.calls)


class HalfBlind(Cloud):
    """A cloud whose lists of settled shares cannot be read."""

    async def settled(self, status: Status) -> dict[str, Share]:
        """Refuse."""
        raise Unavailable(f"the list of {status} shares cannot be read")


@pytest.mark.anyio
async def test_a_tick_goes_on_where_drift_cannot_be_read() -> None:
    """What waits is notified and listed all the same; the next tick looks again."""
    chain = Chain()
    chain.share()
    await chain.swap(HalfBlind)
    counts = await sweep(await chain.served.context(RECEIVER), Tour(cause=CAUSE))
    assert counts == {"pending": 1, "notified": 1, "unread": 0}
    assert chain.tray.types() == ["notified", "pending"]
