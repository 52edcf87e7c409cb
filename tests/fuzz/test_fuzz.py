"""Whatever foreign bytes say, a reader gives something or says what is wrong with an error of ours."""

import random
import re
from pathlib import Path

import pytest

from doorman.cloud import api
from tests.fuzz.fuzz import LONGEST, Tally, feed, samples
from tests.fuzz.mutants import mutate
from tests.fuzz.readers import READERS, survives

MUTANTS = 150


def test_every_reader_of_an_answer_is_fed() -> None:
    """A new API comes with readers, which are here as well; those that all APIs share are fed through them."""
    files = [path for path in Path(api.__path__[0]).glob("*.py") if path.stem not in {"base", "images"}]
    found = {name for path in files for name in re.findall(r"def (read_\w+)\(answer", path.read_text())}
    fed = (Path(__file__).parent / "readers.py").read_text()
    assert [name for name in sorted(found) if name not in fed] == []


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
