"""Outcomes and digests become events: one per fate, none too large, each the same when it is told again."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import to_json

from doorman.events.messages import EventType
from doorman.events.outcomes import MAX_EVENT, digest, outcome_type, pack_size, tell
from doorman.events.schemas import DATA
from doorman.events.writing import EventWriter, derive
from doorman.models import Cause, CloudEvent, Outcome, OutcomeType, Reason
from tests.builders import CAUSE, LIMIT, START, image_id, size_of

TELLER = EventWriter(project_id="receiver", region="eu-de", policy_digest="0123456789abcdef")
OTHER = Cause(id="cause-2", correlation="correlation-2")


def outcome(number: int = 1, fate: OutcomeType = OutcomeType.ACCEPTED, **fields: Any) -> Outcome:
    """Make the outcome of one image."""
    fields = {"reason": Reason.ALLOWED_OWNER, "cause": CAUSE.id, **fields}
    return Outcome(image_id=image_id(number), fate=fate, **fields)


def said(*outcomes: Outcome, causes: Sequence[Cause] = (CAUSE,), **fields: Any) -> tuple[CloudEvent, ...]:
    """Tell these outcomes."""
    return tell(TELLER, outcomes, causes=causes, now=START, **fields)


def listed(*numbers: int, error: str | None = None, cause: Cause = CAUSE, **fields: Any) -> tuple[CloudEvent, ...]:
    """Tell a digest that lists these images."""
    fields = {"name": None, "owner": None, "rule": None, "reason": "held_by_rule", "created_at": None, **fields}
    entries = [{"image_id": image_id(number), **fields} for number in numbers]
    return digest(TELLER, entries, count=len(entries), oldest=None, error=error, cause=cause, now=START)


class TestOutcomes:
    """What became of shares."""

    def test_whole_event(self) -> None:
        """Everything that is known of one image, and null for what is not."""
        (event,) = said(
            outcome(
                name="golden",
                owner="o",
                rule="golden-images",
                member_status="accepted",
                vault_id="v",
                decision="accept",
                facts={"owner": "o"},
            ),
            job_id="job-1",
        )
        entry = {
            "image_id": image_id(1),
            "name": "golden",
            "owner": "o",
            "rule": "golden-images",
            "reason": "allowed_owner",
            "member_status": "accepted",
            "error_code": None,
            "vault_id": "v",
            "cause": "cause-1",
            "decision": "accept",
            "facts": {"owner": "o"},
        }
        assert event == CloudEvent(
            id=derive(EventType.ACCEPTED, "receiver", "job-1"),
            source="/doorman/eu-de/receiver",
            type="dev.doorman.share.accepted.v1",
            subject=image_id(1),
            time=START,
            dataschema="urn:doorman:schema:dev.doorman.share.accepted.v1",
            extensions={
                "causationid": "cause-1",
                "correlationid": "correlation-1",
                "severity": "info",
                "dedupekey": derive(EventType.ACCEPTED, "receiver", [image_id(1)], [], "0123456789abcdef"),
            },
            data={
                "project_id": "receiver",
                "job_id": "job-1",
                "policy_digest": "0123456789abcdef",
                "images": [entry],
            },
        )

    def test_nothing_to_tell(self) -> None:
        """No outcome, no event."""
        assert said() == ()

    def test_one_event_per_fate(self) -> None:
        """Whatever the order in which they were found; the images sorted by ID."""
        events = said(outcome(3), outcome(2, OutcomeType.HELD), outcome(1))
        assert [(event.type, [entry["image_id"] for entry in event.data["images"]]) for event in events] == [
            (EventType.ACCEPTED, [image_id(1), image_id(3)]),
            (EventType.HELD, [image_id(2)]),
        ]

    @pytest.mark.parametrize(
        ("fate", "severity"),
        [
            (OutcomeType.ACCEPTED, "info"),
            (OutcomeType.REJECTED, "info"),
            (OutcomeType.SKIPPED, "info"),
            (OutcomeType.AUDITED, "info"),
            (OutcomeType.HELD, "action"),
            (OutcomeType.DRIFTED, "action"),
            (OutcomeType.FAILED, "error"),
        ],
    )
    def test_severity(self, fate: OutcomeType, severity: str) -> None:
        """Whether somebody must look."""
        (event,) = said(outcome(fate=fate))
        assert (event.type, event.extensions["severity"]) == (outcome_type(fate), severity)

    @pytest.mark.parametrize(
        ("numbers", "job_id", "subject"),
        [([1], None, image_id(1)), ([1], "j", image_id(1)), ([1, 2], "j", "j"), ([1, 2], None, None)],
    )
    def test_subject(self, numbers: list[int], job_id: str | None, subject: str | None) -> None:
        """The image where there is one, else the job."""
        (event,) = said(*map(outcome, numbers), job_id=job_id)
        assert event.subject == subject

    def test_actor(self) -> None:
        """Who decided by hand is told beside the images."""
        writer = replace(TELLER, actor={"actor": "ann", "reason": "checked"})
        (event,) = tell(writer, [outcome()], causes=[CAUSE], now=START)
        assert {name: event.data[name] for name in ("actor", "reason")} == {"actor": "ann", "reason": "checked"}

    def test_held_shares_carry_the_command_that_accepts_them(self) -> None:
        """With a vault to fill in where that is what is missing; nothing else has such a command."""
        held = [outcome(number, OutcomeType.HELD, reason=reason) for number, reason in enumerate(Reason)]
        accepted, told = said(outcome(100), *held)
        assert "approve" not in accepted.data["images"][0]
        commands = {Reason(entry["reason"]): entry["approve"] for entry in told.data["images"]}
        assert commands[Reason.OWNER_NOT_ALLOWED] == (
            f"doorman approve {image_id(list(Reason).index(Reason.OWNER_NOT_ALLOWED))} --project receiver --reason TEXT"
        )
        assert {reason for reason, command in commands.items() if "--vault VAULT" in command} == {
            Reason.VAULT_MISSING,
            Reason.VAULT_FAILED,
        }

    def test_first_cause_is_the_events(self) -> None:
        """Where a round serves several events the first to arrive is the cause, and each entry has its own."""
        (event,) = said(outcome(1, cause="cause-2"), outcome(2), causes=[CAUSE, OTHER])
        assert (event.extensions["causationid"], event.extensions["correlationid"]) == ("cause-1", "correlation-1")
        assert [entry["cause"] for entry in event.data["images"]] == ["cause-2", "cause-1"]
        assert event.id == derive(EventType.ACCEPTED, "receiver", ["cause-1", "cause-2"], [image_id(1), image_id(2)])

    def test_only_causes_of_these_images_count(self) -> None:
        """An event of the same round that did not ask for them is none of their causes."""
        (event,) = said(outcome(cause="cause-2"), causes=[CAUSE, OTHER])
        assert (event.extensions["causationid"], event.id) == (
            "cause-2",
            derive(EventType.ACCEPTED, "receiver", ["cause-2"], [image_id(1)]),
        )

    def test_a_jobs_check_is_the_cause(self) -> None:
        """The notification stands in the entry only."""
        (event,) = said(outcome(cause="notified"), causes=[CAUSE], job_id="j")
        assert (event.extensions["causationid"], event.data["images"][0]["cause"]) == ("cause-1", "notified")

    def test_outcome_of_a_job_has_its_id(self) -> None:
        """Whoever checks it and whatever images it has by then; another job or fate has another."""
        (first,) = said(outcome(1), outcome(2), job_id="j")
        (again,) = said(outcome(1), causes=[OTHER], job_id="j")
        (other,) = said(outcome(1), job_id="k")
        (failed,) = said(outcome(1, OutcomeType.FAILED), job_id="j")
        assert first.id == again.id
        assert len({first.id, other.id, failed.id}) == 3

    def test_dedupekey_is_of_what_is_told(self) -> None:
        """Causes, names and times do not change it; images, errors, the fate and the policy do."""
        (first,) = said(outcome(1), outcome(2))
        (again,) = tell(
            TELLER, [outcome(2, name="x"), outcome(1)], causes=[OTHER], now=START + timedelta(1), job_id="j"
        )
        other = replace(TELLER, policy_digest="f" * 16)
        (by_policy,) = tell(other, [outcome(1), outcome(2)], causes=[CAUSE], now=START)
        (by_images,) = said(outcome(1))
        (by_fate,) = said(outcome(1, OutcomeType.HELD), outcome(2, OutcomeType.HELD))
        (by_code,) = said(outcome(1), outcome(2, error_code="IMG.0027"))
        keys = [event.extensions["dedupekey"] for event in (first, again, by_policy, by_images, by_fate, by_code)]
        assert keys[0] == keys[1]
        assert len(set(keys[1:])) == 5

    def test_facts_are_cut(self) -> None:
        """A sharer may give an image tags without end."""
        (event,) = said(outcome(facts={"tags": "x" * 10_000, "min_disk": 5}))
        assert event.data["images"][0]["facts"] == {"tags": "x" * 500, "min_disk": "5"}

    def test_parts_of_a_job(self) -> None:
        """The first keeps the job's id, the others have their number in it."""
        events = said(*(outcome(number, name="\x00" * 255) for number in range(200)), job_id="j")
        assert [event.id for event in events] == [
            derive(EventType.ACCEPTED, "receiver", "j", *([number] if number else [])) for number in range(len(events))
        ]
        assert len(events) == 2


class TestDigest:
    """The sweep's heartbeat and to-do list."""

    def test_empty(self) -> None:
        """Nothing pending is told as well, for information."""
        (event,) = listed()
        assert event == CloudEvent(
            id=derive(EventType.PENDING, "receiver", ["cause-1"], []),
            source="/doorman/eu-de/receiver",
            type="dev.doorman.shares.pending.v1",
            time=START,
            dataschema="urn:doorman:schema:dev.doorman.shares.pending.v1",
            extensions={
                "causationid": "cause-1",
                "correlationid": "correlation-1",
                "severity": "info",
                "dedupekey": derive(EventType.PENDING, "receiver", [], [], "0123456789abcdef"),
            },
            data={"project_id": "receiver", "count": 0, "oldest_created_at": None, "images": [], "error": None},
        )

    def test_severity(self) -> None:
        """A list asks for somebody, an unreadable project is an error."""
        (waiting,), (unread,) = listed(1), listed(error="the cloud answers 503")
        assert (waiting.extensions["severity"], unread.extensions["severity"]) == ("action", "error")
        assert unread.data["error"] == "the cloud answers 503"

    def test_dedupekey(self) -> None:
        """The next tick with the same list has the same key and another id."""
        (first,), (next_tick,), (other,) = listed(2, 1), listed(1, 2, cause=OTHER), listed(1)
        assert first.extensions["dedupekey"] == next_tick.extensions["dedupekey"] != other.extensions["dedupekey"]
        assert first.id != next_tick.id

    def test_oldest_first(self) -> None:
        """The order of the list is kept."""
        (event,) = listed(3, 1, 2)
        assert [entry["image_id"] for entry in event.data["images"]] == [image_id(3), image_id(1), image_id(2)]

    def test_longest_list(self) -> None:
        """500 shares with the longest names that a sharer can think of are told in parts, each with its own id."""
        events = listed(*range(500), name="\x00" * 255, owner="\x00" * 255)
        assert [entry["image_id"] for event in events for entry in event.data["images"]] == [
            image_id(number) for number in range(500)
        ]
        assert max(map(size_of, events)) <= LIMIT
        assert len({event.id for event in events}) == len(events) > 1


NAMES = st.none() | st.sampled_from(["\x00" * 255, "😀" * 255, "x" * 255, 'a"\\\n']) | st.text(max_size=30)
OUTCOMES = st.builds(
    Outcome,
    fate=st.sampled_from(OutcomeType),
    image_id=st.integers(0, 10**6).map(image_id),
    reason=st.sampled_from(Reason),
    cause=st.sampled_from(["cause-1", "cause-2", "😀" * 256]),
    name=NAMES,
    owner=NAMES,
    rule=NAMES,
    member_status=st.sampled_from(["pending", "accepted", "rejected", None]),
    error_code=st.sampled_from([None, "IMG.0027", "IMG.0182"]),
    vault_id=st.none() | st.just("v" * 64),
    decision=st.sampled_from(["accept", "reject", "hold", None]),
    facts=st.none() | st.dictionaries(st.sampled_from(["owner", "name", "tags"]), st.just("\x01" * 9999), min_size=1),
)


@settings(max_examples=25)
@given(
    st.lists(OUTCOMES, max_size=60, unique_by=lambda outcome: outcome.image_id), st.none() | st.just("j"), st.booleans()
)
def test_no_entry_is_lost_and_no_event_is_too_large(
    outcomes: list[Outcome],
    job_id: str | None,
    has_trace: bool,  # noqa: FBT001 - drawn
) -> None:
    """Every outcome is told exactly once, in events that brokers take and that keep to their published data."""
    trace = {"traceparent": "00-" + "0" * 49 + "-01", "tracestate": "€" * 512} if has_trace else {}
    worst = Cause(id="😀" * 256, correlation="😀" * 256, **trace)
    events = said(*outcomes, causes=[worst, CAUSE, OTHER], job_id=job_id)
    found = [(event.type, entry["image_id"]) for event in events for entry in event.data["images"]]
    assert sorted(found) == sorted((outcome_type(outcome.fate), outcome.image_id) for outcome in outcomes)
    assert len({event.id for event in events}) == len(events)
    for event in events:
        assert size_of(event) <= LIMIT
        DATA[EventType(event.type)].model_validate_json(to_json(event.data))


def test_digests_keep_to_their_data() -> None:
    """As published."""
    for event in (*listed(), *listed(1, 2, name="n"), *listed(error="x")):
        DATA[EventType.PENDING].model_validate_json(to_json(event.data))


def test_largest_event() -> None:
    """Filled to the brim with the longest causes and headers, an event is still below what brokers take."""
    worst = Cause(id="😀" * 256, correlation="😀" * 256, traceparent="0" * 55, tracestate="€" * 512)
    outcomes = [outcome(number, name="x" * 255, cause=worst.id) for number in range(1000)]
    sizes = [size_of(event) for event in tell(TELLER, outcomes, causes=[worst], now=START)]
    assert MAX_EVENT < max(sizes) <= LIMIT


def test_size_counts_the_separator() -> None:
    """What is packed is what is sent."""
    entries = [{"a": "ä"}, {"b": 1}]
    assert sum(map(pack_size, entries)) + 1 == len(to_json(entries))
