"""A sink that asks who sends is told, with the token that the cluster keeps fresh."""

import asyncio
from pathlib import Path

import httpx

from doorman.models import CloudEvent
from doorman.runtime.http import Clients
from doorman.sinks.http import HttpSink
from tests.builders import FakeClock

EVENT = CloudEvent(id="1", source="/t", type="t", data={})


async def emit(token: Path, transport: httpx.MockTransport) -> None:
    """Emit one event."""
    async with httpx.AsyncClient(transport=transport) as client:
        clients = Clients(lambda: client)
        await HttpSink(url="http://broker.test/", clients=clients, clock=FakeClock(), token=token).emit(EVENT)


def tell(token: Path, times: int = 1) -> list[str | None]:
    """Emit events, each with a new token but the first, and give the proof that came with each."""
    proofs: list[str | None] = []

    def take(request: httpx.Request) -> httpx.Response:
        proofs.append(request.headers.get("authorization"))
        return httpx.Response(202)

    for number in range(times):
        if number:
            token.write_text(f"token-{number}\n")
        asyncio.run(emit(token, httpx.MockTransport(take)))
    return proofs


def test_the_token_is_read_anew_for_each_event(tmp_path: Path) -> None:
    """It changes every hour, without a restart."""
    (tmp_path / "token").write_text("token-0")
    assert tell(tmp_path / "token", times=2) == ["Bearer token-0", "Bearer token-1"]


def test_without_a_token_nothing_is_proven(tmp_path: Path) -> None:
    """Most clusters do not ask."""
    assert tell(tmp_path / "token") == [None]


def test_what_is_no_token_proves_nothing(tmp_path: Path) -> None:
    """A broken file breaks nothing on our side: the sink will refuse, or does not ask."""
    (tmp_path / "token").write_bytes(b"\xff")
    assert tell(tmp_path / "token") == [None]
