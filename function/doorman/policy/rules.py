"""Rules and vault entries, compiled from the policy file: what is asked of every share. Decides nothing."""

from dataclasses import dataclass
from datetime import date, datetime

from doorman.models import Action, Share
from doorman.policy.conditions import Condition, Test, always, on_day, on_image, on_owner, on_project
from doorman.policy.schema import ExceptionEntry, ImagesEntry, PolicyFile, RuleEntry

_GROUP = "group:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule or an exception.

    Attributes:
        owners: project IDs that it names, groups resolved; None where it names none. projects: receiving projects.
        audit: only told, never done.
        first, others: the conditions' tests, but for the one on the owner: `Policy.rules_for` has asked that.
        exception: it comes from `exceptions`. expires: its last day, UTC. note: its `reason`. by: who answers for it.
        by_hand: it comes from no file, but from a person who decides just now.
    """

    name: str
    action: Action
    conditions: tuple[Condition, ...]
    first: Test
    others: tuple[Test, ...] = ()
    owners: frozenset[str] | None = None
    projects: frozenset[str] | None = None
    audit: bool = False
    exception: bool = False
    expires: date | None = None
    note: str | None = None
    by: str | None = None
    by_hand: bool = False

    def verdict(self, share: Share, now: datetime) -> bool | None:
        """Say whether all conditions hold for a share that `Policy.rules_for` gave this rule to.

        Returns:
            False where one fails; None where none fails, but one hangs on a fact that nobody knows.
        """
        verdict = None if share.owner is None and self.owners is not None else True
        for test in (self.first, *self.others):
            holds = test(share, now)
            if holds is False:
                return False
            if holds is None:
                verdict = None
        return verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultRule:
    """An entry of `vaults`: for whom, and one vault, or some candidates, or the tags that a vault must carry."""

    owners: frozenset[str] | None = None
    projects: frozenset[str] | None = None
    vault: str | None = None
    candidates: tuple[str, ...] = ()
    tags: frozenset[tuple[str, str]] = frozenset()

    @property
    def is_choice(self) -> bool:
        """Whether the backup service must be asked which vaults there are."""
        return self.vault is None

    def serves(self, share: Share) -> bool:
        """Say whether the entry is for this share's owner and receiving project."""
        return (self.owners is None or share.owner in self.owners) and (
            self.projects is None or share.project_id in self.projects
        )


def rules_of(content: PolicyFile) -> tuple[Rule, ...]:
    """Compile the exceptions and then the rules, in the order of the file."""
    return tuple(_rule(entry, content) for entry in content.ordered)


def vaults_of(content: PolicyFile) -> tuple[VaultRule, ...]:
    """Compile the entries of `vaults`, in the order of the file."""
    return tuple(
        VaultRule(
            owners=resolve(entry.owners, content),
            projects=None if entry.projects is None else frozenset(entry.projects),
            vault=entry.vault,
            candidates=tuple(entry.candidates or ()),
            tags=frozenset((entry.tags or {}).items()),
        )
        for entry in content.vaults
    )


def resolve(entries: list[str] | None, content: PolicyFile) -> frozenset[str] | None:
    """Put the groups' project IDs in place of `group:NAME`."""
    if entries is None:
        return None
    return frozenset(
        owner
        for each in entries
        for owner in (content.groups[each.removeprefix(_GROUP)] if each.startswith(_GROUP) else (each,))
    )


def _rule(entry: RuleEntry | ExceptionEntry, content: PolicyFile) -> Rule:
    exception = entry if isinstance(entry, ExceptionEntry) else None
    last = date.fromisoformat(exception.expires) if exception else None
    owners = resolve(entry.owners, content)
    conditions = _conditions(entry, owners, last)
    first, *others = [each.test for each in conditions if each.key != "owners"] or [always]
    return Rule(
        name=entry.name,
        action=entry.decision,
        conditions=conditions,
        first=first,
        others=tuple(others),
        owners=owners,
        projects=None if entry.projects is None else frozenset(entry.projects),
        audit=isinstance(entry, RuleEntry) and entry.mode == "audit",
        exception=exception is not None,
        expires=last,
        note=exception.reason if exception else None,
        by=exception.by if exception else None,
    )


def _conditions(
    entry: RuleEntry | ExceptionEntry, owners: frozenset[str] | None, last: date | None
) -> tuple[Condition, ...]:
    return (
        *((on_day(last),) if last else ()),
        *((on_owner(entry.owners or (), owners),) if owners is not None else ()),
        *((on_project(entry.projects),) if entry.projects is not None else ()),
        *on_image(entry.images or ImagesEntry.model_construct()),
    )
