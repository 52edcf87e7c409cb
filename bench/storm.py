"""A storm of share notifications against a function that does nothing, in interleaved pairs; medians are printed.

`python bench/storm.py [--projects N] [--shares N] [--connections N] [--pairs N]`: one image an event, and where there
are several projects their events take turns.
"""

import argparse
import json
import statistics
from typing import Any

import harness
import load
from upstream import image_id, project_id


def storm(*, projects: int, shares: int, connections: int, pairs: int, settings: dict[str, str]) -> dict[str, Any]:
    """Measure; `shares` are those of one project."""
    figures = []
    with harness.running(harness.upstream()) as cloud, harness.running(harness.noop()) as noop:
        for _ in range(pairs):
            cloud.ask("/bench/seed", {"projects": projects, "shares": shares})
            with harness.running(harness.triage(cloud, projects=projects, **settings)) as function:
                warm_up(function)
                base, base_used = blow(noop, projects, shares, connections)
                busy, busy_used = blow(function, projects, shares, connections)
                memory = function.memory()
            stats = cloud.ask("/bench/stats")
            used = {"noop_cpu_us": base_used, "cpu_us": busy_used, "memory": memory / noop.memory()}
            figures.append(_figures(base, busy, stats, total=projects * shares) | used)
    return {name: round(statistics.median(each[name] for each in figures), 4) for name in figures[0]}


def warm_up(server: harness.Server) -> None:
    """Wait for the server's first answers, to something that is no event."""
    load.run(server.url, [load.post(server.url, {}, b"") for _ in range(20)], connections=2)


def blow(server: harness.Server, projects: int, shares: int, connections: int) -> tuple[load.Result, float]:
    """Send the storm; also give the processor's microseconds for each event."""
    before = server.processor()
    result = load.run(server.url, _events(server.url, projects, shares), connections=connections)
    return result, (server.processor() - before) / (projects * shares) * 1e6


def _events(url: str, projects: int, shares: int) -> list[bytes]:
    return [
        load.notified(
            url, project=project_id(project), images=[image_id(project, number)], event_id=f"{project}-{number}"
        )
        for number in range(shares)
        for project in range(projects)
    ]


def _figures(base: load.Result, busy: load.Result, stats: dict[str, Any], *, total: int) -> dict[str, float]:
    if set(busy.statuses) != {204} or stats["shares"] != {"accepted": total}:
        raise SystemExit(f"not every event was answered 204: {dict(busy.statuses)}, {stats}")
    calls = stats["calls"]
    latencies = sorted(busy.latencies)
    return {
        "noop_per_second": base.rate,
        "events_per_second": busy.rate,
        "ratio": busy.rate / base.rate,
        "calls_per_share": sum(calls.values()) / total,
        "lists_per_share": calls.get("GET /v2/cloudimages", 0) / total,
        "writes_per_share": calls.get("PUT /v1/cloudimages/members", 0) / total,
        "sink_per_share": sum(stats["emitted"].values()) / total,
        "median_ms": latencies[len(latencies) // 2] * 1000,
        "worst_ms": latencies[-1] * 1000,
    }


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--projects", type=int, default=1)
    parser.add_argument("--shares", type=int, default=20_000, help="of each project")
    parser.add_argument("--connections", type=int, default=256)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("settings", nargs="*", help="environment of the function, NAME=VALUE")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = vars(_parse())
    arguments["settings"] = dict(pair.split("=", 1) for pair in arguments["settings"])
    print(json.dumps(storm(**arguments), indent=2))
