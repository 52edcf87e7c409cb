"""Finds every fault of a policy's text at once: its form by the models, its references and its sense by hand.

Works on whatever could be read, so that one fault does not hide another. Does not warn: that is `policy_lints`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from .policy_file import Bounds, ExceptionEntry, ImagesEntry, LimitsEntry, PolicyFile, RuleEntry, VaultEntry
from .policy_text import about_missing_key, about_unknown_key, about_value, closest
from .yaml_marks import Node, Path
from .yaml_syntax import Fault

_MODELS: Mapping[str, type[BaseModel]] = {
    "rules": RuleEntry,
    "exceptions": ExceptionEntry,
    "vaults": VaultEntry,
    "limits": LimitsEntry,
    "images": ImagesEntry,
    "disk_gb": Bounds,
    "memory_mb": Bounds,
    "age_days": Bounds,
}


def check(root: Node) -> tuple[PolicyFile | None, list[Fault]]:
    """Check what was read.

    Returns:
        The file's content, None where its form is wrong, and all faults.
    """
    faults = [root.fault(path, text, at_key=at_key) for path, text, at_key in _sense(root.value)]
    try:
        return PolicyFile.model_validate(root.value), faults
    except ValidationError as error:
        return None, faults + [
            _form(root, each) for each in error.errors(include_url=False) if each["input"] is not None
        ]


def _form(root: Node, error: Mapping[str, Any]) -> Fault:
    """Turn one of the models' errors into a sentence at its place."""
    path: Path = tuple(error["loc"])
    match error["type"]:
        case "extra_forbidden":
            return root.fault(path, about_unknown_key(path, _keys(path[:-1])), at_key=True)
        case "missing":
            return root.fault(path[:-1], about_missing_key(path))
        case "string_pattern_mismatch" if path[-1] == "[key]":
            text = f"`{path[-2]}` is no name for a group: use 1 to 64 of `A-Z a-z 0-9 _ -`"
            return root.fault(path[:-1], text, at_key=True)
        case "literal_error":
            return root.fault(path, about_value(path, error["input"], choices=_choices(error)))
        case _:
            return root.fault(path, about_value(path, error["input"]))


def _keys(path: Path) -> list[str]:
    place = next((each for each in reversed(path) if isinstance(each, str)), "")
    return list(_MODELS.get(place, PolicyFile).model_fields)


def _choices(error: Mapping[str, Any]) -> list[str]:
    return [each.strip("'") for each in error["ctx"]["expected"].replace(" or ", ", ").split(", ")]


def _sense(policy: object) -> Iterator[tuple[Path, str, bool]]:
    """Yield (path, what is wrong, whether the key is meant) for what the models cannot see."""
    yield from _blanks((), policy)
    yield from _names(policy)
    for path, entry in (*_entries(policy, "rules"), *_entries(policy, "exceptions"), *_entries(policy, "vaults")):
        yield from _owners(path, entry, _dict(_dict(policy).get("groups")))
        yield from _bounds((*path, "images"), _dict(entry.get("images")))
        if path[0] == "vaults":
            yield from _vault(path, entry)
        else:
            yield from _subjects(path, entry)


def _blanks(path: Path, value: object) -> Iterator[tuple[Path, str, bool]]:
    """A key without value could mean nothing or everything, so it must say."""
    if value is None:
        yield path, about_value(path, value), bool(path) and isinstance(path[-1], str)
    elif value == {} and path and path[-1] == "images":
        yield path, about_value(path, value), False
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in children:
        yield from _blanks((*path, step), child)


def _names(policy: object) -> Iterator[tuple[Path, str, bool]]:
    first: dict[str, Path] = {}
    for path, entry in (*_entries(policy, "exceptions"), *_entries(policy, "rules")):
        name = entry.get("name")
        if isinstance(name, str) and first.setdefault(name, path) != path:
            yield (
                (*path, "name"),
                f"the name `{name}` is taken by another {str(path[0])[:-1]}: give each its own",
                False,
            )


def _owners(path: Path, entry: Mapping[str, Any], groups: Mapping[str, Any]) -> Iterator[tuple[Path, str, bool]]:
    owners = entry.get("owners")
    for index, owner in enumerate(owners if isinstance(owners, list) else ()):
        place = (*path, "owners", index)
        if owner in groups:
            yield place, f"`{owner}` is a group: write `group:{owner}`", False
        elif (
            isinstance(owner, str)
            and owner.startswith("group:")
            and (name := owner.removeprefix("group:")) not in groups
        ):
            guess = closest(name, groups)
            right = f"did you mean `group:{guess}`?" if guess else f"add `{name}:` with its project IDs under `groups`"
            yield place, f"there is no group `{name}`: {right}", False


def _bounds(path: Path, images: Mapping[str, Any]) -> Iterator[tuple[Path, str, bool]]:
    for key in ("disk_gb", "memory_mb", "age_days"):
        bounds = _dict(images.get(key))
        low, high = bounds.get("at_least"), bounds.get("at_most")
        if key in images and images[key] == {}:
            yield (*path, key), about_value((*path, key), {}), False
        elif isinstance(low, int) and isinstance(high, int) and low > high:
            yield (*path, key, "at_most"), f"`at_most` {high} is below `at_least` {low}: no image can be both", False


def _subjects(path: Path, entry: Mapping[str, Any]) -> Iterator[tuple[Path, str, bool]]:
    """An accept must rest on what the sharer cannot choose; an exception must say for whom it is."""
    if "owners" in entry or "ids" in _dict(entry.get("images")):
        return
    if path[0] == "exceptions":
        yield path, "an exception must say for whom it is: add `owners`, or `ids` under `images`", False
    elif entry.get("decision") == "accept":
        text = (
            "a rule that accepts must name `owners`, or `ids` under `images`: names and tags are the sharer's own words"
        )
        yield (*path, "decision"), text, False


def _vault(path: Path, entry: Mapping[str, Any]) -> Iterator[tuple[Path, str, bool]]:
    given = [key for key in ("vault", "candidates", "tags") if key in entry]
    if not given:
        yield path, "a vault entry needs one of `vault`, `candidates` and `tags`: add `vault: VAULT_ID`", False
    for key in given[1:]:
        yield (
            (*path, key),
            f"`{key}` stands beside `{given[0]}`: keep one of them, and make another entry for the other",
            True,
        )


def _entries(policy: object, section: str) -> list[tuple[Path, Mapping[str, Any]]]:
    entries = _dict(policy).get(section)
    found = enumerate(entries) if isinstance(entries, list) else ()
    return [((section, index), entry) for index, entry in found if isinstance(entry, dict)]


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
