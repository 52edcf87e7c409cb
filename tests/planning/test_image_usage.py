"""Servers that were booted from shares which should not be used."""

import pytest
from pydantic_core import to_json

from doorman.cloud.api.nova import Server
from doorman.events.messages import EventType
from doorman.events.outcomes import MAX_EVENT
from doorman.events.schemas import DATA
from doorman.handlers.reconcile import review, review_use
from doorman.models import CloudEvent, MemberStatus, Reason, Share
from doorman.planning.drift import find_drift
from doorman.planning.image_usage import Use, find_strange, find_uses, tell_uses
from doorman.policy.policy import load
from tests.builders import CAUSE, START, image_id
from tests.chain import BAD, GOLDEN, POLICY, RECEIVER, STRANGER, Chain
from tests.events.test_outcomes import WRITER


def share(number: int, owner: str, status: MemberStatus) -> Share:
    """Describe a share."""
    return Share(image_id=image_id(number), project_id=RECEIVER, owner=owner, member_status=status, full_ecs=False)


def server(number: int) -> Server:
    """Describe a server of the image with this number."""
    return Server(server_id=f"s-{number}", name=f"web-{number}", image_id=image_id(number))


def test_which_uses_should_not_be() -> None:
    """Those of pending, rejected, drifted and withdrawn shares; not of accepted ones, nor of what is no share."""
    policy = load(POLICY)
    settled = [share(1, GOLDEN, "accepted"), share(2, BAD, "accepted"), share(3, BAD, "rejected")]
    shares = {each.image_id: each for each in [*settled, share(4, STRANGER, "pending")]}
    drifts = find_drift(settled, policy, project_id=RECEIVER, now=START)
    servers = [server(number) for number in (6, 5, 4, 3, 2, 1)]
    assert find_strange(servers, shares) == [image_id(5), image_id(6)]
    uses = find_uses(servers, shares, drifts, [image_id(5)], policy, now=START)
    assert [(use.server.server_id, use.reason) for use in uses] == [
        ("s-2", Reason.REJECTED_BY_RULE),
        ("s-3", Reason.REJECTED_BY_RULE),
        ("s-4", Reason.OWNER_NOT_ALLOWED),
        ("s-5", Reason.WITHDRAWN),
    ]


def tell(*uses: Use) -> tuple[CloudEvent, ...]:
    """Tell these uses."""
    return tell_uses(WRITER, uses, cause=CAUSE, now=START)


def test_a_use_is_told_with_what_is_known_of_the_share() -> None:
    """Null where it is shared no longer; the data fits its model, and the key stays while the same servers are told."""
    known = Use(server=server(1), share=share(1, BAD, "accepted"), reason=Reason.REJECTED_BY_RULE)
    gone = Use(server=server(2), share=None, reason=Reason.WITHDRAWN)
    (event,) = tell(known, gone)
    unknown = dict.fromkeys(("image_name", "owner", "member_status"))
    one = {"server_id": "s-1", "name": "web-1", "image_id": image_id(1), "reason": "rejected_by_rule"}
    two = {"server_id": "s-2", "name": "web-2", "image_id": image_id(2), "reason": "withdrawn"}
    assert event.data["servers"] == [{**unknown, **one, "owner": BAD, "member_status": "accepted"}, unknown | two]
    assert (event.type, event.extensions["severity"]) == (EventType.USED, "action")
    assert DATA[EventType.USED].model_validate_json(to_json(event.data))
    assert tell() == ()


def test_many_uses_are_told_in_parts() -> None:
    """No event grows too large for a broker."""
    uses = [Use(server=server(number), share=None, reason=Reason.WITHDRAWN) for number in range(2000)]
    events = tell(*uses)
    assert len(events) > 1
    assert sum(len(event.data["servers"]) for event in events) == 2000
    assert all(len(str(event.data["servers"])) < MAX_EVENT * 1.1 for event in events)


@pytest.mark.anyio
async def test_it_is_read_from_the_cloud() -> None:
    """Page by page; a public image and an own one are no shares, a withdrawn one cannot be seen any more."""
    chain = Chain()
    bad, fine, waiting = chain.share(BAD, status="accepted"), chain.share(status="accepted"), chain.share(STRANGER)
    gone = chain.share(status="accepted")
    chain.cloud.unshare(gone, RECEIVER)
    own = chain.cloud.add_share(RECEIVER, "elsewhere")
    public = chain.cloud.add_image("vendor", visibility="public").id
    for image in (bad, fine, waiting, gone, own, public):
        chain.cloud.add_server(RECEIVER, image)
    for _ in range(1000):
        chain.cloud.add_server(RECEIVER, fine)
    chain.cloud.add_server(RECEIVER, bad)
    ((context,), _) = await chain.served.contexts()
    uses, withdrawn = await review_use(context, await review(context))
    assert sorted((use.server.image_id, use.reason.value) for use in uses) == sorted(
        [(bad, "rejected_by_rule"), (bad, "rejected_by_rule"), (waiting, "owner_not_allowed"), (gone, "withdrawn")]
    )
    assert withdrawn == [gone]
