"""Whatever foreign bytes say, a reader gives something or says what is wrong with an error of ours."""

import random

import pytest

from tests.fuzz.fuzz import LONGEST, Tally, feed, samples
from tests.fuzz.mutants import mutate
from tests.fuzz.readers import READERS, survives

MUTANTS = 150


@pytest.mark.parametrize("reader", READERS)
def test_the_corpus(reader: str) -> None:
    """Every sample, and everything that ever broke a reader, is read or refused; one at least is read."""
    assert True in [survives(reader, sample) for sample in samples(reader)]


@pytest.mark.parametrize("reader", READERS)
def test_mutants(reader: str) -> None:
    """Some mutants of the corpus, always the same ones; `fuzz.py` makes as many as one likes."""
    known, dice, tally = samples(reader), random.Random(reader), Tally()
    for _ in range(MUTANTS):
        feed(reader, mutate(dice.choice(known), known, dice), tally)
    assert (tally.broken, tally.longest < LONGEST, tally.taken > 0) == (0, True, True)
