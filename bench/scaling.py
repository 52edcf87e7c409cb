"""What a share costs the more of them wait: API calls and the function's processor time, from 1 to 10,000 at once.

`python bench/scaling.py [--runs N]`: so many events of one project with one image each, over at most 256 connections.
"""

import argparse
import json
import statistics

import harness
import storm

SIZES = (1, 10, 100, 1000, 10_000)


def measure(*, runs: int) -> list[dict[str, float]]:
    """Measure each size so many times."""
    with harness.running(harness.upstream()) as cloud:
        return [_measure(cloud, size, runs) for size in SIZES]


def _measure(cloud: harness.Server, size: int, runs: int) -> dict[str, float]:
    calls, used = [], []
    for _ in range(runs):
        cloud.ask("/bench/seed", {"projects": 1, "shares": size})
        with harness.running(harness.triage(cloud, projects=1)) as function:
            storm.warm_up(function)
            _, processor = storm.blow(function, 1, size, 256)
        calls.append(sum(cloud.ask("/bench/stats")["calls"].values()) / size)
        used.append(processor)
    return {"waiting": size, "calls_per_share": statistics.median(calls), "cpu_us": statistics.median(used)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    print(json.dumps(measure(**vars(parser.parse_args())), indent=2))
