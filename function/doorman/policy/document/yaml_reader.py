"""Reads YAML (so JSON too) into plain values that know their line and column, and collects what is wrong with it.

The door for files that people write: policies, policy tests, lists of shares. Knows nothing about their meaning.
Scalars follow YAML 1.2, as editors do: `no` and `2026-12-31` are texts. https://yaml.org/spec/1.2.2/#103-core-schema
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from doorman.policy.document.faults import Fault

MAX_CHARACTERS: Final = 4_000_000
MAX_DEPTH: Final = 20
MAX_VALUES: Final = 500_000

Path = tuple[str | int, ...]

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


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands.

    Attributes:
        value: plain: None, bool, int, float, str, list or dict with text keys.
        children: by index or key. keys: place of each key.
        size: how many values it holds when every alias is followed.
        text: a scalar as it is written, before YAML made a number of it.
    """

    value: object
    place: tuple[int, int]
    children: dict[str | int, "Node"] = field(default_factory=dict)
    keys: dict[str | int, tuple[int, int]] = field(default_factory=dict)
    size: int = 1
    text: str | None = None

    def find(self, path: Path) -> "Node":
        """Return what stands at `path`, or the nearest one above where it is absent."""
        node = self
        for step in path:
            node = node.children.get(step, node)
        return node

    def fault(self, path: Path, message: str, *, at_key: bool = False) -> Fault:
        """Return a fault at the value of `path`, or at its key."""
        if at_key and path:
            above = self.find(path[:-1])
            return Fault(*above.keys.get(path[-1], above.place), message)
        return Fault(*self.find(path).place, message)


def read(text: str) -> tuple[Node, list[Fault]]:
    """Read one YAML document.

    Returns:
        Its root, and the faults that do not keep the rest from being checked.

    Raises:
        SyntaxFault: nothing sensible can be said about the rest.
    """
    reader = _Reader(_parse(text.removeprefix("\ufeff")))
    return reader.document(), reader.faults


class _Reader:
    """Builds nodes from events; keeps the faults that are no reason to stop."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self.faults: list[Fault] = []
        self._events = events
        self._anchors: dict[str, Node] = {}

    def document(self) -> Node:
        next(self._events)  # the stream starts
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return Node(None, (1, 1))
        root = self._node(next(self._events), depth=1)
        next(self._events)  # the document ends
        extra = next(self._events)
        if not isinstance(extra, yaml.StreamEndEvent):
            self._fault(extra, "a second document begins here: keep one document a file")
        return root

    def _node(self, event: yaml.Event, *, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise _too_deep(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if isinstance(event, yaml.ScalarEvent):
            value = _resolve(event.value) if event.implicit[0] else _join(event.value)
            return self._noted(event, Node(value, _place(event.start_mark), text=event.value), event.tag)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._noted(event, self._list(event, depth), event.tag)
        return self._noted(event, self._mapping(event, depth), getattr(event, "tag", None))

    def _noted(self, event: yaml.Event, node: Node, tag: str | None) -> Node:
        """Remember what an alias may name, and refuse what makes a value something else than it looks."""
        if tag not in {None, "!"}:
            self._fault(event, f"the tag `{tag}` is not read: remove it")
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchors[anchor] = node
        if node.size > MAX_VALUES:
            raise SyntaxFault(_fault(event, f"holds more than {MAX_VALUES:,} values with its aliases: make it smaller"))
        return node

    def _alias(self, event: yaml.AliasEvent) -> Node:
        node = self._anchors.get(event.anchor or "")
        if node is None:
            self._fault(event, f"`*{event.anchor}` is an alias without an anchor: put quotes around a text like this")
            return Node("", _place(event.start_mark))
        return node

    def _list(self, event: yaml.Event, depth: int) -> Node:
        children: dict[str | int, Node] = {}
        while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
            children[len(children)] = self._node(inner, depth=depth + 1)
        value = [each.value for each in children.values()]
        return Node(value, _place(event.start_mark), children, {}, _size(children))

    def _mapping(self, event: yaml.Event, depth: int) -> Node:
        children: dict[str | int, Node] = {}
        keys: dict[str | int, tuple[int, int]] = {}
        while not isinstance(inner := next(self._events), yaml.MappingEndEvent):
            key = self._key(inner, depth)
            child = self._node(next(self._events), depth=depth + 1)
            if key in keys:
                self._fault(inner, f"`{key}` stands twice here, first in line {keys[key][0]}: keep one of them")
            elif key is not None:
                keys[key], children[key] = _place(inner.start_mark), child
        value = {key: each.value for key, each in children.items()}
        return Node(value, _place(event.start_mark), children, keys, _size(children))

    def _key(self, event: yaml.Event, depth: int) -> str | None:
        if isinstance(event, yaml.ScalarEvent) and event.value != "<<":
            return _join(event.value)
        if isinstance(event, yaml.ScalarEvent):
            self._fault(event, "the merge key `<<` is not read: write the keys themselves")
        else:
            self._fault(event, "a key must be a text, not a list, a mapping or an alias: put quotes around it")
        self._node(event, depth=depth + 1)
        return None

    def _fault(self, event: yaml.Event, message: str) -> None:
        self.faults.append(_fault(event, message))


def _fault(event: yaml.Event, message: str) -> Fault:
    return Fault(*_place(event.start_mark), message)


def _size(children: dict[str | int, Node]) -> int:
    return 1 + sum(each.size for each in children.values())


def _parse(text: str) -> Iterator[yaml.Event]:
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


def _resolve(text: str) -> object:
    """Resolve an unquoted scalar by YAML 1.2's core schema, decimal numbers alone."""
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _join(text: str) -> str:
    """Join what JSON writes as two escapes, a surrogate pair, into the character that it means."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _place(mark: Any) -> tuple[int, int]:
    """Return line and column, both from 1, of a parser's mark (either parser's; they share no base class)."""
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _too_deep(event: yaml.Event) -> SyntaxFault:
    return SyntaxFault(_fault(event, f"nested deeper than {MAX_DEPTH} levels: make it flatter"))


def _parse_slowly(text: str) -> list[yaml.Event]:
    events: list[yaml.Event] = []
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:  # each level more takes longer
                raise _too_deep(event)
            events.append(event)
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        column = len(before) - (before.rfind("\n") + 1)
        message = f"the character U+{ord(text[error.position]):04X} is not allowed in YAML: remove it"
        raise SyntaxFault(Fault(before.count("\n") + 1, column + 1, message)) from error
    except yaml.MarkedYAMLError as error:
        # an open quote is only noticed at the end of the file
        mark = error.context_mark if "quoted scalar" in (error.context or "") else error.problem_mark
        raise SyntaxFault(Fault(*_place(mark), _advice(error, mark))) from error
    return events


def _advice(error: yaml.MarkedYAMLError, mark: Any) -> str:
    """Say what a person has to mend, in place of the parser's own words."""
    here = mark.buffer[mark.pointer] if mark and mark.buffer else ""
    problem, context = error.problem or "", error.context or ""
    opened = ":".join(map(str, _place(error.context_mark)))
    before = mark.buffer[mark.pointer - 1] if mark and mark.buffer and mark.pointer else ""
    quote = ", or put quotes around a text that holds brackets" if {before, here} & set("[]{}") else ""
    ladder = (
        (here == "\t", "a tab: YAML is indented with spaces, replace the tab by spaces"),
        ("quoted scalar" in context, "this quote is never closed: add the closing quote"),
        (
            "flow sequence" in context,
            f"the list that opens with `[` at {opened} goes wrong here: add `]` or a `,`{quote}",
        ),
        (
            "flow mapping" in context,
            f"the mapping that opens with `{{` at {opened} goes wrong here: add `}}` or a `,`{quote}",
        ),
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
