"""Decides what becomes of a share: the first rule that matches, for reasons that can be told. Never awaits, never asks.

Which vault is then tried is `vault_choice`; how a decision is shown to people is `explanation`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from doorman.models import Action, Reason, Share, Vault
from doorman.policy import vault_choice
from doorman.policy.policy import Policy, Rule, VaultRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a rule in audit mode would have done, had it been enforced."""

    rule: str
    action: Action
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What becomes of one share, and why.

    Attributes:
        rule: name of the rule or exception; None where none matched.
        audit: the whole policy is in audit mode: tell, change nothing.
        facts: what the decision rested on: fact to value.
        vaults: entries to choose a vault from, in order; empty but for an accept of a full-ECS image.
        trials: what rules in audit mode would have done, in their order.
    """

    action: Action
    reason: Reason
    rule: str | None = None
    audit: bool = False
    facts: Mapping[str, str] = field(default_factory=dict)
    vaults: tuple[VaultRule, ...] = ()
    trials: tuple[Trial, ...] = ()


def decide(share: Share, policy: Policy, *, now: datetime) -> Decision:
    """Decide one share of somebody else's image.

    Args:
        share: facts; one that is None is unknown, and never opens the gate.
        policy: the rules.
        now: with its time zone.
    """
    trials: list[Trial] = []
    doubt: Rule | None = None
    for rule in _candidates(share, policy, now):
        verdict = rule.verdict(share, now)
        if verdict is False:
            continue
        if verdict is None:
            # a rule that keeps shares out and might match stands in the way of every accept after it
            doubt = doubt or (None if rule.audit or rule.action == "accept" else rule)
            continue
        decision = _by_rule(rule, share, policy, now, doubt)
        if not rule.audit:
            return _told(decision, policy, trials)
        trials.append(Trial(rule=rule.name, action=decision.action, reason=decision.reason))
    return _told(_by_default(share, policy, now), policy, trials)


def decide_all(shares: Iterable[Share], policy: Policy, *, now: datetime) -> dict[str, Decision]:
    """Decide the shares of one round, by image ID; accepts above the limit per owner are held, the newest first."""
    known = {share.image_id: share for share in shares}
    decisions = {image: decide(share, policy, now=now) for image, share in known.items()}
    if policy.accepts_per_owner is None:
        return decisions
    accepted: dict[str | None, int] = {}
    for image in sorted(known, key=lambda each: _seniority(known[each])):
        if decisions[image].action == "accept":
            owner = known[image].owner
            accepted[owner] = accepted.get(owner, 0) + 1
            if accepted[owner] > policy.accepts_per_owner:
                decisions[image] = _limited(decisions[image], policy.accepts_per_owner)
    return decisions


def lapsed(share: Share, policy: Policy, *, now: datetime) -> Rule | None:
    """Return the exception that would match the share, were it not for its last day; None where there is none."""
    return next((rule for rule in policy.exceptions if _fails_by_day_alone(rule, share, now)), None)


def needs_vaults(decision: Decision) -> bool:
    """Say whether choosing a vault needs the backup service's list: a plain mapping does not."""
    return any(entry.is_choice for entry in decision.vaults)


def choose_vault(
    decision: Decision, share: Share, *, tried: Collection[str], vaults: Sequence[Vault] | None
) -> str | None:
    """Return the vault to try next, or None where none is mapped or none is left.

    Args:
        decision: of this share.
        share: the share, for the capacity that it needs.
        tried: vaults that failed already.
        vaults: the backup service's list; None where it was not read.
    """
    return vault_choice.choose(decision.vaults, share, tried=tried, vaults=vaults)


def _candidates(share: Share, policy: Policy, now: datetime) -> list[Rule]:
    """Drop the rules that fall at their first condition; most do, and this costs a third of asking them in full."""
    return [rule for rule in policy.rules_for(share.owner) if rule.first(share, now) is not False]


def _by_rule(rule: Rule, share: Share, policy: Policy, now: datetime, doubt: Rule | None) -> Decision:
    facts = _facts(rule, share, now)
    if rule.action != "accept":
        return Decision(action=rule.action, reason=_reason(rule), rule=rule.name, facts=facts)
    if doubt is not None:
        return Decision(action="hold", reason=Reason.FACT_UNKNOWN, rule=doubt.name, facts=_facts(doubt, share, now))
    if share.full_ecs is not True:
        return Decision(action="accept", reason=_reason(rule), rule=rule.name, facts=facts)
    vaults = tuple(entry for entry in policy.vaults if entry.serves(share))
    facts["full_ecs"] = "true"
    if not vaults:
        return Decision(action="hold", reason=Reason.VAULT_MISSING, rule=rule.name, facts=facts)
    return Decision(action="accept", reason=_reason(rule), rule=rule.name, facts=facts, vaults=vaults)


def _by_default(share: Share, policy: Policy, now: datetime) -> Decision:
    known = policy.rules_for(share.owner) if share.owner is not None else ()
    named = any(_names(rule, share, now) for rule in known)
    reason = Reason.IMAGE_NOT_ALLOWED if named else Reason.OWNER_NOT_ALLOWED
    facts = {"owner": share.owner or "unknown"}
    if (exception := lapsed(share, policy, now=now)) is not None:
        facts["expired_exception"] = exception.name
    return Decision(action=policy.default, reason=reason, facts=facts)


def _told(decision: Decision, policy: Policy, trials: list[Trial]) -> Decision:
    if policy.mode == "enforce" and not trials:
        return decision
    return replace(decision, audit=policy.mode == "audit", trials=tuple(trials))


def _reason(rule: Rule) -> Reason:
    match rule.action:
        case _ if rule.by_hand:
            return Reason.DECIDED_BY_PERSON
        case "accept" if rule.exception:
            return Reason.ALLOWED_BY_EXCEPTION
        case "accept":
            return Reason.ALLOWED_IMAGE if rule.owners is None else Reason.ALLOWED_OWNER
        case "reject":
            return Reason.REJECTED_BY_EXCEPTION if rule.exception else Reason.REJECTED_BY_RULE
        case _:
            return Reason.HELD_BY_EXCEPTION if rule.exception else Reason.HELD_BY_RULE


def _facts(rule: Rule, share: Share, now: datetime) -> dict[str, str]:
    return {condition.fact: condition.read(share, now) for condition in rule.conditions}


def _names(rule: Rule, share: Share, now: datetime) -> bool:
    """Say whether the rule lets images of this owner into this project, on further conditions."""
    if rule.audit or rule.action != "accept" or rule.owners is None:
        return False
    about_owner = (each for each in rule.conditions if each.key in {"owners", "projects", "expires"})
    return all(each.test(share, now) for each in about_owner)


def _fails_by_day_alone(rule: Rule, share: Share, now: datetime) -> bool:
    return all(each.test(share, now) is (each.key != "expires") for each in rule.conditions)


def _seniority(share: Share) -> tuple[float, str]:
    """Order by age, then by ID, so that the order of the list decides nothing."""
    return (share.created_at.timestamp() if share.created_at else float("inf"), share.image_id)


def _limited(decision: Decision, limit: int) -> Decision:
    facts = {**decision.facts, "accepts_per_owner": str(limit)}
    return replace(decision, action="hold", reason=Reason.LIMIT_REACHED, facts=facts, vaults=())
