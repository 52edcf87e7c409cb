"""Handing events to SMN and FunctionGraph: what is sent, what is repeated, and what counts as not taken."""

import asyncio
import json
from dataclasses import replace

import httpx
import pytest

from doorman.cloud.auth.accounts import Endpoints
from doorman.cloud.auth.credentials import Credentials, from_invocation
from doorman.errors import Unavailable
from doorman.events.messages import EventType
from doorman.models import CloudEvent
from doorman.sinks.huaweicloud import CloudServiceSink, read_target
from tests.builders import FakeClock, Script

TOPIC = "urn:smn:eu-de:p2:doorman"
TOLD = CloudEvent(id="1", source="/doorman/-/p1", type="dev.doorman.share.held.v1", data={"images": []})
TAKEN = httpx.Response(200, json={"message_id": "m", "request_id": "r"})


def lend(project_id: str, image: str | None = "https://ims.eu-de.example.com") -> Credentials:
    """Make credentials with a token that names the project."""
    endpoints, token = Endpoints(image=image), f"token-of-{project_id}"
    return from_invocation(project_id=project_id, endpoints=endpoints, lent=token, now=FakeClock().now)


def emit(
    *answers: int | httpx.Response | Exception,
    credentials: tuple[Credentials, ...] = (lend("p1"), lend("p2")),
    event: CloudEvent = TOLD,
    target: str = f"smn:{TOPIC}",
) -> tuple[list[httpx.Request], float, str | None]:
    """Emit one event; give the requests, how long it waited between them, and the error if there was one."""
    cloud, clock = Script(answers), FakeClock()

    async def run() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(cloud)) as client:
            sink = CloudServiceSink(
                target=read_target(target),
                credentials=credentials,
                client=client,
                clock=clock,
                overrides={"team": "images"},
            )
            await sink.emit(event)

    try:
        asyncio.run(run())
    except Unavailable as error:
        return cloud.requests, clock.seconds, str(error)
    return cloud.requests, clock.seconds, None


def test_evidence_stays_in_the_log_where_a_function_is_behind(capsys: pytest.CaptureFixture[str]) -> None:
    """That function does work and keeps no records: nobody is called."""
    target = "functiongraph:urn:fss:eu-de:p1:function:default:check:latest"
    assert emit(event=replace(TOLD, type=EventType.DECIDED), target=target) == ([], 0.0, None)
    assert "share.decided" in capsys.readouterr().out


def test_an_event_is_published_with_the_credentials_of_the_topics_project() -> None:
    """Beside the image service, with the overrides, and a token that is scoped to the topic's project."""
    (request,), _, error = emit(TAKEN)
    assert error is None
    assert str(request.url) == f"https://smn.eu-de.example.com/v2/p2/notifications/topics/{TOPIC}/publish"
    assert request.headers["x-auth-token"] == "token-of-p2"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(json.loads(request.content)["message"])["team"] == "images"


def test_a_topic_in_a_project_that_is_not_served_is_tried_with_the_first_credentials() -> None:
    """They may have a right there; if not, the answer says so."""
    (request,), _, _ = emit(TAKEN, credentials=(lend("p1"), lend("p3")))
    assert request.headers["x-auth-token"] == "token-of-p1"


def test_a_login_that_fails_keeps_no_event_of_others_back() -> None:
    """Of a project that is known by name alone nobody can tell now whether the topic is its own."""

    class Failing(Credentials):
        async def project_id(self) -> str:
            raise Unavailable("login refused")

    failing = Failing(lend("").account, auth=httpx.Auth())
    (request,), _, error = emit(TAKEN, credentials=(failing, lend("p2")))
    assert (request.headers["x-auth-token"], error) == ("token-of-p2", None)


@pytest.mark.parametrize("passing", [503, 429, 500, httpx.ConnectError("refused"), httpx.ReadError("reset")])
def test_what_may_pass_is_repeated_after_a_pause(passing: int | Exception) -> None:
    """Told twice, an event is still one event: its id says so."""
    requests, waited, error = emit(passing, passing, TAKEN)
    assert (error, len(requests), len({request.content for request in requests})) == (None, 3, 1)
    assert 0.25 <= waited <= 0.75


@pytest.mark.parametrize(
    ("answer", "tries", "text"),
    [
        (503, 3, "the cloud answers 503 (503)"),
        (httpx.ReadError("reset"), 3, "the sink cannot be reached (ReadError)"),
        (httpx.ReadTimeout("late"), 1, "the sink does not answer (ReadTimeout)"),
        (401, 1, "the cloud refuses our login (401); check the credentials"),
        (403, 1, f"the sink {TOPIC} does not take events: the cloud refuses the request (403)"),
        (404, 1, f"the sink {TOPIC} does not take events: the cloud refuses the request (404)"),
    ],
)
def test_what_the_service_does_not_take_is_told(answer: int | Exception, tries: int, text: str) -> None:
    """The event's cause is delivered again later; nothing is lost in silence."""
    requests, _, error = emit(answer)
    assert (len(requests), error) == (tries, text)


def test_without_an_endpoint_nothing_is_sent() -> None:
    """Credentials that came with a call know no catalog."""
    requests, _, error = emit(TAKEN, credentials=(lend("p2", image=None),))
    assert requests == []
    assert error is not None
    assert "OS_IMAGE_ENDPOINT_OVERRIDE is missing" in error
