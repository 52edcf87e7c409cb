"""Triage against the sandbox cloud: what is asked, written and told for every way in which a share can stand."""

import asyncio
from collections.abc import Collection
from datetime import datetime

import pytest

from doorman.cloud.project import Cloud
from doorman.errors import Unavailable
from doorman.events.messages import EventType
from doorman.handlers.triage import triage
from doorman.models import MemberStatus, Notice, Share
from tests.builders import CAUSE
from tests.chain import BAD, GOLDEN, POLICY, RECEIVER, SECOND_VAULT, STRANGER, VAULT, Chain

pytestmark = pytest.mark.anyio


async def test_a_mixed_batch_takes_one_call_per_status_and_vault_and_one_outcome_per_image() -> None:
    """Golden, banned, unknown and full-ECS images with and without vault in one event end as the policy says."""
    chain = Chain()
    golden, other = chain.share(name="golden"), chain.share(name="other")
    banned, stranger = chain.share(BAD), chain.share(STRANGER)
    whole = chain.share(full_ecs=True)
    lost = chain.share(GOLDEN, full_ecs=True)
    chain.cloud.unshare(lost, "receiver")

    reply = await chain.notify(golden, other, banned, stranger, whole, lost)
    await chain.settle()

    assert (reply.status, reply.text) == (204, "")
    assert chain.members_calls() == [200, 200, 200]
    assert chain.told() == sorted(
        [
            (golden, "accepted", "allowed_owner"),
            (other, "accepted", "allowed_owner"),
            (banned, "rejected", "rejected_by_rule"),
            (stranger, "held", "owner_not_allowed"),
            (whole, "accepted", "allowed_owner"),
            (lost, "skipped", "not_shared"),
        ]
    )
    found = [chain.cloud.member_status(image, "receiver") for image in (golden, banned, stranger, whole)]
    assert found == ["accepted", "rejected", "pending", "accepted"]


async def test_what_the_event_claims_decides_nothing() -> None:
    """A forged owner changes nothing: the cloud's own owner is asked of the policy."""
    chain = Chain()
    image = chain.share(STRANGER)
    await chain.notify(image, owner=GOLDEN)
    await chain.settle()
    assert chain.told() == [(image, "held", "owner_not_allowed")]
    assert chain.cloud.writes == []


async def test_an_own_image_is_skipped_whether_shared_with_others_or_not() -> None:
    """Our own images show up in every list of shares, and are never settled."""
    chain = Chain()
    own = chain.cloud.add_share("receiver", "elsewhere")
    private = chain.cloud.add_image("receiver", visibility="private").id
    await chain.notify(own, private)
    await chain.settle()
    assert chain.told() == sorted([(own, "skipped", "own_image"), (private, "skipped", "not_shared")])
    assert {entry["member_status"] for event in chain.outcomes() for entry in event.data["images"]} == {None}
    assert chain.cloud.writes == []


@pytest.mark.parametrize(
    ("owner", "standing", "reason"),
    [
        (GOLDEN, "accepted", "already_settled"),
        (GOLDEN, "rejected", "settled_otherwise"),
        (BAD, "rejected", "already_settled"),
        (BAD, "accepted", "settled_otherwise"),
        (STRANGER, "accepted", "already_settled"),
        (STRANGER, "rejected", "already_settled"),
    ],
)
@pytest.mark.parametrize("crowd", [0, 25])
async def test_a_settled_share_is_never_overwritten(owner: str, standing: str, reason: str, crowd: int) -> None:
    """What somebody settled stays, however many images the event names; the event tells which way it went."""
    chain = Chain()
    image = chain.share(owner, status=standing)
    others = [chain.share(owner, status=standing) for _ in range(crowd)]
    await chain.wait(10)
    reply = await chain.notify(image, *others, age=5)
    assert reply.status == 204
    # Lists do not tell when: what only they show settled as decided is told as done for the event.
    outcome = standing if crowd and owner != STRANGER and reason == "already_settled" else "skipped"
    assert chain.told() == sorted((each, outcome, reason) for each in (image, *others))
    assert chain.cloud.writes == []


@pytest.mark.parametrize(("owner", "standing"), [(GOLDEN, "accepted"), (BAD, "rejected")])
async def test_what_was_settled_since_the_event_is_told_as_done(owner: str, standing: str) -> None:
    """Whoever did it: the member row says that it was settled after the event was sent, and when."""
    chain = Chain()
    image = chain.share(owner, status=standing)
    settled_at = chain.clock.now()
    await chain.wait(10)
    await chain.notify(image, age=10.9)
    assert chain.told() == [(image, standing, "already_settled")]
    (event,) = chain.outcomes()
    assert datetime.fromisoformat(event.data["images"][0]["settled_at"]) == settled_at


async def test_a_share_that_is_not_visible_yet_is_asked_for_again_after_the_others_are_done() -> None:
    """Inside the visibility window an unknown image is a 503, once the event's other images are settled."""
    chain = Chain()
    chain.cloud.settings.visibility_delay = 30
    late = chain.share()
    chain.cloud.settings.visibility_delay = 0
    seen = chain.share()
    reply = await chain.notify(seen, late, age=5)
    assert (reply.status, reply.headers["Retry-After"]) == (503, "5")
    assert chain.members_calls() == [200]
    await chain.wait(40)
    assert (await chain.notify(seen, late, age=45)).status == 204
    await chain.settle()
    assert (late, "accepted", "allowed_owner") in chain.told()


async def test_audit_writes_nothing_and_tells_everything() -> None:
    """With the kill switch on, everything is decided and told, and no call changes anything."""
    chain = Chain(DOORMAN_MODE="audit")
    golden, banned, stranger = chain.share(), chain.share(BAD), chain.share(STRANGER)
    whole = chain.share(full_ecs=True)
    assert (await chain.notify(golden, banned, stranger, whole)).status == 204
    await chain.settle()
    (event,) = chain.outcomes()
    told = {
        entry["image_id"]: (entry["decision"], entry["reason"], entry["vault_id"]) for entry in event.data["images"]
    }
    assert event.type == EventType.AUDITED
    assert told == {
        golden: ("accept", "allowed_owner", None),
        banned: ("reject", "rejected_by_rule", None),
        stranger: ("hold", "owner_not_allowed", None),
        whole: ("accept", "allowed_owner", VAULT),
    }
    assert (chain.cloud.writes, chain.of(EventType.DECIDED)) == ([], [])


@pytest.mark.parametrize("code", ["IMG.0182", "IMG.0188"])
@pytest.mark.parametrize("at", ["submit", "job"])
async def test_a_failed_vault_gives_way_to_the_next_one(code: str, at: str) -> None:
    """After a vault error, at submission or at the job's end, the next vault of the mapping is used."""
    chain = Chain()
    chain.cloud.fail_vault(VAULT, code, at=at)  # type: ignore[arg-type]
    images = [chain.share(full_ecs=True) for _ in range(3)]
    await chain.notify(*images)
    await chain.settle()
    assert chain.told() == sorted((image, "accepted", "allowed_owner") for image in images)
    vaults = {entry["vault_id"] for event in chain.outcomes() for entry in event.data["images"]}
    assert vaults == {SECOND_VAULT}


@pytest.mark.parametrize("at", ["submit", "job"])
async def test_when_no_vault_is_left_the_share_is_held(at: str) -> None:
    """No chain of vaults is endless: the last one's failure leaves the share to a person."""
    chain = Chain()
    for vault in (VAULT, SECOND_VAULT):
        chain.cloud.fail_vault(vault, "IMG.0182", at=at)  # type: ignore[arg-type]
    image = chain.share(full_ecs=True)
    await chain.notify(image)
    await chain.settle()
    assert chain.told() == [(image, "held", "vault_failed")]


@pytest.mark.parametrize("at", ["submit", "job"])
async def test_a_passing_error_is_tried_three_times_and_then_told(at: str) -> None:
    """An error that may pass is begun three times at most."""
    chain = Chain()
    image = chain.share()
    chain.cloud.fail_image(image, "IMG.0064", at=at)  # type: ignore[arg-type]
    await chain.notify(image)
    await chain.settle()
    reason = "request_refused" if at == "submit" else "job_failed"
    assert chain.told() == [(image, "failed", reason)]
    assert [event.data["tries"] for event in chain.of(EventType.NOTIFIED)] == [2, 3]


@pytest.mark.parametrize("kind", ["flow_control", "status", "reset", "half", "html", "garbage"])
@pytest.mark.parametrize("path", ["cloudimages$", "members", "auth/tokens"])
async def test_a_fault_of_the_cloud_loses_nothing(kind: str, path: str) -> None:
    """Whatever breaks on the way: the answer is 204 or 503, and the next delivery finishes the job."""
    chain = Chain()
    image, banned = chain.share(), chain.share(BAD)
    chain.cloud.faults.add(kind, path=path, times=5)  # type: ignore[arg-type]
    statuses = []
    for _ in range(8):
        await chain.wait(10)
        statuses.append((await chain.notify(image, banned)).status)
    await chain.settle()
    assert set(statuses) <= {204, 503}
    assert statuses[-1] == 204
    assert {(each, outcome) for each, outcome, _ in chain.told()} >= {(image, "accepted"), (banned, "rejected")}
    assert chain.cloud.member_status(image, "receiver") == "accepted"


async def test_a_sink_that_takes_nothing_is_a_503_and_the_next_delivery_finishes() -> None:
    """An event counts as handled only when its follow-ups were taken."""
    chain = Chain()
    image, stranger = chain.share(), chain.share(STRANGER)
    chain.refuse(2)
    assert (await chain.notify(image, stranger)).status == 503
    assert chain.cloud.writes == []
    await chain.wait(5)
    assert (await chain.notify(image, stranger)).status == 204
    await chain.settle()
    assert {outcome for _, outcome, _ in chain.told()} == {"accepted", "held"}


async def test_a_check_that_the_sink_misses_leaves_no_share_untold() -> None:
    """The next delivery finds the share settled since the event, and tells it as accepted."""
    chain = Chain()
    image = chain.share()
    chain.tray.refusals += [None, Unavailable("the sink does not take it")]
    assert (await chain.notify(image, age=1)).status == 503
    await chain.wait(5)
    assert (await chain.notify(image, age=6)).status == 204
    assert chain.told() == [(image, "accepted", "already_settled")]


async def test_two_deliveries_at_once_are_safe() -> None:
    """The same event twice at the same time settles once and tells the truth."""
    chain = Chain()
    images = [chain.share() for _ in range(5)]
    replies = await asyncio.gather(*(chain.notify(*images) for _ in range(4)))
    await chain.settle()
    assert {reply.status for reply in replies} == {204}
    assert {(outcome, reason) for _, outcome, reason in chain.told()} <= {
        ("accepted", "allowed_owner"),
        ("accepted", "already_settled"),
    }
    assert {image for image, outcome, _ in chain.told() if outcome == "accepted"} == set(images)


async def test_a_share_settled_during_our_call_is_told_as_it_stands() -> None:
    """A person who wins the race against our job is not contradicted."""
    chain = Chain()
    chain.cloud.settings.job_seconds = None
    image = chain.share()
    await chain.notify(image)
    (job,) = chain.cloud.jobs
    chain.cloud.finish_job(job)
    chain.cloud.set_status(image, "receiver", "rejected")
    await chain.settle()
    assert chain.told() == [(image, "failed", "settled_otherwise")]


class LaggingCloud(Cloud):
    """A cloud whose pending list shows a share only after so many looks."""

    looks: int = 0

    async def pending(self, images: Collection[str] | None = None) -> dict[str, Share]:
        """List what waits, or nothing yet."""
        LaggingCloud.looks -= 1
        return {} if LaggingCloud.looks >= 0 else await Cloud.pending(self, images)

    async def find(self, status: MemberStatus, images: Collection[str]) -> dict[str, Share]:
        """Look for these images."""
        return await self.pending(images) if status == "pending" else await Cloud.find(self, status, images)


@pytest.mark.parametrize(("looks", "calls"), [(1, [200]), (2, [])])
async def test_a_share_pending_by_its_own_row_is_decided_by_a_fresh_list(looks: int, calls: list[int]) -> None:
    """The list is read once more; a share that it still lacks is worth another delivery, however old the event."""
    chain = Chain()
    image = chain.share()
    await chain.swap(LaggingCloud)
    LaggingCloud.looks = looks
    notice = Notice(project_id=RECEIVER, images=(image,), cause=CAUSE, sent_at=None)
    ended = await triage(await chain.served.context(RECEIVER), [notice])
    assert [isinstance(word, Unavailable) for word in ended.values()] == [not calls]
    assert chain.members_calls() == calls


async def test_on_plain_openstack_shares_are_settled_and_told_at_once() -> None:
    """Without jobs triage settles each image itself and tells how it stands afterwards."""
    chain = Chain(DOORMAN_API="glance")
    golden, banned, stranger = chain.share(), chain.share(BAD), chain.share(STRANGER)
    whole = chain.share(full_ecs=True)
    assert (await chain.notify(golden, banned, stranger, whole)).status == 204
    assert chain.told() == sorted(
        [
            (golden, "accepted", "allowed_owner"),
            (banned, "rejected", "rejected_by_rule"),
            (stranger, "held", "owner_not_allowed"),
            (whole, "accepted", "allowed_owner"),
        ]
    )
    assert chain.of(EventType.CHECK) == []
    assert {event.data["job_id"] for event in chain.outcomes()} == {None}


async def test_a_share_on_trial_has_ended_when_both_events_were_taken() -> None:
    """Beside an enforced rule one on trial tells its own event; the share counts as done when the sink took both."""
    trial = f"  - {{name: trial, owners: [{GOLDEN}], decision: reject, mode: audit}}\n"
    chain = Chain(policy=POLICY.replace("rules:\n", "rules:\n" + trial))
    image = chain.share()
    chain.refuse(1)
    assert (await chain.notify(image)).status == 503
    await chain.wait(5)
    other = chain.share()
    assert (await chain.notify(other)).status == 204
    await chain.settle()
    found = {(each, fate) for each, fate, _ in chain.told()}
    assert found == {(image, "audited"), (other, "audited"), (other, "accepted")}
