"""A sink that asks who sends is told, with the token that the cluster keeps fresh."""

from pathlib import Path

import httpx
import pytest

from doorman.models import CloudEvent
from doorman.runtime.http import Clients
from doorman.sinks.http import HttpSink
from tests.builders import FakeClock, Script


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("written", "proofs"),
    [
        ([b"token-0", b"token-1\n"], ["Bearer token-0", "Bearer token-1"]),  # it changes every hour
        ([None], [None]),  # most clusters do not ask
        ([b"\xff"], [None]),  # a broken file breaks nothing on our side: the sink will refuse, or does not ask
    ],
)
async def test_the_token_is_read_anew_for_each_event(
    written: list[bytes | None], proofs: list[str | None], tmp_path: Path, clock: FakeClock
) -> None:
    """Without a restart; without a token, or with what is none, nothing is proven."""
    script, token = Script([202]), tmp_path / "token"
    async with httpx.AsyncClient(transport=httpx.MockTransport(script)) as client:
        sink = HttpSink(url="http://broker.test/", clients=Clients(lambda: client), clock=clock, token=token)
        for text in written:
            if text is not None:
                token.write_bytes(text)
            await sink.emit(CloudEvent(id="1", source="/t", type="t", data={}))
    assert [request.headers.get("authorization") for request in script.requests] == proofs
