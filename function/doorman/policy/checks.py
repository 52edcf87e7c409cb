"""Finds what is wrong with a policy beyond its form: references, doubles, and rules that rest on the sharer's words.

Works on whatever could be read, so that one fault does not hide another. Does not warn: that is `tools.lint`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from doorman.models import Api
from doorman.policy.conditions import ARCHITECTURES, SYSTEMS
from doorman.policy.document.faults import Fault
from doorman.policy.document.strict import about_value, closest, unwrap
from doorman.policy.document.yaml_reader import Node, Path
from doorman.policy.schema import Bounds, ExceptionEntry, ImagesEntry, PolicyFile

_WRITTEN: Final = "the cloud writes `CentOS 7.9 64bit`"
GROUP = "group:"
_BOUNDS = [key for key, field in ImagesEntry.model_fields.items() if unwrap(field.annotation)[0] is Bounds]


def check(root: Node, *, api: Api) -> Iterator[Fault]:
    """Yield what the models cannot see; `api` is the image service that the policy is for."""
    policy = _dict(root.value)
    yield from _names(root, policy)
    for path, entry in _entries(policy, "exceptions", "rules", "vaults"):
        for key in ("owners", "projects"):
            yield from check_members(root, (*path, key), entry.get(key), _dict(policy.get("groups")))
        yield from _images(root, (*path, "images"), entry.get("images"))
        yield from _vault(root, path, entry) if path[0] == "vaults" else _subjects(root, path, entry, api)


def advise(path: Path, node: Node | None) -> str | None:
    """Point the right way where the model's own words would not; see `strict.load`."""
    if node is None:
        return _advise_key(str(path[0]), str(path[-1]), is_condition="images" in path[:-1])
    key = next((step for step in reversed(path) if isinstance(step, str)), "")
    if key in SYSTEMS and isinstance(node.value, int | float):
        system = "Ubuntu" if re.fullmatch(r"\d\d\.\d\d", node.text or "") else "CentOS"
        pattern = f'"{system} {node.text}*"'
        return f"`{key}` must be a pattern such as {pattern}, not the number {node.text}: {_WRITTEN}"
    if key == "expires" and re.fullmatch(r"\d{4}-\d\d-\d\d", node.text or ""):
        return f"there is no such day as {node.text}: `expires` is the last day that it counts, such as `2026-12-31`"
    if key == "architecture" and (right := ARCHITECTURES.get(str(node.value).lower())) is not None:
        return f"`{node.value}` is called `{right}` here"
    if isinstance(node.value, str) and node.value.startswith(GROUP) and key not in {"owners", "projects"}:
        return f"`{node.value}`: a group serves `owners` and `projects` alone, write what it is to stand for"
    return None


def advise_system(pattern: str, api: Api) -> str | None:
    """Say of a system's pattern why it matches nothing; with Glance a version stands alone (`22.04`)."""
    plain = re.sub(r"[<>=~+\s]+", " ", pattern).strip(" *")
    wanted = f"* {plain}*" if plain[:1].isdigit() and api == "ims" else f"{plain}*"
    if re.search(r"[<>=~]\s*\w|\w\+$", pattern):
        return f"`{pattern}` compares nothing, it is a pattern: list one for each version, such as `{wanted}`"
    if api == "glance" or (re.search(r"[*?\[]|bit$", pattern) and not pattern[0].isdigit()):
        return None
    if pattern[0].isdigit():
        return f"`{pattern}`: a system begins with its name, {_WRITTEN}: `{wanted}`?"
    return f"`{pattern}` without a wildcard, no system calls itself exactly so: `{wanted}`?"


def _advise_key(section: str, key: str, *, is_condition: bool) -> str | None:
    if re.match(r"(not|no|non|except|exclude|excluding|unless|without)(_|-|$)|!", key):
        return (
            f'`{key}`: there is no "not": put a rule that rejects or holds what is unwanted above the one that accepts'
        )
    if key in {"group", "groups"}:
        return f"`{key}`: a group is named under `owners` or `projects`, as `{GROUP}NAME`"
    if section == "vaults" and key in {"images", *ImagesEntry.model_fields}:
        return (
            f"`{key}`: a vault is not chosen by the image: use `owners` or `projects`; `tags` here are the vault's own"
        )
    if section in {"rules", "exceptions"} and not is_condition and key in ImagesEntry.model_fields:
        return f"`{key}` stands under `images`: write `images: {{{key}: ...}}`"
    if section == "rules" and not is_condition and key in ExceptionEntry.model_fields:
        return f"`{key}` is for entries of `exceptions`: move this one there, or remove `{key}`"
    return None


def _names(root: Node, policy: Mapping[str, Any]) -> Iterator[Fault]:
    first: dict[str, Path] = {}
    for path, entry in _entries(policy, "exceptions", "rules"):
        name = entry.get("name")
        if isinstance(name, str) and first.setdefault(name, path) != path:
            line, _ = root.find((*first[name], "name")).place
            text = f"the name `{name}` is taken by the {str(first[name][0])[:-1]} in line {line}: give each its own"
            yield root.fault((*path, "name"), text)


def check_members(root: Node, path: Path, entries: object, groups: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield the groups among the entries of a list that the policy does not have, and those that are not named so."""
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if not isinstance(entry, str):
            continue
        name = entry.removeprefix(GROUP)
        if entry in groups:
            yield root.fault((*path, index), f"`{entry}` is a group: write `{GROUP}{entry}`")
        elif entry.startswith(GROUP) and name not in groups:
            guess = closest(name, groups)
            right = f"did you mean `{GROUP}{guess}`?" if guess else f"add `{name}:` with its project IDs to `groups`"
            yield root.fault((*path, index), f"there is no group `{name}`: {right}")


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


def _subjects(root: Node, path: Path, entry: Mapping[str, Any], api: Api) -> Iterator[Fault]:
    """An accept must rest on what the sharer cannot choose; an exception must say for whom it is."""
    if "owners" in entry:
        return
    if "ids" in _dict(entry.get("images")):
        if api == "glance" and entry.get("decision") == "accept":
            text = "add `owners`: on plain OpenStack the sharer may choose an image's ID, so `ids` alone are no proof"
            yield root.fault((*path, "decision"), f"a rule that accepts: {text}")
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
    if "min_free_gb" in entry and "vault" in entry:
        text = "`min_free_gb` is for `candidates` or `tags`; a `vault` is taken as it is: remove one of the two"
        yield root.fault((*path, "min_free_gb"), text, at_key=True)


def _entries(policy: Mapping[str, Any], *sections: str) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    for section in sections:
        entries = policy.get(section)
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            if isinstance(entry, dict):
                yield (section, index), entry


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
