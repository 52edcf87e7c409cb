"""Finds texts for every mix of patterns that some text matches, against a search through all short texts."""

from fnmatch import fnmatchcase
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doorman.policy.tools.glob_search import find_texts

GLOBS = st.lists(st.text(alphabet="ab*?", max_size=4) | st.sampled_from(["[ab]*", "[!a]", "a[b-c]*", "["]), max_size=4)


def mixes(globs: list[str], texts: list[str]) -> set[tuple[bool, ...]]:
    """Say which of the patterns each text matches."""
    return {tuple(fnmatchcase(text, glob) for glob in globs) for text in texts}


@settings(max_examples=50)
@given(GLOBS)
def test_every_mix_that_a_short_text_shows_is_found(globs: list[str]) -> None:
    """All texts of up to four letters are tried; each text found is the only one of its mix."""
    found = find_texts(globs)
    short = ["".join(letters) for size in range(5) for letters in product("abcx", repeat=size)]
    assert mixes(globs, found) >= mixes(globs, short)
    assert len(mixes(globs, found)) == len(found)


@pytest.mark.parametrize(
    ("globs", "texts"),
    [([], [""]), (["golden-*", "*-7"], ["", "-7", "golden-", "golden-7"]), (["golden-*", "g?lden-x"], None)],
)
def test_the_texts_are_short(globs: list[str], texts: list[str] | None) -> None:
    """The shortest text of each mix; `x` where any character does."""
    found = find_texts(globs)
    assert found == texts if texts is not None else "golden-x" in found


def test_a_search_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found until then counts."""
    monkeypatch.setattr("doorman.policy.tools.glob_search.MAX_STATES", 2)
    assert "aaa" not in find_texts(["*a*", "aaa"])
