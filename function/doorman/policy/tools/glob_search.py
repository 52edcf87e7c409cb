"""Finds a text for every way in which some patterns can match together: all, none, and each mix of them that exists.

Walks the patterns side by side, one character after the other, as a machine that matches them all at once would.
"""

import re
from collections import deque
from collections.abc import Sequence
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
    # what is reached without a character, over a `*`
    ahead: dict[Place, frozenset[Place]] = {}
    for number, each in enumerate(patterns):
        for at in range(len(each), -1, -1):
            ahead[number, at] = frozenset({(number, at)}).union(
                ahead[number, at + 1] if each[at:][:1] == [_STAR] else ()
            )
    start = frozenset[Place]().union(*(ahead[number, 0] for number in range(len(patterns))))
    found: dict[frozenset[int], str] = {}
    seen, waiting = {start}, deque([(start, "")])
    while waiting and len(seen) < MAX_STATES:
        state, text = waiting.popleft()
        found.setdefault(frozenset(number for number, at in state if at == len(patterns[number])), text)
        asked = ((number, at, patterns[number][at]) for number, at in state if at < len(patterns[number]))
        moves = [(token, ahead[number, at + (token != _STAR)]) for number, at, token in asked]
        for matched, letter in letters.items():
            following = frozenset[Place]().union(*(places for token, places in moves if token in matched))
            if following not in seen:
                seen.add(following)
                waiting.append((following, text + letter))
    return list(found.values())
