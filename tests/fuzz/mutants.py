"""Makes mutants of samples: bytes flipped, cut, doubled, swapped for words that parsers stumble over, or spliced."""

import random
from collections.abc import Sequence

WORDS = [
    *(b"null true false NaN -0 1e999 -1 [] {} [[ ]] {{ }} \\u0000 \\ud800 \\udfff \xff\xfe \x00 \r\n".split(b" ")),
    b"[" * 500,
    b'{"a":' * 200,
    b"9" * 400,
    b"0" * 5000,
    "\u2028é😀".encode(),
    b"../../",
    b"&a [*a]",
    b"<<: *a",
    b"!!python/object:os.system",
    b"---\n",
    b"\t",
    b": ",
    b"2026-02-30T25:61:61Z",
    b"99999-01-01T00:00:00Z",
]


def mutate(sample: bytes, others: Sequence[bytes], dice: random.Random) -> bytes:
    """Make one mutant with a few changes."""
    data = bytearray(sample)
    for _ in range(dice.choice([1, 1, 2, 4, 8])):
        start = dice.randrange(len(data) + 1)
        end = min(len(data), start + dice.choice([1, 1, 2, 8, 40]))
        kind = dice.randrange(6)
        if kind == 0:
            data[start:end] = bytes(dice.randrange(256) for _ in range(end - start))
        elif kind == 1:
            del data[start:end]
        elif kind == 2:
            data[start:start] = data[start:end]
        elif kind == 3:
            data[start:end] = dice.choice(WORDS)
        elif kind == 4:
            data[start:start] = dice.choice(WORDS)
        else:
            other = dice.choice(others)
            cut = dice.randrange(len(other) + 1)
            data[start:] = other[cut:]
    return bytes(data)
