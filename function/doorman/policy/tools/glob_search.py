"""Finds a text for every way in which some patterns can match together: all, none, and each mix of them that exists.

Walks the patterns side by side, one character after the other, as a machine that matches them all at once would.
"""

import re
from collections import deque
from collections.abc import Sequence
from fnmatch import translate
from functools import cache
from string import printable
from typing import Final

MAX_STATES: Final = 3_000
"""Beyond these the search ends: more patterns than anybody reads."""

_TOKEN = re.compile(r"\[!?\]?[^]]*\]|.", re.DOTALL)
_STAR: Final = "*"

State = tuple[frozenset[int], ...]


def find_texts(globs: Sequence[str]) -> list[str]:
    """Return short texts, one for every set of the patterns that some text matches."""
    patterns = [_TOKEN.findall(glob) for glob in globs]
    steps = {token: re.compile(translate(token)) for tokens in patterns for token in tokens if token != _STAR}
    letters: dict[tuple[bool, ...], str] = {}
    for letter in ("x", *globs, printable):
        for each in letter:
            letters.setdefault(tuple(step.match(each) is not None for step in steps.values()), each)

    @cache
    def go(number: int, at: frozenset[int], letter: str) -> frozenset[int]:
        return _step(at, patterns[number], letter, steps)

    start: State = tuple(_close({0}, tokens) for tokens in patterns)
    found: dict[tuple[bool, ...], str] = {}
    seen, waiting = {start}, deque([(start, "")])
    while waiting and len(seen) < MAX_STATES:
        state, text = waiting.popleft()
        found.setdefault(tuple(len(tokens) in at for at, tokens in zip(state, patterns, strict=True)), text)
        for letter in letters.values():
            following = tuple(go(number, at, letter) for number, at in enumerate(state))
            if following not in seen:
                seen.add(following)
                waiting.append((following, text + letter))
    return list(found.values())


def _step(at: frozenset[int], tokens: Sequence[str], letter: str, steps: dict[str, re.Pattern[str]]) -> frozenset[int]:
    stays = {index for index in at if index < len(tokens) and tokens[index] == _STAR}
    moves = {index + 1 for index in at - stays if index < len(tokens) and steps[tokens[index]].match(letter)}
    return _close(stays | moves, tokens)


def _close(at: set[int], tokens: Sequence[str]) -> frozenset[int]:
    """Add the places that are reached without a character, over a `*`."""
    for index, token in enumerate(tokens):
        if index in at and token == _STAR:
            at.add(index + 1)
    return frozenset(at)
