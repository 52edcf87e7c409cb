"""Finds what is wrong with a policy beyond its form: references, doubles, and rules that rest on the sharer's words.

Works on whatever could be read, so that one fault does not hide another. Does not warn: that is `policy_lints`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from doorman.policy.document.faults import Fault
from doorman.policy.document.strict import about_value, closest
from doorman.policy.document.yaml_reader import Node, Path
from doorman.policy.schema import PolicyFile

GROUP = "group:"
_BOUNDS = ("disk_gb", "memory_mb", "age_days")


def check(root: Node) -> Iterator[Fault]:
    """Yield what the models cannot see."""
    policy = _dict(root.value)
    yield from _names(root, policy)
    for path, entry in _entries(policy, "exceptions", "rules", "vaults"):
        yield from _owners(root, path, entry, _dict(policy.get("groups")))
        yield from _images(root, (*path, "images"), entry.get("images"))
        yield from (_vault if path[0] == "vaults" else _subjects)(root, path, entry)


def _names(root: Node, policy: Mapping[str, Any]) -> Iterator[Fault]:
    first: dict[str, Path] = {}
    for path, entry in _entries(policy, "exceptions", "rules"):
        name = entry.get("name")
        if isinstance(name, str) and first.setdefault(name, path) != path:
            line, _ = root.find((*first[name], "name")).place
            text = f"the name `{name}` is taken by the {str(first[name][0])[:-1]} in line {line}: give each its own"
            yield root.fault((*path, "name"), text)


def _owners(root: Node, path: Path, entry: Mapping[str, Any], groups: Mapping[str, Any]) -> Iterator[Fault]:
    owners = entry.get("owners")
    for index, owner in enumerate(owners if isinstance(owners, list) else ()):
        if not isinstance(owner, str):
            continue
        name = owner.removeprefix(GROUP)
        if owner in groups:
            yield root.fault((*path, "owners", index), f"`{owner}` is a group: write `{GROUP}{owner}`")
        elif owner.startswith(GROUP) and name not in groups:
            guess = closest(name, groups)
            right = f"did you mean `{GROUP}{guess}`?" if guess else f"add `{name}:` with its project IDs to `groups`"
            yield root.fault((*path, "owners", index), f"there is no group `{name}`: {right}")


def _images(root: Node, path: Path, images: object) -> Iterator[Fault]:
    if images == {}:
        yield root.fault(path, about_value(PolicyFile, path, root.find(path)))
    for key in _BOUNDS:
        place, bounds = (*path, key), _dict(images).get(key)
        low, high = _dict(bounds).get("at_least"), _dict(bounds).get("at_most")
        if bounds == {}:
            yield root.fault(place, about_value(PolicyFile, place, root.find(place)))
        elif isinstance(low, int) and isinstance(high, int) and low > high:
            text = f"`at_most` {high} is below `at_least` {low}, no image can be both: swap them"
            yield root.fault((*place, "at_most"), text)


def _subjects(root: Node, path: Path, entry: Mapping[str, Any]) -> Iterator[Fault]:
    """An accept must rest on what the sharer cannot choose; an exception must say for whom it is."""
    if "owners" in entry or "ids" in _dict(entry.get("images")):
        return
    if path[0] == "exceptions":
        yield root.fault(path, "an exception must say for whom it is: add `owners`, or `ids` under `images`")
    elif entry.get("decision") == "accept":
        text = "must name `owners`, or `ids` under `images`: names, tags and all else are the sharer's own words"
        yield root.fault((*path, "decision"), f"a rule that accepts {text}")


def _vault(root: Node, path: Path, entry: Mapping[str, Any]) -> Iterator[Fault]:
    given = [key for key in ("vault", "candidates", "tags") if key in entry]
    if not given:
        yield root.fault(path, "a vault entry needs one of `vault`, `candidates` and `tags`: add `vault: VAULT_ID`")
    for key in given[1:]:
        text = f"`{key}` stands beside `{given[0]}`: keep one, and make an entry of its own for the other"
        yield root.fault((*path, key), text, at_key=True)


def _entries(policy: Mapping[str, Any], *sections: str) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    for section in sections:
        entries = policy.get(section)
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            if isinstance(entry, dict):
                yield (section, index), entry


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
