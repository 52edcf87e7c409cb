"""Doorman's events: what is read out of them, what they pass on, and that one id says one thing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorman.errors import Rejected
from doorman.events.cloudevents import read, write
from doorman.events.messages import CheckData, CheckedShare, EventType, NotifiedData, validate
from doorman.events.outcomes import MAX_EVENT, pack_size
from doorman.events.writing import (
    MAX_CHECK,
    MAX_PASSED,
    MAX_TRACESTATE,
    EventWriter,
    cause_of,
    derive,
    job_check_event,
    make_event,
    read_check,
    read_notice,
    share_notified_event,
)
from doorman.models import Cause, CloudEvent, Notice
from tests.builders import CAUSE, START, image_id

WRITER = EventWriter(project_id="receiver", region="eu-de", policy_digest="0123456789abcdef")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SENT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
ONE, TWO = image_id(1), image_id(2)
CHECK = CheckData(
    project_id="receiver",
    job_id="job-1",
    status="accepted",
    images=(ONE, TWO),
    submitted_at=START,
    attempt=1,
    shares={ONE: CheckedShare(name="golden", owner="o", rule="r", cause="cause-1")},
)


def notified(**fields: Any) -> CloudEvent:
    """Make a share notification with these attributes or data fields."""
    data = {"project_id": "receiver", "images": [ONE]} | {
        name: fields.pop(name) for name in ("project_id", "images", "tries", "tried_vaults") if name in fields
    }
    return CloudEvent(**{"id": "1", "source": "/tests", "type": EventType.NOTIFIED, "data": data} | fields)


def checking(**fields: Any) -> CloudEvent:
    """Make a request to follow a job with these data fields."""
    data = {**CHECK.model_dump(mode="json"), **fields}
    return CloudEvent(id="1", source="/tests", type=EventType.CHECK, data=data)


class TestReading:
    """Events into notices and checks."""

    @pytest.mark.parametrize(
        ("time", "arrival", "sent_at"),
        [
            (SENT, "2026-01-02T03:09:00Z", SENT),
            (None, "2026-01-02T03:04:00Z", SENT),
            (None, "soon", None),
            (None, "", None),
            (None, None, None),
        ],
    )
    def test_age(self, time: datetime | None, arrival: str | None, sent_at: datetime | None) -> None:
        """The time as sent, else the broker's arrival time, else unknown."""
        extensions = {} if arrival is None else {"knativearrivaltime": arrival}
        assert read_notice(notified(time=time, extensions=extensions)).sent_at == sent_at

    def test_other_types(self) -> None:
        """An event is read by its type, never by its shape."""
        with pytest.raises(Rejected, match=r"^type: expected dev.doorman.share.notified.v1, got x{80}$"):
            read_notice(notified(type="x" * 1000))
        with pytest.raises(Rejected, match=r"^type: expected dev.doorman.job.check.v1, got dev.doorman.share.notified"):
            read_check(notified(), now=START)

    @pytest.mark.parametrize(("ahead", "is_taken"), [(0, True), (60, True), (61, False), (10**9, False)])
    def test_submission_in_the_future(self, ahead: int, *, is_taken: bool) -> None:
        """Clocks may differ by a minute; a job of tomorrow would be followed without end."""
        submitted = (START + timedelta(seconds=ahead)).isoformat()
        if is_taken:
            assert read_check(checking(submitted_at=submitted), now=START).job_id == "job-1"
        else:
            with pytest.raises(Rejected, match=r"^data.submitted_at: lies in the future"):
                read_check(checking(submitted_at=submitted), now=START)

    def test_check_that_could_not_be_handed_on(self) -> None:
        """A forged check may not make us emit more than brokers take."""
        names = {image_id(number): {"name": "x" * 1000} for number in range(180)}
        with pytest.raises(Rejected, match=rf"^data: 1\d{{5}} bytes; send at most {MAX_CHECK}$"):
            read_check(checking(shares=names), now=START)

    @pytest.mark.parametrize("name", ['"' * 250, "\\" * 250, "\x01" * 80, "x"])
    def test_check_that_just_fits(self, name: str) -> None:
        """What we emit we take, whatever quotes are in it: counted are the bytes as they come."""
        share = CheckedShare(name=name, owner="o" * 32, rule="r" * 32, cause="c" * 36)
        count = MAX_EVENT // (pack_size(share) + 2 * pack_size(image_id(1)))
        images = tuple(map(image_id, range(count)))
        check = CHECK.model_copy(update={"images": images, "shares": dict.fromkeys(images, share)})
        (event,) = read(*write(job_check_event(WRITER, check.model_dump(mode="json"), cause=CAUSE, now=START)))
        assert read_check(event, now=START) == check


class TestCause:
    """What an event passes on to those that it causes."""

    @pytest.mark.parametrize(
        ("sent", "correlation"),
        [({}, "1"), ({"correlationid": "c"}, "c"), ({"correlationid": ""}, "1"), ({"correlationid": "x" * 257}, "1")],
    )
    def test_correlation(self, sent: dict[str, str], correlation: str) -> None:
        """As sent, else the event's own id."""
        assert cause_of(notified(extensions=sent)) == Cause(id="1", correlation=correlation)

    @pytest.mark.parametrize(
        ("traceparent", "tracestate", "passed"),
        [
            (TRACE, "a=1,b=2", (TRACE, "a=1,b=2")),
            (TRACE, None, (TRACE, None)),
            (TRACE, "", (TRACE, None)),
            (TRACE, "x" * 512, (TRACE, "x" * 512)),
            (TRACE, "x" * 513, (TRACE, None)),
            (TRACE, "€" * 56, (TRACE, "€" * 56)),
            (TRACE, "€" * 57, (TRACE, None)),
            (TRACE.upper(), "a=1", (None, None)),
            (TRACE + "\u0661", "a=1", (None, None)),
            ("", "a=1", (None, None)),
            (None, "a=1", (None, None)),
        ],
    )
    def test_trace(
        self, traceparent: str | None, tracestate: str | None, passed: tuple[str | None, str | None]
    ) -> None:
        """The W3C trace context, where it is one; its state only where it is not too long for a header."""
        sent = {"traceparent": traceparent, "tracestate": tracestate}
        cause = cause_of(notified(extensions={name: value for name, value in sent.items() if value is not None}))
        assert (cause.traceparent, cause.tracestate) == passed

    @pytest.mark.parametrize(
        ("text", "is_passed"),
        [("x" * 256, True), ("ä" * 116, True), ("ä" * 117, False), ("😀" * 58, True), ("%" * 234, False)],
    )
    def test_what_would_fill_a_header(self, text: str, *, is_passed: bool) -> None:
        """An id counts by the bytes that it takes in a header: a longer one travels as a hash of itself."""
        passed = text if is_passed else derive(text)
        assert cause_of(notified(id=text)) == Cause(id=passed, correlation=passed)
        sent = cause_of(notified(extensions={"correlationid": text}))
        assert sent == Cause(id="1", correlation=text if is_passed else "1")

    @given(st.text(max_size=256), st.text(max_size=300), st.text(max_size=600))
    def test_what_is_passed_on_is_bounded(self, event_id: str, correlation: str, tracestate: str) -> None:
        """Whatever comes, at most 2 KB of headers follow from it."""
        extensions = {"correlationid": correlation, "traceparent": TRACE, "tracestate": tracestate}
        cause = cause_of(notified(id=event_id, extensions=extensions))
        headers, _ = write(share_notified_event(WRITER, [ONE], cause=cause, now=START))
        passed = [headers.get(f"ce-{name}", "") for name in ("causationid", "correlationid", "tracestate")]
        bounds = (MAX_PASSED, MAX_PASSED, MAX_TRACESTATE)
        assert all(len(value) <= bound for value, bound in zip(passed, bounds, strict=True))


class TestWriting:
    """Follow-up events."""

    def test_notification(self) -> None:
        """The whole event; the first try is not worth mentioning."""
        data = {"project_id": "receiver", "images": [TWO, ONE]}
        assert share_notified_event(WRITER, [TWO, ONE], cause=CAUSE, now=START) == CloudEvent(
            id=derive("dev.doorman.share.notified.v1", "/doorman/eu-de/receiver", "cause-1", data),
            source="/doorman/eu-de/receiver",
            type="dev.doorman.share.notified.v1",
            subject=None,
            time=START,
            dataschema="urn:doorman:schema:dev.doorman.share.notified.v1",
            extensions={"causationid": "cause-1", "correlationid": "correlation-1"},
            data=data,
        )

    def test_repeated_notification(self) -> None:
        """Tries and tried vaults travel along; one image is the subject; a trace is passed on."""
        cause = Cause(id="1", correlation="2", traceparent=TRACE, tracestate="a=1")
        told = share_notified_event(WRITER, [ONE], cause=cause, now=START, tries=2, tried_vaults=("v",))
        assert told.subject == ONE
        assert told.extensions == {"causationid": "1", "correlationid": "2", "traceparent": TRACE, "tracestate": "a=1"}
        assert told.data == {"project_id": "receiver", "images": [ONE], "tries": 2, "tried_vaults": ["v"]}

    def test_hand_over(self) -> None:
        """The check's data as JSON; told again by the same check it has the same id, whenever that is."""
        sent = CHECK.model_dump(mode="json")
        told = job_check_event(WRITER, sent, cause=CAUSE, now=START)
        assert (told.type, told.subject, told.data) == (EventType.CHECK, "job-1", sent)
        assert job_check_event(WRITER, sent, cause=CAUSE, now=START + timedelta(1)).id == told.id
        others = [
            job_check_event(WRITER, {**sent, "attempt": 2}, cause=CAUSE, now=START),
            job_check_event(WRITER, sent, cause=Cause(id="x", correlation="correlation-1"), now=START),
        ]
        assert len({told.id, *(each.id for each in others)}) == 3

    @pytest.mark.parametrize(
        ("region", "source"),
        [
            (None, "/doorman/-/receiver"),
            ("eu-de", "/doorman/eu-de/receiver"),
            ("Region One/ä", "/doorman/Region%20One%2F%C3%A4/receiver"),
            ("\udcff", "/doorman/%3F/receiver"),
        ],
    )
    def test_source(self, region: str | None, source: str) -> None:
        """A URI reference, whatever the region is called."""
        writer = EventWriter(project_id="receiver", region=region, policy_digest="")
        assert writer.source == source


class TestIdentifiers:
    """Two events with one id say the same."""

    def test_id_is_a_uuid_5(self) -> None:
        """Derived, not drawn; pinned, since consumers remember ids across versions of ours."""
        assert UUID(derive("a", 1, ["b"])).version == 5
        assert derive("a", 1, ["b"]) == "a140b9de-122f-50e1-b972-7889d6441097"

    def test_keys_of_objects_come_in_any_order(self) -> None:
        """They say the same; models and moments count as the JSON that they become."""
        assert derive({"a": 1, "b": CHECK}) == derive({"b": CHECK.model_dump(mode="json"), "a": 1})

    @given(st.lists(st.lists(st.text(), max_size=3), min_size=2, max_size=4))
    def test_other_parts_give_another_id(self, parts: list[list[str]]) -> None:
        """Also where the joined texts are the same."""
        ids = {derive(*part) for part in parts}
        assert len(ids) == len({tuple(part) for part in parts})

    def test_whatever_an_event_says_is_in_its_id(self) -> None:
        """Who tells it, what type it is of, what caused it, and its data; not when it is told."""
        said: list[tuple[EventWriter, EventType, dict[str, Any], Cause]] = [
            (WRITER, EventType.HELD, {"a": [1]}, CAUSE),
            (replace(WRITER, region=None), EventType.HELD, {"a": [1]}, CAUSE),
            (replace(WRITER, project_id="p"), EventType.HELD, {"a": [1]}, CAUSE),
            (WRITER, EventType.FAILED, {"a": [1]}, CAUSE),
            (WRITER, EventType.HELD, {"a": [2]}, CAUSE),
            (WRITER, EventType.HELD, {"a": [1]}, Cause(id="x", correlation="correlation-1")),
        ]
        ids = [
            [
                make_event(writer, kind, data, subject=None, cause=cause, now=START + timedelta(days)).id
                for days in range(2)
            ]
            for writer, kind, data, cause in said
        ]
        assert all(first == again for first, again in ids)
        assert len({first for first, _ in ids}) == len(said)


@given(
    st.lists(st.integers(0, 10**9).map(image_id), min_size=1, max_size=20, unique=True),
    st.integers(1, 9),
    st.lists(st.text("Az09_-", min_size=1, max_size=64), max_size=20, unique=True),
)
def test_notification_reads_as_it_was_written(images: list[str], tries: int, vaults: list[str]) -> None:
    """Over the wire and back, what is notified is what is noticed; the event is its own cause."""
    told = share_notified_event(WRITER, images, cause=CAUSE, now=START, tries=tries, tried_vaults=vaults)
    (heard,) = read(*write(told))
    assert validate(NotifiedData, heard.data).images == tuple(images)
    assert read_notice(heard) == Notice(
        project_id="receiver",
        images=tuple(images),
        cause=Cause(id=told.id, correlation="correlation-1"),
        sent_at=START,
        tries=tries,
        tried_vaults=tuple(vaults),
    )


@given(
    st.dictionaries(
        st.integers(0, 99).map(image_id),
        st.builds(
            CheckedShare,
            name=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=255),
            owner=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=64),
            cause=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=256),
        ),
        min_size=1,
        max_size=9,
    )
)
def test_check_reads_as_it_was_written(shares: dict[str, CheckedShare]) -> None:
    """Whatever the sharers call their images."""
    check = CHECK.model_copy(update={"images": tuple(shares), "shares": shares})
    (heard,) = read(*write(job_check_event(WRITER, check.model_dump(mode="json"), cause=CAUSE, now=START)))
    assert read_check(heard, now=START) == check
