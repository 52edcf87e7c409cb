"""Makes the plan of a batch: which members calls to make, and which outcomes to tell without one. Pure; does nothing.

What was requested and observed comes from `batch`, how an image ends from `outcomes`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from doorman.errors import NotVisible, Unavailable
from doorman.events.outcomes import MAX_EVENT, pack_size
from doorman.models import MAX_IMAGES, MAX_TRIES, Outcome, Share, Status, Vault
from doorman.planning.batch import Observed, RequestedImage
from doorman.planning.outcomes import WANTED, before_call, hold, trials
from doorman.policy import decision as decisions
from doorman.policy.decision import Decision
from doorman.policy.policy import Policy
from doorman.policy.vault_choice import choose, reserve

AGAIN = 5.0
"""Seconds to wait for a share that is not visible yet, or cannot be read now."""

NOT_VISIBLE = "the share is not visible yet"
"""Why an image is asked for again that only an event knows of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersCall:
    """One members call to make.

    Attributes:
        attempt: how often it was made, from 1, where the cloud had no time for it.
    """

    status: Status
    vault_id: str | None
    images: tuple[str, ...]
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done: calls, outcomes that need none, and why other images must be asked for again."""

    calls: tuple[MembersCall, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    later: Mapping[str, str] = field(default_factory=dict)


def reopen(observed: Observed, policy: Policy, *, project_id: str, now: datetime) -> Observed:
    """Move the shares that are settled otherwise to those that wait to be settled, where the policy or a command asks.

    Who settled them, a person or an earlier policy, no cloud tells.
    """
    again = {
        image: share
        for image, share in observed.current.items()
        if share is not None
        and share.owner not in {None, project_id}
        and WANTED.get(decisions.decide(share, policy, now=now, at_door=False).action, share.member_status)
        != share.member_status
    }
    left = {image: share for image, share in observed.current.items() if image not in again}
    return replace(observed, pending={**observed.pending, **again}, current=left)


def make_plan(
    requested: Mapping[str, RequestedImage],
    observed: Observed,
    decided: Mapping[str, Decision],
    *,
    project_id: str,
    is_audit: bool,
    max_images: int,
) -> Plan:
    """Make the plan for a batch; every requested image ends in exactly one of its parts.

    Args:
        max_images: images in one members call, and never more than one `job.check` can carry.
    """
    later = {image: why for image, each in requested.items() if (why := _find_delay(each, observed, decided))}
    here = {image: each for image, each in requested.items() if image not in later}
    foreign = {image: share for image, share in observed.pending.items() if share.owner != project_id}
    outcomes = [
        before_call(each, observed.find(image), decided.get(image), project_id=project_id)
        for image, each in here.items()
        if image not in foreign
    ]
    waiting = [(each, foreign[image], decided[image]) for image, each in here.items() if image in foreign]
    groups, told = _divide(waiting, observed.vaults, is_audit=is_audit)
    calls = (
        MembersCall(status=status, vault_id=vault, images=tuple(part))
        for (status, vault), images in groups.items()
        for part in _chunk(images, max_images)
    )
    return Plan(calls=tuple(calls), outcomes=(*outcomes, *told), later=later)


def _divide(
    waiting: Sequence[tuple[RequestedImage, Share, Decision]], vaults: Sequence[Vault] | None, *, is_audit: bool
) -> tuple[Mapping[tuple[Status, str | None], list[tuple[str, int]]], Sequence[Outcome]]:
    """Divide what waits by how it is to be settled: images with their sizes, by status and vault, and outcomes."""
    groups: dict[tuple[Status, str | None], list[tuple[str, int]]] = {}
    outcomes: list[Outcome] = []
    for request, share, decided in waiting:
        decision = replace(decided, audit=True) if is_audit else decided
        outcomes += trials(request, share, decision)
        vault, decision = place(request, share, decision, vaults)
        vaults = reserve(vaults, vault, share) if vault else vaults
        wanted = WANTED.get(decision.action)
        if wanted is None or decision.audit:
            outcomes.append(hold(request, share, decision, vault))
        else:
            size = pack_size((share.image_id, share.image_id, check_share(request, share, decision)))
            groups.setdefault((wanted, vault), []).append((share.image_id, size))
    return groups, outcomes


def place(
    requested: RequestedImage, share: Share, decision: Decision, vaults: Sequence[Vault] | None
) -> tuple[str | None, Decision]:
    """Choose the vault for an accept of a full-ECS image, and hold the image where there is none."""
    vault = pick_vault(requested, share, decision, vaults) if decision.vaults else None
    return vault, decisions.hold_without_vault(decision) if decision.vaults and vault is None else decision


def pick_vault(
    requested: RequestedImage,
    share: Share,
    decision: Decision,
    vaults: Sequence[Vault] | None,
    *,
    failed: Collection[str] = (),
) -> str | None:
    """Choose the vault for an accept of a full-ECS image; None where there is none left, or none is needed.

    Args:
        failed: vaults that failed in this invocation. What the request claims to have been tried is avoided as long
            as there is another vault; it never leaves a share without one.
    """
    tried = {*requested.tried_vaults, *failed}
    vault = choose(decision.vaults, share, tried=tried, vaults=vaults)
    if vault is None and not failed:
        vault = choose(decision.vaults, share, tried=(), vaults=vaults)
    return vault


def delay(why: str) -> Unavailable:
    """Make the error for an image that must be asked for again; that only an event claims it is told apart."""
    return (NotVisible if why == NOT_VISIBLE else Unavailable)(why, retry_after=AGAIN)


def halve(call: MembersCall) -> list[MembersCall]:
    """Divide a call, to find out which of its images is to blame."""
    middle = (len(call.images) + 1) // 2
    return [replace(call, images=part, attempt=1) for part in (call.images[middle:], call.images[:middle])]


def max_extra_calls(images: int) -> int:
    """Give the members calls that a batch may cause beyond its own: enough to find a few suspects among many."""
    return 2 * max(images - 1, 1).bit_length() + 8


def regroup(images: Sequence[str], *, tries: int) -> Iterator[tuple[str, ...]]:
    """Divide suspects into smaller groups, each for an event of its own; at the last try each is alone.

    Args:
        tries: of the event that they go into.
    """
    size = 1 if tries >= MAX_TRIES else max(1, round(len(images) ** 0.5))
    for start in range(0, len(images), size):
        yield tuple(images[start : start + size])


def check_share(requested: RequestedImage, share: Share, decision: Decision) -> dict[str, str | None]:
    """Give what `job.check` carries of one image, as `CheckedShare` reads it."""
    return {"name": share.name, "owner": share.owner, "rule": decision.rule, "cause": requested.cause.id}


def _find_delay(requested: RequestedImage, observed: Observed, decided: Mapping[str, Decision]) -> str | None:
    """Say why the image must be asked for again; None where all is known that it takes."""
    image = requested.image_id
    if image in observed.unreadable:
        return "the share waits, but its image cannot be read now"
    if image in observed.pending:
        needs = image in decided and decisions.needs_vaults(decided[image])
        return observed.vaults_error if needs and observed.vaults is None else None
    if requested.is_young and observed.current.get(image) is None:
        return NOT_VISIBLE
    return None


def _chunk(images: Sequence[tuple[str, int]], most: int) -> list[list[str]]:
    """Cut images with their sizes into parts of at most `most` that one `job.check` can carry."""
    parts: list[list[str]] = [[]]
    room = MAX_EVENT
    for image, size in images:
        if parts[-1] and (size > room or len(parts[-1]) >= min(most, MAX_IMAGES)):
            parts.append([])
            room = MAX_EVENT
        parts[-1].append(image)
        room -= size
    return parts
