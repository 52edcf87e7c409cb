"""What a call costs by what carries it under httpx: its own transport, and aiohttp's.

`python bench/transports.py [--calls N]`: each in a process of its own, with the framework and httpx imported already.
`first` is import, connection and one call; `alone` is one call after the other, `busy` 32 in flight, both in
milliseconds of processor time for a call.
"""

import argparse
import asyncio
import json
import ssl
import subprocess
import sys
import time

import harness
import httpx
from upstream import image_id, project_id

CARRIERS = ("own", "aiohttp")
AT_ONCE = 32
LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=AT_ONCE)


def measure(*, calls: int) -> dict[str, dict[str, float]]:
    """Measure each carrier."""
    found = {}
    with harness.running(harness.upstream()) as cloud:
        cloud.ask("/bench/seed", {"projects": 1, "shares": 1})
        for name in CARRIERS:
            command = [sys.executable, __file__, "--calls", str(calls), "--carrier", name, "--url", cloud.url]
            found[name] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def _carrier(name: str) -> httpx.AsyncBaseTransport:
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if name == "own":
        return httpx.AsyncHTTPTransport(verify=trust, limits=LIMITS)
    sys.path.insert(0, str(harness.ROOT / "function"))
    from doorman.runtime.aiohttp_transport import AiohttpCarrier  # noqa: PLC0415 - its import is what is measured

    return AiohttpCarrier(trust=trust, limits=LIMITS)


async def _measure(name: str, url: str, calls: int) -> dict[str, float]:
    target = httpx.URL(
        f"{url}/v2/cloudimages", params={"member_status": "pending", "limit": "500", "id": image_id(0, 0)}
    )
    headers = {"X-Auth-Token": project_id(0), "Accept": "application/json"}
    start = time.perf_counter()
    async with httpx.AsyncClient(transport=_carrier(name)) as client:

        async def call(times: int) -> None:
            for _ in range(times):
                (await client.get(target, headers=headers)).raise_for_status()

        await call(1)
        first = time.perf_counter() - start
        await call(calls // 10)
        begun = time.process_time()
        await call(calls)
        alone = time.process_time() - begun
        begun = time.process_time()
        await asyncio.gather(*(call(calls // AT_ONCE) for _ in range(AT_ONCE)))
        busy = time.process_time() - begun
    return {
        "first_ms": round(first * 1000, 1),
        "alone_ms": round(alone / calls * 1000, 2),
        "busy_ms": round(busy / (calls // AT_ONCE * AT_ONCE) * 1000, 2),
    }


def main() -> None:
    """Print the figures of all carriers, or of one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=640)
    parser.add_argument("--carrier", choices=CARRIERS, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.carrier:
        import functions_framework.aio  # noqa: F401, PLC0415 - as in the function: much of what is needed is there

        print(json.dumps(asyncio.run(_measure(options.carrier, options.url, options.calls))))
    else:
        print(json.dumps(measure(calls=options.calls), indent=2))


if __name__ == "__main__":
    main()
