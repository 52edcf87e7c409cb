"""Feeds mutants to everything that reads foreign bytes, as long as one likes; what breaks a reader joins the corpus.

`python -m tests.fuzz.fuzz [--seed N] [--seconds N | --inputs N]`; ends with 1 when something broke, took more than a
second of processor time, or when a reader took less than a tenth of what it was fed: then nothing behind it was tried.
"""

import argparse
import hashlib
import random
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from doorman.runtime import logs
from tests.fuzz.mutants import mutate
from tests.fuzz.readers import READERS, survives

CORPUS = Path(__file__).with_name("corpus")
LONGEST = 1.0
LEAST = 0.1


@dataclass
class Tally:
    """What one reader was fed and took, how often it broke, and its longest time in seconds."""

    fed: int = 0
    taken: int = 0
    broken: int = 0
    longest: float = 0.0

    @property
    def is_sound(self) -> bool:
        """Whether nothing broke or took too long, and enough came through."""
        return not self.broken and self.longest < LONGEST and self.taken >= LEAST * self.fed


def samples(reader: str) -> list[bytes]:
    """Read the corpus of one reader."""
    return [file.read_bytes() for file in sorted((CORPUS / reader).iterdir())]


def fuzz(*, seed: int, seconds: float, inputs: int | None) -> bool:
    """Fuzz all readers in turn; whether all are sound."""
    logs.set_up(level="error", form="json")
    dice, corpus = random.Random(seed), {reader: samples(reader) for reader in READERS}
    tallies = {reader: Tally() for reader in READERS}
    for reader in _turns(seconds, inputs):
        feed(reader, mutate(dice.choice(corpus[reader]), corpus[reader], dice), tallies[reader])
    for reader, tally in tallies.items():
        sys.stdout.write(
            f"{reader:14} {tally.fed:8} fed {100 * tally.taken / max(tally.fed, 1):4.0f} % taken "
            f"{1000 * tally.longest:6.0f} ms at most {tally.broken:4} broke\n"
        )
    fed, taken = (sum(getattr(tally, name) for tally in tallies.values()) for name in ("fed", "taken"))
    sys.stdout.write(f"{fed} mutants with seed {seed}, {taken} taken\n")
    return all(tally.is_sound for tally in tallies.values())


def feed(reader: str, mutant: bytes, tally: Tally) -> None:
    """Feed one mutant, and keep it where it breaks the reader."""
    start = time.process_time()
    try:
        tally.taken += survives(reader, mutant)
    except Exception:  # noqa: BLE001 - whatever it is, it is a find
        tally.broken += 1
        told = traceback.format_exc().encode("ascii", "backslashreplace").decode()
        sys.stdout.write(f"{reader}: {_keep(reader, mutant)}: {told}\n")
    spent = time.process_time() - start
    if spent >= LONGEST:
        sys.stdout.write(f"{reader}: {_keep(reader, mutant)}: {spent:.1f} s\n")
    tally.fed += 1
    tally.longest = max(tally.longest, spent)


def _turns(seconds: float, inputs: int | None) -> Iterator[str]:
    end, names, turn = time.monotonic() + seconds, list(READERS), 0
    while turn < inputs if inputs else time.monotonic() < end:
        yield names[turn % len(names)]
        turn += 1


def _keep(reader: str, mutant: bytes) -> Path:
    file = CORPUS / reader / f"found-{hashlib.sha256(mutant).hexdigest()[:12]}"
    file.write_bytes(mutant)
    return file


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--inputs", type=int)
    sys.exit(not fuzz(**vars(parser.parse_args())))
