"""The adapter of FunctionGraph: every trigger's payload, strange ones, and the bounds."""

import base64
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from doorman.entrypoints.functiongraph.cts import MAX_RECEIVERS, Ignored
from doorman.entrypoints.functiongraph.payload import Unwrapped, read_payload, unwrap, unwrap_for_sender
from doorman.errors import Rejected
from doorman.events.cloudevents import MAX_BODY, to_structured
from doorman.events.messages import TICK, EventType
from doorman.models import CloudEvent
from tests.builders import trace, whole

RECEIVER = "5a1f0c7e2b944d0f8d3c6b7a8e9f0012"
IMAGE = "6596628c-42d4-4ff1-8660-8ea5ae61f243"
TRACE = trace(IMAGE, project=RECEIVER, time=1765788999000)
SHARED = CloudEvent(
    id="trace-1",
    source="/functiongraph/cts",
    type="dev.doorman.share.notified.v1",
    time=datetime(2025, 12, 15, 8, 56, 39, tzinfo=UTC),
    data={"project_id": RECEIVER, "images": [IMAGE]},
)
CHECK = CloudEvent(
    id="0b5f5a3c-6b0e-5d0c-9a43-0c4f4cf1f6a1",
    source=f"/doorman/eu-de/{RECEIVER}",
    type="dev.doorman.job.check.v1",
    time=datetime(2025, 12, 15, 8, 57, tzinfo=UTC),
    extensions={"causationid": "trace-1", "correlationid": "trace-1"},
    data={"project_id": RECEIVER, "job_id": "edc89b49"},
)
TOLD = CloudEvent(id="1", source="/doorman/-/p", type="dev.doorman.share.accepted.v1", data={})


def timer(**changes: Any) -> dict[str, Any]:
    """Write a timer's payload."""
    return {
        "version": "v1.0",
        "time": "2023-06-01T08:30:00+08:00",
        "trigger_type": "TIMER",
        "trigger_name": "doorman-sweep",
        "user_event": "",
        **changes,
    }


def smn(*messages: Any) -> dict[str, Any]:
    """Write the payload of an SMN trigger, one record a message."""
    records = [
        {
            "event_version": "1.0",
            "smn": {"topic_urn": "urn:smn:eu-de:p:doorman", "type": "notification", "message": text},
        }
        for text in messages
    ]
    return {"record": records, "functionname": "doorman", "requestId": "r", "timestamp": "2025-12-15T08:57:00Z"}


def lts(logs: Any) -> dict[str, Any]:
    """Write the payload of an LTS trigger."""
    return {"lts": {"data": base64.b64encode(json.dumps({"logs": logs, "owner": "o"}).encode()).decode()}}


def kafka(*records: Any) -> dict[str, Any]:
    """Write the payload of a KAFKA trigger."""
    return {"event_version": "v1.0", "event_time": 1, "trigger_type": "KAFKA", "records": list(records)}


def take(body: bytes) -> Unwrapped:
    """Unwrap the body of an invocation."""
    found = unwrap(read_payload(body), served={RECEIVER})
    return Unwrapped(tuple(map(whole, found.events)), found.ignored)


def read(payload: Any) -> Unwrapped:
    """Unwrap a payload as the engine posts it."""
    return take(json.dumps(payload).encode())


TRACES = [
    {"cts": TRACE},
    TRACE,
    smn(json.dumps(TRACE)),
    smn(json.dumps({"cts": TRACE})),
    {**smn(), "record": smn(json.dumps(TRACE))["record"][0]},
    lts(json.dumps([{"message": json.dumps(TRACE), "log_time": 1}])),
    lts([{"message": TRACE}]),
    kafka({"messages": [json.dumps({"cts": TRACE})], "topic_id": "t"}),
]
EVENTS = [
    to_structured(SHARED),
    smn(json.dumps(to_structured(SHARED))),
    kafka({"messages": json.dumps(to_structured(SHARED))}),
]


@pytest.mark.parametrize("payload", [*TRACES, *EVENTS])
def test_a_share_is_the_same_event_whichever_trigger_brings_it(payload: dict[str, Any]) -> None:
    """CTS, SMN, LTS, KAFKA and a plain invocation carry the same trace or event to the same end."""
    assert read(payload) == Unwrapped((SHARED,))


def test_one_payload_may_bring_several_events_and_some_that_ask_nothing() -> None:
    """Records are read in order; what is no event of ours is named, once, and stops nothing."""
    payload = smn(
        json.dumps(to_structured(CHECK)), *["disk full"] * 9, json.dumps(TRACE), json.dumps(to_structured(TOLD))
    )
    assert read(payload) == Unwrapped((CHECK, SHARED), (Ignored.NOT_AN_EVENT, Ignored.OTHER_TYPE))


def test_the_doubled_trace_of_an_asynchronous_operation_is_one_event() -> None:
    """Both carry one trace id; told later, at their own time, they are still the same share."""
    assert read(smn(json.dumps(TRACE), json.dumps({**TRACE, "time": 1765789000000}))) == Unwrapped((SHARED,))
    alone = read({"cts": {**TRACE, "time": 1765789000000}})
    assert [event.id for event in alone.events] == ["trace-1"]


def test_a_tick_among_messages_is_taken_as_one() -> None:
    """A tick may come over a topic as well."""
    tick = CloudEvent(id="7", source="/apis/v1/namespaces/ns/pingsources/tick", type=TICK)
    assert read(smn(json.dumps(to_structured(tick)))) == Unwrapped((tick,))


@pytest.mark.parametrize("wish", ["", " ", None, '{"action": "sweep"}', {"action": "sweep"}, {}, "a note"])
def test_a_timer_is_a_tick_named_by_trigger_and_time(wish: Any) -> None:
    """Without words of its own, with a note, or asking for the sweep; the same tick told twice has the same id."""
    (event,) = read(timer(user_event=wish)).events
    assert UUID(event.id).version == 5
    assert event == CloudEvent(
        id=event.id,
        source="/functiongraph/timer",
        type="dev.knative.sources.ping",
        time=datetime(2023, 6, 1, 0, 30, tzinfo=UTC),
    )
    assert read(timer(user_event=wish)).events == (event,)
    for other in (timer(time="2023-06-01T08:35:00+08:00"), timer(trigger_name="another")):
        assert read(other).events[0].id != event.id


def test_a_timer_with_a_strange_clock_ticks_all_the_same() -> None:
    """The time names the tick; only its age needs to be a date."""
    (event,) = read(timer(time="1 June")).events
    assert event.time is None


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (timer(user_event='{"action": "drop"}'), Ignored.OTHER_ACTION),
        ({"cts": {}}, Ignored.NOT_AN_EVENT),
        ({"cts": []}, Ignored.NOT_AN_EVENT),
        ({"cts": "text"}, Ignored.NOT_AN_EVENT),
        ({"cts": {**TRACE, "service_type": "ECS"}}, Ignored.OTHER_SERVICE),
        ({"cts": {**TRACE, "code": 500}}, Ignored.OPERATION_FAILED),
        (to_structured(TOLD), Ignored.OTHER_TYPE),
        (smn(), Ignored.NOTHING_INSIDE),
        (smn("plain text"), Ignored.NOT_AN_EVENT),
        (smn("7"), Ignored.NOT_AN_EVENT),
        (smn("{}"), Ignored.NOT_AN_EVENT),
        (smn(None), Ignored.NOT_AN_EVENT),
        (smn('{"specversion": "1.0"}'), Ignored.NOT_AN_EVENT),
        (smn(json.dumps({**TRACE, "trace_id": None})), Ignored.NOT_AN_EVENT),
        ({"record": None}, Ignored.NOT_AN_EVENT),
        ({"record": [7]}, Ignored.NOT_AN_EVENT),
        (kafka(), Ignored.NOTHING_INSIDE),
        (kafka({"messages": []}), Ignored.NOTHING_INSIDE),
        ({"trigger_type": "KAFKA"}, Ignored.NOT_AN_EVENT),
        (lts("[]"), Ignored.NOTHING_INSIDE),
        (lts(None), Ignored.NOT_AN_EVENT),
    ],
)
def test_what_asks_nothing_of_us_says_why(payload: dict[str, Any], reason: Ignored) -> None:
    """Nothing to do has a name; it is no fault of the sender's, and no reason to send it again."""
    assert read(payload) == Unwrapped((), (reason,))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "payload: not JSON"),
        (b"hello", "payload: not JSON"),
        (b"[" * 100_000, "payload: not JSON"),
        (b"[]", "payload: expected a JSON object"),
        (b"null", "payload: expected a JSON object"),
        (b"{}", "payload: expected cts, record, lts, trigger_type TIMER or KAFKA, or a CloudEvent"),
        (b'{"trigger_type": "APIG"}', "payload: expected cts"),
        (b'{"trigger_type": "TIMER"}', "payload: a TIMER has trigger_name and time as strings"),
        (b'{"trigger_type": "TIMER", "trigger_name": "t", "time": ""}', "payload: a TIMER has trigger_name and time"),
        (b'{"specversion": "1.0"}', "id: missing"),
        (b'{"lts": {}}', "lts.data: not base64"),
        (b'{"lts": {"data": "%"}}', "lts.data: not base64"),
        (b'{"lts": {"data": "e30="}}x', "payload: not JSON"),
        (b'{"lts": {"data": "eA=="}}', "lts.data: not JSON"),
        (b'{"lts": {"data": "eyJsb2dzIjogIngifQ=="}}', "lts.data.logs: not JSON"),
        (json.dumps({"cts": {**TRACE, "trace_id": 7}}).encode(), "cts.trace_id: expected a string"),
        (b" " * (MAX_BODY + 1), "payload: 262145 bytes; send at most 262144"),
    ],
)
def test_a_malformed_payload_is_refused_by_name(body: bytes, message: str) -> None:
    """What no trigger of ours sends is told to the sender, and is never worth another try."""
    with pytest.raises(Rejected) as caught:
        take(body)
    assert str(caught.value).startswith(message)


def test_a_payload_may_bring_a_hundred_ticks_and_checks() -> None:
    """More are refused, whole; notices and traces are not counted, since they are worked off together."""

    def ticks(count: int) -> list[str]:
        return [json.dumps(to_structured(CloudEvent(id=str(n), source="/s", type=TICK))) for n in range(count)]

    traces = [json.dumps({**TRACE, "trace_id": str(number)}) for number in range(101)]
    assert len(read(kafka({"messages": ticks(100) + traces})).events) == 201
    with pytest.raises(Rejected, match=r"^payload: 101 checks and ticks; send at most 100$"):
        read(kafka({"messages": ticks(101)}))


def test_a_malformed_sweep_takes_no_neighbour_with_it() -> None:
    """All that ask for a sweep are worked off together, so each is read before; alone it is refused."""
    sweep = to_structured(CloudEvent(id="1", source="/s", type=EventType.SWEEP, data={"projects": ["p"]}))
    bad = {**sweep, "data": {"projects": []}}
    unwrapped = read(kafka({"messages": [json.dumps(sweep), json.dumps(bad)]}))
    found = ([event.data for event in unwrapped.events], unwrapped.ignored)
    assert found == ([{"projects": ["p"]}], (Ignored.NOT_AN_EVENT,))
    with pytest.raises(Rejected, match=r"^data\.projects: List should have at least 1 item"):
        read(bad)


def test_the_largest_payload_is_taken() -> None:
    """256 KB is within the bound."""
    body = json.dumps({"cts": TRACE}).encode()
    assert take(body + b" " * (MAX_BODY - len(body))) == Unwrapped((SHARED,))


@pytest.mark.parametrize("payload", TRACES)
def test_a_sender_reads_traces_from_every_trigger(payload: dict[str, Any]) -> None:
    """The same event again, for whoever is named."""
    assert unwrap_for_sender(payload, receivers=()) == Unwrapped((SHARED,))


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (timer(), Ignored.OTHER_TYPE),
        (to_structured(SHARED), Ignored.NOT_AN_EVENT),
        (smn(json.dumps(to_structured(SHARED))), Ignored.NOT_AN_EVENT),
        ({"cts": {**TRACE, "request": {"images": [IMAGE], "projects": ["another"]}}}, Ignored.PROJECT_NOT_SERVED),
    ],
)
def test_a_sender_passes_on_nothing_else(payload: dict[str, Any], reason: Ignored) -> None:
    """No tick, and no event: one that it sent to a topic which it hears itself would go round for ever."""
    assert unwrap_for_sender(payload, receivers={RECEIVER}) == Unwrapped((), (reason,))


def test_a_sender_sends_no_more_than_an_image_has_receivers() -> None:
    """256 projects, by the image service's own bound."""

    def shared_with(count: int) -> dict[str, Any]:
        return {"cts": {**TRACE, "request": {"images": [IMAGE], "projects": [f"p{n}" for n in range(count)]}}}

    assert len(unwrap_for_sender(shared_with(MAX_RECEIVERS), receivers=()).events) == MAX_RECEIVERS
    with pytest.raises(Rejected, match="payload: leads to 257 notices; send what leads to at most 256"):
        unwrap_for_sender(shared_with(MAX_RECEIVERS + 1), receivers=())
    traces = [json.dumps({"cts": {**shared_with(200)["cts"], "trace_id": str(number)}}) for number in range(2)]
    with pytest.raises(Rejected, match="payload: leads to 400 notices; send what leads to at most 256"):
        unwrap_for_sender(kafka({"messages": traces}), receivers=())
