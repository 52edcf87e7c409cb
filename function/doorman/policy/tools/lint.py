"""Looks for what a policy probably does not mean: rules never reached, IDs that are none, patterns that match nothing.

None of it keeps the functions from starting. Where the file promises what it cannot do, it is an error all the same;
the rest is untidy, late or dangerous, and a warning.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fnmatch import fnmatchcase
from math import inf
from typing import Any, Final

from doorman.models import Api
from doorman.policy.checks import GROUP, advise_system
from doorman.policy.conditions import KEYS, PATTERNS, SYSTEMS
from doorman.policy.document.faults import Fault
from doorman.policy.document.yaml_reader import Node, Path
from doorman.policy.policy import Policy, Rule, compile_policy, resolve
from doorman.policy.schema import PolicyFile

CLOUDS: Final[dict[Api, str]] = {"ims": "the IMS", "glance": "plain OpenStack (Glance)"}
LONG: Final = timedelta(days=731)
"""An exception that counts for longer than two years has in effect no end."""

_ID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_HEX = re.compile(r"[0-9a-fA-F-]{20,}", re.ASCII)
_REGEX = re.compile(r"\^|\$$|\\[dwsb.]|\.\+|\(.*\|.*\)|[^0-9]\.\*")

Owners = frozenset[str] | None
Found = Iterator[tuple[Path, str]]
"""Places, and what is to be said of them."""


@dataclass(frozen=True, slots=True)
class Lint:
    """Something that is probably not meant; an error where the file promises what it does not do."""

    fault: Fault
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class _Placed:
    """A rule or an exception, its place in the file, and what it asks of images: key to value."""

    path: Path
    rule: Rule
    images: dict[str, Any]


def lint(content: PolicyFile, root: Node, *, today: date, api: Api = "ims") -> list[Lint]:
    """Look through a policy without faults.

    Args:
        content: the policy as written.
        root: where everything stands in it.
        today: in UTC.
        api: the image service that it is for.

    Returns:
        What was found, in the order of the file.
    """
    policy = compile_policy(content)
    paths = [(name, index) for name in ("exceptions", "rules") for index in range(len(getattr(content, name)))]
    places = [_Placed(path, rule, _images(rule)) for path, rule in zip(paths, policy.rules, strict=True)]
    errors = (*_regexes(places), *_hopeless(places, api))
    warnings = (
        *_modes(content),
        *_doubles(content),
        *_ids(content),
        *_vaults(policy, places),
        *_rules(places, today),
        *_patterns(places, api),
        *_untold(places, api),
    )
    found = [
        *_shadows(places, root),
        *(Lint(root.fault(path, text), is_error=True) for path, text in errors),
        *(Lint(root.fault(path, text)) for path, text in warnings),
        *(Lint(root.fault(path, text, at_key=True)) for path, text in _groups(content)),
    ]
    return sorted(found, key=lambda each: each.fault)


def list_projects(content: PolicyFile) -> Iterator[tuple[Path, list[str]]]:
    """Give every list of project IDs and groups, with its place."""
    yield from ((("groups", name), members) for name, members in content.groups.items())
    for section in ("exceptions", "rules", "vaults"):
        for number, entry in enumerate(getattr(content, section)):
            yield from (((section, number, key), getattr(entry, key) or []) for key in ("owners", "projects"))


def list_vaults(content: PolicyFile) -> Iterator[tuple[Path, str]]:
    """Give every vault ID, with its place."""
    for number, entry in enumerate(content.vaults):
        if entry.vault:
            yield ("vaults", number, "vault"), entry.vault
        yield from ((("vaults", number, "candidates", at), each) for at, each in enumerate(entry.candidates or ()))


def _images(rule: Rule) -> dict[str, Any]:
    return {each.key[7:]: each.value for each in rule.conditions if each.key.startswith("images.")}


def _shadows(places: Sequence[_Placed], root: Node) -> Iterator[Lint]:
    """Say which rules, and which of their owners, earlier ones take."""
    for index, late in enumerate(places):
        left = late.rule.owners
        for early in (each for each in places[:index] if _precedes(each, late)):
            taken = left if early.rule.owners is None else early.rule.owners & (left or set())
            by = f"the {str(early.path[0])[:-1]} `{early.rule.name}` in line {root.find(early.path).place[0]}"
            if taken == left:
                text = f"`{late.rule.name}` can never match, {by} takes all its shares: move it up, or remove it"
                yield Lint(root.fault((*late.path, "name"), text), is_error=True)
                break
            if taken and left:
                left -= taken
                text = f"{', '.join(sorted(taken))}: never comes here, {by} takes it: remove it from one of the two"
                yield Lint(root.fault((*late.path, "owners"), text))


def _precedes(early: _Placed, late: _Placed) -> bool:
    """Say whether `early` matches whenever `late` does, but for owners."""
    first, second = early.rule, late.rule
    if first.audit or (first.expires and (second.expires is None or first.expires < second.expires)):
        return False
    if first.projects is not None and not (second.projects and second.projects <= first.projects):
        return False
    return all(key in late.images and _implies(key, late.images[key], wanted) for key, wanted in early.images.items())


def _implies(key: str, given: Any, wanted: Any) -> bool:
    """Say whether the condition `given` can only match where `wanted` does."""
    if isinstance(given, dict):
        low = given.get("at_least", 0) >= wanted.get("at_least", 0)
        return bool(low and given.get("at_most", inf) <= wanted.get("at_most", inf))
    if key in PATTERNS:
        return all(any(_is_within(each, other) for other in wanted) for each in given)
    return set(given) <= set(wanted) if isinstance(given, list) else bool(given == wanted)


def _is_within(pattern: str, other: str) -> bool:
    """Say whether all that `pattern` matches, `other` matches; False where that takes more than a look."""
    if pattern == other or not set("*?[") & set(pattern):
        return fnmatchcase(pattern, other) or pattern == other
    prefix = other[:-1]
    return other.endswith("*") and not set("*?[") & set(prefix) and pattern.startswith(prefix)


def _modes(content: PolicyFile) -> Found:
    if content.mode == "audit":
        text = "the whole policy is in audit mode: everything is told, nothing is done; remove `mode` when it is right"
        yield ("mode",), text


def _doubles(content: PolicyFile) -> Found:
    for path, entries in list_projects(content):
        known: set[str] = set()
        for index, each in enumerate(entries):
            owners = resolve([each], content) or frozenset()
            for owner in sorted(owners & known):
                within = f" (in `{each}`)" if owner != each else ""
                yield (*path, index), f"{owner}{within} stands in this list already: remove one of the two"
            known |= owners


def _groups(content: PolicyFile) -> Found:
    used = {each for _, entries in list_projects(content) for each in entries}
    for name in content.groups:
        if f"{GROUP}{name}" not in used:
            yield ("groups", name), f"nothing uses the group `{name}`: remove it, or name it as `{GROUP}{name}`"


def _ids(content: PolicyFile) -> Found:
    """Say which project and vault IDs are none."""
    projects = (((*path, at), each) for path, some in list_projects(content) for at, each in enumerate(some))
    for given, kind, right in (
        (projects, "project", "32 hex digits, or a UUID"),
        (list_vaults(content), "vault", "a UUID"),
    ):
        for path, text in given:
            if _HEX.fullmatch(text) and not _ID.fullmatch(text):
                digits = sum(each != "-" for each in text)
                yield path, f"`{text}` is no {kind} ID, it has {digits} hex digits: an ID is {right}"
            elif not (text.startswith(GROUP) or _ID.fullmatch(text)):
                yield path, f"`{text}` looks like a name: write the {kind}'s ID, {right}"
            elif text != text.lower() and not text.startswith(GROUP):
                yield path, f"`{text}` is in capitals, and IDs are compared as they stand: `{text.lower()}`?"


def _vaults(policy: Policy, places: Sequence[_Placed]) -> Found:
    """A vault entry needs a rule that accepts full-ECS images of its owners, a rule that wants these a vault."""
    accepting = [each for each in places if each.rule.action == "accept"]
    for index, entry in enumerate(policy.vaults):
        takers = (each for each in accepting if each.images.get("full_ecs") is not False)
        if not any(_meet(each.rule.owners, entry.owners) for each in takers):
            text = "nothing uses this vault entry, no rule accepts full-ECS images of its owners: remove it"
            yield ("vaults", index), text
    for each in accepting:
        if each.images.get("full_ecs") and not any(_meet(each.rule.owners, entry.owners) for entry in policy.vaults):
            text = f"`{each.rule.name}` holds every image, no vault is mapped for its owners: add an entry to `vaults`"
            yield (*each.path, "images", "full_ecs"), text


def _meet(some: Owners, others: Owners) -> bool:
    return some is None or others is None or bool(some & others)


def _rules(places: Sequence[_Placed], today: date) -> Found:
    """Say which exceptions never end or have ended, and which rules do everything or nothing."""
    for place in places:
        path, rule = place.path, place.rule
        does = {"accept": "accepts", "reject": "rejects", "hold": "holds"}[rule.action]
        stars = {f"images.{key}" for key in PATTERNS & place.images.keys() if "*" in place.images[key]}
        if rule.expires and rule.expires < today:
            text = f"the exception `{rule.name}` no longer counts: remove it, or set a later day"
            yield (*path, "expires"), text
        elif rule.expires and rule.expires > today + LONG:
            text = f"the exception `{rule.name}` in effect never ends: set a day within two years, or make it a rule"
            yield (*path, "expires"), text
        elif stars.issuperset(each.key for each in rule.conditions):
            asks = "has no condition but `*`" if stars else "has no condition"
            text = f"`{rule.name}` {asks}: it {does} everything that comes to it; `default` is for what is left"
            yield (*path, "decision"), text
        elif rule.audit and rule.action == "reject" and rule.owners and not place.images:
            text = f"`{rule.name}` is on trial and changes nothing: remove `mode: audit` to keep these owners out"
            yield (*path, "mode"), text


def _regexes(places: Sequence[_Placed]) -> Found:
    for path, _, pattern in _list_patterns(places):
        if _is_between_slashes(pattern):
            yield path, f"`{pattern}` is no regular expression but a pattern: `{_glob(pattern)}`?"


def _patterns(places: Sequence[_Placed], api: Api) -> Found:
    """Say which patterns match nothing, or another thing than they seem to."""
    for path, key, pattern in _list_patterns(places):
        if _is_between_slashes(pattern):
            continue
        if not pattern.isprintable():
            yield path, f"{pattern!r} holds a character that nobody sees: type it anew"
        elif re.search(r"\{.*,.*\}|\[[^\]]*$", pattern):
            yield path, f"`{pattern}`: braces, and a `[` without its `]`, stand for themselves: list a pattern for each"
        elif pattern.startswith(("!", "not ", GROUP)):
            yield path, f'`{pattern}` is a pattern like any other: there is no "not", and a group is none of images'
        elif _REGEX.search(pattern):
            yield path, f"`{pattern}` looks like a regular expression, but is read as a pattern: `{_glob(pattern)}`?"
        elif key in SYSTEMS and (text := advise_system(pattern, api)):
            yield path, text


def _list_patterns(places: Sequence[_Placed]) -> Iterator[tuple[Path, str, str]]:
    for place in places:
        for key in PATTERNS & place.images.keys():
            yield from (((*place.path, "images", key, at), key, each) for at, each in enumerate(place.images[key]))


def _is_between_slashes(pattern: str) -> bool:
    return len(pattern) > 1 and pattern[0] == pattern[-1] == "/"


def _glob(pattern: str) -> str:
    """Rewrite a regular expression as the pattern that was probably meant."""
    text = pattern[1:-1] if _is_between_slashes(pattern) else pattern
    text = re.sub(r"\\d[+*]?|\.[*+]", lambda found: "[0-9]" if found[0] == r"\d" else "*", text)
    return re.sub(r"\*+", "*", re.sub(r"\\(.)", r"\1", text.removeprefix("^").removesuffix("$")))


def _untold(places: Sequence[_Placed], api: Api) -> Found:
    """Say which conditions this cloud leaves unknown for ever."""
    for place in places:
        for key, why in _never(place, api):
            so = "never accepts anything there" if place.rule.action == "accept" else "holds what it might match"
            yield (*place.path, "images", key), f"{CLOUDS[api]} {why}: `{place.rule.name}` {so}"


def _hopeless(places: Sequence[_Placed], api: Api) -> Found:
    """Say whether nothing can be accepted there at all."""
    accepting = [each for each in places if each.rule.action == "accept"]
    if accepting and all(any(_never(each, api)) for each in accepting):
        text = f"no rule can accept anything on {CLOUDS[api]}: see the warnings, and examples/policy-glance.yaml"
        yield accepting[0].path, text


def _never(place: _Placed, api: Api) -> Iterator[tuple[str, str]]:
    """Give the conditions that never match with this image service, and why."""
    yield from ((key, f"does not tell `{key}`") for key in place.images if api not in KEYS[key].told_by)
    if api == "glance" and place.images.get("full_ecs"):
        yield "full_ecs", "has no full-ECS images"
