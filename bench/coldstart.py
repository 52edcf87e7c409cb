"""Cold start: from the start of the process to its first event answered 204, beside a function that does nothing.

`python bench/coldstart.py [--pairs N]`: medians of pairs; the event is one share to accept, with login, list, members
call and follow-up, as after a scale-up from zero. The cloud speaks https, the sink plain HTTP, as a broker in the
cluster does. `floor` is the function that does nothing, but imports the libraries that ours is built on.
"""

import argparse
import compileall
import json
import socket
import statistics
import tempfile
import time

import harness
import load
from upstream import image_id, project_id

LIBRARIES = "import httpx, pydantic, structlog, yaml\n"


def measure(*, pairs: int) -> dict[str, float]:
    """Start both functions in turn, so many times."""
    figures: list[tuple[float, float, float]] = []
    compileall.compile_dir(harness.ROOT / "function", quiet=1)  # as in the image
    with tempfile.TemporaryDirectory() as folder, harness.running(harness.upstream()) as sink:
        pem = harness.make_certificate(folder)
        with harness.running(harness.upstream(pem)) as cloud:
            settings = {"OS_CACERT": str(pem), "K_SINK": f"{sink.url}/sink"}
            for _ in range(pairs):
                cloud.ask("/bench/seed", {"projects": 1, "shares": 1})
                bare, floor = _first_answer(harness.noop()), _first_answer(harness.noop(LIBRARIES))
                figures.append((bare, floor, _first_answer(harness.triage(cloud, projects=1, **settings))))
    return {
        "bare_ms": round(statistics.median(bare for bare, _, _ in figures) * 1000, 1),
        "floor_ms": round(statistics.median(floor for _, floor, _ in figures) * 1000, 1),
        "ours_ms": round(statistics.median(ours for _, _, ours in figures) * 1000, 1),
        "ratio": round(statistics.median(ours / floor for _, floor, ours in figures), 3),
        "ratio_bare": round(statistics.median(ours / bare for bare, _, ours in figures), 3),
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
