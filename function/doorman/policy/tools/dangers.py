"""Looks for what a policy says and hardly means: IDs that are none, patterns that match nothing, rules for everybody.

The file loads all the same; each finding is a warning, or an error where the policy cannot do what it is there for.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from doorman.policy.checks import GROUP
from doorman.policy.conditions import KEYS, PATTERNS, SYSTEMS
from doorman.policy.document.faults import Fault
from doorman.policy.document.yaml_reader import Node, Path
from doorman.policy.schema import Api, ExceptionEntry, ImagesEntry, PolicyFile, RuleEntry, VaultEntry

CLOUDS: Final[dict[Api, str]] = {"ims": "the IMS", "glance": "plain OpenStack (Glance)"}
LONG: Final = timedelta(days=731)
"""An exception that counts for longer than two years has in effect no end."""

_ID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_HEX = re.compile(r"[0-9a-fA-F-]{20,}", re.ASCII)
_REGEX = re.compile(r"\^|\$$|\\[dwsb.]|\.\+|\(.*\|.*\)|[^0-9]\.\*")


@dataclass(frozen=True, slots=True)
class Lint:
    """Something that is probably not meant; an error where the file promises what it does not do."""

    fault: Fault
    is_error: bool = False


def find_dangers(content: PolicyFile, root: Node, *, today: date, api: Api) -> Iterator[Lint]:
    """Yield what would pass in silence, and should not.

    Args:
        content: the policy as written.
        root: where everything stands in it.
        today: in UTC.
        api: the image service that it is for.
    """
    if content.mode == "audit":
        text = "the whole policy is in audit mode: everything is told, nothing is done; remove `mode` when it is right"
        yield Lint(root.fault(("mode",), text))
    for path, text in _ids(content):
        yield Lint(root.fault(path, text))
    for path, entry in placed(content):
        yield from (Lint(root.fault((*path, *more), text)) for more, text in _about_rule(entry, today))
        yield from _patterns(entry, path, root)
    yield from _untold(content, root, api)


def placed(content: PolicyFile) -> list[tuple[Path, RuleEntry | ExceptionEntry]]:
    """List the exceptions and then the rules, with their places."""
    sections: tuple[tuple[str, Sequence[RuleEntry | ExceptionEntry]], ...] = (
        ("exceptions", content.exceptions),
        ("rules", content.rules),
    )
    return [((name, index), entry) for name, entries in sections for index, entry in enumerate(entries)]


def _ids(content: PolicyFile) -> Iterator[tuple[Path, str]]:
    """Say which project and vault IDs are none."""
    listed: list[tuple[Path, list[str], str]] = [
        (("groups", name), members, "project") for name, members in content.groups.items()
    ]
    vaults: list[tuple[Path, VaultEntry]] = [(("vaults", number), entry) for number, entry in enumerate(content.vaults)]
    for path, entry in (*placed(content), *vaults):
        listed += [
            ((*path, "owners"), entry.owners or [], "project"),
            ((*path, "projects"), entry.projects or [], "project"),
        ]
    listed += [((*path, "candidates"), entry.candidates or [], "vault") for path, entry in vaults]
    given: list[tuple[Path, str, str]] = [
        ((*path, index), each, kind) for path, some, kind in listed for index, each in enumerate(some)
    ]
    given += [((*path, "vault"), entry.vault, "vault") for path, entry in vaults if entry.vault]
    for path, each, kind in given:
        if not (each.startswith(GROUP) or _ID.fullmatch(each)):
            yield path, _about_id(each, kind)


def _about_id(text: str, kind: str) -> str:
    right = "32 hex digits, or a UUID" if kind == "project" else "a UUID"
    if _HEX.fullmatch(text):
        return f"`{text}` is no {kind} ID, it has {sum(each != '-' for each in text)} hex digits: an ID is {right}"
    return f"`{text}` looks like a name: write the {kind}'s ID, {right}"


def _about_rule(entry: RuleEntry | ExceptionEntry, today: date) -> Iterator[tuple[Path, str]]:
    does = {"accept": "accepts", "reject": "rejects", "hold": "holds"}[entry.decision]
    if isinstance(entry, ExceptionEntry):
        if date.fromisoformat(entry.expires) > today + LONG:
            text = f"the exception `{entry.name}` in effect never ends: set a day within two years, or make it a rule"
            yield ("expires",), text
    elif entry.owners is None and entry.projects is None and entry.images is None:
        text = f"`{entry.name}` has no condition: it {does} everything that comes to it; `default` is for what is left"
        yield ("decision",), text
    elif entry.mode == "audit" and entry.decision == "reject" and entry.owners and entry.images is None:
        yield (
            ("mode",),
            f"`{entry.name}` is on trial and changes nothing: remove `mode: audit` to keep these owners out",
        )


def _patterns(entry: RuleEntry | ExceptionEntry, path: Path, root: Node) -> Iterator[Lint]:
    """Say which patterns match nothing, or another thing than they seem to."""
    for key in sorted(PATTERNS):
        for index, pattern in enumerate(getattr(entry.images, key, None) or ()):
            place = (*path, "images", key, index)
            if len(pattern) > 1 and pattern[0] == pattern[-1] == "/":
                text = f"`{pattern}` is no regular expression but a pattern: `{_glob(pattern)}`?"
                yield Lint(root.fault(place, text), is_error=True)
            elif pattern.startswith(("!", "not ", GROUP)):
                text = f'`{pattern}` is a pattern like any other: there is no "not", and a group is none of images'
                yield Lint(root.fault(place, text))
            elif _REGEX.search(pattern):
                text = f"`{pattern}` looks like a regular expression, but is read as a pattern: `{_glob(pattern)}`?"
                yield Lint(root.fault(place, text))
            elif key in SYSTEMS and not re.search(r"[*?\[]|bit$", pattern):
                text = f"`{pattern}` without a wildcard, no system calls itself exactly so: `{pattern}*`?"
                yield Lint(root.fault(place, text))


def _glob(pattern: str) -> str:
    """Rewrite a regular expression as the pattern that was probably meant."""
    text = pattern[1:-1] if pattern[0] == pattern[-1] == "/" else pattern
    text = re.sub(r"\\d[+*]?|\.[*+]", lambda found: "[0-9]" if found[0] == r"\d" else "*", text)
    return re.sub(r"\*+", "*", re.sub(r"\\(.)", r"\1", text.removeprefix("^").removesuffix("$")))


def _untold(content: PolicyFile, root: Node, api: Api) -> Iterator[Lint]:
    """Say which conditions this cloud leaves unknown for ever, and whether anything can be accepted at all."""
    accepting = [(path, entry) for path, entry in placed(content) if entry.decision == "accept"]
    for path, entry in placed(content):
        for key, why in _never(entry.images, api):
            so = "never accepts anything there" if entry.decision == "accept" else "holds what it might match"
            yield Lint(root.fault((*path, "images", key), f"{CLOUDS[api]} {why}: `{entry.name}` {so}"))
    if accepting and all(_never(entry.images, api) for _, entry in accepting):
        text = f"no rule can accept anything on {CLOUDS[api]}: see the warnings, and examples/policy-glance.yaml"
        yield Lint(root.fault(accepting[0][0], text), is_error=True)


def _never(images: ImagesEntry | None, api: Api) -> list[tuple[str, str]]:
    """List the conditions that never hold with this image service, and why."""
    given = [key for key in KEYS if getattr(images, key, None) is not None]
    found = [(key, f"does not tell `{key}`") for key in given if api not in KEYS[key].told_by]
    if api == "glance" and images is not None and images.full_ecs:
        found.append(("full_ecs", "has no full-ECS images"))
    return found
