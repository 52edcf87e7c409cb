"""Finds a text for every way in which some patterns can match together: all, none, and each mix of them that exists.

Walks the patterns side by side, one character after the other, as a machine that matches them all at once would.
"""

import re
from collections import deque
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from string import printable
from typing import Final

MAX_STATES: Final = 3_000
"""Beyond these the search ends: more patterns than anybody reads."""

_TOKEN = re.compile(r"\[!?\]?[^]]*\]|.", re.DOTALL)
_STAR: Final = "*"

Place = tuple[int, int]
"""A pattern, and how many of its tokens are behind us."""


def find_texts(globs: Sequence[str]) -> list[str]:
    """Return short texts, one for every set of the patterns that some text matches."""
    patterns = [_TOKEN.findall(glob) for glob in globs]
    tokens = {token for each in patterns for token in each}
    letters: dict[frozenset[str], str] = {}
    for letter in ("x", *"".join(globs), *printable):
        letters.setdefault(frozenset(token for token in tokens if fnmatchcase(letter, token)), letter)
    start = _close(((number, 0) for number in range(len(patterns))), patterns)
    found: dict[frozenset[int], str] = {}
    seen, waiting = {start}, deque([(start, "")])
    while waiting and len(seen) < MAX_STATES:
        state, text = waiting.popleft()
        found.setdefault(frozenset(number for number, at in state if at == len(patterns[number])), text)
        for matched, letter in letters.items():
            open_ = [(number, at, patterns[number][at]) for number, at in state if at < len(patterns[number])]
            moved = ((number, at + (token != _STAR)) for number, at, token in open_ if token in matched)
            following = _close(moved, patterns)
            if following not in seen:
                seen.add(following)
                waiting.append((following, text + letter))
    return list(found.values())


def _close(places: Iterable[Place], patterns: Sequence[Sequence[str]]) -> frozenset[Place]:
    """Add the places that are reached without a character, over a `*`."""
    found = set(places)
    for number, at in tuple(found):
        following = at
        while patterns[number][following : following + 1] == [_STAR]:
            following += 1
            found.add((number, following))
    return frozenset(found)
