"""Cold start: from the start of the process to its first event answered 204, beside a function that does nothing.

`python bench/coldstart.py [--pairs N]`: medians of pairs; the event is one share to accept, with login, list, members
call and follow-up, as after a scale-up from zero.
"""

import argparse
import compileall
import json
import socket
import statistics
import time

import harness
import load
from upstream import image_id, project_id


def measure(*, pairs: int) -> dict[str, float]:
    """Start both functions in turn, so many times."""
    figures: list[tuple[float, float]] = []
    compileall.compile_dir(harness.ROOT / "function", quiet=1)  # as in the image
    with harness.running(harness.upstream()) as cloud:
        for _ in range(pairs):
            cloud.ask("/bench/seed", {"projects": 1, "shares": 1})
            figures.append((_first_answer(harness.noop()), _first_answer(harness.triage(cloud, projects=1))))
    return {
        "bare_ms": round(statistics.median(bare for bare, _ in figures) * 1000, 1),
        "ours_ms": round(statistics.median(ours for _, ours in figures) * 1000, 1),
        "ratio": round(statistics.median(ours / bare for bare, ours in figures), 3),
    }


def _first_answer(server: harness.Server) -> float:
    event = load.notified(server.url, project=project_id(0), images=[image_id(0, 0)], event_id="first")
    try:
        address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        while True:
            try:
                with socket.create_connection(address, timeout=harness.PATIENCE) as connection:
                    connection.sendall(event)
                    answer = connection.recv(65536)
            except ConnectionError:
                time.sleep(0.001)
                continue
            if not answer.startswith(b"HTTP/1.1 204"):
                raise SystemExit(f"the first event was answered {answer[:200]!r}")
            return time.perf_counter() - server.started_at
    finally:
        server.end()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=11)
    print(json.dumps(measure(**vars(parser.parse_args())), indent=2))
