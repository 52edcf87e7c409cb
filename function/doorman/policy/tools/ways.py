"""Walks two policies side by side over all shares that there could be, and gives those that end differently.

A share is known by classes of its facts' values that no rule tells apart; what is left of them on a way is a box.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import chain
from typing import Final, NamedTuple

from doorman.models import Action
from doorman.policy.policy import Policy

MAX_STEPS: Final = 300_000
"""Rules that are asked on all ways together; beyond, the comparison is not whole."""

_VERDICTS: Final = (True, False, None)

Box = dict[str, tuple[int, ...]]
"""Fact to what is left of the classes of its values."""


class Asked(NamedTuple):
    """A rule: the fact of each condition ("" for none of a share's), and what the condition says of each class."""

    name: str
    action: Action
    conditions: tuple[tuple[str, tuple[bool | None, ...]], ...]


class End(NamedTuple):
    """How a way through one policy ends: at a rule, or None for the default, and with what stands in its way."""

    rule: Asked | None
    doubt: Asked | None


@dataclass(frozen=True, slots=True)
class Side:
    """One policy: its enforced rules, and all else that decides."""

    policy: Policy
    rules: list[Asked]

    @property
    def rest(self) -> tuple[object, ...]:
        """What decides beside the rules."""
        return self.policy.mode, self.policy.default, self.policy.vaults


@dataclass(frozen=True, slots=True)
class _Way:
    side: int
    index: int
    box: Box
    doubts: tuple[Asked, ...] = ()
    ends: tuple[End, ...] = ()


class Ways:
    """All ways through two policies; `are_whole` as long as none was left out."""

    def __init__(self, sides: tuple[Side, Side], whole: Box) -> None:
        self.are_whole = True
        self._sides = sides
        self._whole: Box = {"": (0,), **whole}
        self._changed = _find_changed(sides)
        self._is_same_rest = sides[0].rest == sides[1].rest

    def boxes(self) -> Iterator[Box]:
        """Yield the boxes that end differently: one for each pair of ends, owner, project and changed value."""
        steps = 0
        seen = set()
        ways = [_Way(0, 0, box) for box in self._begin()]
        while ways:
            way = ways.pop()
            if way.side == len(self._sides):
                if (key := self._sign(way)) is not None and key not in seen:
                    seen.add(key)
                    yield way.box
                continue
            steps += 1
            if steps > MAX_STEPS:
                self.are_whole = False
                return
            ways += self._go_on(way)

    def _begin(self) -> Iterator[Box]:
        """Leave out the shares that no changed rule can match, where nothing but rules has changed."""
        if not self._is_same_rest:
            yield self._whole
            return
        untouched = [self._whole]
        for rule in self._changed:
            parts = [each for box in untouched for each in _split(rule, box)]
            untouched = [part for verdict, part in parts if verdict is False]
            yield from (part for verdict, part in parts if verdict is not False)

    def _go_on(self, way: _Way) -> Iterator[_Way]:
        rules = self._sides[way.side].rules
        index = next((at for at in range(way.index, len(rules)) if not _fails(rules[at], way.box)), len(rules))
        if index == len(rules):
            yield self._end(way, None, way.box)
            return
        rule = rules[index]
        for verdict, part in _split(rule, way.box):
            if verdict:
                yield self._end(way, rule, part)
            else:
                is_first = verdict is None and rule.action not in {each.action for each in way.doubts}
                doubts = (*way.doubts, rule) if is_first else way.doubts
                yield replace(way, index=index + 1, box=part, doubts=doubts)

    def _end(self, way: _Way, rule: Asked | None, box: Box) -> _Way:
        action = rule.action if rule else self._sides[way.side].policy.default
        doubt = None if action == "hold" else next((each for each in way.doubts if each.action != action), None)
        return _Way(way.side + 1, 0, box, (), (*way.ends, End(rule, doubt)))

    def _sign(self, way: _Way) -> tuple[object, ...] | None:
        """Say in what a way differs from others that end so; None where it ends the same on both sides."""
        if self._is_same_rest and way.ends[0] == way.ends[1]:
            return None
        facts = {"owner", "project_id", "full_ecs", *(fact for rule in self._changed for fact, _ in rule.conditions)}
        return (*way.ends, *(way.box[fact] for fact in sorted(facts)))


def _find_changed(sides: tuple[Side, Side]) -> list[Asked]:
    """List the rules of both sides that are not, in their order, on the other side as well."""
    same = SequenceMatcher(None, sides[0].rules, sides[1].rules, autojunk=False).get_matching_blocks()
    kept = [{index for block in same for index in range(block[at], block[at] + block.size)} for at in (0, 1)]
    left = ([each for index, each in enumerate(side.rules) if index not in kept[at]] for at, side in enumerate(sides))
    return list(chain(*left))


def _fails(rule: Asked, box: Box) -> bool:
    """Say whether the rule fails for all shares of the box."""
    return any(all(says[each] is False for each in box[fact]) for fact, says in rule.conditions)


def _split(rule: Asked, box: Box) -> Iterator[tuple[bool | None, Box]]:
    """Divide a box by what the rule says of its shares."""
    certain: Box | None = box
    doubtful: list[Box] = []
    for fact, says in rule.conditions:
        kept = []
        for part in doubtful:
            if fails := tuple(each for each in part[fact] if says[each] is False):
                yield False, {**part, fact: fails}
            if rest := tuple(each for each in part[fact] if says[each] is not False):
                kept.append({**part, fact: rest})
        doubtful = kept
        if certain is not None:
            parts = {word: tuple(each for each in certain[fact] if says[each] is word) for word in _VERDICTS}
            if parts[False]:
                yield False, {**certain, fact: parts[False]}
            if parts[None]:
                doubtful.append({**certain, fact: parts[None]})
            certain = {**certain, fact: parts[True]} if parts[True] else None
    yield from ((None, part) for part in doubtful)
    if certain is not None:
        yield True, certain
