"""What became of an image is said by how it stands with the cloud, not by what was wanted of it."""

import pytest

from doorman.models import Action, MemberStatus, Outcome, OutcomeType, Reason, Share, Status
from doorman.planning.batch import RequestedImage
from doorman.planning.outcomes import conclude, conclude_settled, judge, offers
from doorman.policy.decision import Decision
from doorman.policy.policy import VaultRule
from tests.builders import CAUSE, RECEIVER, image_id

ONE = image_id(1)
ASK = RequestedImage(image_id=ONE, cause=CAUSE)
ACCEPT = Decision(action="accept", reason=Reason.ALLOWED_OWNER, rule="golden", facts={"owner": "o"})
REJECT = Decision(action="reject", reason=Reason.REJECTED_BY_RULE, rule="bad")
HOLD = Decision(action="hold", reason=Reason.OWNER_NOT_ALLOWED)


def share(status: MemberStatus | None, owner: str = "o") -> Share:
    """Make a share that stands like this."""
    return Share(image_id=ONE, project_id=RECEIVER, owner=owner, name="n", member_status=status)


def judged(standing: Share | None, decision: Decision | None, wanted: Status = "accepted") -> Outcome:
    """Say what became of the image."""
    return judge(
        ASK,
        standing,
        decision,
        project_id=RECEIVER,
        wanted=wanted,
        otherwise=Reason.JOB_FAILED,
        vault_id="v",
        error_code="IMG.0064",
    )


def test_everything_that_is_known_is_told() -> None:
    """Of the ask, the share and the decision."""
    told = conclude(
        ASK, share("pending"), ACCEPT, fate=OutcomeType.HELD, reason=Reason.VAULT_MISSING, vault_id="v", error_code="c"
    )
    assert told == Outcome(
        fate=OutcomeType.HELD,
        image_id=ONE,
        reason=Reason.VAULT_MISSING,
        cause="cause-1",
        name="n",
        owner="o",
        rule="golden",
        member_status="pending",
        error_code="c",
        vault_id="v",
        decision="accept",
        facts={"owner": "o"},
    )


def test_nothing_is_invented() -> None:
    """Without share and decision all of that is unknown."""
    told = conclude(ASK, None, None, fate=OutcomeType.SKIPPED, reason=Reason.NOT_SHARED)
    assert told == Outcome(fate=OutcomeType.SKIPPED, image_id=ONE, reason=Reason.NOT_SHARED, cause="cause-1")


class TestSettledBefore:
    """Images that we did nothing to."""

    @pytest.mark.parametrize(
        ("decision", "status", "reason"),
        [
            (ACCEPT, "accepted", Reason.ALREADY_SETTLED),
            (ACCEPT, "rejected", Reason.SETTLED_OTHERWISE),
            (REJECT, "rejected", Reason.ALREADY_SETTLED),
            (REJECT, "accepted", Reason.SETTLED_OTHERWISE),
            (HOLD, "accepted", Reason.ALREADY_SETTLED),
            (HOLD, "rejected", Reason.ALREADY_SETTLED),
            (None, "accepted", Reason.ALREADY_SETTLED),
        ],
    )
    def test_skipped(self, decision: Decision | None, status: MemberStatus, reason: Reason) -> None:
        """As decided or otherwise; where policy holds, whoever settled it decided."""
        told = conclude_settled(ASK, share(status), decision)
        assert (told.fate, told.reason, told.member_status) == (OutcomeType.SKIPPED, reason, status)

    def test_gone(self) -> None:
        """No share any more."""
        told = conclude_settled(ASK, None, None)
        assert (told.fate, told.reason, told.owner) == (OutcomeType.SKIPPED, Reason.NOT_SHARED, None)


class TestSettledByUs:
    """Images for which a members call was made."""

    @pytest.mark.parametrize(
        ("wanted", "decision", "fate", "reason"),
        [
            ("accepted", ACCEPT, OutcomeType.ACCEPTED, Reason.ALLOWED_OWNER),
            ("rejected", REJECT, OutcomeType.REJECTED, Reason.REJECTED_BY_RULE),
            ("accepted", REJECT, OutcomeType.ACCEPTED, Reason.POLICY_DIFFERS),
            ("rejected", HOLD, OutcomeType.REJECTED, Reason.POLICY_DIFFERS),
            ("accepted", None, OutcomeType.ACCEPTED, Reason.POLICY_DIFFERS),
        ],
    )
    def test_settled(self, wanted: Status, decision: Decision | None, fate: OutcomeType, reason: Reason) -> None:
        """The fate is what the cloud says; the reason is today's policy's, where it would have done the same."""
        told = judged(share(wanted), decision, wanted)
        assert (told.fate, told.reason, told.member_status, told.vault_id, told.error_code) == (
            fate,
            reason,
            wanted,
            "v",
            None,
        )

    @pytest.mark.parametrize(
        ("status", "reason"),
        [("pending", Reason.JOB_FAILED), ("rejected", Reason.SETTLED_OTHERWISE), (None, Reason.SETTLED_OTHERWISE)],
    )
    def test_not_settled(self, status: MemberStatus | None, reason: Reason) -> None:
        """Whatever the job promised: never told as accepted."""
        told = judged(share(status), ACCEPT)
        assert (told.fate, told.reason, told.member_status, told.error_code) == (
            OutcomeType.FAILED,
            reason,
            status,
            "IMG.0064",
        )

    def test_gone(self) -> None:
        """Taken back in the middle."""
        told = judged(None, None)
        assert (told.fate, told.reason, told.rule, told.vault_id) == (
            OutcomeType.SKIPPED,
            Reason.NOT_SHARED,
            None,
            None,
        )

    @pytest.mark.parametrize("status", ["pending", "accepted", "rejected"])
    def test_own_image(self, status: MemberStatus) -> None:
        """Our own images stand in the list of every status: a forged check that names one proves nothing."""
        told = judged(share(status, RECEIVER), ACCEPT)
        assert (told.fate, told.reason, told.rule, told.vault_id) == (OutcomeType.SKIPPED, Reason.OWN_IMAGE, None, None)


@pytest.mark.parametrize(
    ("entry", "is_offered"),
    [
        ({"vault": "v"}, True),
        ({"vault": "w"}, False),
        ({"candidates": ("u", "v")}, True),
        ({"candidates": ("u",)}, False),
        ({"tags": frozenset({("team", "images")})}, True),
    ],
)
def test_vault_that_policy_could_have_chosen(entry: dict[str, object], *, is_offered: bool) -> None:
    """By its ID, as a candidate, or by tags, which only the backup service knows."""
    rule = {"owners": None, "projects": None, "vault": None, "candidates": (), "tags": frozenset(), **entry}
    decision = Decision(action="accept", reason=Reason.ALLOWED_OWNER, vaults=(VaultRule(**rule),))  # type: ignore[arg-type]
    assert offers(decision, "v") is is_offered


@pytest.mark.parametrize("action", ["accept", "reject", "hold"])
def test_no_vault_is_offered_where_none_is_mapped(action: Action) -> None:
    """As for every image that is no whole server's."""
    assert not offers(Decision(action=action, reason=Reason.ALLOWED_OWNER), "v")
