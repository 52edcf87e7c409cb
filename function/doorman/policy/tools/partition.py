"""Divides the shares of one owner into boxes, in each of which two lists of rules decide all of them alike.

The facts that the rules look at are divided into classes of values that none of them tells apart; a box is what is left
of these classes on a way past the rules.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any, Final, NamedTuple, get_args

from doorman.models import Action, Kind, Share
from doorman.policy.conditions import PATTERNS, SYSTEMS, Condition
from doorman.policy.policy import Rule, VaultRule
from doorman.policy.tools.glob_search import find_texts

MIXED: Final = 6
"""Tags of which all mixes are looked at."""

_GLOB: Final = re.compile(r"\[!?(.)[^]]*\]|[*?]")
_ALWAYS_KNOWN: Final = frozenset({"image_id", "project_id"})
_OTHERS: Final[dict[str, tuple[Any, ...]]] = {"encrypted": (True,), "kind": get_args(Kind)}
"""Values of facts that have only these, of which a rule may name just the plain one."""

Box = dict[str, tuple[int, ...]]
"""Fact to what is left of the classes of its values."""


class _Asked(NamedTuple):
    """A rule: its end, and what each of its conditions says of each class of its fact."""

    action: Action
    conditions: tuple[tuple[str, Sequence[bool | None]], ...]


class Space:
    """All shares that one owner could share.

    Attributes:
        classes: fact to classes of its values, the plain one's first.
    """

    def __init__(
        self, sides: Sequence[Sequence[Rule]], vaults: Sequence[VaultRule], plain: Share, now: datetime
    ) -> None:
        self.classes: dict[str, list[list[Any]]] = {}
        self._plain, self._now = plain, now
        self._says: dict[int, list[bool | None]] = {}
        rules = [rule for side in sides for rule in side]
        conditions = [each for rule in rules for each in rule.conditions]
        for fact, values in _list_values(rules, vaults, plain, now).items():
            self._divide(fact, values, [each for each in conditions if each.fact == fact], vaults)
        self._sides = [[asked for rule in side for asked in self._ask(rule)] for side in sides]

    def divide(self, steps: Iterator[int], changed: Sequence[Rule] | None) -> Iterator[Box]:
        """Give the boxes; a full-ECS image is looked at for each project, since its vault may hang on that.

        Args:
            steps: one is taken for each rule that is asked; where there are no more, what is left is left out.
            changed: only what one of these rules might match is looked at; None: all is.
        """
        whole = {fact: tuple(range(len(each))) for fact, each in self.classes.items()}
        server = next(index for index, each in enumerate(self.classes["full_ecs"]) if each == [True])
        servers = [{**whole, "full_ecs": (server,), "project_id": (each,)} for each in whole["project_id"]]
        others = tuple(index for index in whole["full_ecs"] if index != server)
        boxes: Iterable[Box] = ({**whole, "full_ecs": others}, *servers)
        if changed is not None:
            asked = [each for rule in changed for each in self._ask(rule)]
            boxes = (part for box in boxes for part in _leave_untouched(asked, box))
        for box in boxes:
            for part in _walk(self._sides[0], box, steps):
                yield from _walk(self._sides[1], part, steps)

    def take(self, box: Box) -> Share:
        """Make a share of the box."""
        return replace(self._plain, **{fact: self.classes[fact][left[0]][0] for fact, left in box.items()})

    def values(self, box: Box, fact: str) -> Iterator[Any]:
        """Give the values of a fact in the box."""
        return (value for index in box[fact] for value in self.classes[fact][index])

    def _divide(
        self, fact: str, values: Iterable[Any], asked: Sequence[Condition], vaults: Sequence[VaultRule]
    ) -> None:
        """Put the values together that no condition tells apart; of others, those that are like none of them."""
        found: dict[tuple[Any, ...], list[Any]] = {}

        def sign(value: Any) -> tuple[Any, ...]:
            share = replace(self._plain, **{fact: value})
            serves = tuple(entry.serves(share) for entry in vaults) if fact == "project_id" else ()
            return tuple(each.test(share, self._now) for each in asked), value if fact == "full_ecs" else serves

        for value in dict.fromkeys(values):
            found.setdefault(sign(value), []).append(value)
        for value in (*_mix_texts(asked), *_OTHERS.get(fact, ())):
            found.setdefault(sign(value), [value])
        self.classes[fact] = list(found.values())
        self._says |= {id(each): [said[0][number] for said in found] for number, each in enumerate(asked)}

    def _ask(self, rule: Rule) -> Iterator[_Asked]:
        """Give the rule, but for the conditions that say the same of all shares; nothing where one of them fails."""
        fixed = (each for each in rule.conditions if id(each) not in self._says)
        if all(each.test(self._plain, self._now) for each in fixed):
            told = ((each.fact, self._says[id(each)]) for each in rule.conditions if id(each) in self._says)
            yield _Asked(rule.action, tuple(told))


def _list_values(
    rules: Sequence[Rule], vaults: Sequence[VaultRule], plain: Share, now: datetime
) -> dict[str, list[Any]]:
    """List the values that decide: those of the rules, those just beside them, the plain one first, unknown last."""
    served = (*(rule.projects for rule in rules), *(entry.projects for entry in vaults))
    projects = [project for each in served for project in sorted(each or ())]
    listed: dict[str, list[Any]] = {"project_id": projects, "full_ecs": [True, False]}
    for each in (each for rule in rules for each in rule.conditions if each.key.startswith("images.")):
        listed.setdefault(each.fact, []).extend(_beside(each, now))
    if "tags" in listed:
        listed["tags"] = _mix(listed["tags"])
    unknown = {fact: [] if fact in _ALWAYS_KNOWN else [None] for fact in listed}
    return {fact: [getattr(plain, fact), *values, *unknown[fact]] for fact, values in listed.items()}


def _beside(condition: Condition, now: datetime) -> Iterator[Any]:
    match condition.value:
        case dict() as bounds if condition.key == "images.age_days":
            days = (min(bound + more, 10**5) for bound in bounds.values() for more in (0, 1, 0.5, -1))
            yield from (now - timedelta(days=each) for each in days)
        case dict() as bounds:
            yield from (max(bound + more, 0) for bound in bounds.values() for more in (0, 1, -1))
        case list() as several:
            for each in several:
                yield frozenset({each}) if condition.fact == "tags" else _GLOB.sub(lambda found: found[1] or "x", each)
        case value:
            yield value


def _mix_texts(asked: Iterable[Condition]) -> list[str]:
    """Find texts that match some patterns together."""
    keyed = ((each.key.removeprefix("images."), each.value) for each in asked)
    globs = [glob.lower() if key in SYSTEMS else glob for key, value in keyed if key in PATTERNS for glob in value]
    return find_texts(list(dict.fromkeys(globs))) if globs else []


def _mix(tags: Iterable[frozenset[str]]) -> list[frozenset[str]]:
    """List all sets of some tags; of many, those of one, of two, and all together."""
    each = sorted(frozenset().union(*tags))
    sizes = range(1, len(each) + 1) if len(each) <= MIXED else (1, 2, len(each))
    return [frozenset(some) for size in sizes for some in combinations(each, size)]


def _leave_untouched(changed: Iterable[_Asked], box: Box) -> Iterator[Box]:
    """Give the parts of a box that one of the rules might match."""
    untouched = [box]
    for rule in changed:
        parts = [each for box in untouched for each in _split(rule, box, counts_doubt=True)]
        untouched = [part for verdict, part in parts if verdict is False]
        yield from (part for verdict, part in parts if verdict is not False)


def _walk(rules: Sequence[_Asked], whole: Box, steps: Iterator[int]) -> Iterator[Box]:
    """Divide a box by the rules: in each part the same one decides, and the same ones stand in its way."""
    ways: list[tuple[int, Box, frozenset[Action]]] = [(0, whole, frozenset())]
    while ways:
        index, box, doubts = ways.pop()
        index = next((at for at in range(index, len(rules)) if _may_match(rules[at], box)), len(rules))
        if index == len(rules):
            yield box
            continue
        if next(steps, None) is None:
            return
        rule = rules[index]
        for verdict, part in _split(rule, box, counts_doubt=rule.action not in doubts):
            if verdict:
                yield part
            else:
                ways.append((index + 1, part, doubts if verdict is False else doubts | {rule.action}))


def _may_match(rule: _Asked, box: Box) -> bool:
    return all(any(says[each] is not False for each in box[fact]) for fact, says in rule.conditions)


def _split(rule: _Asked, box: Box, *, counts_doubt: bool) -> Iterator[tuple[bool | None, Box]]:
    """Divide a box by what the rule says of its shares; a doubt that changes nothing is as good as a failure."""
    parts: list[tuple[bool | None, Box]] = [(True, box)]
    for fact, says in rule.conditions:
        divided: list[tuple[bool | None, Box]] = []
        for verdict, part in parts:
            kept: dict[bool | None, list[int]] = {}
            for each in part[fact]:
                said = False if says[each] is None and not counts_doubt else says[each]
                kept.setdefault(said and verdict, []).append(each)
            for said, left in kept.items():
                if said is False:
                    yield False, {**part, fact: tuple(left)}
                else:
                    divided.append((said, {**part, fact: tuple(left)}))
        parts = divided
    yield from parts
