"""Follow-up events are posted to the sink, and count as told only once it took them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from doorman.errors import Unavailable
from doorman.events.cloudevents import read
from doorman.models import CloudEvent
from doorman.runtime.http import Clients
from doorman.sinks.base import PAUSES
from doorman.sinks.http import HttpSink
from tests.builders import START, FakeClock, Script, whole

if TYPE_CHECKING:
    from doorman.sinks.base import Sink

pytestmark = pytest.mark.anyio

EVENT = CloudEvent(
    id="1", source="/doorman/-/p", type="told", time=START, extensions={"severity": "info"}, data={"a": "ä"}
)
ATTEMPTS = len(PAUSES) + 1


def sink_of(script: Script, clock: FakeClock, overrides: Mapping[str, str] | None = None) -> HttpSink:
    """Make a sink that answers by a script."""
    client = httpx.AsyncClient(transport=httpx.MockTransport(script))
    clients = Clients(lambda: client)
    return HttpSink(url="http://sink.test/ns/default?a=b", clients=clients, clock=clock, overrides=overrides or {})


async def refusal(script: Script, clock: FakeClock) -> tuple[str, int]:
    """Emit an event that the sink does not take: why, and how often it was posted."""
    with pytest.raises(Unavailable) as caught:
        await sink_of(script, clock).emit(EVENT)
    return str(caught.value), len(script.requests)


@pytest.mark.parametrize("status", [200, 202, 204])
async def test_event_is_posted(clock: FakeClock, status: int) -> None:
    """Once, in binary mode, as it is."""
    script = Script([status])
    sink: Sink = sink_of(script, clock)
    await sink.emit(EVENT)
    (request,) = script.requests
    assert (request.method, str(request.url)) == ("POST", "http://sink.test/ns/default?a=b")
    assert request.headers["ce-specversion"] == "1.0"
    assert [whole(event) for event in read(request.headers, request.content)] == [EVENT]


async def test_overrides_are_applied_last(clock: FakeClock) -> None:
    """They replace what we say, and stand beside it."""
    script = Script([202])
    await sink_of(script, clock, {"severity": "quiet", "team": "a b"}).emit(EVENT)
    (request,) = script.requests
    assert request.headers["ce-team"] == "a%20b"
    (event,) = read(request.headers, request.content)
    assert whole(event) == replace(EVENT, extensions={"severity": "quiet", "team": "a b"})


@pytest.mark.parametrize(
    "passing",
    [
        408,
        425,
        429,
        500,
        502,
        503,
        504,
        520,
        httpx.ConnectError("x"),
        httpx.RemoteProtocolError("x"),
        httpx.ReadError("x"),
        httpx.WriteError("x"),
    ],
)
async def test_passing_failure(clock: FakeClock, passing: Any) -> None:
    """The same event again, after short pauses: told twice, it is still one."""
    script = Script([passing, passing, 202])
    await sink_of(script, clock).emit(EVENT)
    assert len({(request.headers["ce-id"], request.content) for request in script.requests}) == 1
    assert len(script.requests) == ATTEMPTS
    assert sum(PAUSES) * 0.5 <= clock.seconds <= sum(PAUSES) * 1.5


@pytest.mark.parametrize("lasting", [429, 503, httpx.ConnectError("x")])
async def test_lasting_failure(clock: FakeClock, lasting: Any) -> None:
    """It is left to the next delivery of what caused the event."""
    assert await refusal(Script([lasting]), clock) == ("the sink does not take told", ATTEMPTS)


@pytest.mark.parametrize("status", [301, 308, 400, 401, 403, 404, 413, 415, 418, 499])
async def test_refusal(clock: FakeClock, status: int) -> None:
    """It is told at once; the causing event is delivered again once somebody has put it right."""
    assert await refusal(Script([status]), clock) == (f"the sink answers {status}", 1)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (httpx.ReadTimeout("x"), "the sink does not answer (ReadTimeout)"),
        (httpx.ConnectTimeout("x"), "the sink does not answer (ConnectTimeout)"),
        (httpx.PoolTimeout("x"), "the sink does not answer (PoolTimeout)"),
        (httpx.InvalidURL("x"), "the sink does not answer (InvalidURL)"),
        (httpx.DecodingError("x"), "the sink does not answer (DecodingError)"),
    ],
)
async def test_silence(clock: FakeClock, error: Exception, text: str) -> None:
    """It has used up its time, and is not waited for twice."""
    assert await refusal(Script([error]), clock) == (text, 1)


async def test_error_says_nothing_of_the_url(clock: FakeClock) -> None:
    """It may hold a password."""
    for answer in (503, 403, httpx.ReadTimeout("http://user:pass@sink.test")):
        text, _ = await refusal(Script([answer]), clock)
        assert "sink.test" not in text
