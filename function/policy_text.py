"""Words for people: what each key of a policy must be, and a sentence for each way to get it wrong."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

_ID = "1 to 64 of `A-Z a-z 0-9 _ -`"
EXPECTED: Final[Mapping[str, str]] = {
    "version": "the number 1",
    "mode": "`enforce` or `audit`",
    "default": "`hold` or `reject`",
    "decision": "`accept`, `reject` or `hold`",
    "groups": "a mapping of names to lists of project IDs, such as `partners: [9c61004714024f9586705d090530f9fa]`",
    "rules": "a list of rules, each beginning with `- name:`",
    "exceptions": "a list of exceptions, each beginning with `- name:`",
    "vaults": "a list of entries, such as `- vault: VAULT_ID`",
    "limits": "a mapping, such as `accepts_per_owner: 50`",
    "accepts_per_owner": "a whole number from 1",
    "name": "a text of 1 to 100 characters without line breaks, such as `golden-images`",
    "owners": "a list of project IDs or `group:NAME`, such as `[9c61004714024f9586705d090530f9fa, group:partners]`",
    "projects": "a list of receiving project IDs, such as `[9c61004714024f9586705d090530f9fa]`",
    "images": "a mapping of conditions, such as `names: [golden-*]`",
    "ids": "a list of image IDs (UUIDs), such as `[6596628c-42d4-4ff1-8660-8ea5ae61f243]`",
    "names": "a list of name patterns, such as `[golden-*]`",
    "tags": "a list of tags, such as `[golden]`",
    "os_type": "`Linux`, `Windows` or `Other`, or a list of them",
    "platform": "a pattern such as `Ubuntu*`, or a list of them",
    "os_version": 'a pattern such as `"Ubuntu 22.04*"`, or a list of them',
    "architecture": "`x86_64` or `arm64`, or a list of them",
    "kind": "`server`, `data`, `iso` or `bare_metal`, or a list of them",
    "firmware": "`bios` or `uefi`, or a list of them",
    "hash": "the `os_hash_value` in hexadecimal, 32 to 128 digits, or a list of them",
    "full_ecs": "`true` or `false`",
    "encrypted": "`true` or `false`",
    "disk_gb": "a mapping with `at_least`, `at_most` or both, such as `at_most: 100`",
    "memory_mb": "a mapping with `at_least`, `at_most` or both, such as `at_most: 8192`",
    "age_days": "a mapping with `at_least`, `at_most` or both, such as `at_most: 30`",
    "at_least": "a whole number from 0",
    "at_most": "a whole number from 0",
    "reason": "a text that says why, such as `Migration of team blue, ticket 4711`",
    "by": "a text that says who answers for it, such as `jane.doe@example.com`",
    "expires": "the last day that it counts, such as `2026-12-31`",
    "vault": f"one vault ID: {_ID}",
    "candidates": "a list of vault IDs, such as `[8f0c3b52-7d0e-4b8e-9a55-0d6f0a3f3c11]`",
}
_ENTRIES: Final = {
    "owners": f"a project ID ({_ID}) or `group:NAME`",
    "projects": f"a project ID: {_ID}",
    "ids": "an image ID: a UUID such as `6596628c-42d4-4ff1-8660-8ea5ae61f243`",
    "names": "a pattern of 1 to 255 characters, such as `golden-*`",
    "tags": "a text of 1 to 255 characters",
    "candidates": f"a vault ID: {_ID}",
    "groups": f"a project ID: {_ID}",
    "rules": "a mapping with `name`, conditions and `decision`",
    "exceptions": "a mapping with `name`, conditions, `decision`, `reason`, `by` and `expires`",
    "vaults": "a mapping with `vault`, `candidates` or `tags`",
}
_QUOTED: Final = 80
_TEXTS: Final = frozenset(
    {"name", "owners", "projects", "groups", "names", "tags", "platform", "os_version", "hash"}
    | {"reason", "by", "vault", "candidates"}
)
_PLACES: Final = {"rules": "a rule", "exceptions": "an exception", "vaults": "a vault entry", "groups": "a group"}


def seen(value: object) -> str:
    """Describe a wrong value as a person would: `the text "x"`, `the number 5`, `a list`."""
    match value:
        case None:
            return "nothing"
        case bool():
            return f"`{str(value).lower()}`"
        case int() | float():
            return f"the number {value}"
        case str():
            return f'the text "{value if len(value) <= _QUOTED else value[:_QUOTED] + "..."}"'
        case list():
            return "a list" if value else "an empty list"
        case _:
            return "a mapping" if value else "an empty mapping"


def closest(word: str, words: Iterable[str]) -> str | None:
    """Return the one of `words` that `word` was probably meant to be."""
    lowered = {each.lower(): each for each in words}
    found = get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else None


def about_unknown_key(path: Sequence[str | int], keys: Sequence[str]) -> str:
    """Say that the last step of `path` is no key of its place, and which one was meant."""
    guess = closest(str(path[-1]), keys)
    right = f"did you mean `{guess}`?" if guess else f"the keys are {_listed(keys)}"
    return f"`{path[-1]}` is not a key of {_place(path[:-1])}: {right}"


def about_missing_key(path: Sequence[str | int]) -> str:
    """Say that the last step of `path` is missing from its place."""
    key = str(path[-1])
    return f"{_place(path[:-1])} needs `{key}`: add `{key}:` with {EXPECTED[key]}"


def about_value(path: Sequence[str | int], value: object, *, choices: Sequence[str] = ()) -> str:
    """Say what the value at `path` must be instead."""
    guess = closest(value, choices) if isinstance(value, str) else None
    hint = f"; did you mean `{guess}`?" if guess else ""
    quote = f': put it in quotes, "{value}"' if _is_unquoted(path, value) else ""
    return f"{_subject(path)} must be {_expected(path)}, not {seen(value)}{quote}{hint}"


def _is_unquoted(path: Sequence[str | int], value: object) -> bool:
    return isinstance(value, int | float) and _field(path) in _TEXTS


def _subject(path: Sequence[str | int]) -> str:
    if not path:
        return "the file"
    if path[0] == "groups" and len(path) == 2:  # noqa: PLR2004 - groups, then a name
        return f"group `{path[1]}`"
    return f"an entry of `{_field(path)}`" if isinstance(path[-1], int) else f"`{path[-1]}`"


def _expected(path: Sequence[str | int]) -> str:
    if not path:
        return "a mapping that begins with `version: 1`"
    field = _field(path)
    if path[0] == "vaults" and "tags" in path:
        return "a mapping of vault tags, such as `purpose: images`" if path[-1] == "tags" else "a text"
    if field == "groups" and len(path) == 2:  # noqa: PLR2004 - groups, then a name
        return "a list of project IDs, such as `[9c61004714024f9586705d090530f9fa]`"
    return _ENTRIES.get(field, EXPECTED[field]) if isinstance(path[-1], int) else EXPECTED[field]


def _field(path: Sequence[str | int]) -> str:
    """Return the key that `path` is about: a group's name and a list's index stand for what they belong to."""
    if path and path[0] == "groups":
        return "groups"
    return next((each for each in reversed(path) if isinstance(each, str)), "")


def _place(path: Sequence[str | int]) -> str:
    if not path:
        return "the policy"
    return _PLACES[str(path[0])] if isinstance(path[-1], int) else f"`{path[-1]}`"


def _listed(words: Sequence[Any]) -> str:
    return ", ".join(f"`{each}`" for each in words)
