"""Which shares two policies decide differently; where no shares are given, by made-up ones for every way they can.

The facts that the rules of both policies look at are divided into the values that no rule tells apart. The policies are
walked side by side over these, so that each pair of decisions that any share can meet has a share made up for it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import combinations, product
from typing import Any, Final, Literal, get_args, get_origin

from doorman.models import Share
from doorman.policy.conditions import KEYS, PATTERNS, SYSTEMS, Test, value_of
from doorman.policy.decision import Decision, decide
from doorman.policy.document.strict import unwrap
from doorman.policy.policy import Policy, Rule, compile_policy, resolve
from doorman.policy.schema import Bounds, PolicyFile
from doorman.policy.tools.glob_search import find_texts
from doorman.policy.tools.share_file import Facts
from doorman.policy.tools.ways import Asked, Box, Side, Ways

MIXED: Final = 6
"""Tags of which all mixes are looked at."""

_GLOB: Final = re.compile(r"\[!?(.)[^]]*\]|[*?]")
_ALWAYS_KNOWN: Final = frozenset({"image_id", "project_id"})

Classes = dict[str, list[list[Any]]]
"""Fact to classes of its values, the plain one's first; what is in one class is told apart by no rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A share to compare by, and what it is: its image, or the values that make it differ from any other."""

    share: Share
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A sample that is decided differently: with another end, or only for another reason."""

    sample: Sample
    old: Decision
    new: Decision
    is_other_end: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What two policies decide differently; not `is_whole` where they are too large to look at every way."""

    changes: tuple[Change, ...]
    is_whole: bool = True


def compare(samples: Sequence[Sample], old: Sequence[Decision], new: Sequence[Decision]) -> list[Change]:
    """Return the samples whose decision differs; the three lists go side by side."""
    return [
        Change(sample=each, old=before, new=after, is_other_end=_end(before) != _end(after))
        for each, before, after in zip(samples, old, new, strict=True)
        if _sign(before) != _sign(after)
    ]


def compare_policies(old: PolicyFile, new: PolicyFile, *, now: datetime) -> Comparison:
    """Compare two policies over all shares that there could be."""
    policies = (compile_policy(old), compile_policy(new))
    plain = _make_plain(now)
    classes = _divide(_list_values([old, new], plain, now), _find_mixes([old, new]), policies, plain, now)
    old_side, new_side = (
        Side(policy, [_ask(rule, classes, plain, now) for rule in policy.rules if not rule.audit])
        for policy in policies
    )
    ways = Ways((old_side, new_side), {fact: tuple(range(len(each))) for fact, each in classes.items()})
    found: dict[Share, Change] = {}
    for box in ways.boxes():
        for share in (each for part in _by_vault(box, classes) for each in _pick(part, classes, policies, plain, now)):
            label = ", ".join(_tell(share, plain)) or "any other share"
            before, after = ([decide(share, policy, now=now)] for policy in policies)
            found |= {each.sample.share: each for each in compare([Sample(share=share, label=label)], before, after)}
    changes = tuple(each for each in found.values() if not _is_told(each, found))
    return Comparison(changes=changes, is_whole=ways.are_whole)


def _is_told(change: Change, found: Mapping[Share, Change]) -> bool:
    """Say whether an image that is not full-ECS shows the same, so that this one tells nothing more."""
    twin = found.get(replace(change.sample.share, full_ecs=False)) if change.sample.share.full_ecs else None
    is_moved = change.old.action == change.new.action == "accept"
    return twin is not None and not is_moved and _words(twin) == _words(change)


def _words(change: Change) -> tuple[object, ...]:
    return tuple((each.action, each.rule, each.reason) for each in (change.old, change.new))


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


def _list_values(files: Iterable[PolicyFile], plain: Share, now: datetime) -> dict[str, list[Any]]:
    """List the values that decide: those of the policies, those just beside them, the plain one first, unknown last."""
    listed: dict[str, list[Any]] = {"owner": [], "project_id": [], "full_ecs": [True, False]}
    for content in files:
        for entry in (*content.ordered, *content.vaults):
            listed["owner"] += sorted(resolve(entry.owners, content) or ())
            listed["project_id"] += sorted(resolve(entry.projects, content) or ())
        for images in (entry.images for entry in content.ordered if entry.images):
            for key, fact in ((key, KEYS[key].fact) for key in KEYS if getattr(images, key) is not None):
                listed.setdefault(fact, []).extend(_beside(key, getattr(images, key), now))
    if "tags" in listed:
        listed["tags"] = _mix(listed["tags"])
    unknown = {fact: [] if fact in _ALWAYS_KNOWN else [None] for fact in listed}
    return {fact: [getattr(plain, fact), *values, *unknown[fact]] for fact, values in listed.items()}


def _beside(key: str, wanted: object, now: datetime) -> Iterator[Any]:
    if isinstance(wanted, Bounds):
        for bound in (each for each in (wanted.at_most, wanted.at_least) if each is not None):
            for number in (bound, bound + 1, bound + 0.5, max(bound - 1, 0)):
                if key == "age_days":
                    yield now - timedelta(days=min(number, 10**5))
                elif number == int(number):
                    yield int(number)
    elif isinstance(wanted, list):
        for each in wanted:
            yield frozenset({each}) if key == "tags" else _GLOB.sub(lambda found: found[1] or "x", each)
    else:
        yield wanted


def _find_mixes(files: Sequence[PolicyFile]) -> dict[str, list[str]]:
    """Find texts that match some patterns together, by fact."""
    found = {}
    for key in PATTERNS:
        each = [
            pattern for file in files for entry in file.ordered for pattern in getattr(entry.images, key, None) or ()
        ]
        found[KEYS[key].fact] = find_texts([glob.lower() if key in SYSTEMS else glob for glob in dict.fromkeys(each)])
    return found


def _mix(tags: Iterable[frozenset[str]]) -> list[frozenset[str]]:
    """List all sets of some tags; of many, those of one, of two, and all together."""
    each = sorted(frozenset().union(*tags))
    sizes = range(1, len(each) + 1) if len(each) <= MIXED else (1, 2, len(each))
    return [frozenset(some) for size in sizes for some in combinations(each, size)]


def _divide(
    values: Mapping[str, list[Any]],
    mixes: Mapping[str, list[str]],
    policies: Sequence[Policy],
    plain: Share,
    now: datetime,
) -> Classes:
    """Put the values together that no condition tells apart; of the mixed texts, those that are like none of them."""
    conditions = [each for policy in policies for rule in policy.rules for each in rule.conditions]
    vaults = [entry for policy in policies for entry in policy.vaults]
    classes: Classes = {}
    for fact, listed in values.items():
        asked = [each.test for each in conditions if each.fact == fact]
        found: dict[tuple[object, ...], list[Any]] = {}

        def sign(value: Any, fact: str = fact, asked: Sequence[Test] = asked) -> tuple[object, ...]:
            share = replace(plain, **{fact: value})
            serves = tuple(entry.serves(share) for entry in vaults) if fact in {"owner", "project_id"} else ()
            return (*(test(share, now) for test in asked), value if fact == "full_ecs" else None, *serves)

        for value in dict.fromkeys(listed):
            found.setdefault(sign(value), []).append(value)
        for text in mixes.get(fact, ()):
            found.setdefault(sign(text), [text])
        classes[fact] = list(found.values())
    return classes


def _ask(rule: Rule, classes: Classes, plain: Share, now: datetime) -> Asked:
    conditions = []
    for each in rule.conditions:
        values = [some[0] for some in classes.get(each.fact, ())]
        shares = [replace(plain, **{each.fact: value}) for value in values] or [plain]
        says = tuple(each.test(share, now) for share in shares)
        conditions.append((each.fact if values else "", says))
    return Asked(rule.name, rule.action, tuple(conditions))


def _by_vault(box: Box, classes: Classes) -> Iterator[Box]:
    """Divide a box by what vaults look at: only where an image is full-ECS, its owner and project as well."""
    for full_ecs in box["full_ecs"]:
        if classes["full_ecs"][full_ecs] != [True]:
            yield {**box, "full_ecs": (full_ecs,)}
        else:
            for owner, project in product(box["owner"], box["project_id"]):
                yield {**box, "full_ecs": (full_ecs,), "owner": (owner,), "project_id": (project,)}


def _pick(box: Box, classes: Classes, policies: Sequence[Policy], plain: Share, now: datetime) -> Iterator[Share]:
    """Give the shares of a box that show what differs, and in what: every owner, with each value that matters."""

    def signs(share: Share) -> list[tuple[object, ...]]:
        return [_sign(decide(share, policy, now=now)) for policy in policies]

    share = replace(plain, **{fact: classes[fact][left[0]][0] for fact, left in box.items() if fact})
    before, after = told = signs(share)
    if before == after:
        return
    for fact in classes:
        simpler = replace(share, **{fact: getattr(plain, fact)})
        share = simpler if signs(simpler) == told else share
    values = {fact: [each for index in left for each in classes[fact][index]] for fact, left in box.items() if fact}
    for owner in values["owner"] if share.owner != plain.owner else [share.owner]:
        yield replace(share, owner=owner)
        for fact in (fact for fact in classes if fact != "owner" and getattr(share, fact) != getattr(plain, fact)):
            yield from (replace(share, owner=owner, **{fact: value}) for value in values[fact])


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
