"""Makes mutants of samples: bytes flipped, cut, doubled, swapped for words that parsers stumble over, or spliced.

Most of those of JSON are still JSON, with values swapped, doubled or taken away: they come through the first door.
"""

import json
import random
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

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


STILL_JSON = 0.7
VALUES: list[Any] = [
    *(None, True, 0, -1, 2**63, 1e300, "", "x", "\u2028é😀\x00", "a" * 300, "2016-12-31T23:59:60Z"),
    *([], {}, [[]], {"": []}),
]


def mutate(sample: bytes, others: Sequence[bytes], dice: random.Random) -> bytes:
    """Make one mutant with a few changes."""
    if dice.random() < STILL_JSON and (reshaped := _reshape(sample, dice)) is not None:
        return reshaped
    data = bytearray(sample)
    for _ in range(dice.choice([1, 1, 1, 2, 4, 8])):
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


def _reshape(sample: bytes, dice: random.Random) -> bytes | None:
    """Change a few values of a JSON document; None where it is none."""
    try:
        whole = [json.loads(sample)]
    except ValueError:
        return None
    for _ in range(dice.choice([1, 1, 2, 4])):
        node, key = dice.choice(_places(whole))
        kind = dice.randrange(4)
        if kind == 0 and node is not whole:
            del node[key]
        elif kind == 1 and isinstance(node, list) and node is not whole:
            node.append(node[key])
        elif kind == 2 and isinstance(node, dict):
            node[dice.choice(["", "x", "data", "id", f"{key}x"])] = node[key]
        else:
            node[key] = deepcopy(dice.choice(VALUES))
    return json.dumps(whole[0], ensure_ascii=dice.random() < 0.5).encode()


def _places(node: Any) -> list[tuple[Any, Any]]:
    """List every place of a document: what holds it, and its key there."""
    keys = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    return [place for key in keys for place in ((node, key), *_places(node[key]))]
