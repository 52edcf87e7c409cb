"""A tick over many projects, spread by the broker over one, two and four processes of `sweep`; the cloud takes 50 ms.

`python bench/spread.py [--projects N --fanout N --delay SECONDS]`: five pending shares in each project. Timed from the
tick until every project's report is there and nothing is in flight, logins included. At last the same with four
processes, of which one after another is killed in the midst of its work and started again.
"""

import argparse
import json
import time
from contextlib import ExitStack
from typing import Any

import harness
import load

SHARES = 5
PROCESSES = (1, 2, 4)
KILLS = 3
LONGEST = 80.0
"""Seconds: a third of the Trigger's time-out."""

TICK = {"ce-specversion": "1.0", "ce-id": "tick", "ce-source": "/bench", "ce-type": "dev.knative.sources.ping"}


def measure(*, projects: int, fanout: int, delay: float) -> dict[str, Any]:
    """Measure each number of processes, then the kills."""
    runs = {count: _run(count, projects, fanout, delay, kills=0) for count in PROCESSES}
    killed = _run(PROCESSES[-1], projects, fanout, delay, kills=KILLS)
    return {
        "projects": projects,
        "seconds": {count: run["seconds"] for count, run in runs.items()},
        "longest": max(run["longest"] for run in runs.values()),
        "ratio": runs[PROCESSES[0]]["seconds"] / runs[PROCESSES[-1]]["seconds"],
        "calls_per_project": [runs[count]["calls"] / projects for count in PROCESSES],
        "is_whole": all(run["is_whole"] for run in [*runs.values(), killed]),
        "memory": max(run["memory"] for run in runs.values()),
    }


def _run(processes: int, projects: int, fanout: int, delay: float, *, kills: int) -> dict[str, Any]:
    port, settings = harness.free_port(), {"DOORMAN_SWEEP_FANOUT": str(fanout)}
    settings["K_SINK"] = f"http://127.0.0.1:{port}/doorman/default"
    with ExitStack() as stack:
        cloud = stack.enter_context(harness.running(harness.upstream()))
        cloud.ask("/bench/seed", {"projects": projects, "shares": SHARES, "delay": delay})
        ports = [harness.free_port() for _ in range(processes)]

        def start(port: int) -> harness.Server:
            server = harness.function("sweep", cloud, projects=projects, port=port, **settings)
            stack.callback(server.end)
            return server

        sweeps = [start(port) for port in ports]
        for sweep in sweeps:
            harness.wait(sweep)
        broker = stack.enter_context(harness.running(harness.broker(port, [sweep.url for sweep in sweeps])))
        began = time.perf_counter()
        load.run(settings["K_SINK"], [load.post(settings["K_SINK"], TICK, b"")], connections=1)
        for kill in range(1, kills + 1):
            _await(broker, projects=projects * kill // (2 * kills))
            sweeps[kill % processes].kill()
            sweeps[kill % processes] = start(ports[kill % processes])
        stats = _await(broker)
        seconds = time.perf_counter() - began
        calls = {name: count for name, count in cloud.ask("/bench/stats")["calls"].items() if "tokens" not in name}
        return {
            "seconds": seconds,
            "longest": stats["longest"],
            "calls": sum(calls.values()),
            "is_whole": (stats["projects"], stats["notified"], stats["dead"]) == (projects, projects * SHARES, 0),
            "memory": max(sweep.memory() for sweep in sweeps),
        }


def _await(broker: harness.Server, *, projects: int | None = None) -> dict[str, Any]:
    """Wait until so many projects were reported; None: until nothing is in flight any more."""
    deadline = time.monotonic() + 10 * harness.PATIENCE
    while time.monotonic() < deadline:
        stats: dict[str, Any] = broker.ask("/bench/stats")
        is_done = stats["is_idle"] and stats["projects"] if projects is None else stats["projects"] >= projects
        if is_done or stats["dead"]:
            return stats
        time.sleep(0.05)
    raise SystemExit(f"the tick is not worked off: {stats}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--projects", type=int, default=1000)
    parser.add_argument("--fanout", type=int, default=50)
    parser.add_argument("--delay", type=float, default=0.05)
    print(json.dumps(measure(**vars(parser.parse_args())), indent=2))
