"""Draws the plan of a round: which members calls to make, and which outcomes to tell without one. Pure; does nothing.

What is asked and known comes from `asks`, the words for what became of an image from `verdicts`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from doorman.events.messages import CheckedShare
from doorman.events.outcomes import MAX_EVENT, pack_size
from doorman.models import MAX_IMAGES, Outcome, OutcomeType, Reason, Share, Status, Vault
from doorman.planning.batch import Facts, RequestedImage
from doorman.planning.outcomes import WANTED, conclude, conclude_settled, disown
from doorman.policy import decision as decisions
from doorman.policy.decision import Decision
from doorman.policy.vault_choice import reserve


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersCall:
    """One members call to make."""

    status: Status
    vault_id: str | None
    images: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done: calls, outcomes that need none, and images that are not visible yet."""

    calls: tuple[MembersCall, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    invisible: frozenset[str] = frozenset()


def make_plan(
    asks: Mapping[str, RequestedImage],
    facts: Facts,
    decided: Mapping[str, Decision],
    *,
    project_id: str,
    is_audit: bool,
    max_images: int,
) -> Plan:
    """Draw the plan for a round; every asked image ends in exactly one of its parts.

    Args:
        max_images: images in one members call, and never more than one `job.check` can carry.
    """
    groups: dict[tuple[Status, str | None], list[str]] = {}
    outcomes: list[Outcome] = []
    vaults = facts.vaults
    invisible = frozenset(image for image, ask in asks.items() if _is_invisible(ask, facts))
    for image in (image for image in asks if image not in invisible):
        ask, share, standing = asks[image], facts.pending.get(image), facts.standings.get(image)
        if (known := share or standing) is not None and known.owner == project_id:
            outcomes.append(disown(ask, known))
        elif share is None:
            outcomes.append(conclude_settled(ask, standing, decided.get(image)))
        else:
            decision = decided[image]
            outcomes += _try_rules(ask, share, decision)
            vault, missing = pick_vault(ask, share, decision, vaults)
            vaults = reserve(vaults, vault, share) if vault else vaults
            wanted = None if missing else WANTED.get(decision.action)
            is_trial = is_audit or decision.audit
            if wanted is None or is_trial:
                fate, reason = OutcomeType.AUDITED if is_trial else OutcomeType.HELD, missing or decision.reason
                outcomes.append(conclude(ask, share, decision, fate=fate, reason=reason, vault_id=vault))
            else:
                groups.setdefault((wanted, vault), []).append(image)
    return Plan(
        calls=tuple(
            MembersCall(status=status, vault_id=vault, images=tuple(part))
            for (status, vault), images in groups.items()
            for part in _chunk(
                images, lambda image: carried(asks[image], facts.pending[image], decided[image]), max_images
            )
        ),
        outcomes=tuple(outcomes),
        invisible=invisible,
    )


def pick_vault(
    ask: RequestedImage, share: Share, decision: Decision, vaults: Sequence[Vault] | None
) -> tuple[str | None, Reason | None]:
    """Choose the vault for an accept of a full-ECS image; without one, give the reason to hold instead."""
    if not decision.vaults:
        return None, None
    vault = decisions.choose_vault(decision, share, tried=ask.tried_vaults, vaults=vaults)
    if vault is not None:
        return vault, None
    return None, Reason.VAULT_FAILED if ask.tried_vaults else Reason.VAULT_MISSING


def carried(ask: RequestedImage, share: Share, decision: Decision) -> CheckedShare:
    """Give what `job.check` carries of one image."""
    return CheckedShare(name=share.name, owner=share.owner, rule=decision.rule, cause=ask.cause.id)


def _is_invisible(ask: RequestedImage, facts: Facts) -> bool:
    """Say whether the cloud may yet show more of the image than it does now."""
    if ask.image_id in facts.pending:
        return False
    return ask.image_id in facts.unlisted or (ask.is_young and facts.standings.get(ask.image_id) is None)


def _try_rules(ask: RequestedImage, share: Share, decision: Decision) -> list[Outcome]:
    """Tell what rules in audit mode would have done, beside what the enforced ones do."""
    return [
        replace(
            conclude(ask, share, decision, fate=OutcomeType.AUDITED, reason=trial.reason),
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
        if parts[-1] and (size > room or len(parts[-1]) >= min(most, MAX_IMAGES)):
            parts.append([])
            room = MAX_EVENT
        parts[-1].append(image)
        room -= size
    return parts
