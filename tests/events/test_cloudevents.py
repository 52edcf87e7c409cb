"""CloudEvents are read from HTTP messages as the specification has them, and what is written reads back the same."""

import base64
import json
import string
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorman.errors import Rejected
from doorman.events.cloudevents import MAX_BODY, Encoded, data_of, from_structured, read, to_structured, write
from doorman.models import CloudEvent
from tests.builders import whole

BINARY = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/tests", "ce-type": "told"}
STRUCTURED = {"specversion": "1.0", "id": "1", "source": "/tests", "type": "told"}
EVENT = CloudEvent(id="1", source="/tests", type="told")
JSON, ONE, BATCH = "application/json", "application/cloudevents+json", "application/cloudevents-batch+json"


def read_binary(headers: Mapping[str, str], body: bytes = b"") -> CloudEvent:
    """Read a message in binary mode."""
    (event,) = read({**BINARY, **headers}, body)
    return whole(event)


def read_structured(fields: Mapping[str, Any], content_type: str = ONE) -> CloudEvent:
    """Read a message in structured mode."""
    (event,) = read({"content-type": content_type}, json.dumps({**STRUCTURED, **fields}).encode())
    return whole(event)


def refusal(headers: Mapping[str, str], body: bytes = b"") -> str:
    """Say why a message is refused."""
    with pytest.raises(Rejected) as caught:
        read(headers, body)
    return str(caught.value)


def refused_field(fields: Mapping[str, Any]) -> str:
    """Say why a structured event with these fields is refused."""
    return refusal({"content-type": ONE}, json.dumps({**STRUCTURED, **fields}).encode())


class TestBinaryMode:
    """Attributes in headers, data in the body."""

    def test_least_event(self) -> None:
        """The four required attributes make an event without data; no time is invented."""
        assert read_binary({}) == EVENT

    def test_everything(self) -> None:
        """Every attribute is kept as sent; extensions are those that the specification does not name."""
        headers = {
            "content-type": JSON,
            "ce-subject": "s",
            "ce-time": "2026-01-31T08:30:00Z",
            "ce-dataschema": "urn:x",
            "ce-knativearrivaltime": "2026-01-31T08:31:00Z",
            "host": "function",
        }
        assert read_binary(headers, b'{"a": 1}') == CloudEvent(
            id="1",
            source="/tests",
            type="told",
            subject="s",
            time=datetime(2026, 1, 31, 8, 30, tzinfo=UTC),
            dataschema="urn:x",
            extensions={"knativearrivaltime": "2026-01-31T08:31:00Z"},
            data={"a": 1},
        )

    @pytest.mark.parametrize(
        "content_type",
        [
            "",
            JSON,
            "Application/JSON",
            f"{JSON}; charset=utf-8",
            f'{JSON};charset="UTF-8"',
            f"{JSON}; charset=us-ascii",
            f"{JSON};charset=",
            f"{JSON}; profile=x",
            "text/json",
            "application/vnd.x+json",
        ],
    )
    def test_json_data(self, content_type: str) -> None:
        """Any media type of JSON in UTF-8 is parsed, also without a content type."""
        headers = {"content-type": content_type} if content_type else {}
        assert read_binary(headers, '{"ä": 1}'.encode()).data == {"ä": 1}

    @pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "application/octet-stream"])
    def test_other_data(self, content_type: str) -> None:
        """Data of another kind is not looked at: that the event came may be all that matters."""
        assert read_binary({"content-type": content_type}, b"\xff") == EVENT

    @pytest.mark.parametrize(
        ("sent", "meant"),
        [
            ("a%20b", "a b"),
            ("100%25", "100%"),
            ("%E2%82%AC", "€"),
            ("%F0%9F%98%80", "😀"),
            ("%41", "A"),
            ("%2541", "%41"),
            ("100%", "100%"),
            ("%zz", "%zz"),
            ('"a b"', "a b"),
            (r'"a \"b\" \\ c"', r'a "b" \ c'),
            ('"', '"'),
            ('""', None),
            ("a+b", "a+b"),
            ("\u00c3\u009f und \u00c3\u00bc", "ß und ü"),
            ('"\u00c3\u009f"', "ß"),
        ],
    )
    def test_header_values_are_decoded_once(self, sent: str, meant: str | None) -> None:
        """One round of percent-decoding; quotes as older senders, raw UTF-8 as the SDKs of Go and Java write them."""
        if meant is None:
            assert refusal({**BINARY, "ce-subject": sent}) == "subject: expected a non-empty string"
        else:
            assert read_binary({"ce-subject": sent}).subject == meant

    @pytest.mark.parametrize("sent", ["%FF", "%C0%A0", "%ED%A0%80", "a%80b", "\x85", "\u00fc", "\u20ac"])
    def test_bytes_that_are_no_utf8_are_refused(self, sent: str) -> None:
        """Overlong forms and surrogates too, as the specification demands."""
        assert refusal({**BINARY, "ce-subject": sent}) == "subject: not UTF-8, whether raw or percent-encoded"

    @pytest.mark.parametrize("sent", ["a%0Ab", "%00", "%7F", "%C2%85", "a\tb"])
    def test_control_characters_are_refused(self, sent: str) -> None:
        """They would break lines in logs and headers."""
        assert refusal({**BINARY, "ce-myext": sent}) == "myext: holds a control character"

    @pytest.mark.parametrize("name", ["id", "source", "type", "specversion"])
    def test_required_attributes(self, name: str) -> None:
        """Each one is missed by name."""
        headers = {key: value for key, value in BINARY.items() if key != f"ce-{name}"}
        text = refusal(headers)
        assert text.startswith("not a CloudEvent: " if name == "specversion" else f"{name}: missing; ")
        assert refusal({**BINARY, f"ce-{name}": ""}).startswith(f"{name}: expected")

    def test_no_event_at_all(self) -> None:
        """A plain POST is told what is missing."""
        assert refusal({"content-type": JSON}, b"{}").startswith("not a CloudEvent: send ce-specversion")

    @pytest.mark.parametrize("version", ["0.3", "1.1", "1", "2.0"])
    def test_other_versions(self, version: str) -> None:
        """Only 1.0 is read."""
        assert refusal({**BINARY, "ce-specversion": version}) == 'specversion: expected "1.0"'

    @pytest.mark.parametrize("name", ["ce-", "ce-a-b", "ce-ä", "ce-a_b"])
    def test_names_of_attributes(self, name: str) -> None:
        """Lower-case letters and digits; header names come in lower case."""
        assert refusal({**BINARY, name: "x"}) == f"{name[3:]!r}: attribute names are lower-case letters and digits"

    def test_id_is_bounded(self) -> None:
        """256 characters, whatever their bytes."""
        assert read_binary({"ce-id": "%E2%82%AC" * 256}).id == "€" * 256
        assert refusal({**BINARY, "ce-id": "x" * 257}) == "id: longer than 256 characters"

    @pytest.mark.parametrize("time", ["yesterday", "2026-01-31", "2026-01-31T08:30:00", "1769848200"])
    def test_time_must_be_one(self, time: str) -> None:
        """A time that is none is a malformed event, not an event without time."""
        assert refusal({**BINARY, "ce-time": time}) == "time: expected RFC 3339, such as 2026-01-31T08:30:00Z"

    def test_data_is_read_where_it_is_needed(self) -> None:
        """Half a body is an event nevertheless; a ping with plain text in it may come without a content type."""
        (event,) = read({**BINARY, "content-type": JSON}, b'{"a"')
        assert event == replace(EVENT, data=b'{"a"')
        with pytest.raises(Rejected, match=r"^data: not JSON \("):
            data_of(event)


class TestStructuredMode:
    """The whole event as one JSON object."""

    @pytest.mark.parametrize(
        "content_type", [ONE, f"{ONE}; charset=utf-8", "Application/CloudEvents+JSON;charset=UTF-8"]
    )
    def test_least_event(self, content_type: str) -> None:
        """In any spelling of the media type."""
        assert read_structured({}, content_type) == EVENT

    def test_headers_do_not_count(self) -> None:
        """The event is in the body, even where ce- headers stand beside it."""
        assert read({**BINARY, "ce-id": "2", "content-type": ONE}, json.dumps(STRUCTURED).encode()) == (EVENT,)

    def test_extensions_have_a_text_form(self) -> None:
        """Booleans and integers as the specification writes them; null counts as not sent."""
        fields = {"a": True, "b": False, "c": -5, "d": "x", "e": None, "f": 10**30, "subject": None}
        told = {"a": "true", "b": "false", "c": "-5", "d": "x", "f": "1" + "0" * 30}
        assert read_structured(fields) == CloudEvent(id="1", source="/tests", type="told", extensions=told)

    @pytest.mark.parametrize("value", [1.5, [], {}, ["x"]])
    def test_extensions_of_other_types(self, value: Any) -> None:
        """Lists, objects and fractions are no attribute values."""
        assert refused_field({"ext": value}) == "'ext': expected a string, an integer or a boolean"

    @pytest.mark.parametrize("name", ["Ext", "ex-t", "ex t", "", "ä", "x\n\ny", "x" * 5 + "\u2028"])
    def test_names_of_attributes(self, name: str) -> None:
        """A wrong name is shown with its control characters spelled out."""
        assert refused_field({name: "x"}) == f"{name!r}: attribute names are lower-case letters and digits"
        assert refused_field({name: []}) == f"{name!r}: expected a string, an integer or a boolean"

    @pytest.mark.parametrize("name", ["id", "source", "type", "subject", "time", "dataschema", "datacontenttype"])
    @pytest.mark.parametrize("value", [5, True, "", {}])
    def test_attributes_are_texts(self, name: str, value: Any) -> None:
        """An id is never a number."""
        assert refused_field({name: value}) == f"{name}: expected a non-empty string"

    @pytest.mark.parametrize("data", [None, 0, "", [], {"a": {"b": [1]}}, "text"])
    def test_data(self, data: Any) -> None:
        """Any JSON value."""
        assert read_structured({"data": data}).data == data

    def test_data_in_base64(self) -> None:
        """It is parsed where it is JSON, and not looked at where it is something else."""
        encoded = base64.b64encode(b'{"a": 1}').decode()
        assert read_structured({"data_base64": encoded}).data == {"a": 1}
        assert read_structured({"data_base64": encoded, "datacontenttype": "application/x+json;a=b"}).data == {"a": 1}
        assert read_structured({"data_base64": encoded, "datacontenttype": "text/plain"}).data is None
        assert read_structured({"data_base64": None, "data": 1}).data == 1

    @pytest.mark.parametrize("encoded", ["*", "e30", "e30=\n", "ä", 5, {}])
    def test_broken_base64(self, encoded: Any) -> None:
        """Nothing is skipped over."""
        assert refused_field({"data_base64": encoded}) == "data_base64: not base64"

    def test_broken_json_in_base64(self) -> None:
        """It is found where the data is read."""
        with pytest.raises(Rejected, match=r"^data: not JSON \("):
            read_structured({"data_base64": "Kg=="})

    def test_data_twice(self) -> None:
        """Which of two should count is not guessed."""
        assert refused_field({"data": {}, "data_base64": "e30="}) == "data_base64: comes beside data; send one of them"

    @pytest.mark.parametrize("body", ["[]", "1", "null", '"x"'])
    def test_body_is_an_object(self, body: str) -> None:
        """Anything else is no event."""
        assert refusal({"content-type": ONE}, body.encode()) == "body: an event is a JSON object"
        with pytest.raises(Rejected, match=r"^body: an event is a JSON object$"):
            from_structured(json.loads(body))

    def test_missing_version(self) -> None:
        """Without it there is no telling how to read the rest."""
        assert refused_field({"specversion": None}) == 'specversion: expected "1.0"'


class TestBatchedMode:
    """Several events in one JSON array."""

    def test_events_in_order(self) -> None:
        """None at all is a batch as well."""
        batch = [{**STRUCTURED, "id": str(number)} for number in range(3)]
        assert [event.id for event in read({"content-type": BATCH}, json.dumps(batch).encode())] == ["0", "1", "2"]
        assert read({"content-type": BATCH}, b"[]") == ()

    @pytest.mark.parametrize(
        ("member", "text"),
        [
            ({**STRUCTURED, "id": ""}, "[1].id: expected a non-empty string"),
            ({**STRUCTURED, "x": []}, "[1].'x': expected a string, an integer or a boolean"),
            ({**STRUCTURED, "data_base64": "*"}, "[1].data_base64: not base64"),
            (5, "[1]: an event is a JSON object"),
            ([STRUCTURED], "[1]: an event is a JSON object"),
        ],
    )
    def test_one_malformed_member(self, member: Any, text: str) -> None:
        """The batch is refused whole, and the member named by its place."""
        assert refusal({"content-type": BATCH}, json.dumps([STRUCTURED, member]).encode()) == text

    def test_batch_is_an_array(self) -> None:
        """One event alone is none."""
        assert refusal({"content-type": BATCH}, json.dumps(STRUCTURED).encode()).startswith("body: a batch is")


@pytest.mark.parametrize(
    "media", ["application/cloudevents+xml", "application/cloudevents", "application/cloudevents+avro"]
)
def test_other_formats(media: str) -> None:
    """A format that is not read is refused by name, whatever headers come with it."""
    assert refusal({**BINARY, "content-type": media}, b"x") == (
        f"content-type: {media} is not read; send application/cloudevents+json"
    )


@pytest.mark.parametrize("content_type", [f"{JSON}; charset=latin1", f"{ONE};charset=utf-16", 'x/y; Charset="UTF-7"'])
def test_other_charsets(content_type: str) -> None:
    """Text in another charset is refused instead of read wrongly."""
    assert refusal({**BINARY, "content-type": content_type}, b"{}").endswith(" is not read; send utf-8")


def test_body_is_bounded() -> None:
    """256 KB are taken, one byte more is not; of a batch 100 events."""
    assert read_binary({"content-type": "text/plain"}, b"x" * MAX_BODY) == EVENT
    assert refusal(BINARY, b"x" * (MAX_BODY + 1)) == "body: more than 262144 bytes; send at most those"
    batch = [json.dumps([STRUCTURED] * count).encode() for count in (100, 101)]
    assert len(read({"content-type": BATCH}, batch[0])) == 100
    assert refusal({"content-type": BATCH}, batch[1]) == "body: a batch of 101 events; send at most 100"


@pytest.mark.parametrize("encoding", ["gzip", " Deflate", "br, gzip"])
def test_a_compressed_body_is_refused_by_that_name(encoding: str) -> None:
    """However small it is: unpacked it has no bound. `identity` says that it is as it is."""
    with pytest.raises(Encoded, match=r"^content-encoding: .+ is not read; send the body as it is$"):
        read({**BINARY, "content-encoding": encoding}, b"x")
    assert read_binary({"content-encoding": "Identity"}) == EVENT


def test_errors_are_short() -> None:
    """However long what was sent: the text fits an error body of 512 bytes."""
    long = "\U0010ffff" * 100_000
    texts = [
        refused_field({long: "x"}),
        refused_field({long: []}),
        refusal({"content-type": f"application/cloudevents+{'x' * 9999}"}),
        refusal({"content-type": f"a/b; charset={'ü' * 9999}"}),
        refusal({**BINARY, f"ce-{'x' * 9999}": "%FF"}),
        refusal({**BINARY, f"ce-{'ü' * 9999}": "x"}),
    ]
    assert max(len(text.encode()) for text in texts) <= 512


def test_written_headers() -> None:
    """Spaces, quotes, percent signs and everything beyond ASCII are percent-encoded; nothing else is."""
    event = CloudEvent(
        id='a b"c%d€~!#',
        source="/doorman/-/p",
        type="told",
        time=datetime(2026, 1, 31, 8, 30, tzinfo=UTC),
        extensions={"team": "bilder"},
        data={"a": "ä"},
    )
    assert write(event) == (
        {
            "content-type": "application/json",
            "ce-specversion": "1.0",
            "ce-id": "a%20b%22c%25d%E2%82%AC~!#",
            "ce-source": "/doorman/-/p",
            "ce-type": "told",
            "ce-time": "2026-01-31T08:30:00Z",
            "ce-team": "bilder",
        },
        '{"a":"ä"}'.encode(),
    )


TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=50)
NAMES = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=20).filter(
    lambda name: name not in {*STRUCTURED, "subject", "time", "datacontenttype", "dataschema", "data"}
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=10,
)
EVENTS = st.builds(
    CloudEvent,
    id=TEXT,
    source=TEXT,
    type=TEXT,
    subject=st.none() | TEXT,
    time=st.none()
    | st.datetimes(timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))),
    dataschema=st.none() | TEXT,
    extensions=st.dictionaries(NAMES, TEXT, max_size=4),
    data=VALUES,
)


@given(EVENTS)
def test_binary_reads_as_it_was_written(event: CloudEvent) -> None:
    """Whatever the texts: headers carry ASCII only, and the event comes back whole."""
    headers, body = write(event)
    assert "".join(headers.values()).isascii()
    assert not any(character in value for value in headers.values() for character in ' "\r\n')
    (heard,) = read(headers, body)
    assert (whole(heard), write(heard)) == (event, (headers, body))


@given(EVENTS)
def test_structured_reads_as_it_was_written(event: CloudEvent) -> None:
    """By itself and in a batch."""
    message = to_structured(event)
    assert whole(from_structured(message)) == event
    batch = read({"content-type": BATCH}, json.dumps([message, message]).encode())
    assert [whole(heard) for heard in batch] == [event, event]
    assert to_structured(batch[0]) == message
