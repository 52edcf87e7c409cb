"""What must not grow: memory by the length of a list, by what strangers put on images and into events, by time.

`python bench/large.py [--shares N --events N]`: the most memory that the function takes (proportional set size, its two
processes together), while it

- looks for drift among so many accepted shares of one project, beside the same with 500;
- triages 24 events at the bound of a body, of deep nesting, on a list that begins with 30 images of 128 properties with
  60,000 characters each;
- is sent so many events, one share each; of the last tenth, beside the second.
"""

import argparse
import json
import time
from typing import Any

import harness
import load
import storm
from upstream import image_id, project_id

LIMIT = 256 << 20
"""Bytes that template.yaml gives a function."""

BODY = 256 * 1024
BULKY, AT_ONCE = 30, 24
ROUNDS = 10


def measure(*, shares: int, events: int) -> dict[str, Any]:
    """Measure everything."""
    with harness.running(harness.upstream()) as cloud:
        few, many = (_sweep(cloud, count) for count in (500, shares))
        return {
            "shares": shares,
            "sweep_calls": many["calls"],
            "sweep_seconds": many["seconds"],
            "sweep_memory": many["memory"] / few["memory"],
            "sweep_bytes": many["memory"],
            "bulk_bytes": _bulk(cloud),
            "events": events,
            "growth": _endure(cloud, events),
        }


def _sweep(cloud: harness.Server, shares: int) -> dict[str, float]:
    cloud.ask("/bench/seed", {"projects": 1, "shares": shares, "status": "accepted"})
    with harness.running(harness.function("sweep", cloud, projects=1)) as sweep, sweep.peak() as seen:
        began = time.perf_counter()
        headers = {"ce-specversion": "1.0", "ce-id": "t", "ce-source": "/bench", "ce-type": "tick"}
        _expect(load.run(sweep.url, [load.post(sweep.url, headers, b"")], connections=1), 1)
        seconds = time.perf_counter() - began
    return {"memory": seen[-1], "seconds": seconds, "calls": cloud.ask("/bench/stats")["calls"]["GET /v2/cloudimages"]}


def _bulk(cloud: harness.Server) -> int:
    """Have good shares settled that stand behind bulky ones, by events that are as large as they may be."""
    cloud.ask("/bench/seed", {"projects": 1, "shares": BULKY + AT_ONCE, "bulky": BULKY})
    with harness.running(harness.triage(cloud, projects=1)) as function, function.peak() as seen:
        posts = [_heavy(function.url, BULKY + number) for number in range(AT_ONCE)]
        _expect(load.run(function.url, posts, connections=AT_ONCE), AT_ONCE)
    settled = cloud.ask("/bench/stats")["shares"]
    if settled != {"pending": BULKY, "accepted": AT_ONCE}:
        raise SystemExit(f"not the good shares were settled: {settled}")
    return seen[-1]


def _heavy(url: str, number: int) -> bytes:
    """Write an event of which nearly everything is ignored: nothing takes more memory once it is parsed."""
    head, _, data = load.notified(
        url, project=project_id(0), images=[image_id(0, number)], event_id=f"h{number}"
    ).partition(b"\r\n\r\n")
    fill = b"[]," * ((BODY - len(data) - 20) // 3) + b"[]"
    body = data[:-1] + b',"x":[' + fill + b"]}"
    return b"\r\n".join(line for line in head.split(b"\r\n") if not line.startswith(b"content-length")) + (
        b"\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    )


def _endure(cloud: harness.Server, events: int) -> float:
    memory = []
    with harness.running(harness.triage(cloud, projects=1)) as function:
        for _ in range(ROUNDS):
            cloud.ask("/bench/seed", {"projects": 1, "shares": events // ROUNDS})
            result, _ = storm.blow(function, 1, events // ROUNDS, 256)
            _expect(result, events // ROUNDS)
            memory.append(function.memory())
    return memory[-1] / memory[1]


def _expect(result: load.Result, count: int) -> None:
    if result.statuses != {204: count}:
        raise SystemExit(f"not every event was answered 204: {dict(result.statuses)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shares", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=200_000)
    print(json.dumps(measure(**vars(parser.parse_args())), indent=2))
