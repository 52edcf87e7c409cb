"""What was settled otherwise is settled anew where the policy says so, and only there."""

import pytest
from structlog.testing import capture_logs

from doorman.handlers.reconcile import review
from doorman.handlers.sweep import review_drift
from tests.chain import BAD, GOLDEN, POLICY, SECOND_VAULT, STRANGER, VAULT, Chain

pytestmark = pytest.mark.anyio

STRICT = POLICY + "reconcile: {enforce: true}\n"


async def test_without_the_setting_nothing_settled_is_touched() -> None:
    """What was settled the other way is told and left, as ever."""
    chain = Chain()
    bad, golden = chain.share(BAD, status="accepted"), chain.share(status="rejected")
    await chain.notify(bad, golden)
    await chain.settle()
    assert chain.told() == sorted((image, "skipped", "settled_otherwise") for image in (bad, golden))
    assert chain.members_calls() == []


async def test_with_the_setting_it_is_settled_as_the_policy_says() -> None:
    """Both ways, by the job and its check; what is as it should be, or held, stays."""
    chain = Chain(policy=STRICT)
    bad, golden = chain.share(BAD, status="accepted"), chain.share(status="rejected")
    fine, stranger = chain.share(status="accepted"), chain.share(STRANGER, status="accepted")
    await chain.notify(bad, golden, fine, stranger)
    await chain.settle()
    assert chain.told() == sorted(
        [
            (bad, "rejected", "rejected_by_rule"),
            (golden, "accepted", "allowed_owner"),
            (fine, "accepted", "already_settled"),
            (stranger, "skipped", "already_settled"),
        ]
    )
    assert chain.cloud.member_status(bad, "receiver") == "rejected"
    assert chain.cloud.member_status(golden, "receiver") == "accepted"


async def test_own_images_and_those_that_are_gone_are_left() -> None:
    """Nothing is taken up that is no share of somebody else's."""
    chain = Chain(policy=STRICT)
    own = chain.cloud.add_share("receiver", "elsewhere")
    gone = chain.share(BAD, status="accepted")
    chain.cloud.unshare(gone, "receiver")
    await chain.notify(own, gone)
    await chain.settle()
    assert {reason for _, _, reason in chain.told()} <= {"own_image", "not_shared"}
    assert chain.members_calls() == []


async def test_a_whole_server_gets_its_vault() -> None:
    """That it is one is asked of the list, since the image does not say so."""
    chain = Chain(policy=STRICT)
    whole, told = chain.share(status="rejected", full_ecs=True), chain.share(status="rejected")
    chain.cloud.image_store.images[whole].backup_id = None
    await chain.notify(whole, told)
    await chain.settle()
    assert chain.told() == sorted((image, "accepted", "allowed_owner") for image in (whole, told))
    assert {job.vault_id for job in chain.cloud.jobs.values()} == {VAULT, None}
    assert SECOND_VAULT not in {job.vault_id for job in chain.cloud.jobs.values()}


async def test_plain_openstack_has_no_whole_servers() -> None:
    """No list of them is asked for, and the share is settled at once."""
    chain = Chain(policy=STRICT, DOORMAN_API="glance")
    golden = chain.share(status="rejected")
    await chain.notify(golden)
    assert chain.told() == [(golden, "accepted", "allowed_owner")]
    assert not any("__whole_image" in call.query for call in chain.cloud.calls)


async def test_a_refusal_is_told_as_one() -> None:
    """The share stands as before; that we may not change it is what failed."""
    chain = Chain(policy=STRICT)
    chain.cloud.faults.add("status", method="PUT", path="members", status=403, code="IMG.0106")
    bad = chain.share(BAD, status="accepted")
    await chain.notify(bad)
    assert chain.told() == [(bad, "failed", "permission_denied")]
    (outcome,) = chain.outcomes()
    assert outcome.data["images"][0]["member_status"] == "accepted"


async def test_nothing_is_written_in_audit_mode() -> None:
    """It is told what would be settled anew."""
    chain = Chain(policy=STRICT, DOORMAN_MODE="audit")
    bad = chain.share(BAD, status="accepted")
    await chain.notify(bad)
    assert chain.told() == [(bad, "audited", "rejected_by_rule")]
    assert chain.cloud.writes == []


async def test_the_limit_holds_here_as_well() -> None:
    """A mistake in the policy does not open the gate for everything at once: all of a crowd wait."""
    chain = Chain(policy=STRICT + "limits: {accepts_per_owner: 1}\n")
    images = [chain.share(GOLDEN, status="rejected") for _ in range(2)]
    await chain.notify(*images)
    await chain.settle()
    assert sorted(outcome for _, outcome, _ in chain.told()) == ["held", "held"]


@pytest.mark.parametrize("condition", ["full_ecs: true", "full_ecs: false", "os_type: Linux"])
@pytest.mark.parametrize("api", ["ims", "glance"])
@pytest.mark.parametrize("tells", [True, False])
async def test_the_sweep_finds_by_pages_what_whole_lists_show(condition: str, api: str, *, tells: bool) -> None:
    """Whatever the policy asks of whole servers, and whether rows or a list of their own tell of them."""
    rule = f"{{name: golden, owners: [{GOLDEN}], images: {{{condition}}}, decision: accept}}"
    chain = Chain(policy=f"version: 1\nrules: [{rule}]\n", DOORMAN_API=api)
    for status in ("accepted", "rejected"):
        for owner in (GOLDEN, STRANGER, "receiver"):
            for full_ecs in (False, True):
                image = chain.share(owner, status=status, full_ecs=full_ecs)
                if not tells:
                    chain.cloud.image_store.images[image].backup_id = None
    context = await chain.served.context("receiver")
    expected = [drift for drift in (await review(context)).drifts if not drift.is_perhaps_wanted]
    assert expected
    assert list(await review_drift(context)) == expected


async def test_drift_without_end_is_told_in_parts() -> None:
    """Of a policy that was changed by mistake; the log says that there is more."""
    chain = Chain()
    images = [chain.share(BAD, status="accepted") for _ in range(5)]
    context = await chain.served.context("receiver")
    with capture_logs() as log:
        found = await review_drift(context, most=3)
        assert len(await review_drift(context)) == 5
    assert len({drift.share.image_id for drift in found} & set(images)) == 3
    assert log == [{"event": "drift.cut", "log_level": "warning", "project_id": "receiver", "told": 3}]
