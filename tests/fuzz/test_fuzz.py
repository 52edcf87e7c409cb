"""Whatever foreign bytes say, a reader gives something or says what is wrong with an error of ours."""

import random

import pytest

from tests.fuzz.fuzz import samples
from tests.fuzz.mutants import mutate
from tests.fuzz.readers import READERS, survives

MUTANTS = 150


@pytest.mark.parametrize("reader", READERS)
def test_the_corpus(reader: str) -> None:
    """Every sample, and everything that ever broke a reader, is read or refused; one at least is read."""
    survived = [survives(reader, sample) for sample in samples(reader)]
    assert (True in survived) is (reader != "error")


@pytest.mark.parametrize("reader", READERS)
def test_mutants(reader: str) -> None:
    """Some mutants of the corpus, always the same ones; `fuzz.py` makes as many as one likes."""
    known, dice = samples(reader), random.Random(reader)
    assert {survives(reader, mutate(dice.choice(known), known, dice)) for _ in range(MUTANTS)} <= {True, False}
