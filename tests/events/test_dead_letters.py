"""Dead letters in every form in which they are kept, why each died, and what is sent again."""

import base64
import json
from typing import Any

import pytest
from pydantic_core import to_json

from doorman.errors import Rejected
from doorman.events.cloudevents import from_structured, read, write
from doorman.events.dead_letters import Letter, read_delivery, read_letters
from doorman.models import CloudEvent
from tests.builders import whole

DATA = {"project_id": "receiver", "images": ["6596628c-42d4-4ff1-8660-8ea5ae61f243"]}
EVENT = {"specversion": "1.0", "id": "e1", "source": "/s", "type": "t", "data": DATA}
DIED = {
    **EVENT,
    "knativeerrordest": "http://triage/",
    "knativeerrorcode": "503",
    "knativeerrordata": base64.b64encode(b"the cloud cannot be reached\n").decode(),
    "knativearrivaltime": "2026-01-02T03:04:05Z",
    "knativebrokerttl": "255",
}


def letters(text: str | bytes) -> list[Letter]:
    """Read kept letters."""
    return read_letters(text if isinstance(text, bytes) else text.encode(errors="replace"), "dead.jsonl")


def record(event: dict[str, Any], *, prefix: str = "ce_") -> dict[str, Any]:
    """Write an event as `kcat -J` does a record in binary mode."""
    headers = [word for name, value in event.items() if name != "data" for word in (f"{prefix}{name}", value)]
    headers += ["content-type", "application/json"]
    return {"topic": "t", "partition": 0, "headers": headers, "key": None, "payload": json.dumps(event["data"])}


def structured(event: dict[str, Any], *headers: str | None) -> dict[str, Any]:
    """Write an event as `kcat -J` does a record in structured mode."""
    return {"topic": "t", "offset": 2, "headers": headers, "key": "", "payload": json.dumps(event)}


KIND = ("Content-Type", "application/cloudevents+json; charset=UTF-8", "x", None)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(DIED),
        json.dumps([DIED, DIED]),
        "\n".join([json.dumps(DIED), "", json.dumps(DIED)]),
        json.dumps([{"attributes": {key: DIED[key] for key in DIED if key != "data"}, "data": DATA, "trigger": "x"}]),
        json.dumps(record(DIED)),
        json.dumps(record(DIED, prefix="CE_")),
        json.dumps(structured(DIED, *KIND)),
        json.dumps({"topic": "t", "payload": json.dumps(DIED)}),
        json.dumps({"topic": "t", "headers": None, "payload": DIED}),
        f"{json.dumps(DIED)}\r\n{json.dumps(DIED)}\r\n".encode("utf-8-sig"),
        json.dumps(DIED).encode("utf-16"),
        f"{json.dumps(structured(DIED, *KIND), indent=2)}\n{json.dumps(DIED, indent=2)}\n",
    ],
    ids=[
        *("one", "array", "lines", "attributes and data", "kcat", "upper case", "structured", "no headers", "object"),
        *("Windows' UTF-8", "UTF-16", "as jq writes them"),
    ],
)
def test_every_form_is_read_and_each_event_once(text: str | bytes) -> None:
    """Structured, as the sandbox's broker lists them, and as Kafka keeps them: the same letter."""
    (letter,) = letters(text)
    assert (letter.key, letter.code, letter.said) == (("/s", "e1"), 503, "the cloud cannot be reached")
    found = {**letter.revive(), "datacontenttype": "application/json"}
    assert found == {**EVENT, "datacontenttype": "application/json"}


def test_no_letter_is_lost_in_another() -> None:
    """Records with different payloads are different letters, whatever their headers; so are events of one id."""
    others: list[dict[str, Any]] = [{**DIED, "id": "e2"}, {**DIED, "data": {}}, {"type": "t"}, {"specversion": "1.0"}]
    lines = [json.dumps(structured(event, *KIND)) for event in [DIED, *others]]
    assert [letter.event for letter in letters("\n".join([*lines, *lines, lines[0], '{"specversion": "1.0"}']))] == [
        DIED,
        *others,
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"headers": [], "payload": None},
        {"payload": ""},
        {"payload": "[]"},
        {"payload": '{"order": 7}'},
        {"headers": ["content-type", "text/plain"], "payload": "x"},
        {"headers": ["content-type", "application/json"], "payload": "{}"},
    ],
)
def test_a_record_without_an_event_stops_nothing(fields: dict[str, Any]) -> None:
    """A tombstone, or somebody else's: it is shown, and the others are read."""
    none, letter = letters("\n".join(json.dumps(value) for value in ({"topic": "t", **fields}, DIED)))
    assert (none.key, none.why) == (("", ""), "there is no event in this record: nothing to send")
    assert letter.key == ("/s", "e1")


def test_a_tombstone_with_headers_is_an_event_without_data() -> None:
    """Its attributes are all there is."""
    (letter,) = letters(json.dumps({**record(EVENT), "payload": None}))
    assert letter.event == {key: EVENT[key] for key in EVENT if key != "data"}


def test_a_line_ends_where_it_says() -> None:
    """Other separators may stand in names."""
    event = {**DIED, "subject": "a\u2028b"}
    (letter,) = letters(json.dumps(event, ensure_ascii=False) + "\n\n" + json.dumps(event))
    assert letter.event == event


def test_bytes_are_lines_as_well() -> None:
    """A file is read as it is, also where one of its lines is cut."""
    assert len(letters(json.dumps(DIED).encode() + b"\n" + json.dumps({**DIED, "id": "e2"}).encode())) == 2
    with pytest.raises(Rejected, match=r"^dead\.jsonl:2: not JSON"):
        letters(json.dumps(DIED) + '\n{"id": ')


@pytest.mark.parametrize("text", ["5", "[5]", "{}", '{"id": "x"}'])
def test_what_is_no_event_is_refused(text: str) -> None:
    """The text names the file and the line."""
    with pytest.raises(Rejected, match=r"^dead\.jsonl:1: "):
        letters(text)


REFUSED = 'dispatch error: Post "http://triage/": dial tcp 10.0.0.1:80: connect: connection refused'
INGRESS = "http://broker-ingress.knative-eventing.svc.cluster.local/ns/doorman"


@pytest.mark.parametrize(
    ("code", "more", "word"),
    [
        ("400", {}, "refused for good"),
        ("404", {}, "send it again"),
        ("429", {}, "send it again"),
        ("500", {}, "a defect"),
        ("503", {}, "send it again"),
        ("200", {}, "no need to send it again"),
        ("", {}, "no answer in time, none at all, or one with a body: send it again"),
        ("soon", {}, "no answer in time"),
        ("99999", {}, "no answer in time"),
        ("0", {}, "no answer in time"),
        ("500", {"knativeerrordata": base64.b64encode(REFUSED.encode()).decode()}, "nobody answered: send it again"),
        ("400", {"knativeerrordest": INGRESS}, "the broker refused the event that the subscriber answered with"),
    ],
)
def test_why_it_died(code: str, more: dict[str, str], word: str) -> None:
    """By the last answer of the subscriber; the broker uses the codes of HTTP also for what was no answer of theirs."""
    assert word in Letter({**EVENT, "knativeerrorcode": code, **more}).why


@pytest.mark.parametrize(("told", "said"), [("%%%", "%%%"), (5, "5"), (None, ""), ("/w==", "\ufffd")])
def test_what_was_said_is_shown_whatever_it_is(told: object, said: str) -> None:
    """Base64 as the broker writes it, anything else as it is."""
    assert Letter({**EVENT, "knativeerrordata": told}).said == said


def test_a_delivery_in_binary_mode() -> None:
    """As a broker posts it to its dead letter sink."""
    event = CloudEvent(id="e1", source="/s", type="t", data=DATA, extensions={"knativeerrorcode": "503", "x": "ä"})
    headers, body = write(event)
    kept = read_delivery(headers, body)
    assert whole(from_structured(kept)) == event
    (revived,) = read({"content-type": "application/cloudevents+json"}, to_json(Letter(kept).revive()))
    assert whole(revived).data == DATA
    assert read_delivery({**headers, "ce-x": "%FF"}, body) == {**kept, "x": "%FF"}


def test_a_delivery_in_structured_mode() -> None:
    """It is kept as it came."""
    assert read_delivery({"content-type": "application/cloudevents+json; charset=utf-8"}, to_json(DIED)) == DIED


def test_data_that_is_no_json_is_kept_as_bytes() -> None:
    """A malformed event is a dead letter like any other."""
    headers = {"ce-id": "e1", "ce-type": "t"}
    found = read_delivery({**headers, "content-type": "text/plain"}, b"\xff")
    assert found == {"id": "e1", "type": "t", "datacontenttype": "text/plain", "data_base64": "/w=="}
    assert read_delivery(headers, b"{") == {"id": "e1", "type": "t", "data_base64": "ew=="}
    assert read_delivery(headers, b"") == {"id": "e1", "type": "t"}


@pytest.mark.parametrize(("headers", "body"), [({}, b"{}"), ({"content-type": "application/cloudevents+json"}, b"[]")])
def test_a_delivery_that_is_no_event(headers: dict[str, str], body: bytes) -> None:
    """It is refused, so that the sender knows."""
    with pytest.raises(Rejected):
        read_delivery(headers, body)
