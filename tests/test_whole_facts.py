"""Rules that ask whether an image is full-ECS: every share is decided by whole facts, wherever it was read."""

import pytest

from doorman.cloud.member_status import read_back, read_current
from doorman.models import FEW_ROWS, MemberStatus
from doorman.policy.decision import decide
from doorman.sandbox.state import Cloud as State
from tests.chain import GOLDEN, RECEIVER, VAULT, Chain

pytestmark = pytest.mark.anyio

POLICY = f"""\
version: 1
default: hold
rules:
  - {{name: servers, owners: [{GOLDEN}], images: {{names: [server-*], full_ecs: true}}, decision: accept}}
  - {{name: images, owners: [{GOLDEN}], images: {{names: [image-*], full_ecs: false}}, decision: accept}}
  - {{name: banned, owners: [{GOLDEN}], images: {{full_ecs: false}}, decision: reject}}
vaults:
  - vault: {VAULT}
"""
"""Accepts an image by name and kind; unknown of the kind, it decides nothing."""

STATUSES: tuple[MemberStatus, ...] = ("pending", "accepted", "rejected")
MANY = FEW_ROWS + 1


def add(state: State, name: str, *, status: MemberStatus = "pending", count: int = 1) -> list[str]:
    """Share images whose rows do not say whether they are full-ECS, as most clouds tell it."""
    images = [
        state.add_share(GOLDEN, RECEIVER, name=name, status=status, full_ecs=name.startswith("server"))
        for _ in range(count)
    ]
    for image in images:
        state.image_store.images[image].backup_id = None
    return images


def entries(chain: Chain) -> set[tuple[str, ...]]:
    """Give what was told, without what differs from image to image."""
    keys = ("reason", "rule", "decision", "member_status", "vault_id")
    return {
        (event.type.split(".")[3], *(str(entry[key]) for key in keys))
        for event in chain.outcomes()
        for entry in event.data["images"]
    }


@pytest.mark.parametrize("count", [1, 5, MANY])
async def test_what_a_job_settled_is_told_with_its_rule(count: int) -> None:
    """The decision that is told is the one that the job was begun for."""
    chain = Chain(policy=POLICY)
    images = [image for name in ("image-1", "server-1", "other") for image in add(chain.cloud, name, count=count)]
    await chain.notify(*images)
    await chain.settle()
    assert entries(chain) == {
        ("accepted", "allowed_owner", "images", "accept", "accepted", "None"),
        ("accepted", "allowed_owner", "servers", "accept", "accepted", VAULT),
        ("rejected", "rejected_by_rule", "banned", "reject", "rejected", "None"),
    }
    assert len(chain.told()) == 3 * count


@pytest.mark.parametrize("count", [1, MANY])
async def test_what_a_person_settled_is_told_as_with_or_against_the_policy(count: int) -> None:
    """A share that somebody rejected though the policy accepts it, or the other way round, is settled otherwise."""
    chain = Chain(policy=POLICY)
    images = [
        image
        for name in ("image-1", "server-1", "other")
        for status in STATUSES[1:]
        for image in add(chain.cloud, name, status=status, count=count)
    ]
    await chain.wait(10)
    await chain.notify(*images, age=5)
    # Of many only the lists are read, which do not tell when: those speak for the event.
    accepted, rejected = ("skipped", "skipped") if count == 1 else ("accepted", "rejected")
    assert entries(chain) == {
        (accepted, "already_settled", "images", "accept", "accepted", "None"),
        ("skipped", "settled_otherwise", "images", "accept", "rejected", "None"),
        (accepted, "already_settled", "servers", "accept", "accepted", "None"),
        ("skipped", "settled_otherwise", "servers", "accept", "rejected", "None"),
        ("skipped", "settled_otherwise", "banned", "reject", "accepted", "None"),
        (rejected, "already_settled", "banned", "reject", "rejected", "None"),
    }
    assert chain.members_calls() == []


@pytest.mark.parametrize("enforce", [False, True])
async def test_what_drifted_is_judged_by_the_same_facts(*, enforce: bool) -> None:
    """The sweep, and what it settles anew, find no drift where there is none."""
    chain = Chain(policy=f"{POLICY}reconcile: {{enforce: {str(enforce).lower()}}}\n")
    for name in ("image-1", "server-1"):
        add(chain.cloud, name, status="accepted")
    (rejected,) = add(chain.cloud, "other", status="accepted")
    await chain.tick()
    await chain.settle()
    drifted = ("drifted", "rejected_by_rule", "banned", "reject", "accepted", "None")
    anew = ("rejected", "rejected_by_rule", "banned", "reject", "rejected", "None")
    assert entries(chain) == ({drifted, anew} if enforce else {drifted})
    assert chain.cloud.member_status(rejected, RECEIVER) == ("rejected" if enforce else "accepted")


@pytest.mark.parametrize("count", [1, MANY])
@pytest.mark.parametrize("api", ["ims", "glance"])
async def test_every_standing_is_decided_as_its_whole_facts_are(api: str, count: int) -> None:
    """Of no status, by no reading, the kind is left out; on plain OpenStack no image is full-ECS."""
    chain = Chain(policy=POLICY, DOORMAN_API=api)
    context = await chain.served.context(RECEIVER)
    kinds = {
        image: name.startswith("server") and api == "ims"
        for name in ("image-1", "server-1")
        for status in STATUSES
        for image in add(chain.cloud, name, status=status, count=count)
    }
    for current in (
        await read_current(context.cloud, list(kinds)),
        await read_back(context.cloud, list(kinds), status="accepted"),
    ):
        shares = [share for share in current.values() if share]
        assert {share.image_id: share.full_ecs for share in shares} == kinds
        rules = {(share.name, decide(share, context.policy, now=context.clock.now()).rule) for share in shares}
        assert rules == {("image-1", "images"), ("server-1", "servers" if api == "ims" else "banned")}
