"""The local broker keeps Knative's rules: what counts as delivered, when it tries again, what a dead letter says."""

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

import h11
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from doorman.events.dead_letters import Letter
from doorman.sandbox.broker import Broker, create_app
from doorman.sandbox.delivery import Policy, Profile, Trigger
from doorman.sandbox.envelope import Event, binary_headers
from doorman.sandbox.posting import Answer
from doorman.sandbox.serving import serve

EVENT = Event({"specversion": "1.0", "id": "1", "source": "/tests", "type": "told", "subject": "a b"}, b"{}")
URL = "http://subscriber/"


@dataclass
class Subscriber:
    """Answers with these in turn, the last for ever; an exception is raised."""

    answers: list[Answer | Exception]
    got: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list)

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes, *, method: str = "POST") -> Answer:
        """Note the request and answer it."""
        self.got.append((url, headers, body))
        answer = self.answers[min(len(self.got), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


def answer(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
    """Write a subscriber's answer."""
    return Answer(status, headers or {}, body)


def deliver(
    *answers: Answer | Exception,
    profile: Profile,
    policy: Policy,
    dead_letters: str | None = None,
) -> tuple[Broker, Subscriber, list[float], bool]:
    """Send one event through a broker with one trigger; also the pauses that it made, and what the ingress said."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def run() -> bool:
        taken = await broker.take(EVENT)
        await broker.tasks.settle()
        await broker.aclose()
        return taken

    subscriber = Subscriber(list(answers))
    trigger = Trigger(name="t", subscriber=URL, filters={"type": "told"}, policy=policy, dead_letters=dead_letters)
    broker = Broker([trigger], profile=profile, post=subscriber, sleep=sleep)
    taken = asyncio.run(run())
    return broker, subscriber, pauses, taken


THRICE = Policy(retry=3, backoff="exponential", delay=1)


@pytest.mark.parametrize("profile", ["kafka", "mt"])
def test_empty_success_is_done(profile: Profile) -> None:
    """A 204 without a body ends the delivery, in binary mode with escaped attributes."""
    broker, subscriber, pauses, taken = deliver(answer(204), profile=profile, policy=THRICE)
    ((_, headers, body),) = subscriber.got
    assert (headers["ce-id"], headers["ce-subject"], body) == ("1", "a%20b", b"{}")
    assert "ce-knativearrivaltime" in headers
    assert (pauses, broker.dead_letters, taken) == ([], [], True)


def test_success_with_a_foreign_body_is_tried_again_by_mt_and_dead_for_kafka() -> None:
    """A 200 with the body "OK" is no success for a Knative broker; MT's dead letter does not say so."""
    mt, at_mt, _, _ = deliver(answer(200, b"OK"), profile="mt", policy=THRICE)
    kafka, at_kafka, _, _ = deliver(answer(200, b"OK"), profile="kafka", policy=THRICE)
    assert (len(at_mt.got), len(at_kafka.got)) == (4, 1)
    assert told_by(mt) == {}
    assert told_by(kafka) == {"knativeerrordest": URL, "knativeerrordata": "OK", "knativeerrorcode": "200"}


def told_by(broker: Broker) -> dict[str, str]:
    """Give what the only dead letter says of why it died."""
    (letter,) = broker.dead_letters
    told = {name: value for name, value in letter.event.attributes.items() if name.startswith("knativeerror")}
    if "knativeerrordata" in told:
        told["knativeerrordata"] = base64.b64decode(told["knativeerrordata"]).decode()
    return told


@pytest.mark.parametrize("error", [ConnectionRefusedError("connection refused"), h11.RemoteProtocolError("reset")])
def test_nobody_answers(error: Exception) -> None:
    """For MT it is a 500 of the subscriber's, with what its client said; it can be read as what it is."""
    broker, subscriber, _, _ = deliver(error, profile="mt", policy=THRICE)
    assert len(subscriber.got) == 4
    told = told_by(broker)
    assert told == {
        "knativeerrordest": URL,
        "knativeerrordata": f'dispatch error: Post "{URL}": {error}',
        "knativeerrorcode": "500",
    }
    assert Letter(broker.dead_letters[0].event.attributes).why == "nobody answered: send it again"


@pytest.mark.parametrize(
    "headers", [{"content-type": "application/cloudevents+json"}, {"ce-specversion": "1.0", "ce-id": "1"}]
)
def test_an_answer_that_is_a_broken_event(headers: dict[str, str]) -> None:
    """MT's own ingress refuses it, after one try; for Kafka it is a foreign body."""
    mt, subscriber, _, _ = deliver(answer(200, b"{}", headers), profile="mt", policy=THRICE)
    assert len(subscriber.got) == 1
    told = told_by(mt)
    found = (told["knativeerrorcode"], told["knativeerrordest"])
    assert found == ("400", "http://broker-ingress.knative-eventing.svc.cluster.local/doorman/default")
    assert "refused the event that the subscriber answered with" in Letter(mt.dead_letters[0].event.attributes).why
    kafka, _, _, _ = deliver(answer(200, b"{}", headers), profile="kafka", policy=THRICE)
    assert told_by(kafka)["knativeerrorcode"] == "200"


@pytest.mark.parametrize(
    ("status", "attempts"), [(400, 1), (301, 1), (403, 1), (404, 4), (408, 4), (409, 4), (429, 4), (500, 4), (503, 4)]
)
@pytest.mark.parametrize("profile", ["kafka", "mt"])
def test_which_answers_are_tried_again(profile: Profile, status: int, attempts: int) -> None:
    """404, 408, 409, 429 and every 5xx are retried; other 3xx and 4xx are dead at once."""
    broker, subscriber, _, _ = deliver(answer(status, b"why"), profile=profile, policy=THRICE)
    assert len(subscriber.got) == attempts
    told = broker.dead_letters[0].event.attributes
    assert (told["knativeerrordest"], told["knativeerrorcode"]) == (URL, str(status))
    assert base64.b64decode(told["knativeerrordata"]) == b"why"


@pytest.mark.parametrize(
    ("profile", "backoff", "pauses"),
    [
        ("mt", "exponential", [1, 2, 4]),
        ("mt", "linear", [0, 1, 2]),
        ("kafka", "exponential", [2, 4, 8]),
        ("kafka", "linear", [1, 2, 3]),
        ("mt", None, [0, 0, 0]),
    ],
)
def test_pauses(profile: Profile, backoff: str | None, pauses: list[float]) -> None:
    """The pauses between tries are those that were measured and read."""
    policy = Policy(retry=3, backoff=backoff, delay=1 if backoff else None)  # type: ignore[arg-type] # parametrized text
    assert deliver(answer(500), profile=profile, policy=policy)[2] == pauses


def test_timeout_leaves_no_reason_on_mt() -> None:
    """After a time-out MT's dead letter carries none of the error attributes; Kafka's says where."""
    once = Policy(retry=0)
    mt, kafka = (deliver(TimeoutError(), profile=p, policy=once)[0].dead_letters[0] for p in ("mt", "kafka"))
    assert not [name for name in mt.event.attributes if name.startswith("knativeerror")]
    assert kafka.event.attributes["knativeerrordest"] == URL
    assert mt.reason == "timed out"


def test_mt_answers_500_without_a_dead_letter_sink() -> None:
    """MT's producer learns of a failure that nobody else will; Kafka's never does."""
    once = Policy(retry=0)
    assert deliver(answer(500), profile="mt", policy=once)[3] is False
    assert deliver(answer(500), answer(202), profile="mt", policy=once, dead_letters="http://dead/")[3] is True
    assert deliver(answer(500), profile="kafka", policy=once)[3] is True


def test_dead_letter_that_nobody_takes_is_lost() -> None:
    """The dead letter sink has the same retries; when it fails too the event is lost."""
    once = Policy(retry=1, backoff="linear", delay=0)
    broker, subscriber, _, _ = deliver(answer(500), profile="kafka", policy=once, dead_letters="http://dead/")
    assert [url for url, _, _ in subscriber.got] == [URL, URL, "http://dead/", "http://dead/"]
    assert broker.dead_letters[0].is_lost


def test_reply_enters_the_broker_as_a_new_event() -> None:
    """A 200 with a CloudEvent is one event more, with less time to live."""
    reply = Event({"specversion": "1.0", "id": "2", "source": "/tests", "type": "heard"}, b"")
    broker, _, _, _ = deliver(answer(200, b"", binary_headers(reply)), profile="kafka", policy=THRICE)
    found = [(e.id, e.type, e.attributes["knativebrokerttl"]) for e in broker.events]
    assert found == [("1", "told", "255"), ("2", "heard", "254")]


def test_ingress_over_http() -> None:
    """202 for an event, old ones too, 400 for none or one that lived too long, 404 for another broker, 405, 200."""
    got: list[str] = []

    async def subscriber(request: Request) -> Response:
        got.append(request.headers["ce-id"])
        return Response(status_code=204)

    app = Starlette(routes=[Route("/", subscriber, methods=["POST"])])
    with serve(app) as target:
        dead = Trigger(name="dead", subscriber="http://127.0.0.1:1/", filters={"type": "lost"})
        broker = Broker([Trigger(name="t", subscriber=target, filters={"type": "told"}), dead], profile="mt")
        with serve(create_app(broker)) as url, httpx.Client(base_url=url) as client:
            sent = [client.post("/doorman/default", headers=binary_headers(EVENT.extended(id=i))) for i in "ab"]
            lost = client.post("/doorman/default", headers=binary_headers(EVENT.extended(type="lost")))
            others = [client.post("/doorman/default"), client.post("/x/y"), client.get("/doorman/default")]
            assert [r.status_code for r in (*sent, lost, *others)] == [202, 202, 500, 400, 404, 405]
            old, over = EVENT.extended(specversion="0.3", id="c"), EVENT.extended(knativebrokerttl="0", id="d")
            rest = [
                client.post("/doorman/default/", headers=binary_headers(old)),
                client.post("/doorman/default", headers=binary_headers(over)),
                client.options("/doorman/default"),
            ]
            assert [r.status_code for r in rest] == [202, 400, 200]
            assert got == ["a", "b", "c"]
            seen = [(e["attributes"]["id"], e["tries"]) for e in client.get("/events").json()]
            assert [each for each in seen if each[0] in "abcd"] == [(id_, [["t", 204]]) for id_ in "abc"]
            assert [d["trigger"] for d in client.get("/dead-letters").json()] == ["dead"]
            assert client.get("/").text.endswith("1 dead letters\n")
