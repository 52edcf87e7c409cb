"""The policy: loads the file's text into rules that can be asked quickly, or says everything that is wrong with it.

Holds no decision: `decision` asks the rules. Reads no file and no clock.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from hashlib import sha256
from typing import Literal

from doorman.models import Action, Api, Mode, Share
from doorman.policy.checks import GROUP, advise, check
from doorman.policy.conditions import Condition, Test, always, on_day, on_image, on_members
from doorman.policy.document import strict
from doorman.policy.document.yaml_reader import Node
from doorman.policy.schema import ExceptionEntry, ImagesEntry, PolicyFile, RuleEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule or an exception.

    Attributes:
        owners: project IDs that it names, groups resolved; None where it names none. projects: receiving projects.
        audit: only told, never done.
        first, others: the conditions' tests, but for the one on the owner: `Policy.rules_for` has asked that.
        at_door: the tests that count only when a share comes in.
        exception: it comes from `exceptions`. expires: its last day, UTC. note: its `reason`. by: who answers for it.
        by_hand: a person decides it just now; it comes from no file.
    """

    name: str
    action: Action
    conditions: tuple[Condition, ...]
    first: Test
    others: tuple[Test, ...] = ()
    at_door: tuple[Test, ...] = ()
    owners: frozenset[str] | None = None
    projects: frozenset[str] | None = None
    audit: bool = False
    exception: bool = False
    expires: date | None = None
    note: str | None = None
    by: str | None = None
    by_hand: bool = False

    def verdict(self, share: Share, now: datetime, *, at_door: bool = True) -> bool | None:
        """Say whether all conditions match a share that `Policy.rules_for` gave this rule to.

        Args:
            share: its facts.
            now: with its time zone.
            at_door: whether to ask what counts only when a share comes in.

        Returns:
            False where one fails; None where none fails, but one hangs on a fact that nobody knows.
        """
        verdict: bool | None = True
        for test in (self.first, *self.others, *self.at_door) if at_door else (self.first, *self.others):
            matches = test(share, now)
            if matches is False:
                return False
            if matches is None:
                verdict = None
        return verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultRule:
    """An entry of `vaults`: for whom, and one vault, or some candidates, or the tags that a vault must carry.

    Attributes:
        min_free: GB that a candidate, or a vault found by its tags, must have free.
    """

    owners: frozenset[str] | None = None
    projects: frozenset[str] | None = None
    vault: str | None = None
    candidates: tuple[str, ...] = ()
    tags: frozenset[tuple[str, str]] = frozenset()
    min_free: int = 0

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
        digest: 16 hex digits over what the file says; comments and layout do not change it.
        mode: `audit` decides and tells everything, and changes nothing.
        default: what happens to shares that no rule matches.
        rules: exceptions first, then the rules, in the order of the file. exceptions: these alone.
        accepts_per_owner: how many acceptable shares of one owner may be pending at once; None: no limit.
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

    def rules_for(self, owner: str) -> tuple[Rule, ...]:
        """Return the rules that could match a share of `owner`, in order."""
        return self.by_owner.get(owner, self.for_strangers)


def load(text: str, *, file: str = "policy.yaml", api: Api = "ims") -> Policy:
    """Load a policy.

    Args:
        text: YAML or JSON.
        file: its name, for the error's lines.
        api: the image service that it is for.

    Raises:
        BrokenFile: with every fault at once.
    """
    content, _ = load_file(text, file=file, api=api)
    return compile_policy(content)


def load_file(text: str, *, file: str = "policy.yaml", api: Api = "ims") -> tuple[PolicyFile, Node]:
    """Load a policy as it is written, and where everything stands in it.

    Raises:
        BrokenFile: with every fault at once.
    """
    sense = partial(check, api=api)
    return strict.load(text, PolicyFile, file=file, sense=sense, advise=advise)


def compile_policy(content: PolicyFile) -> Policy:
    """Give a policy file its meaning."""
    entries: list[RuleEntry | ExceptionEntry] = [*content.exceptions, *content.rules]
    rules = tuple(_rule(entry, content) for entry in entries)
    return Policy(
        digest=_digest(content),
        mode=content.mode,
        default=content.default,
        rules=rules,
        exceptions=tuple(rule for rule in rules if rule.exception),
        vaults=_vaults(content),
        accepts_per_owner=content.limits.accepts_per_owner,
        tells_drift=content.reconcile.tell,
        settles_anew=content.reconcile.enforce,
        by_owner=_by_owner(rules),
        for_strangers=tuple(rule for rule in rules if rule.owners is None),
    )


def expired(policy: Policy, today: date) -> tuple[Rule, ...]:
    """Return the exceptions that no longer count on `today` (UTC)."""
    return tuple(rule for rule in policy.exceptions if rule.expires is not None and rule.expires < today)


def resolve(entries: list[str] | None, content: PolicyFile) -> frozenset[str] | None:
    """Put the groups' project IDs in place of `group:NAME`."""
    if entries is None:
        return None
    return frozenset(
        owner
        for each in entries
        for owner in (content.groups[each.removeprefix(GROUP)] if each.startswith(GROUP) else (each,))
    )


def _vaults(content: PolicyFile) -> tuple[VaultRule, ...]:
    """Compile the entries of `vaults`, in the order of the file."""
    return tuple(
        VaultRule(
            owners=resolve(entry.owners, content),
            projects=resolve(entry.projects, content),
            vault=entry.vault,
            candidates=tuple(entry.candidates or ()),
            tags=frozenset((entry.tags or {}).items()),
            min_free=entry.min_free_gb or 0,
        )
        for entry in content.vaults
    )


def _rule(entry: RuleEntry | ExceptionEntry, content: PolicyFile) -> Rule:
    exception = entry if isinstance(entry, ExceptionEntry) else None
    last = date.fromisoformat(exception.expires) if exception else None
    owners = resolve(entry.owners, content)
    projects = resolve(entry.projects, content)
    conditions = _conditions(entry, owners, projects, last)
    asked = [each for each in conditions if each.key != "owners"]
    first, *others = [each.test for each in asked if not each.is_at_door] or [always]
    return Rule(
        name=entry.name,
        action=entry.decision,
        conditions=conditions,
        first=first,
        others=tuple(others),
        at_door=tuple(each.test for each in asked if each.is_at_door),
        owners=owners,
        projects=projects,
        audit=isinstance(entry, RuleEntry) and entry.mode == "audit",
        exception=exception is not None,
        expires=last,
        note=exception.reason if exception else None,
        by=exception.by if exception else None,
    )


def _conditions(
    entry: RuleEntry | ExceptionEntry,
    owners: frozenset[str] | None,
    projects: frozenset[str] | None,
    last: date | None,
) -> tuple[Condition, ...]:
    named = (("owners", "owner", entry.owners, owners), ("projects", "project_id", entry.projects, projects))
    return (
        *((on_day(last),) if last else ()),
        *(on_members(key, fact, given or (), members) for key, fact, given, members in named if members is not None),
        *on_image(entry.images or ImagesEntry.model_construct()),
    )


def _by_owner(rules: Iterable[Rule]) -> Mapping[str, tuple[Rule, ...]]:
    """Index the rules, so that a share is asked only those that could match it."""
    rules = tuple(rules)
    found: dict[str, list[Rule]] = {owner: [] for rule in rules for owner in rule.owners or ()}
    for rule in rules:
        for owner in found if rule.owners is None else rule.owners:
            found[owner].append(rule)
    return {owner: tuple(each) for owner, each in found.items()}


def _digest(content: PolicyFile) -> str:
    said = json.dumps(content.model_dump(exclude_none=True), sort_keys=True)
    return sha256(said.encode()).hexdigest()[:16]
