"""How every image ends: each reason with its moment, facts and outcome, and nothing that no reading supports."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorman.cloud.api.base import Failure
from doorman.errors import Refused
from doorman.models import MAX_TRIED_VAULTS, Job, JobState, Outcome, OutcomeType, Reason, Share
from doorman.planning import outcomes
from doorman.planning.batch import RequestedImage
from doorman.planning.outcomes import (
    WANTED,
    Again,
    Checked,
    End,
    Untold,
    after_call,
    after_job,
    after_refusal,
    before_call,
    decided,
    hold,
    is_past,
    trials,
)
from doorman.policy.decision import Decision, Trial, hold_without_vault
from doorman.policy.policy import VaultRule
from tests.builders import CAUSE, RECEIVER, START, image_id

ONE, TWO = image_id(1), image_id(2)
ASKED = RequestedImage(image_id=ONE, cause=CAUSE, since=START)
LAST_TRY = replace(ASKED, tries=3)
ACCEPT = Decision(action="accept", reason=Reason.ALLOWED_OWNER, rule="golden", facts={"owner": "o"})
INTO_VAULT = replace(ACCEPT, vaults=(VaultRule(vault="v"),))
REJECT = Decision(action="reject", reason=Reason.REJECTED_BY_RULE, rule="bad")
HOLD = Decision(action="hold", reason=Reason.OWNER_NOT_ALLOWED)
LISTED = frozenset({ONE})


def share(status: Any = "pending", owner: str | None = "o", **fields: Any) -> Share:
    """Make a share that stands like this."""
    return Share(image_id=ONE, project_id=RECEIVER, owner=owner, full_ecs=False, member_status=status, **fields)


def before(current: Share | None, decision: Decision | None = ACCEPT, asked: RequestedImage = ASKED) -> End:
    """Ask the first ladder."""
    return before_call(asked, current, decision, project_id=RECEIVER)


def refused(code: str, current: Share | None = None, asked: RequestedImage = LAST_TRY, status: int = 400) -> End:
    """Ask the second ladder."""
    refusal = Refused("no", code=code, status=status)
    current = current or share()
    return after_refusal(asked, share(), current, ACCEPT, refusal=refusal, project_id=RECEIVER)


def job(
    state: JobState,
    current: Share | None,
    decision: Decision | None = ACCEPT,
    *,
    code: str | None = None,
    images: frozenset[str] | None = LISTED,
    vaults_left: bool = False,
    **claims: Any,
) -> End:
    """Ask the third ladder, at the last try of an image that is alone in its job."""
    checked = Checked(
        job=Job(state=state, error_code=code, images=images),
        **{"is_over": False, "together": 1, "status": "accepted", "tries": 3, **claims},
    )
    return after_job(ASKED, current, decision, checked=checked, vaults_left=vaults_left, project_id=RECEIVER)


def called(current: Share | None, wanted: Any = "accepted") -> End:
    """Ask the fourth ladder."""
    return after_call(ASKED, current, ACCEPT, wanted=wanted, project_id=RECEIVER)


RECENT = share("accepted", settled_at=START)
OLD = share("accepted", settled_at=START - timedelta(seconds=1))
FAIL, DONE, RUNS = JobState.FAIL, JobState.SUCCESS, JobState.RUNNING

TABLE: list[tuple[str, End, str, str]] = [
    # before the call
    ("ours, whatever its status", before(share("accepted", RECEIVER)), "skipped", "own_image"),
    ("gone", before(None, None), "skipped", "not_shared"),
    ("settled since the event", before(RECENT), "accepted", "already_settled"),
    ("settled before it", before(OLD), "skipped", "already_settled"),
    ("settled as only a list says", before(share("accepted")), "accepted", "already_settled"),
    ("rejected since", before(share("rejected", settled_at=START), REJECT), "rejected", "already_settled"),
    (
        "settled; the event bears no time",
        before(RECENT, asked=replace(ASKED, since=None)),
        "skipped",
        "already_settled",
    ),
    ("settled, and the policy holds it", before(RECENT, HOLD), "skipped", "already_settled"),
    ("settled the other way", before(share("rejected")), "skipped", "settled_otherwise"),
    ("held by the policy", hold(ASKED, share(), HOLD, None), "held", "owner_not_allowed"),
    ("no vault is mapped", hold(ASKED, share(), hold_without_vault(INTO_VAULT), None), "held", "vault_missing"),
    ("only watched", hold(ASKED, share(), replace(ACCEPT, audit=True), "v"), "audited", "allowed_owner"),
    ("about to be settled", decided(ASKED, share(), ACCEPT, vault_id=None), "decided", "allowed_owner"),
    # after a refusal
    ("meanwhile gone", before(None), "skipped", "not_shared"),
    ("meanwhile settled", refused("IMG.0067", RECENT), "accepted", "already_settled"),
    ("a bad request", refused("IMG.0067"), "failed", "request_refused"),
    ("no right", refused("IMG.0106", status=403), "failed", "permission_denied"),
    ("the cloud says it is gone; it is not", refused("IMG.0027"), "failed", "still_pending"),
    ("not usable now", refused("IMG.0046"), "skipped", "not_usable"),
    ("no vault left", refused("IMG.0182"), "held", "vault_failed"),
    ("may pass, at the last try", refused("IMG.0064"), "failed", "request_refused"),
    ("the service fails, at the last try", refused("500", status=500), "failed", "request_refused"),
    # after the job
    ("done", job(DONE, RECENT), "accepted", "allowed_owner"),
    ("done, though the job failed", job(FAIL, RECENT, code="IMG.0064"), "accepted", "allowed_owner"),
    (
        "rejected as the policy says, whatever the check says",
        job(DONE, share("rejected"), REJECT),
        "rejected",
        "rejected_by_rule",
    ),
    ("ours", job(DONE, share("accepted", RECEIVER), None), "skipped", "own_image"),
    ("gone in the middle", job(DONE, None, None), "skipped", "not_shared"),
    ("the job is done, the share waits", job(DONE, share()), "failed", "still_pending"),
    ("nobody knows the job", job(JobState.UNKNOWN, share()), "failed", "still_pending"),
    ("the job failed", job(FAIL, share(), code="IMG.0067"), "failed", "job_failed"),
    ("the job failed, last try", job(FAIL, share(), code="IMG.0064"), "failed", "job_failed"),
    ("not usable", job(FAIL, share(), code="IMG.0046"), "skipped", "not_usable"),
    ("the last vault failed", job(FAIL, share(), INTO_VAULT, code="IMG.0182", vault_id="v"), "held", "vault_failed"),
    (
        "a vault that no policy could choose",
        job(FAIL, share(), INTO_VAULT, code="IMG.0182", vault_id="x"),
        "held",
        "vault_failed",
    ),
    ("it runs too long, by its own record", job(RUNS, share(), is_over=True), "failed", "job_timed_out"),
    ("it runs too long and lists nothing", job(RUNS, share(), images=None, is_over=True), "failed", "still_pending"),
    ("failed, and lists nothing", job(FAIL, share(), code="IMG.0067", images=None), "failed", "still_pending"),
    ("today's policy holds what waits", job(DONE, share(), HOLD), "held", "owner_not_allowed"),
    ("a person was faster", job(DONE, share("rejected")), "failed", "settled_otherwise"),
    ("accepted, which today's policy would not", job(DONE, share("accepted"), REJECT), "accepted", "policy_differs"),
    ("accepted, which today's policy holds", job(DONE, share("accepted"), HOLD), "accepted", "policy_differs"),
    # after the call without a job
    ("done at once", called(RECENT), "accepted", "allowed_owner"),
    ("ours, at once", called(share("accepted", RECEIVER)), "skipped", "own_image"),
    ("gone at once", called(None), "skipped", "not_shared"),
    ("set back", called(share()), "failed", "still_pending"),
    ("overruled", called(share("rejected")), "failed", "settled_otherwise"),
]

DECIDED = {
    *("allowed_owner", "allowed_image", "allowed_by_exception", "rejected_by_rule", "rejected_by_exception"),
    *("held_by_rule", "held_by_exception", "owner_not_allowed", "image_not_allowed", "fact_unknown"),
    *("limit_reached", "decided_by_person", "withdrawn"),
}
"""Reasons why a policy, a brake or a person wants something, and of drift: they are none of the ladder's."""


@pytest.mark.parametrize(("end", "kind", "reason"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_every_end(end: End, kind: str, reason: str) -> None:
    """As the table says."""
    assert isinstance(end, Outcome)
    assert (end.type, end.reason, end.image_id, end.cause) == (kind, reason, ONE, "cause-1")


def test_the_table_knows_every_reason() -> None:
    """What the table does not show is why a policy wants something."""
    assert {reason for *_, reason in TABLE} | DECIDED == {reason.value for reason in Reason}


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (refused("IMG.0064", asked=ASKED), Again()),
        (refused("500", asked=ASKED, status=500), Again()),
        (job(FAIL, share(), code="IMG.0067", together=2), Again()),
        (job(FAIL, share(), code="IMG.0064", tries=2), Again()),
        (job(FAIL, share(), images=None, code="IMG.0064", tries=2), Again()),
        (job(FAIL, share(), INTO_VAULT, code="IMG.0182", vault_id="v", vaults_left=True), Again(tried_vault="v")),
        (
            job(
                FAIL,
                share(),
                replace(ACCEPT, vaults=(VaultRule(candidates=("v",)),)),
                code="IMG.0182",
                vault_id="v",
                vaults_left=True,
                tried_vaults=("w",) * (MAX_TRIED_VAULTS - 1),
            ),
            Again(tried_vault="v"),
        ),
        (job(DONE, share("accepted"), images=frozenset({TWO})), Untold("the job does not name it")),
        (job(DONE, None, None, images=None), Untold("no share of it is to be seen, and the job names no images")),
        (job(DONE, share("accepted", None), None), Untold("nothing is known of it but its status")),
        (job(RUNS, share()), Untold("the job is still running, and does not tell since when")),
        (job(DONE, share(), HOLD, images=None), Untold("the policy holds it")),
        (
            job(DONE, share("accepted"), HOLD, images=None),
            Untold("the job names no images, and the policy would not have it so"),
        ),
    ],
)
def test_what_goes_on_and_what_is_not_told(end: End, expected: End) -> None:
    """Suspects come again, a failed vault is followed by the next one, and what nothing ties to the job is not told."""
    assert end == expected


def test_too_many_vaults_end_the_chain() -> None:
    """However many the policy has."""
    tried = tuple(f"v{number}" for number in range(MAX_TRIED_VAULTS))
    end = job(FAIL, share(), INTO_VAULT, code="IMG.0182", vault_id="v", vaults_left=True, tried_vaults=tried)
    assert isinstance(end, Outcome)
    assert (end.type, end.reason, end.error_code) == ("held", "vault_failed", "IMG.0182")


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (VaultRule(vault="v"), "v"),
        (VaultRule(candidates=("v", "w")), "v"),
        (VaultRule(tags=frozenset({("purpose", "images")})), "v"),
        (VaultRule(vault="w"), None),
    ],
)
def test_a_vault_is_told_only_where_the_policy_could_choose_it(entry: VaultRule, told: str | None) -> None:
    """The vault of a check is a claim."""
    end = job(DONE, RECENT, replace(ACCEPT, vaults=(entry,)), vault_id="v")
    assert isinstance(end, Outcome)
    assert end.vault_id == told


def test_everything_that_is_known_is_told() -> None:
    """Of the request, the share and the decision."""
    current = share("accepted", name="n", settled_at=START)
    assert called(current) == Outcome(
        type=OutcomeType.ACCEPTED,
        image_id=ONE,
        reason=Reason.ALLOWED_OWNER,
        cause="cause-1",
        name="n",
        owner="o",
        rule="golden",
        member_status="accepted",
        decision="accept",
        facts={"owner": "o"},
        settled_at=START,
    )


def test_rules_on_trial_are_told_beside() -> None:
    """With their own name and what they would have done."""
    trial = Trial(rule="on-trial", action="reject", reason=Reason.REJECTED_BY_RULE)
    (told,) = trials(ASKED, share(), replace(ACCEPT, trials=(trial,)))
    assert (told.type, told.rule, told.decision, told.reason) == ("audited", "on-trial", "reject", "rejected_by_rule")


@pytest.mark.parametrize(("begin", "late"), [(None, False), (59, False), (60, True), (10**6, True)])
def test_a_job_is_past_by_its_own_record(begin: int | None, *, late: bool) -> None:
    """Where the cloud does not tell when it began, nobody knows."""
    began = None if begin is None else START - timedelta(seconds=begin)
    assert is_past(Job(state=RUNS, begin_time=began), now=START, deadline=60) is late


STATUSES = st.sampled_from(["pending", "accepted", "rejected"])
SHARES = st.none() | st.builds(
    share, STATUSES, st.sampled_from(["o", RECEIVER]), settled_at=st.sampled_from([None, START])
)
DECISIONS = st.sampled_from([ACCEPT, INTO_VAULT, REJECT, HOLD])
CODES = st.sampled_from([None, "IMG.0064", "IMG.0067", "IMG.0046", "IMG.0182", "IMG.0106", "IMG.0027"])


@given(
    current=SHARES,
    decision=DECISIONS,
    state=st.sampled_from(list(JobState)),
    code=CODES,
    images=st.sampled_from([None, frozenset({ONE}), frozenset({ONE, TWO}), frozenset({TWO})]),
    status=st.sampled_from(["accepted", "rejected"]),
    claims=st.fixed_dictionaries(
        {
            "is_over": st.booleans(),
            "together": st.integers(1, 3),
            "tries": st.integers(1, 5),
            "vault_id": st.sampled_from([None, "v", "x"]),
        }
    ),
    vaults_left=st.booleans(),
    asked=st.sampled_from([ASKED, LAST_TRY, replace(ASKED, since=None)]),
)
def test_nothing_is_told_that_the_reading_does_not_support(  # noqa: C901 - one line for each kind of statement
    *,
    current: Share | None,
    decision: Decision,
    state: JobState,
    code: str | None,
    images: frozenset[str] | None,
    status: Any,
    claims: dict[str, Any],
    vaults_left: bool,
    asked: RequestedImage,
) -> None:
    """Accepted and rejected only where the cloud says so; a job's failures only from its record; claims say nothing."""
    known = decision if current is not None and current.owner != RECEIVER else None
    checked = Checked(job=Job(state=state, error_code=code, images=images), status=status, **claims)
    ends = [after_job(asked, current, known, checked=checked, vaults_left=vaults_left, project_id=RECEIVER)]
    if current is None or current.member_status != "pending" or current.owner == RECEIVER:
        ends.append(before_call(asked, current, known, project_id=RECEIVER))
    for end in ends:
        if not isinstance(end, Outcome):
            continue
        seen = current.member_status if current and current.owner != RECEIVER else None
        assert end.member_status == seen
        if end.type in {OutcomeType.ACCEPTED, OutcomeType.REJECTED}:
            assert seen == end.type.value
        if end.type is OutcomeType.HELD:
            assert seen == "pending"
        if end.reason is Reason.JOB_FAILED:
            assert state is JobState.FAIL
        if end.reason is Reason.JOB_TIMED_OUT:
            assert (state, claims["is_over"]) == (JobState.RUNNING, True)
        if end.reason in {Reason.JOB_FAILED, Reason.JOB_TIMED_OUT, Reason.VAULT_FAILED}:
            assert images is not None
            assert ONE in images
        if end.reason is Reason.SETTLED_OTHERWISE:
            assert seen not in {"pending", WANTED.get(decision.action)}
        if end.vault_id is not None:
            assert any(entry.vault == end.vault_id for entry in decision.vaults)


def test_each_failure_has_an_end() -> None:
    """No class of refusal is forgotten: those without a line of their own end as refused."""
    own = set(outcomes._REFUSED)  # noqa: SLF001 - the table itself is looked at
    rest = {Failure.BAD_REQUEST, Failure.PASSING, Failure.UNREACHABLE, Failure.THROTTLED, Failure.LOGIN}
    assert own | rest == set(Failure)
