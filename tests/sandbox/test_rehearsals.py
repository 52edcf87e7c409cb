"""Every rehearsal is seen to end as the runbook says, with real commands in processes of their own."""

import pytest

from doorman.sandbox.rehearsals.__main__ import REHEARSALS, main

WORDS = [
    ("compromised-owner",),
    ("wrong-policy",),
    ("throttled-cloud",),
    ("rotated-credentials",),
    ("dead-letters",),
    ("killed", "--times", "1"),
]


def test_none_is_forgotten() -> None:
    """Every rehearsal that can be played is played here."""
    assert {words[0] for words in WORDS} == set(REHEARSALS)


@pytest.mark.parametrize("words", WORDS, ids=lambda words: words[0])
def test_its_end_is_seen(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code says so, and so does every line about a fact."""
    assert main([*words]) == 0
    told = capsys.readouterr().out
    assert "seen:" in told
    assert "NOT SEEN" not in told
