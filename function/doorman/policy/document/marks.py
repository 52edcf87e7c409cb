"""Reads YAML (so JSON too) into plain values that know their line and column, and collects what is wrong with it.

The door for files that people write: policies, policy tests, lists of shares. Knows nothing about their meaning.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import yaml

from doorman.policy.document.faults import Fault
from doorman.policy.document.yaml_syntax import SyntaxFault, join, parse, place, resolve

MAX_DEPTH: Final = 20
MAX_VALUES: Final = 500_000

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands.

    Attributes:
        value: plain: None, bool, int, float, str, list or dict with text keys.
        children: by index or key. keys: place of each key.
        size: how many values it holds when every alias is followed.
    """

    value: object
    place: tuple[int, int]
    children: dict[str | int, "Node"] = field(default_factory=dict)
    keys: dict[str | int, tuple[int, int]] = field(default_factory=dict)
    size: int = 1

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
    reader = _Reader(parse(text.removeprefix("\ufeff")))
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
            raise SyntaxFault(_fault(event, f"nested deeper than {MAX_DEPTH} levels: make it flatter"))
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if isinstance(event, yaml.ScalarEvent):
            value = resolve(event.value) if event.implicit[0] else join(event.value)
            return self._noted(event, Node(value, place(event.start_mark)), event.tag)
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
            return Node("", place(event.start_mark))
        return node

    def _list(self, event: yaml.Event, depth: int) -> Node:
        children: dict[str | int, Node] = {}
        while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
            children[len(children)] = self._node(inner, depth=depth + 1)
        value = [each.value for each in children.values()]
        return Node(value, place(event.start_mark), children, {}, _size(children))

    def _mapping(self, event: yaml.Event, depth: int) -> Node:
        children: dict[str | int, Node] = {}
        keys: dict[str | int, tuple[int, int]] = {}
        while not isinstance(inner := next(self._events), yaml.MappingEndEvent):
            key = self._key(inner, depth)
            child = self._node(next(self._events), depth=depth + 1)
            if key in keys:
                self._fault(inner, f"`{key}` stands twice here, first in line {keys[key][0]}: keep one of them")
            elif key is not None:
                keys[key], children[key] = place(inner.start_mark), child
        value = {key: each.value for key, each in children.items()}
        return Node(value, place(event.start_mark), children, keys, _size(children))

    def _key(self, event: yaml.Event, depth: int) -> str | None:
        if isinstance(event, yaml.ScalarEvent) and event.value != "<<":
            return join(event.value)
        if isinstance(event, yaml.ScalarEvent):
            self._fault(event, "the merge key `<<` is not read: write the keys themselves")
        else:
            self._fault(event, "a key must be a text, not a list, a mapping or an alias: put quotes around it")
        self._node(event, depth=depth + 1)
        return None

    def _fault(self, event: yaml.Event, message: str) -> None:
        self.faults.append(_fault(event, message))


def _fault(event: yaml.Event, message: str) -> Fault:
    return Fault(*place(event.start_mark), message)


def _size(children: dict[str | int, Node]) -> int:
    return 1 + sum(each.size for each in children.values())
