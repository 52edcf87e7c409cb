"""Decides what becomes of a share: the first rule that matches, for reasons that can be told. Never awaits, never asks.

Which vault is then tried is `vault_choice`'s; how a decision is shown to people is `tools.explain`'s.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from doorman.models import Action, MemberStatus, Reason, Share
from doorman.policy.conditions import UNKNOWN, value_of
from doorman.policy.policy import Policy, Rule, VaultRule

SETTLED: Mapping[MemberStatus | None, Action] = {"accepted": "accept", "rejected": "reject"}


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
        failed_condition: what kept the share from being accepted, in words: `age_days: at most 90, is 121`.
    """

    action: Action
    reason: Reason
    rule: str | None = None
    audit: bool = False
    facts: Mapping[str, str] = field(default_factory=dict)
    vaults: tuple[VaultRule, ...] = ()
    trials: tuple[Trial, ...] = ()
    failed_condition: str | None = None


_UNKNOWN_OWNER = Decision(action="hold", reason=Reason.FACT_UNKNOWN, facts={"owner": UNKNOWN})
"""For a share of which the cloud does not say whose it is: it may be our own, so no rule is asked."""


def decide(share: Share, policy: Policy, *, now: datetime, at_door: bool = True) -> Decision:
    """Decide one share of somebody else's image.

    Args:
        share: facts; one that is None is unknown, and never settles.
        policy: the rules.
        now: with its time zone.
        at_door: the share comes in. False: it was settled before, so what has changed with time alone counts no more:
            its age, and the end of an exception that let it in.
    """
    if share.owner is None:
        return _told(_UNKNOWN_OWNER, policy, [])
    settled = None if at_door else SETTLED.get(share.member_status)
    trials: list[Trial] = []
    doubts: dict[Action, Rule] = {}
    rules = policy.rules_for(share.owner)
    # most rules fall at their first condition, and this costs a third of asking them in full
    for rule in [each for each in rules if each.first(share, now) is not False]:
        if settled and rule.at_door and rule.action != settled:
            continue
        verdict = rule.verdict(share, now, at_door=not settled)
        if verdict is None and not rule.audit:
            # a rule that might match stands in the way of every other end after it
            doubts.setdefault(rule.action, rule)
        if not verdict:
            continue
        decision = _by_doubt(doubts, rule.action, share, now) or _by_rule(rule, share, policy, now)
        if not rule.audit:
            break
        trials.append(Trial(rule=rule.name, action=decision.action, reason=decision.reason))
    else:
        decision = _by_doubt(doubts, policy.default, share, now) or _by_default(share, policy, rules, now)
    return _told(_kept(decision, share, policy, now) if settled == "accept" else decision, policy, trials)


def decide_shares(shares: Sequence[Share], policy: Policy, now: datetime) -> list[Decision]:
    """Decide shares as they would be now: those that are settled as what they are, the others as if they came in."""
    decided = {(each.project_id, each.image_id): decide(each, policy, now=now, at_door=waits(each)) for each in shares}
    for project in {each.project_id for each in shares}:
        waiting = [each for each in shares if each.project_id == project and waits(each)]
        by_image = {each.image_id: decided[project, each.image_id] for each in waiting}
        for image in over_limit(by_image, waiting, policy.accepts_per_owner):
            decided[project, image] = hold_over_limit(by_image[image], policy.accepts_per_owner or 0)
    return [decided[each.project_id, each.image_id] for each in shares]


def waits(share: Share) -> bool:
    """Say whether nobody has settled it."""
    return share.member_status in {None, "pending"}


def over_limit(decisions: Mapping[str, Decision], shares: Iterable[Share], limit: int | None) -> set[str]:
    """Return the images to hold, since their owner has more than `limit` acceptable ones pending in the project.

    Args:
        decisions: by image ID.
        shares: all pending ones of one project.
        limit: the policy's `accepts_per_owner`; None: there is none.
    """
    acceptable: dict[str | None, set[str]] = {}
    for share in shares:
        if decisions[share.image_id].action == "accept":
            acceptable.setdefault(share.owner, set()).add(share.image_id)
    held = (images for images in acceptable.values() if limit is not None and len(images) > limit)
    return {image for images in held for image in images}


def hold_over_limit(decision: Decision, limit: int) -> Decision:
    """Turn an accept into a hold for `limit_reached`; what it rests on stays."""
    return replace(
        decision,
        action="hold",
        reason=Reason.LIMIT_REACHED,
        facts={**decision.facts, "accepts_per_owner": str(limit)},
        vaults=(),
        failed_condition=f"accepts_per_owner: at most {limit}, more wait at once",
    )


def hold_without_vault(decision: Decision) -> Decision:
    """Turn an accept of a full-ECS image into a hold, since there is no vault for it; what it rests on stays."""
    return replace(decision, action="hold", reason=Reason.VAULT_MISSING, vaults=())


def lapsed(share: Share, policy: Policy, *, now: datetime, at_door: bool = True) -> Rule | None:
    """Return the exception that would match the share, were it not for its last day; None where there is none."""
    for rule in policy.exceptions:
        asked = (each for each in rule.conditions if at_door or not each.is_at_door)
        if all(each.test(share, now) is (each.key != "expires") for each in asked):
            return rule
    return None


def needs_vaults(decision: Decision) -> bool:
    """Say whether choosing a vault needs the backup service's list: a plain mapping does not."""
    return bool(decision.vaults) and any(entry.is_choice for entry in decision.vaults)


def _kept(decision: Decision, share: Share, policy: Policy, now: datetime) -> Decision:
    """Keep what is accepted as an exception let it in before it ended, unless a rule rejects it."""
    if decision.action == "accept" or (decision.action == "reject" and decision.rule):
        return decision
    exception = lapsed(share, policy, now=now, at_door=False)
    if exception is None or exception.action != "accept":
        return decision
    return _by_rule(exception, share, policy, now)


def _by_rule(rule: Rule, share: Share, policy: Policy, now: datetime) -> Decision:
    facts = _facts(rule, share, now)
    if rule.action != "accept" or share.full_ecs is not True:
        return Decision(action=rule.action, reason=_reason(rule), rule=rule.name, facts=facts)
    vaults = tuple(entry for entry in policy.vaults if entry.serves(share))
    facts["full_ecs"] = "true"
    decision = Decision(action="accept", reason=_reason(rule), rule=rule.name, facts=facts, vaults=vaults)
    failed = f"vaults: no entry serves {share.owner}"
    return decision if vaults else hold_without_vault(replace(decision, failed_condition=failed))


def _by_doubt(doubts: Mapping[Action, Rule], action: Action, share: Share, now: datetime) -> Decision | None:
    """Hold for the first rule that might match and would end otherwise; a hold leaves all open, so none counts then."""
    for other, rule in doubts.items():
        if other != action != "hold":
            return Decision(
                action="hold",
                reason=Reason.FACT_UNKNOWN,
                rule=rule.name,
                facts=_facts(rule, share, now),
                failed_condition=_first_failure(rule, share, now),
            )
    return None


def _by_default(share: Share, policy: Policy, rules: Iterable[Rule], now: datetime) -> Decision:
    named = next((rule for rule in rules if _names(rule, share, now)), None)
    facts = {"owner": value_of(share, "owner")}
    if (exception := lapsed(share, policy, now=now)) is not None:
        facts["expired_exception"] = exception.name
    if named is not None:
        reason, failed = Reason.IMAGE_NOT_ALLOWED, _first_failure(named, share, now)
    else:
        reason = Reason.OWNER_NOT_ALLOWED
        failed = f"owners: no rule that accepts names {share.owner} for project {share.project_id}"
    return Decision(action=policy.default, reason=reason, facts=facts, failed_condition=failed)


def _first_failure(rule: Rule, share: Share, now: datetime) -> str | None:
    failures = (each.failure(share, now) for each in rule.conditions if each.test(share, now) is not True)
    return next(failures, None)


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
    told = {condition.fact: condition.read(share, now) for condition in rule.conditions}
    return {**told, "reason": rule.note, "by": rule.by} if rule.note and rule.by else told


def _names(rule: Rule, share: Share, now: datetime) -> bool:
    """Say whether the rule lets images of this owner into this project, on further conditions."""
    if rule.audit or rule.action != "accept" or rule.owners is None:
        return False
    about_owner = (each for each in rule.conditions if each.key in {"owners", "projects", "expires"})
    return all(each.test(share, now) for each in about_owner)
