"""One event alone: its latency beside the bare sequence of the same HTTP calls, in interleaved pairs.

`python bench/alone.py [--events N] [--delay SECONDS]`: the function's answer counts from outside, HTTP included. The
bare sequence is list, list of whole servers, members call and follow-up by httpx.AsyncClient over kept connections, and
an answer of the function that does nothing. `delay` is how long cloud and sink take; without it our own work shows.
"""

import argparse
import asyncio
import json
import socket
import statistics
import time

import harness
import httpx
import load
from upstream import image_id, project_id

LIST = {"member_status": "pending", "visibility": "shared", "__imagetype": "shared", "limit": "500"}


def measure(*, events: int, delay: float) -> dict[str, float]:
    """Send events one after the other, each followed by the bare sequence for another image."""
    ours, bare = [], []
    with harness.running(harness.upstream()) as cloud, harness.running(harness.noop()) as noop:
        cloud.ask("/bench/seed", {"projects": 1, "shares": 2 * events + 2, "delay": delay})
        with harness.running(harness.triage(cloud, projects=1)) as function, asyncio.Runner() as runner:
            client = httpx.AsyncClient()
            for number in range(events + 1):
                took = _send(function.url, number)
                noop_took = _send(noop.url, number)
                sequence = runner.run(_sequence(client, cloud.url, image_id(0, events + 1 + number)))
                if number:  # the first one logs in and connects
                    ours.append(took)
                    bare.append(sequence + noop_took)
            runner.run(client.aclose())
    return {
        "bare_ms": round(statistics.median(bare) * 1000, 2),
        "ours_ms": round(statistics.median(ours) * 1000, 2),
        "ratio": round(statistics.median(mine / other for mine, other in zip(ours, bare, strict=True)), 3),
    }


def _send(url: str, number: int) -> float:
    event = load.notified(url, project=project_id(0), images=[image_id(0, number)], event_id=f"alone-{number}")
    address = ("127.0.0.1", int(url.rpartition(":")[2]))
    with socket.create_connection(address, timeout=harness.PATIENCE) as connection:
        start = time.perf_counter()
        connection.sendall(event)
        answer = connection.recv(65536)
        took = time.perf_counter() - start
    if not answer.startswith(b"HTTP/1.1 204"):
        raise SystemExit(f"the event was answered {answer[:200]!r}")
    return took


async def _sequence(client: httpx.AsyncClient, url: str, image: str) -> float:
    headers = {"X-Auth-Token": project_id(0), "Accept": "application/json"}
    asked = LIST | {"id": image}
    body = {"images": [image], "project_id": project_id(0), "status": "accepted"}
    start = time.perf_counter()
    await client.get(f"{url}/v2/cloudimages", params=asked, headers=headers)
    await client.get(f"{url}/v2/cloudimages", params=asked | {"__whole_image": "true"}, headers=headers)
    await client.put(f"{url}/v1/cloudimages/members", json=body, headers=headers)
    await client.post(f"{url}/sink", json={"job_id": "x"}, headers={"ce-type": "bare"})
    return time.perf_counter() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=300)
    parser.add_argument("--delay", type=float, default=0.0)
    print(json.dumps(measure(**vars(parser.parse_args())), indent=2))
