"""Feeds mutants to everything that reads foreign bytes, as long as one likes; what breaks a reader joins the corpus.

`python -m tests.fuzz.fuzz [--seed N] [--seconds N]`; ends with 1 when something broke.
"""

import argparse
import hashlib
import random
import sys
import time
import traceback
from pathlib import Path

from tests.fuzz.mutants import mutate
from tests.fuzz.readers import READERS, survives

CORPUS = Path(__file__).with_name("corpus")


def samples(reader: str) -> list[bytes]:
    """Read the corpus of one reader."""
    return [file.read_bytes() for file in sorted((CORPUS / reader).iterdir())]


def fuzz(*, seed: int, seconds: float) -> int:
    """Fuzz all readers in turn; how often one broke."""
    dice, end, broken, fed = random.Random(seed), time.monotonic() + seconds, 0, 0
    corpus = {reader: samples(reader) for reader in READERS}
    while time.monotonic() < end:
        for reader, known in corpus.items():
            mutant = mutate(dice.choice(known), known, dice)
            fed += 1
            try:
                survives(reader, mutant)
            except Exception:  # noqa: BLE001 - whatever it is, it is a find
                broken += 1
                (CORPUS / reader / f"found-{hashlib.sha256(mutant).hexdigest()[:12]}").write_bytes(mutant)
                sys.stdout.write(f"{reader}: {traceback.format_exc()}\n")
    sys.stdout.write(f"{fed} mutants, {broken} broke a reader\n")
    return broken


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--seconds", type=float, default=60)
    sys.exit(min(1, fuzz(**vars(parser.parse_args()))))
