"""Turns asked images, the cloud's facts and the policy's decisions into effects: members calls and outcomes. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from . import decision as decisions
from .decision import Decision
from .messages import CLOCK_SKEW, CheckedShare
from .policy import Policy
from .shares import Cause, Fate, Notice, Outcome, Reason, Share, Status, Vault
from .telling import MAX_EVENT, pack_size

_STATUS: Mapping[str, Status] = {"accept": "accepted", "reject": "rejected"}
_FATE: Mapping[Status, Fate] = {"accepted": Fate.ACCEPTED, "rejected": Fate.REJECTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One image that events asked about; `is_young`: the cloud may not show it yet."""

    image_id: str
    cause: Cause
    tries: int = 1
    tried_vaults: tuple[str, ...] = ()
    is_young: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the cloud says of the asked images.

    Attributes:
        pending: from the pending list.
        standings: of those that it does not show; None where the cloud knows no share.
        unlisted: pending by their own row, yet in no list: nothing is known to decide them by.
        vaults: for a choice by capacity; None where none was needed.
    """

    pending: Mapping[str, Share]
    standings: Mapping[str, Share | None] = field(default_factory=dict)
    unlisted: frozenset[str] = frozenset()
    vaults: Sequence[Vault] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One members call to make."""

    status: Status
    vault_id: str | None
    images: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done: calls, outcomes that need none, and images that are not visible yet."""

    submissions: tuple[Submission, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    invisible: frozenset[str] = frozenset()


def gather_asks(notices: Iterable[Notice], *, now: datetime, window: float) -> dict[str, Ask]:
    """Merge what notices ask, by image: the first to arrive is the cause, tries and tried vaults add up.

    Args:
        window: seconds during which a share may not be visible yet.
    """
    asks: dict[str, Ask] = {}
    for notice in notices:
        is_young = notice.sent_at is not None and -CLOCK_SKEW <= now - notice.sent_at < timedelta(seconds=window)
        for image in notice.images:
            known = asks.get(image)
            asks[image] = Ask(
                image_id=image,
                cause=known.cause if known else notice.cause,
                tries=max(known.tries, notice.tries) if known else notice.tries,
                tried_vaults=tuple(dict.fromkeys((known.tried_vaults if known else ()) + notice.tried_vaults)),
                is_young=is_young or (known is not None and known.is_young),
            )
    return asks


def decide(facts: Facts, policy: Policy, *, project_id: str, now: datetime) -> dict[str, Decision]:
    """Decide every share that the cloud shows, except our own images and those that are settled."""
    foreign = [share for share in facts.pending.values() if share.owner != project_id]
    decided = decisions.decide_all(foreign, policy, now=now)
    for image, share in facts.standings.items():
        if share is not None:
            decided[image] = decisions.decide(share, policy, now=now)
    return decided


def draw(
    asks: Mapping[str, Ask],
    facts: Facts,
    decided: Mapping[str, Decision],
    *,
    project_id: str,
    is_audit: bool,
    max_images: int,
) -> Plan:
    """Draw the plan for a round; every asked image ends in exactly one of its parts."""
    groups: dict[tuple[Status, str | None], list[str]] = {}
    outcomes: list[Outcome] = []
    invisible: set[str] = set()
    for image, ask in asks.items():
        share = facts.pending.get(image)
        if share is not None and share.owner == project_id:
            outcomes.append(conclude(ask, share, None, fate=Fate.SKIPPED, reason=Reason.OWN_IMAGE))
        elif image in facts.unlisted:
            invisible.add(image)
        elif share is None:
            if (standing := facts.standings.get(image)) is None and ask.is_young:
                invisible.add(image)
            else:
                outcomes.append(conclude_settled(ask, standing, decided.get(image)))
        else:
            decision = decided[image]
            outcomes.extend(_try_rules(ask, share, decision))
            vault, missing = pick_vault(ask, share, decision, facts.vaults)
            if is_audit or decision.audit:
                reason = missing or decision.reason
                outcomes.append(conclude(ask, share, decision, fate=Fate.AUDITED, reason=reason, vault_id=vault))
            elif missing or decision.action == "hold":
                outcomes.append(conclude(ask, share, decision, fate=Fate.HELD, reason=missing or decision.reason))
            else:
                groups.setdefault((_STATUS[decision.action], vault), []).append(image)
    submissions = [
        Submission(status=status, vault_id=vault, images=tuple(part))
        for (status, vault), images in groups.items()
        for part in _chunk(images, lambda image: carried(asks[image], facts.pending[image], decided[image]), max_images)
    ]
    return Plan(submissions=tuple(submissions), outcomes=tuple(outcomes), invisible=frozenset(invisible))


def pick_vault(
    ask: Ask, share: Share, decision: Decision, vaults: Sequence[Vault] | None
) -> tuple[str | None, Reason | None]:
    """Choose the vault for an accept of a full-ECS image; without one, give the reason to hold instead."""
    if not decision.vaults:
        return None, None
    vault = decisions.choose_vault(decision, share, tried=ask.tried_vaults, vaults=vaults)
    if vault is not None:
        return vault, None
    return None, Reason.VAULT_FAILED if ask.tried_vaults else Reason.VAULT_MISSING


def offers(decision: Decision, vault_id: str) -> bool:
    """Say whether the policy could have chosen this vault for the share."""
    return any(entry.vault == vault_id or vault_id in entry.candidates or entry.tags for entry in decision.vaults)


def conclude(
    ask: Ask,
    share: Share | None,
    decision: Decision | None,
    *,
    fate: Fate,
    reason: Reason,
    vault_id: str | None = None,
    error_code: str | None = None,
) -> Outcome:
    """Put together the outcome of one image from what was read and decided."""
    return Outcome(
        fate=fate,
        image_id=ask.image_id,
        reason=reason,
        cause=ask.cause.id,
        name=share.name if share else None,
        owner=share.owner if share else None,
        rule=decision.rule if decision else None,
        member_status=share.member_status if share else None,
        error_code=error_code,
        vault_id=vault_id,
        decision=decision.action if decision else None,
        facts=decision.facts if decision else None,
    )


def judge(
    ask: Ask,
    share: Share | None,
    decision: Decision | None,
    *,
    project_id: str,
    wanted: Status,
    otherwise: Reason,
    vault_id: str | None = None,
    error_code: str | None = None,
) -> Outcome:
    """Say what became of an image that was to be settled as `wanted`, from how it stands now.

    Args:
        share: as read back; None where the cloud knows no share any more.
        decision: of today's policy; None where the share is gone.
        otherwise: the reason to tell where it is still pending.
    """
    if share is None:
        return conclude(ask, None, None, fate=Fate.SKIPPED, reason=Reason.NOT_SHARED, error_code=error_code)
    if share.owner == project_id:
        return conclude(ask, share, None, fate=Fate.SKIPPED, reason=Reason.OWN_IMAGE)
    if share.member_status == wanted:
        is_ours = decision is not None and _STATUS.get(decision.action) == wanted
        reason = decision.reason if decision is not None and is_ours else Reason.POLICY_DIFFERS
        return conclude(ask, share, decision, fate=_FATE[wanted], reason=reason, vault_id=vault_id)
    reason = otherwise if share.member_status == "pending" else Reason.SETTLED_OTHERWISE
    return conclude(ask, share, decision, fate=Fate.FAILED, reason=reason, vault_id=vault_id, error_code=error_code)


def carried(ask: Ask, share: Share, decision: Decision) -> CheckedShare:
    """Give what `job.check` carries of one image."""
    return CheckedShare(name=share.name, owner=share.owner, rule=decision.rule, cause=ask.cause.id)


def conclude_settled(ask: Ask, standing: Share | None, decision: Decision | None) -> Outcome:
    """Say what became of an image that was settled, or gone, before we did anything."""
    if standing is None:
        return conclude(ask, None, None, fate=Fate.SKIPPED, reason=Reason.NOT_SHARED)
    is_as_decided = decision is None or _STATUS.get(decision.action) in {None, standing.member_status}
    reason = Reason.ALREADY_SETTLED if is_as_decided else Reason.SETTLED_OTHERWISE
    return conclude(ask, standing, decision, fate=Fate.SKIPPED, reason=reason)


def _try_rules(ask: Ask, share: Share, decision: Decision) -> list[Outcome]:
    """Tell what rules in audit mode would have done, beside what the enforced ones do."""
    return [
        replace(
            conclude(ask, share, decision, fate=Fate.AUDITED, reason=trial.reason),
            rule=trial.rule,
            decision=trial.action,
        )
        for trial in decision.trials
    ]


def _chunk(images: Sequence[str], carry: Callable[[str], CheckedShare], most: int) -> list[list[str]]:
    """Cut into parts of at most `most` images that one `job.check` can carry."""
    parts: list[list[str]] = [[]]
    room = MAX_EVENT
    for image in images:
        size = pack_size(carry(image).model_dump()) + 2 * pack_size(image)
        if parts[-1] and (size > room or len(parts[-1]) == most):
            parts.append([])
            room = MAX_EVENT
        parts[-1].append(image)
        room -= size
    return parts
