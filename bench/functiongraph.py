"""What a month on FunctionGraph costs: calls and GB-seconds for 1,000 shares, over a topic and in one invocation.

`python bench/functiongraph.py [--shares N] [--notices N] [--ticks N] [--job-seconds S] [--latency S]`: the sandbox's
engine calls the function as deployed. A tick is timed some times and multiplied; a call lasts as long as the engine
waits for it.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from doorman.sandbox.cloud import create_app
from doorman.sandbox.processes import Function
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud

PROJECT, OWNER = "receiver", "golden-images"
FUNCTION = f"urn:fss:eu-de:{PROJECT}:function:default:doorman:latest"
TOPIC = f"urn:smn:eu-de:{PROJECT}:doorman-events"
POLICY = f"version: 1\ndefault: hold\nrules:\n- name: golden\n  owners: [{OWNER}]\n  decision: accept\n"
MEMORY = 0.25
"""GB: 256 MB, the default of deploy/functiongraph."""

TIMED = 20
"""Ticks that are timed."""


class Engine:
    """The sandbox's engine, with a stopwatch."""

    def __init__(self, cloud: Cloud, url: str) -> None:
        self.cloud = cloud
        self.seconds: list[float] = []
        agency = cloud.engine.functions[FUNCTION].agency
        token = cloud.directory.issue(agency, PROJECT, ("password",)) if agency else None
        self.client = httpx.Client(base_url=url, headers={"X-Auth-Token": token.id if token else ""})
        post = cloud.engine._post  # noqa: SLF001 - the one place that knows how long a call took

        async def timed(function: Any, path: str, body: bytes, request_id: str) -> int:
            began = time.perf_counter()
            status = await post(function, path, body, request_id)
            if path == "invoke":
                self.seconds.append(time.perf_counter() - began)
            if status >= httpx.codes.BAD_REQUEST:
                raise SystemExit(f"the function answered {status}")
            return status

        cloud.engine._post = timed  # type: ignore[method-assign] # noqa: SLF001 - likewise

    def measure(self, path: str, body: dict[str, Any], times: int) -> dict[str, float]:
        """Start the function so many times, each after what followed from the last; calls and seconds for one time."""
        self.seconds.clear()
        for _ in range(times):
            self.client.post(path, json=body).raise_for_status()
            while not self.cloud.engine.tasks.is_idle:
                time.sleep(0.002)
            time.sleep(0.01)
        return {"calls": len(self.seconds) / times, "seconds": sum(self.seconds) / times}


@contextmanager
def running(*, is_chained: bool, job_seconds: float, latency: float) -> Iterator[Engine]:
    """Run cloud, engine and function."""
    cloud = Cloud()
    cloud.settings.job_seconds = job_seconds
    agency = cloud.add_user("agency", "secret", [PROJECT])
    folder = Path(tempfile.mkdtemp())
    (folder / "policy.yaml").write_text(POLICY)
    settings = {
        "OS_PROJECT_ID": PROJECT,
        "DOORMAN_POLICY": str(folder / "policy.yaml"),
        **({"K_SINK": f"smn:{TOPIC}"} if is_chained else {}),
    }
    with serve(_slow(create_app(cloud), latency)) as url:
        settings["OS_IMAGE_ENDPOINT_OVERRIDE"] = url
        function = Function("functiongraph", port=0, settings=settings, log=folder / "log")
        try:
            function.await_start()
            cloud.add_function(FUNCTION, function.url, agency=agency, loan="keys")
            cloud.add_topic(TOPIC, [FUNCTION])
            yield Engine(cloud, url)
        finally:
            function.stop()
            function.await_end()


def _slow(app: ASGIApp, latency: float) -> ASGIApp:
    """Let every API call take as long as a real cloud's; the sandbox's own admin does not wait."""

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].startswith("/sandbox"):
            await asyncio.sleep(latency)
        await app(scope, receive, send)

    return slow


def month(*, is_chained: bool, arguments: argparse.Namespace) -> dict[str, float]:
    """Measure the parts, and put a month together: notices, and ticks that find nothing."""
    each = arguments.shares // arguments.notices
    with running(is_chained=is_chained, job_seconds=arguments.job_seconds, latency=arguments.latency) as engine:
        engine.measure("/sandbox/ticks", {"urn": FUNCTION}, 2)  # warm
        idle = engine.measure("/sandbox/ticks", {"urn": FUNCTION}, TIMED)
        path = f"/v2/{PROJECT}/fgs/functions/{FUNCTION}/invocations-async"
        shares = [
            engine.measure(path, _trace([engine.cloud.add_share(OWNER, PROJECT) for _ in range(each)]), 1)
            for _ in range(arguments.notices)
        ]
        accepted = sum(
            member.status == "accepted" for row in engine.cloud.image_store.members.values() for member in row.values()
        )
    if accepted != each * arguments.notices:
        raise SystemExit(f"{accepted} shares were accepted, not {each * arguments.notices}")
    calls = idle["calls"] * arguments.ticks + sum(part["calls"] for part in shares)
    seconds = idle["seconds"] * arguments.ticks + sum(part["seconds"] for part in shares)
    return {
        "calls_per_tick": idle["calls"],
        "seconds_per_tick": round(idle["seconds"], 3),
        "calls_per_notice": statistics.median(part["calls"] for part in shares),
        "seconds_per_notice": round(statistics.median(part["seconds"] for part in shares), 3),
        "calls_a_month": round(calls),
        "gb_seconds_a_month": round(seconds * MEMORY),
    }


def _trace(images: list[str]) -> dict[str, Any]:
    request = {"images": images, "projects": [PROJECT]}
    trace = {"trace_id": images[0], "trace_name": "addMember", "service_type": "IMS", "code": 200, "request": request}
    return {"cts": trace}


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shares", type=int, default=1000, help="a month")
    parser.add_argument("--notices", type=int, default=100, help="that tell of them")
    parser.add_argument("--ticks", type=int, default=30 * 24 * 12, help="a month; default: one in five minutes")
    parser.add_argument("--job-seconds", type=float, default=0.8, help="that the cloud takes to settle")
    parser.add_argument("--latency", type=float, default=0.15, help="seconds of each API call")
    return parser.parse_args()


if __name__ == "__main__":
    told = _parse()
    print(
        json.dumps(
            {"chain": month(is_chained=True, arguments=told), "alone": month(is_chained=False, arguments=told)},
            indent=2,
        )
    )
