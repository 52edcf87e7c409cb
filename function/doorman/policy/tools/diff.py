"""Which shares two policies decide differently; where no shares are given, by made-up ones for every way they can.

Owners whom both policies treat alike are taken together: what is found for one of them holds for all, by their names.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from difflib import SequenceMatcher
from typing import Any, Final, Literal, get_args, get_origin

from doorman.models import Share
from doorman.policy.conditions import value_of
from doorman.policy.decision import Decision, decide
from doorman.policy.document.strict import unwrap
from doorman.policy.policy import Policy, Rule
from doorman.policy.tools.partition import Box, Space
from doorman.policy.tools.share_file import Facts

MAX_STEPS: Final = 300_000
"""Rules that are asked on all ways together; beyond, a comparison is not whole."""

Both = Sequence[Policy]
"""The old policy and the new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A share that is decided differently: with another end, or only for another reason.

    For a made-up share the decisions tell no facts: they are those of all shares like it.

    Attributes:
        label: what the share is: its image, or the values that make it differ from any other.
    """

    share: Share
    label: str
    old: Decision
    new: Decision
    is_other_end: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What two policies decide differently; not `is_whole` where they are too large to look at every way."""

    changes: tuple[Change, ...]
    is_whole: bool = True


def compare(shares: Sequence[Share], old: Sequence[Decision], new: Sequence[Decision]) -> list[Change]:
    """Return the shares whose decision differs; the three lists go side by side."""
    return [
        Change(
            share=each,
            label=f"image {each.image_id}",
            old=before,
            new=after,
            is_other_end=_end(before) != _end(after),
        )
        for each, before, after in zip(shares, old, new, strict=True)
        if _sign(before) != _sign(after)
    ]


def compare_policies(old: Policy, new: Policy, *, now: datetime) -> Comparison:
    """Compare two policies over all shares that there could be."""
    both, plain, steps = (old, new), _make_plain(now), iter(range(MAX_STEPS))
    found: dict[Share, Change] = {}
    for owners in _group_owners(both, plain):
        found |= {each.share: each for each in _Group(both, owners, plain, now).compare(steps)}
    return Comparison(changes=tuple(found.values()), is_whole=next(steps, None) is not None)


def _make_plain(now: datetime) -> Share:
    """Make a share of which everything is known, and that is like nothing that a policy names."""
    usual: dict[object, Any] = {bool: False, int: 40}
    facts: dict[str, Any] = {}
    for fact, field in Facts.model_fields.items():
        kind, _ = unwrap(field.annotation)
        several = {Literal: get_args(kind)[:1], list: (frozenset(),)}.get(get_origin(kind), ())
        facts[fact] = next(iter(several), usual.get(kind, f"any-other-{fact}"))
    ids = {"image_id": "00000000-0000-4000-8000-000000000000", "project_id": "any-other-project"}
    return Share(**{**facts, **ids, "member_status": None, "created_at": now - timedelta(days=1, hours=1)})


def _group_owners(both: Both, plain: Share) -> Iterable[Sequence[str]]:
    """Put the owners together whom no rule and no vault tells apart; the one whom nobody names comes last."""
    vaults = [entry for policy in both for entry in policy.vaults if entry.owners]
    named = {owner for policy in both for owner in policy.by_owner}.union(*(entry.owners or () for entry in vaults))
    groups: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for owner in (*sorted(named), str(plain.owner)):
        rules = (id(rule) for policy in both for rule in policy.rules_for(owner))
        served = (id(each) for each in vaults if owner in (each.owners or ()))
        groups[*rules, *served].append(owner)
    return groups.values()


class _Group:
    """Some owners whom both policies treat alike; the first one stands for all."""

    def __init__(self, both: Both, owners: Sequence[str], plain: Share, now: datetime) -> None:
        self._both, self._owners, self._plain, self._now = both, owners, plain, now
        self._sides = [[rule for rule in policy.rules_for(owners[0]) if not rule.audit] for policy in both]

    def compare(self, steps: Iterator[int]) -> Iterator[Change]:
        """Give what differs, as far as the steps go."""
        found: dict[Share, Change] = {}
        for share in self._find(steps):
            before, after = ([replace(each, facts={}, failed_condition=None)] for each in self._decide(share))
            found |= {each.share: each for each in compare([share], before, after)}
        for change in found.values():
            if not _is_told(change, found):
                yield from self._spread(change)

    def _find(self, steps: Iterator[int]) -> Iterator[Share]:
        """Make the shares: one for each pair of ends and box that differs in a changed fact, and its variations."""
        changed = _find_changed(*self._sides)
        old, new = ((policy.mode, policy.default, policy.vaults) for policy in self._both)
        if not changed and old == new:
            return
        vaults = [entry for policy in self._both for entry in policy.vaults]
        space = Space(self._sides, vaults, replace(self._plain, owner=self._owners[0]), self._now)
        facts = {"project_id", "full_ecs", *(each.fact for rule in changed for each in rule.conditions)}
        facts &= space.classes.keys()
        seen = set()
        for box in space.divide(steps, changed if old == new else None):
            share = space.take(box)
            before, after = told = self._sign(share)
            key = (told, tuple(box[fact] for fact in sorted(facts)))
            if before != after and key not in seen:
                seen.add(key)
                yield from self._vary(share, space, box)

    def _vary(self, share: Share, space: Space, box: Box) -> Iterator[Share]:
        """Make a share as plain as it shows the same, and give it with each value of the box that matters."""
        told = self._sign(share)
        for fact in ("owner", *space.classes):
            simpler = replace(share, **{fact: getattr(self._plain, fact)})
            share = simpler if self._sign(simpler) == told else share
        yield share
        for fact in space.classes:
            if getattr(share, fact) != getattr(self._plain, fact):
                yield from (replace(share, **{fact: value}) for value in space.values(box, fact))

    def _spread(self, change: Change) -> Iterator[Change]:
        """Give a change for each of the owners, where it is one of theirs."""
        for owner in self._owners if change.share.owner == self._owners[0] else [change.share.owner]:
            share = replace(change.share, owner=owner)
            yield replace(change, share=share, label=", ".join(_tell(share, self._plain)))

    def _decide(self, share: Share) -> list[Decision]:
        return [decide(share, policy, now=self._now) for policy in self._both]

    def _sign(self, share: Share) -> tuple[object, ...]:
        return tuple(map(_sign, self._decide(share)))


def _find_changed(old: Sequence[Rule], new: Sequence[Rule]) -> list[Rule]:
    """List the rules of both sides that are not, in their order, on the other side as well."""
    before, after = ([_mean(rule) for rule in rules] for rules in (old, new))
    steps = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    return [rule for word, i, j, k, m in steps if word != "equal" for rule in (*old[i:j], *new[k:m])]


def _mean(rule: Rule) -> str:
    """Say what a rule does to shares of an owner that it is for: what is equal here decides equally."""
    asked = [(each.key, each.value) for each in rule.conditions if each.key.startswith("images.")]
    projects = rule.projects and sorted(rule.projects)
    return repr((rule.name, rule.action, rule.exception, rule.expires, rule.owners is None, projects, asked))


def _is_told(change: Change, found: Mapping[Share, Change]) -> bool:
    """Say whether an image that is not full-ECS shows the same, so that this one tells nothing more."""
    twin = found.get(replace(change.share, full_ecs=False)) if change.share.full_ecs else None
    is_moved = change.old.action == change.new.action == "accept"
    return twin is not None and not is_moved and _words(twin) == _words(change)


def _words(change: Change) -> tuple[object, ...]:
    return tuple((each.action, each.rule, each.reason) for each in (change.old, change.new))


def _tell(share: Share, plain: Share) -> Iterator[str]:
    """Say what makes a share differ from any other one."""
    if share.owner == plain.owner:
        yield f"owner {plain.owner}"
    for fact in Facts.model_fields:
        if getattr(share, fact) != getattr(plain, fact):
            yield f"{fact} {value_of(share, fact)}"


def _end(decision: Decision) -> tuple[object, ...]:
    """Return what becomes of the share, whatever the reason; one candidate is the same as that vault."""
    vaults = tuple((each.candidates or (each.vault,), each.tags, each.min_free) for each in decision.vaults)
    return decision.action, decision.audit, vaults


def _sign(decision: Decision) -> tuple[object, ...]:
    return _end(decision), decision.rule, decision.reason
