"""Writes a first policy from what is there: what is accepted today, as rules in audit mode with words for their reader.

Nobody knows why a share was accepted, so it is a beginning for a person, never an answer.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fnmatch import fnmatchcase
from typing import Any, Final

from doorman.models import Share
from doorman.policy.document.yaml_reader import read
from doorman.policy.tools import share_file

_ENDS: Final = re.compile(r"(?<=[-_. ])")
_SAFE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._*-]*")
_MAX_TEXT: Final = 255
_LISTED: Final = 20
"""Owners that are named among what is left to a person; of the others only how many they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """What some owners' accepted images have in common: `names`, or for what is left of them `ids`."""

    projects: tuple[str, ...]
    key: str
    values: tuple[str, ...]
    is_plain: bool


def suggest(shares: Sequence[Share], *, vaults: Iterable[str], today: date) -> str:
    """Write the policy.

    Args:
        shares: of whatever status; one without a status counts as pending. Own images are not among them.
        vaults: that may take full-ECS images.
        today: for its first line.
    """
    rules: dict[_Rule, list[str]] = defaultdict(list)
    for owner in sorted({share.owner for share in shares if share.owner}):
        for rule in _rules([share for share in shares if share.owner == owner]):
            rules[rule].append(owner)
    named = _name(rules)
    groups = {name: owners for name, (_, owners) in named.items() if len(owners) > 1}
    lines = [*_head(shares, today), "version: 1", "mode: audit", "default: hold"]
    if groups:
        lines += ["", "groups:  # owners whose accepted images have the same names", *_entries(groups)]
    lines += ["", "rules:" if named else "rules: []  # nothing is accepted today"]
    for name, (rule, owners) in named.items():
        lines += _write(name, rule, [f"group:{name}"] if name in groups else owners)
    if any(share.full_ecs for share in _accepted(shares)):
        lines += _vaults(sorted(vaults))
    return "\n".join([*lines, ""])


def cases(shares: Sequence[Share]) -> str:
    """Write test cases that pin what is accepted today, for `doorman policy test`."""
    lines = [
        "# What was accepted when the policy was suggested: `doorman policy test` says when that changes.",
        "cases:",
    ]
    for share in _accepted(shares):
        [facts] = share_file.write([replace(share, member_status=None)])
        title = f"{share.name or 'an image'} of {share.owner} in {share.project_id} ({share.image_id})"
        lines.append(f"  - case: {_yaml(title)}")
        lines.append(f"    share: {json.dumps(facts)}")
        lines.append("    expect: {decision: accept}")
    return "\n".join([*lines, ""])


def _accepted(shares: Iterable[Share]) -> list[Share]:
    return [share for share in shares if share.member_status == "accepted" and share.owner]


def _rules(shares: Sequence[Share]) -> Iterator[_Rule]:
    """Give the rules of one owner: one for all projects, or one each where an image is not accepted in all of them."""
    accepted = {share.image_id for share in _accepted(shares)}
    is_mixed = any(share.image_id in accepted and share.member_status != "accepted" for share in shares)
    for projects in sorted({(share.project_id,) for share in shares}) if is_mixed else [()]:
        here = [share for share in shares if not projects or share.project_id in projects]
        if inside := _accepted(here):
            names, ids = _cover(inside, [share for share in here if share.member_status != "accepted"])
            is_plain = all(share.full_ecs is False for share in inside)
            for key, values in (("names", names), ("ids", ids)):
                if values:
                    yield _Rule(projects=projects, key=key, values=values, is_plain=is_plain)


def _cover(inside: Sequence[Share], outside: Sequence[Share]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Find name patterns that match what is inside and nothing outside; the rest goes by image ID."""
    names: list[str] = []
    ids: list[str] = []
    for share in sorted(inside, key=lambda each: (each.name or "", each.image_id)):
        name = share.name or ""
        if not any(fnmatchcase(name, pattern) for pattern in names):
            others = [each.name or "" for each in outside]
            fitting = (each for each in _candidates(name) if not any(fnmatchcase(other, each) for other in others))
            pattern = next(fitting, None)
            (names if pattern else ids).append(pattern or share.image_id)
    return tuple(sorted(names)), tuple(sorted(ids))


def _candidates(name: str) -> Iterator[str]:
    """Give the patterns for a name, the widest first: its first word and anything, two words, ..., the name itself."""
    parts = [re.sub(r"[*?\[]", r"[\g<0>]", part) for part in _ENDS.split(name)]
    for count in range(1, len(parts)):
        yield "".join(parts[:count]) + "*"
    whole = "".join(parts)
    if 0 < len(whole) <= _MAX_TEXT:
        yield whole


def _name(rules: dict[_Rule, list[str]]) -> dict[str, tuple[_Rule, list[str]]]:
    """Name each rule by the first word of its images."""
    named: dict[str, tuple[_Rule, list[str]]] = {}
    for rule, owners in rules.items():
        word = re.sub(r"[^A-Za-z0-9]", "", _ENDS.split(rule.values[0])[0]) if rule.key == "names" else ""
        base = f"{word[:40] or 'single'}-images"
        taken = sum(each == base or re.fullmatch(rf"{base}-\d+", each) is not None for each in named)
        named[base if not taken else f"{base}-{taken + 1}"] = (rule, owners)
    return named


def _head(shares: Sequence[Share], today: date) -> Iterator[str]:
    count = Counter(share.member_status or "pending" for share in shares)
    yield f"# A first policy, suggested on {today} from {count['accepted']} accepted, {count['pending']} pending and"
    yield f"# {count['rejected']} rejected shares. It accepts what is accepted today, and nothing else that is there."
    yield "# Nobody knows why a share was accepted: it may have been a blind click. Read each rule before you trust it."
    yield "# `mode: audit` tells everything and does nothing; remove it when the outcomes are what you want."
    left = Counter(share.owner or "unknown" for share in shares if share.member_status != "accepted")
    if left:
        yield "#"
        yield "# Left to a person, by `default: hold`; for some of them a rule that rejects may be right:"
        yield from (f"#   {number} of owner {_yaml(owner)}" for owner, number in left.most_common(_LISTED))
        if len(left) > _LISTED:
            yield f"#   and those of {len(left) - _LISTED} owners more"
    nameless = sum(share.member_status == "accepted" and not share.owner for share in shares)
    if nameless:
        yield f"# {nameless} accepted shares have no owner that the cloud tells: no rule can accept them."


def _entries(groups: dict[str, list[str]]) -> Iterator[str]:
    for name, owners in groups.items():
        yield f"  {name}:"
        yield from (f"    - {_yaml(owner)}" for owner in owners)


def _write(name: str, rule: _Rule, owners: Sequence[str]) -> Iterator[str]:
    yield f"  - name: {name}"
    yield f"    owners: {_yaml(owners)}"
    if rule.projects:
        yield f"    projects: {_yaml(rule.projects)}  # elsewhere not all of these images are accepted"
    yield "    images:"
    if rule.key == "ids":
        yield "      # no pattern tells these from what is not accepted; better ask their owner for other names"
    yield f"      {rule.key}: {_yaml(rule.values)}"
    if rule.is_plain:
        yield "      full_ecs: false  # none of them was made of a whole server"
    yield "    decision: accept"


def _vaults(vaults: Sequence[str]) -> Iterator[str]:
    yield ""
    if vaults:
        yield "vaults:  # no cloud tells which vault took an image: of all that are there, the one with the most room"
        yield f"  - candidates: {_yaml(vaults)}"
    else:
        yield "vaults: []  # full-ECS images are accepted today: name a vault for them, or they are held"


def _yaml(value: Any) -> str:
    """Write a text or a list of texts so that it is read as what it is."""
    if not isinstance(value, str):
        return f"[{', '.join(_yaml(each) for each in value)}]"
    is_plain = _SAFE.fullmatch(value) and read(value)[0].value == value
    return value if is_plain or re.fullmatch(r"group:[\w-]+", value) else json.dumps(value)
