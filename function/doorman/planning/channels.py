"""The file of channels: who hears of what. Strict, with line and column, like the policy; pure.

A channel's URL holds a secret. No message of this module shows one, and the file may name a variable in its place.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from doorman.policy.checks import check_members
from doorman.policy.document import strict
from doorman.policy.document.faults import Fault
from doorman.policy.document.strict import Strict
from doorman.policy.document.yaml_reader import Node, Path
from doorman.policy.policy import resolve
from doorman.policy.schema import OneOrMore, Owners, PolicyFile, Projects, Some, words

_WORDS: Final = "`failed`, `held`, `pending`, `drifted`, `rejected`, `accepted`, `skipped` or `audited`"

Word = Annotated[
    Literal["failed", "held", "pending", "drifted", "rejected", "accepted", "skipped", "audited"],
    Field(description=_WORDS),
]
Severity = Literal["info", "action", "error"]

SCHEMES: Final = (
    *("slack", "workflow", "workflows", "mmost", "mmosts", "rocket", "rockets", "gchat", "discord", "tgram", "zulip"),
    *("matrix", "matrixs", "ntfy", "ntfys", "gotify", "gotifys", "mailto", "mailtos", "json", "jsons"),
    *("pagerduty", "opsgenie", "signl4", "squadcast"),
)
"""The services of apprise that are taken: each only sends HTTP or mail, to where its URL says."""

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SCHEME = re.compile(r"([a-z0-9]+)://\S+")
_URL_WORDS: Final = "apprise's URL of a service, or `${NAME}`: the variable that holds it"


class Channel(Strict):
    """One way to people, as it is written; None in `severities`, `projects` and `owners` stands for all of them."""

    called: ClassVar[str] = "a channel"
    form: ClassVar[str] = "a mapping with `name` and `url`"

    name: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="a name of 1 to 64 of `A-Z a-z 0-9 _ -`, such as `ops`"),
    ]
    url: Annotated[str, Field(min_length=1, repr=False, description=_URL_WORDS)]
    types: OneOrMore[Word] = words(f"{_WORDS}, or a list of them", default=["failed", "held", "pending", "drifted"])
    severities: OneOrMore[Severity] | None = words("`info`, `action` or `error`, or a list of them")
    projects: Projects = None
    owners: Owners = None


class ChannelsFile(Strict):
    """The whole file."""

    called: ClassVar[str] = "the file"
    form: ClassVar[str] = "a mapping that begins with `channels:`"

    channels: Annotated[Some[Channel], Field(description="a list of channels, each beginning with `- name:`")]


def load(text: str, *, file: str, policy: PolicyFile, environ: Mapping[str, str]) -> tuple[Channel, ...]:
    """Load a file of channels: groups become their projects, and a variable's name what is in it.

    Args:
        text: YAML or JSON.
        file: its name, for the error's lines.
        policy: whose groups it may name.
        environ: the variables that it may name.

    Raises:
        BrokenFile: with every fault at once.
    """
    sense = partial(_check, groups=policy.groups, environ=environ)
    content, _ = strict.load(text, ChannelsFile, file=file, sense=sense, advise=_advise)
    return tuple(
        entry.model_copy(
            update={
                "url": _fill_in(entry.url, environ),
                "projects": resolve(entry.projects, policy),
                "owners": resolve(entry.owners, policy),
            }
        )
        for entry in content.channels
    )


def _check(root: Node, *, groups: Mapping[str, object], environ: Mapping[str, str]) -> Iterator[Fault]:
    listed = root.children.get("channels")
    first: dict[object, int] = {}
    for index, entry in listed.children.items() if listed else ():
        for key, node in entry.children.items():
            path: Path = ("channels", index, key)
            if key in {"owners", "projects"}:
                yield from check_members(root, path, node.value, groups)
            if key == "url" and isinstance(node.value, str) and (wrong := _find_wrong(node.value, environ)):
                yield root.fault(path, wrong)
            if key == "name" and first.setdefault(node.value, node.place[0]) != node.place[0]:
                yield root.fault(path, f"the name is taken in line {first[node.value]}: give each its own")


def _find_wrong(url: str, environ: Mapping[str, str]) -> str | None:
    """Say what is wrong with a URL, without a word of it."""
    if (filled := _fill_in(url, environ)) is None:
        return f"the variable in `{url}` is not set: set it to {_URL_WORDS.partition(',')[0]}"
    scheme = _SCHEME.fullmatch(filled)
    if scheme and (scheme[1] in SCHEMES or scheme[1] == "https"):
        return None
    return f"`url` must be {_URL_WORDS}; the services are {', '.join(f'`{each}`' for each in SCHEMES)}"


def _fill_in(url: str, environ: Mapping[str, str]) -> str | None:
    """Put a variable's value in place of its name; None where it is not set."""
    named = _VARIABLE.fullmatch(url)
    return (environ.get(named[1]) or None) if named else url


def _advise(path: Path, node: Node | None) -> str | None:
    """Keep what may be a secret out of the messages of a wrong file."""
    if node is None:
        is_secret = "://" in str(path[-1])
        return "a URL is no key: write `url:`, a space, and the URL" if is_secret else None
    if path and (path[-1] == "url" or "://" in str(node.value)):
        return f"`url` must be {_URL_WORDS}" if path[-1] == "url" else "a URL has no place here: write it as `url: ...`"
    return None
