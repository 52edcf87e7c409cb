"""The policy: loads the file's text into rules that can be asked quickly, or says everything that is wrong with it.

Holds no decision: `decision` asks the rules. Reads no file and no clock.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Literal

from . import conditions
from .conditions import Condition
from .policy_checks import check
from .policy_file import ExceptionEntry, ImagesEntry, Mode, PolicyFile, RuleEntry, VaultEntry
from .shares import Action, Share
from .yaml_marks import BrokenFile, read
from .yaml_syntax import Fault, SyntaxFault

__all__ = ["Fault", "Policy", "PolicyError", "Rule", "VaultRule", "expired", "load"]


class PolicyError(BrokenFile):
    """The policy file is wrong: all faults, each with its line and column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule or an exception, compiled.

    Attributes:
        audit: only told, never done.
        owners: project IDs that it names, groups resolved; None where it names none.
        exception: it comes from `exceptions`. expires: its last day, UTC. note: its `reason`. by: who answers for it.
    """

    name: str
    action: Action
    conditions: tuple[Condition, ...]
    owners: frozenset[str] | None = None
    projects: frozenset[str] | None = None
    audit: bool = False
    exception: bool = False
    expires: date | None = None
    note: str | None = None
    by: str | None = None

    def verdict(self, share: Share, now: datetime) -> bool | None:
        """Say whether all conditions hold: False where one fails, None where that hangs on an unknown fact."""
        result: bool | None = True
        for condition in self.conditions:
            holds = condition.test(share, now)
            if holds is False:
                return False
            if holds is None:
                result = None
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultRule:
    """An entry of `vaults`: for whom, and one vault, or some candidates, or the tags that a vault must carry."""

    owners: frozenset[str] | None
    projects: frozenset[str] | None
    vault: str | None
    candidates: tuple[str, ...]
    tags: frozenset[tuple[str, str]]

    @property
    def is_choice(self) -> bool:
        """Whether the backup service must be asked which vaults there are."""
        return self.vault is None

    def serves(self, share: Share) -> bool:
        """Say whether the entry is for this share's owner and receiving project."""
        return (self.owners is None or share.owner in self.owners) and (
            self.projects is None or share.project_id in self.projects
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy that was checked.

    Attributes:
        digest: 16 hex digits over its meaning; comments and layout do not change it.
        mode: `audit` decides and tells everything, and changes nothing.
        rules: exceptions first, then the rules, in the order of the file.
        accepts_per_owner: how many shares of one owner may be accepted in one round.
    """

    digest: str
    mode: Mode
    default: Literal["hold", "reject"]
    rules: tuple[Rule, ...]
    vaults: tuple[VaultRule, ...]
    accepts_per_owner: int | None
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
    return compile_policy(load_file(text, file=file))


def load_file(text: str, *, file: str = "policy.yaml") -> PolicyFile:
    """Load a policy as it is written.

    Raises:
        PolicyError: with every fault at once.
    """
    try:
        root, faults = read(text)
    except SyntaxFault as error:
        raise PolicyError(file, [error.fault]) from error
    content, more = check(root)
    if content is None or faults or more:
        raise PolicyError(file, [*faults, *more])
    return content


def compile_policy(content: PolicyFile) -> Policy:
    """Give a policy file its meaning."""
    rules = (
        *(_rule(each, content) for each in content.exceptions),
        *(_rule(each, content) for each in content.rules),
    )
    named = {owner for rule in rules for owner in rule.owners or ()}
    return Policy(
        digest=_digest(content),
        mode=content.mode,
        default=content.default,
        rules=rules,
        vaults=tuple(_vault(each, content) for each in content.vaults),
        accepts_per_owner=content.limits.accepts_per_owner,
        by_owner=_by_owner(rules, named),
        for_strangers=tuple(rule for rule in rules if rule.owners is None),
    )


def expired(policy: Policy, today: date) -> tuple[Rule, ...]:
    """Return the exceptions that no longer count on `today` (UTC)."""
    return tuple(rule for rule in policy.rules if rule.expires is not None and rule.expires < today)


def _by_owner(rules: Iterable[Rule], owners: Iterable[str]) -> Mapping[str, tuple[Rule, ...]]:
    found: dict[str, list[Rule]] = {owner: [] for owner in owners}
    for rule in rules:
        for owner in found if rule.owners is None else rule.owners:
            found[owner].append(rule)
    return {owner: tuple(each) for owner, each in found.items()}


def _rule(entry: RuleEntry | ExceptionEntry, content: PolicyFile) -> Rule:
    owners = _resolve(entry.owners, content)
    projects = entry.projects
    exception = entry if isinstance(entry, ExceptionEntry) else None
    last = date.fromisoformat(exception.expires) if exception else None
    return Rule(
        name=entry.name,
        action=entry.decision,
        conditions=(
            *((conditions.on_owner(entry.owners, owners),) if entry.owners and owners else ()),
            *((conditions.on_project(projects),) if projects else ()),
            *((conditions.on_day(last),) if last else ()),
            *conditions.on_image(entry.images or ImagesEntry()),
        ),
        owners=owners,
        projects=None if projects is None else frozenset(projects),
        audit=isinstance(entry, RuleEntry) and entry.mode == "audit",
        exception=exception is not None,
        expires=last,
        note=exception.reason if exception else None,
        by=exception.by if exception else None,
    )


def _vault(entry: VaultEntry, content: PolicyFile) -> VaultRule:
    return VaultRule(
        owners=_resolve(entry.owners, content),
        projects=None if entry.projects is None else frozenset(entry.projects),
        vault=entry.vault,
        candidates=tuple(entry.candidates or ()),
        tags=frozenset((entry.tags or {}).items()),
    )


def _resolve(entries: list[str] | None, content: PolicyFile) -> frozenset[str] | None:
    """Put the groups' project IDs in place of their names."""
    if entries is None:
        return None
    groups = content.groups
    return frozenset(
        owner for each in entries for owner in (groups[each[6:]] if each.startswith("group:") else (each,))
    )


def _digest(content: PolicyFile) -> str:
    meaning = content.model_dump(exclude={"groups"}, exclude_none=True)
    for section in ("exceptions", "rules", "vaults"):
        for written, entry in zip(getattr(content, section), meaning[section], strict=True):
            if written.owners is not None:
                entry["owners"] = sorted(_resolve(written.owners, content) or ())
    return sha256(json.dumps(_ordered(meaning), sort_keys=True).encode()).hexdigest()[:16]


def _ordered(value: object, key: str = "") -> object:
    """Sort the lists whose order means nothing: all but those of entries and of candidates."""
    if isinstance(value, dict):
        return {name: _ordered(each, name) for name, each in value.items()}
    if not isinstance(value, list) or key == "candidates":
        return value
    return [_ordered(each) for each in value] if value and isinstance(value[0], dict) else sorted(set(value))
