"""The policy: loads the file's text into rules that can be asked quickly, or says everything that is wrong with it.

Holds no decision: `decision` asks the rules. Reads no file and no clock.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Literal

from doorman.policy.checks import check
from doorman.policy.document import strict
from doorman.policy.document.faults import BrokenFile, Fault
from doorman.policy.document.marks import Node
from doorman.policy.key_descriptions import WORDS
from doorman.policy.rules import Rule, VaultRule, resolve, rules_of, vaults_of
from doorman.policy.schema import Mode, PolicyFile, ReconcileEntry

__all__ = ["Fault", "Policy", "PolicyError", "Rule", "VaultRule", "expired", "load"]


class PolicyError(BrokenFile):
    """The policy file is wrong: all faults, each with its line and column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy that was checked.

    Attributes:
        digest: 16 hex digits over its meaning; comments and layout do not change it.
        mode: `audit` decides and tells everything, and changes nothing.
        default: what happens to shares that no rule matches.
        rules: exceptions first, then the rules, in the order of the file. exceptions: these alone.
        accepts_per_owner: how many shares of one owner may be accepted in one round; None: no limit.
        tells_drift: the sweep tells of shares that were settled earlier and would be settled otherwise today.
        settles_anew: what was settled otherwise is settled as the policy says now; else it is left as it is.
        by_owner: the rules that could match a share of an owner whom the policy names.
        for_strangers: those that could match anybody else's.
    """

    digest: str
    mode: Mode
    default: Literal["hold", "reject"]
    rules: tuple[Rule, ...]
    exceptions: tuple[Rule, ...]
    vaults: tuple[VaultRule, ...]
    accepts_per_owner: int | None
    tells_drift: bool
    settles_anew: bool
    by_owner: Mapping[str, tuple[Rule, ...]]
    for_strangers: tuple[Rule, ...]

    def rules_for(self, owner: str | None) -> tuple[Rule, ...]:
        """Return the rules that could match a share of `owner`, in order; all of them where nobody knows the owner."""
        return self.rules if owner is None else self.by_owner.get(owner, self.for_strangers)


def load(text: str, *, file: str = "policy.yaml") -> Policy:
    """Load a policy.

    Args:
        text: YAML or JSON.
        file: its name, for the error's lines.

    Raises:
        PolicyError: with every fault at once.
    """
    content, _ = load_file(text, file=file)
    return compile_policy(content)


def load_file(text: str, *, file: str = "policy.yaml") -> tuple[PolicyFile, Node]:
    """Load a policy as it is written, and where everything stands in it.

    Raises:
        PolicyError: with every fault at once.
    """
    return strict.load(text, PolicyFile.model_validate, WORDS, file=file, sense=check, error=PolicyError)


def compile_policy(content: PolicyFile) -> Policy:
    """Give a policy file its meaning."""
    rules = rules_of(content)
    return Policy(
        digest=_digest(content),
        mode=content.mode,
        default=content.default,
        rules=rules,
        exceptions=tuple(rule for rule in rules if rule.exception),
        vaults=vaults_of(content),
        accepts_per_owner=content.limits.accepts_per_owner,
        tells_drift=content.reconcile.tell,
        settles_anew=content.reconcile.enforce,
        by_owner=_by_owner(rules),
        for_strangers=tuple(rule for rule in rules if rule.owners is None),
    )


def expired(policy: Policy, today: date) -> tuple[Rule, ...]:
    """Return the exceptions that no longer count on `today` (UTC)."""
    return tuple(rule for rule in policy.exceptions if rule.expires is not None and rule.expires < today)


def _by_owner(rules: Iterable[Rule]) -> Mapping[str, tuple[Rule, ...]]:
    """Index the rules, so that a share is asked only those that could match it."""
    rules = tuple(rules)
    found: dict[str, list[Rule]] = {owner: [] for rule in rules for owner in rule.owners or ()}
    for rule in rules:
        for owner in found if rule.owners is None else rule.owners:
            found[owner].append(rule)
    return {owner: tuple(each) for owner, each in found.items()}


def _digest(content: PolicyFile) -> str:
    meaning = content.model_dump(exclude={"groups"}, exclude_none=True)
    if content.reconcile == ReconcileEntry.model_construct():
        # A section that came later: what does not use it keeps its digest.
        del meaning["reconcile"]
    for section in ("exceptions", "rules", "vaults"):
        for written, entry in zip(getattr(content, section), meaning[section], strict=True):
            if written.owners is not None:
                entry["owners"] = sorted(resolve(written.owners, content) or ())
    return sha256(json.dumps(_ordered(meaning), sort_keys=True).encode()).hexdigest()[:16]


def _ordered(value: object, key: str = "") -> object:
    """Sort the lists whose order means nothing: all but those of entries and of candidates."""
    if isinstance(value, dict):
        return {name: _ordered(each, name) for name, each in value.items()}
    if not isinstance(value, list) or key == "candidates":
        return value
    return [_ordered(each) for each in value] if value and isinstance(value[0], dict) else sorted(set(value))
