"""Turns text into YAML events, and a parser's complaint into advice that a person can follow.

Scalars follow YAML 1.2, as editors do: `no` and `2026-12-31` are texts. https://yaml.org/spec/1.2.2/#103-core-schema
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from doorman.policy.document.faults import Fault

MAX_CHARACTERS: Final = 4_000_000

_NULL = re.compile(r"|~|null|Null|NULL")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
# up to 18 digits: a project ID of 32 digits stays the text that it is
_INT = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]{1,2})?", re.ASCII)
# what JSON takes in its texts, and YAML only escaped; compiled when first needed, since that takes a while
_UNPRINTABLE: Final = "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser is ten times faster, where it was built


class SyntaxFault(Exception):
    """The text is no YAML that can be read on; `fault` says where and why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def parse(text: str) -> Iterator[yaml.Event]:
    """Return the events of `text`.

    The Python parser has the last word on what is wrong, since its places and messages are the same everywhere.

    Raises:
        SyntaxFault: it is no YAML, or too long.
    """
    if len(text) > MAX_CHARACTERS:
        raise SyntaxFault(Fault(1, 1, f"the file has more than {MAX_CHARACTERS:,} characters: make it smaller"))
    if text.lstrip()[:1] in {"{", "["}:
        text = re.sub(_UNPRINTABLE, lambda found: f"\\u{ord(found[0]):04x}", text)
    try:
        events = list(yaml.parse(text, Loader=_LOADER))
    except (yaml.YAMLError, UnicodeError):
        events = _parse_slowly(text)
    return iter(events)


def resolve(text: str) -> object:
    """Resolve an unquoted scalar by YAML 1.2's core schema, decimal numbers alone."""
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def join(text: str) -> str:
    """Join what JSON writes as two escapes, a surrogate pair, into the character that it means."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def place(mark: Any) -> tuple[int, int]:
    """Return line and column, both from 1, of a parser's mark (either parser's; they share no base class)."""
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _parse_slowly(text: str) -> list[yaml.Event]:
    try:
        return list(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        column = len(before) - (before.rfind("\n") + 1)
        message = f"the character U+{ord(text[error.position]):04X} is not allowed in YAML: remove it"
        raise SyntaxFault(Fault(before.count("\n") + 1, column + 1, message)) from error
    except yaml.MarkedYAMLError as error:
        # an open quote is only noticed at the end of the file
        mark = error.context_mark if "quoted scalar" in (error.context or "") else error.problem_mark
        raise SyntaxFault(Fault(*place(mark), _advice(error, mark))) from error


def _advice(error: yaml.MarkedYAMLError, mark: Any) -> str:
    """Say what a person has to mend, in place of the parser's own words."""
    here = mark.buffer[mark.pointer] if mark and mark.buffer else ""
    problem, context = error.problem or "", error.context or ""
    opened = ":".join(map(str, place(error.context_mark)))
    ladder = (
        (here == "\t", "a tab: YAML is indented with spaces, replace the tab by spaces"),
        ("quoted scalar" in context, "this quote is never closed: add the closing quote"),
        ("flow sequence" in context, f"the list that opens with `[` at {opened} goes wrong here: add `]` or a `,`"),
        ("flow mapping" in context, f"the mapping that opens with `{{` at {opened} goes wrong here: add `}}` or a `,`"),
        (
            "mapping values are not allowed" in problem,
            "a `:` that does not belong here: put quotes around a text that holds `: `, or mend the indentation",
        ),
        ("cannot start any token" in problem, f"a text cannot begin with `{here}`: put quotes around it"),
        (
            context.startswith("while parsing a block"),
            "this line does not fit the ones above: mend its indentation, its `-` or its `:`",
        ),
    )
    return next((advice for applies, advice in ladder if applies), f"this is no YAML: {problem}")
