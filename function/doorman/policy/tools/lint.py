"""Looks for what in a policy has no effect: rules never reached, doubles, vaults for nobody, exceptions that ran out.

None of it keeps the functions from starting. A rule that can never match is an error all the same: the file promises
what it does not do. The rest is untidy or late, and a warning.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from itertools import chain

from doorman.policy.conditions import PATTERNS
from doorman.policy.document.yaml_reader import Node, Path
from doorman.policy.policy import resolve
from doorman.policy.schema import Api, Bounds, ExceptionEntry, ImagesEntry, PolicyFile, RuleEntry, VaultEntry
from doorman.policy.tools.dangers import Lint, find_dangers, placed


@dataclass(frozen=True, slots=True)
class _Placed:
    """A rule or exception, its place in the file, and its owners with groups resolved."""

    path: Path
    line: int
    entry: RuleEntry | ExceptionEntry
    owners: frozenset[str] | None


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
    places = [
        _Placed(path, root.find(path).place[0], entry, resolve(entry.owners, content))
        for path, entry in placed(content)
    ]
    found = chain(
        _shadows(places, root),
        _doubles(content, root),
        _groups(content, root),
        _vaults(content, places, root),
        _missing_vaults(content, places, root),
        _expired(content, root, today),
        find_dangers(content, root, today=today, api=api),
    )
    return sorted(found, key=lambda each: each.fault)


def _shadows(places: Sequence[_Placed], root: Node) -> Iterator[Lint]:
    for index, late in enumerate(places):
        yield from _shadow(late, [early for early in places[:index] if _precedes(early.entry, late.entry)], root)


def _shadow(late: _Placed, earlier: Sequence[_Placed], root: Node) -> Iterator[Lint]:
    left = late.owners
    for early in earlier:
        taken = left if early.owners is None else frozenset[str]() if left is None else left & early.owners
        by = f"the {str(early.path[0])[:-1]} `{early.entry.name}` in line {early.line}"
        if taken == left:
            text = f"`{late.entry.name}` can never match, {by} takes all its shares: move it up, or remove it"
            yield Lint(root.fault((*late.path, "name"), text), is_error=True)
            return
        if taken and left:
            left -= taken
            text = f"{', '.join(sorted(taken))}: never comes here, {by} takes it: remove it from one of the two"
            yield Lint(root.fault((*late.path, "owners"), text))


def _precedes(early: RuleEntry | ExceptionEntry, late: RuleEntry | ExceptionEntry) -> bool:
    """Say whether `early` matches whenever `late` does, but for owners."""
    if isinstance(early, ExceptionEntry):
        if not isinstance(late, ExceptionEntry) or early.expires < late.expires:
            return False
    elif early.mode == "audit":
        return False
    if early.projects is not None and not set(late.projects or [""]) <= set(early.projects):
        return False  # groups are compared by name, so that this never says too much
    wanted, given = early.images or ImagesEntry(), late.images or ImagesEntry()
    keys = (key for key in ImagesEntry.model_fields if getattr(wanted, key) is not None)
    return all(_implies(key, getattr(given, key), getattr(wanted, key)) for key in keys)


def _implies(key: str, given: object, wanted: object) -> bool:
    """Say whether the condition `given` can only hold where `wanted` does."""
    if isinstance(given, Bounds) and isinstance(wanted, Bounds):
        low = (given.at_least or 0) >= (wanted.at_least or 0)
        return low and (wanted.at_most is None or (given.at_most is not None and given.at_most <= wanted.at_most))
    if isinstance(given, list) and isinstance(wanted, list):
        if key in PATTERNS:
            return all(any(_is_within(each, other) for other in wanted) for each in given)
        return set(given) <= set(wanted)
    return given == wanted


def _is_within(pattern: str, other: str) -> bool:
    """Say whether all that `pattern` matches, `other` matches; No where that takes more than a look."""
    if pattern == other or not set("*?[") & set(pattern):
        return fnmatchcase(pattern, other) or pattern == other
    prefix = other[:-1]
    return other.endswith("*") and not set("*?[") & set(prefix) and pattern.startswith(prefix)


def _doubles(content: PolicyFile, root: Node) -> Iterator[Lint]:
    lists: dict[Path, list[str]] = {("groups", name): members for name, members in content.groups.items()}
    sections: dict[str, Sequence[RuleEntry | ExceptionEntry | VaultEntry]] = {
        "exceptions": content.exceptions,
        "rules": content.rules,
        "vaults": content.vaults,
    }
    for section, written in sections.items():
        for index, entry in enumerate(written):
            lists |= {
                (section, index, "owners"): entry.owners or [],
                (section, index, "projects"): entry.projects or [],
            }
    for path, entries in lists.items():
        known: set[str] = set()
        for index, each in enumerate(entries):
            owners = resolve([each], content) or frozenset()
            for owner in sorted(owners & known):
                within = f" (in `{each}`)" if owner != each else ""
                text = f"{owner}{within} stands in this list already: remove one of the two"
                yield Lint(root.fault((*path, index), text))
            known |= owners


def _groups(content: PolicyFile, root: Node) -> Iterator[Lint]:
    entries: list[RuleEntry | ExceptionEntry | VaultEntry] = [*content.rules, *content.exceptions, *content.vaults]
    used = {each for entry in entries for each in (*(entry.owners or ()), *(entry.projects or ()))}
    for name in content.groups:
        if f"group:{name}" not in used:
            text = f"nothing uses the group `{name}`: remove it, or name it as `group:{name}`"
            yield Lint(root.fault(("groups", name), text, at_key=True))


def _vaults(content: PolicyFile, places: Sequence[_Placed], root: Node) -> Iterator[Lint]:
    """A vault entry needs a rule that accepts full-ECS images of its owners."""
    accepting = [each for each in places if each.entry.decision == "accept" and _takes_servers(each.entry)]
    for index, entry in enumerate(content.vaults):
        owners = resolve(entry.owners, content)
        if not any(each.owners is None or owners is None or owners & each.owners for each in accepting):
            text = "nothing uses this vault entry, no rule accepts full-ECS images of its owners: remove it"
            yield Lint(root.fault(("vaults", index), text))


def _missing_vaults(content: PolicyFile, places: Sequence[_Placed], root: Node) -> Iterator[Lint]:
    """A rule that wants full-ECS images needs a vault for them, or all of them are held."""
    mapped = [resolve(entry.owners, content) for entry in content.vaults]
    for each in places:
        is_wanted = each.entry.decision == "accept" and each.entry.images is not None and each.entry.images.full_ecs
        if is_wanted and not any(owners is None or each.owners is None or owners & each.owners for owners in mapped):
            text = f"`{each.entry.name}` holds every image, no vault is mapped for its owners: add an entry to `vaults`"
            yield Lint(root.fault((*each.path, "images", "full_ecs"), text))


def _takes_servers(entry: RuleEntry | ExceptionEntry) -> bool:
    return entry.images is None or entry.images.full_ecs is not False


def _expired(content: PolicyFile, root: Node, today: date) -> Iterator[Lint]:
    for index, entry in enumerate(content.exceptions):
        if date.fromisoformat(entry.expires) < today:
            text = f"the exception `{entry.name}` no longer counts: remove it, or set a later day"
            yield Lint(root.fault(("exceptions", index, "expires"), text))
