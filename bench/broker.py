"""The sandbox's broker in a process of its own, which spreads what it delivers to `sweep` over several processes.

`python bench/broker.py PORT URL...`: as Knative's activator does, at most four events at once go to each process, and
each event to the one with the fewest. Nothing else has a Trigger. `GET /bench/stats` says what came in and how it went.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import h11
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "function"))

from doorman.sandbox.broker import Broker, create_app
from doorman.sandbox.delivery import Policy, Trigger
from doorman.sandbox.posting import Answer, Poster

AT_ONCE = 4
"""`containerConcurrency` in template.yaml."""

TYPES = ("dev.knative.sources.ping", "dev.doorman.project.sweep.v1")
DELIVERY = Policy(retry=8, backoff="exponential", delay=0.1, timeout=240)


class Balancer:
    """Posts to the least busy of the processes."""

    def __init__(self, urls: list[str]) -> None:
        self._busy = dict.fromkeys(urls, 0)
        self._poster = Poster()
        self._free = asyncio.Condition()
        self.seconds: list[float] = []

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes, *, method: str = "POST") -> Answer:
        """Post it as soon as one of them has a place."""
        async with self._free:
            await self._free.wait_for(lambda: min(self._busy.values()) < AT_ONCE)
            url = min(self._busy, key=self._busy.__getitem__)
            self._busy[url] += 1
        began = time.perf_counter()
        try:
            return await self._poster(url, headers, body, method=method)
        except (OSError, h11.RemoteProtocolError):
            await asyncio.sleep(1)  # a process that is gone must not look like an idle one
            raise
        finally:
            self.seconds.append(time.perf_counter() - began)
            async with self._free:
                self._busy[url] -= 1
                self._free.notify()


def serve(port: int, urls: list[str]) -> None:
    """Serve until the process is ended."""
    balancer = Balancer(urls)
    triggers = [Trigger(name=kind, subscriber=urls[0], filters={"type": kind}, policy=DELIVERY) for kind in TYPES]
    broker = Broker(triggers, post=balancer)

    async def stats(_: Request) -> JSONResponse:
        emitted = Counter(event.type for event in broker.events)
        reports = {event.value()["project_id"] for event in broker.events if event.type.endswith("pending.v1")}
        images = [image for event in broker.events if "notified" in event.type for image in event.value()["images"]]
        told = {"emitted": emitted, "projects": len(reports), "notified": len(set(images))}
        ended = {
            "is_idle": broker.is_idle,
            "dead": len(broker.dead_letters),
            "longest": max(balancer.seconds, default=0),
        }
        return JSONResponse({**told, **ended})

    app = create_app(broker)
    app.routes.insert(0, Route("/bench/stats", stats))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="critical", access_log=False)


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2:])
