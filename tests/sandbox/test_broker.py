"""The local broker keeps Knative's rules: what counts as delivered, when it tries again, what a dead letter says."""

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from doorman.sandbox.broker import Broker, create_app
from doorman.sandbox.delivery import Policy, Profile, Trigger
from doorman.sandbox.envelope import Event, NotACloudEventError, binary_headers, read
from doorman.sandbox.posting import Answer
from doorman.sandbox.serving import serve

EVENT = Event({"specversion": "1.0", "id": "1", "source": "/tests", "type": "told", "subject": "a b"}, b"{}")
URL = "http://subscriber/"


@dataclass
class Subscriber:
    """Answers with these in turn, the last for ever; an exception is raised."""

    answers: list[Answer | Exception]
    got: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list)

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
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
    *answers: Answer | Exception, profile: Profile, policy: Policy, dead_letters: str | None = None
) -> tuple[Broker, Subscriber, list[float], bool]:
    """Send one event through a broker with one trigger; also the pauses that it made, and what the ingress said."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def run() -> bool:
        taken = await broker.take(EVENT)
        await broker.settle()
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
    assert (headers["ce-id"], headers["ce-subject"], headers["ce-knativebrokerttl"], body) == (
        "1",
        "a%20b",
        "255",
        b"{}",
    )
    assert "ce-knativearrivaltime" in headers
    assert (pauses, broker.dead_letters, taken) == ([], [], True)


def test_success_with_a_foreign_body_is_tried_again_by_mt_and_dead_for_kafka() -> None:
    """A 200 with the body "OK" is no success for a Knative broker."""
    mt, at_mt, _, _ = deliver(answer(200, b"OK"), profile="mt", policy=THRICE)
    kafka, at_kafka, _, _ = deliver(answer(200, b"OK"), profile="kafka", policy=THRICE)
    assert (len(at_mt.got), len(at_kafka.got)) == (4, 1)
    assert [d.event.attributes["knativeerrorcode"] for d in (*mt.dead_letters, *kafka.dead_letters)] == ["502", "200"]


@pytest.mark.parametrize(
    ("status", "attempts"),
    [(400, 1), (301, 1), (403, 1), (404, 4), (408, 4), (409, 4), (429, 4), (500, 4), (503, 4)],
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


def test_recovery_needs_no_dead_letter() -> None:
    """A refused connection and a 503 are forgotten once a try succeeds."""
    broker, subscriber, _, taken = deliver(
        ConnectionRefusedError(), answer(503), answer(204), profile="mt", policy=THRICE
    )
    assert ([status for _, status in broker.arrivals[0].tries][1:], len(subscriber.got)) == ([503, 204], 3)
    assert (broker.dead_letters, taken) == ([], True)


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
    assert [(e.id, e.type, e.attributes["knativebrokerttl"]) for e in broker.events] == [
        ("1", "told", "255"),
        ("2", "heard", "254"),
    ]


def test_replies_do_not_go_round_for_ever() -> None:
    """A subscriber that answers every event with that event is stopped when the time to live is over."""
    broker, subscriber, _, _ = deliver(answer(200, b"", binary_headers(EVENT)), profile="kafka", policy=THRICE)
    assert len(subscriber.got) == 255
    assert broker.events[-1].attributes["knativebrokerttl"] == "1"


def test_filters_are_exact() -> None:
    """All attributes must be exactly so, and a missing one does not match."""
    trigger = Trigger(name="t", subscriber=URL, filters={"type": "told", "severity": "error"})
    assert [trigger.matches(e) for e in (EVENT, EVENT.extended(severity="error"), EVENT.extended(severity="err"))] == [
        False,
        True,
        False,
    ]


def test_disorder_is_repeatable() -> None:
    """With the same seed the same events come twice."""

    async def run() -> list[str]:
        subscriber = Subscriber([answer(204)])
        broker = Broker([Trigger(name="t", subscriber=URL)], duplicates=0.3, jitter=0.001, seed=7, post=subscriber)
        for number in range(20):
            await broker.take(EVENT.extended(id=str(number)))
        await broker.settle()
        return sorted(headers["ce-id"] for _, headers, _ in subscriber.got)

    first, second = asyncio.run(run()), asyncio.run(run())
    assert first == second
    assert len(first) > 20


@pytest.mark.parametrize(
    ("headers", "body", "why"),
    [
        ({}, b"", "specversion is missing"),
        ({"ce-specversion": "0.3", "ce-id": "1", "ce-source": "s", "ce-type": "t"}, b"", "specversion is not 1.0"),
        ({"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s"}, b"", "type is missing"),
        ({"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "t", "ce-time": "x"}, b"", "time is"),
        ({"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "t", "ce-a_b": "x"}, b"", "'a_b' is no"),
        ({"content-type": "application/cloudevents+json"}, b"[", "the body is no JSON"),
        ({"content-type": "application/cloudevents+json"}, b"[]", "the body is no JSON object"),
        ({"content-type": "application/cloudevents+json"}, b'{"data_base64": "?"}', "data_base64 is no base64"),
        ({"content-type": "application/cloudevents-batch+json"}, b"[]", "this is a batch"),
    ],
)
def test_what_is_no_event(headers: dict[str, str], body: bytes, why: str) -> None:
    """The ingress takes single CloudEvents of version 1.0, and nothing else."""
    with pytest.raises(NotACloudEventError, match=why):
        read(headers, body)


def test_structured_mode_is_read() -> None:
    """JSON data, base64 data and numbers among the attributes come through."""
    told = {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "retries": 3}
    structured = {"content-type": "application/cloudevents+json; charset=utf-8"}
    plain = read(structured, json.dumps(told | {"data": {"ä": 1}}).encode())
    coded = read(structured, json.dumps(told | {"data_base64": "AAE=", "datacontenttype": "a/b"}).encode())
    assert (plain.value(), plain.attributes["retries"], coded.data) == ({"ä": 1}, "3", b"\x00\x01")
    assert read(structured, json.dumps(told).encode()).value() is None


def test_ingress_over_http() -> None:
    """202 for an event, 400 for none, 404 for another broker, 405 for another verb; what happened can be read."""
    got: list[str] = []

    async def subscriber(request: Request) -> Response:
        got.append(request.headers["ce-id"])
        return Response(status_code=204)

    app = Starlette(routes=[Route("/", subscriber, methods=["POST"])])
    with serve(app) as target:
        dead = Trigger(name="dead", subscriber="http://127.0.0.1:1/", filters={"type": "lost"})
        broker = Broker([Trigger(name="t", subscriber=target, filters={"type": "told"}), dead], profile="mt")
        with serve(create_app(broker)) as url, httpx.Client(base_url=url) as client:
            sent = [client.post("/default/doorman", headers=binary_headers(EVENT.extended(id=i))) for i in "ab"]
            lost = client.post("/default/doorman", headers=binary_headers(EVENT.extended(type="lost")))
            others = [client.post("/default/doorman"), client.post("/x/y"), client.get("/default/doorman")]
            assert [r.status_code for r in (*sent, lost, *others)] == [202, 202, 500, 400, 404, 405]
            assert got == ["a", "b"]
            assert [(e["attributes"]["id"], e["tries"]) for e in client.get("/events").json()][:2] == [
                ("a", [["t", 204]]),
                ("b", [["t", 204]]),
            ]
            assert [d["trigger"] for d in client.get("/dead-letters").json()] == ["dead"]
            assert client.get("/").text.endswith("1 dead letters\n")
