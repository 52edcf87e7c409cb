"""What became of shares becomes events: one per type, none too large, each the same when the same is told again."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import to_json

from doorman.events.messages import EventType
from doorman.events.outcomes import (
    MAX_EVENT,
    decided_events,
    event_type,
    make_key,
    outcome_events,
    pack_size,
    weigh,
)
from doorman.events.schemas import DATA, OutcomeData
from doorman.events.writing import EventWriter, cause_of, derive
from doorman.models import Cause, CloudEvent, Outcome, OutcomeType, Reason, Status
from tests.builders import CAUSE, LIMIT, START, image_id, size_of

WRITER = EventWriter(project_id="receiver", region="eu-de", policy_digest="0123456789abcdef")
OTHER = Cause(id="cause-2", correlation="correlation-2")


def outcome(number: int = 1, kind: OutcomeType = OutcomeType.ACCEPTED, **fields: Any) -> Outcome:
    """Make the outcome of one image."""
    fields = {"reason": Reason.ALLOWED_OWNER, "cause": CAUSE.id, **fields}
    return Outcome(image_id=image_id(number), type=kind, **fields)


def said(*outcomes: Outcome, causes: Sequence[Cause] = (CAUSE,), **fields: Any) -> tuple[CloudEvent, ...]:
    """Tell these outcomes."""
    return outcome_events(WRITER, outcomes, causes=causes, now=START, **fields)


def decided(*outcomes: Outcome, status: Status = "accepted", vault_id: str | None = None) -> tuple[CloudEvent, ...]:
    """Put these decisions on record; they keep to their data as published."""
    told = decided_events(WRITER, outcomes, status=status, vault_id=vault_id, causes=[CAUSE, OTHER], now=START)
    for event in told:
        DATA[EventType(event.type)].model_validate_json(to_json(event.data))
    return told


def event_of(
    kind: str,
    data: dict[str, Any],
    *,
    keys: Sequence[str],
    subject: str | None = None,
    more: Sequence[Any] = (None,) * 3,
) -> CloudEvent:
    """Write the whole event that says this, for information, as it is told at START.

    Args:
        keys: of its entries. more: what its dedupekey rests on besides.
    """
    extensions = {"causationid": "cause-1", "correlationid": "correlation-1"}
    return CloudEvent(
        id=derive(kind, "/doorman/eu-de/receiver", "cause-1", data),
        source="/doorman/eu-de/receiver",
        type=kind,
        subject=subject,
        time=START,
        dataschema=f"urn:doorman:schema:{kind}",
        extensions=extensions | weigh("info", derive(kind, "receiver", keys, *more)),
        data=data,
    )


def keys(*events: CloudEvent) -> list[str]:
    """Give the keys of all entries."""
    return [entry["key"] for event in events for entry in event.data["images"]]


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
                settled_at=START,
            ),
            job_id="job-1",
        )
        key = derive("dev.doorman.share.accepted.v1", "receiver", image_id(1), "allowed_owner", None, "golden-images")
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
            "settled_at": "2026-01-02T03:04:05Z",
            "key": key,
        }
        data = {"project_id": "receiver", "job_id": "job-1", "policy_digest": "0123456789abcdef", "images": [entry]}
        assert event == event_of("dev.doorman.share.accepted.v1", data, keys=[key], subject=image_id(1))

    def test_one_event_per_type(self) -> None:
        """Whatever the order in which they were found; the images sorted by ID."""
        events = said(outcome(3), outcome(2, OutcomeType.HELD), outcome(1))
        found = [(event.type, [entry["image_id"] for entry in event.data["images"]]) for event in events]
        assert found == [(EventType.ACCEPTED, [image_id(1), image_id(3)]), (EventType.HELD, [image_id(2)])]

    @pytest.mark.parametrize("kind", OutcomeType)
    def test_severity(self, kind: OutcomeType) -> None:
        """Whether somebody must look, in our word and as the specification has it."""
        words = dict.fromkeys((OutcomeType.HELD, OutcomeType.DRIFTED), ("action", "WARN", "13"))
        words[OutcomeType.FAILED] = ("error", "ERROR", "17")
        (event,) = said(outcome(kind=kind))
        told = tuple(event.extensions[name] for name in ("severity", "severitytext", "severitynumber"))
        assert (event.type, told) == (event_type(kind), words.get(kind, ("info", "INFO", "9")))

    def test_marks(self) -> None:
        """More extensions stand beside ours."""
        (event,) = said(outcome(), marks={"daily": "true"})
        assert event.extensions == {**said(outcome())[0].extensions, "daily": "true"}

    @pytest.mark.parametrize(
        ("numbers", "job_id", "subject"),
        [([1], None, image_id(1)), ([1], "j", image_id(1)), ([1, 2], "j", "j"), ([1, 2], None, None)],
    )
    def test_subject(self, numbers: list[int], job_id: str | None, subject: str | None) -> None:
        """The image where there is one, else the job."""
        (event,) = said(*map(outcome, numbers), job_id=job_id)
        assert event.subject == subject

    def test_held_shares_carry_the_command_that_accepts_them(self) -> None:
        """With a vault to fill in where that is what is missing; nothing else has such a command."""
        held = [outcome(number, OutcomeType.HELD, reason=reason) for number, reason in enumerate(Reason)]
        accepted, told = said(outcome(100, failed_condition="max_age"), *held)
        assert not {"approve", "failed_condition"} & set(accepted.data["images"][0])
        commands = {Reason(entry["reason"]): entry["approve"] for entry in told.data["images"]}
        assert commands[Reason.OWNER_NOT_ALLOWED] == (
            f"doorman approve {image_id(list(Reason).index(Reason.OWNER_NOT_ALLOWED))} --project receiver --reason TEXT"
        )
        found = {reason for reason, command in commands.items() if "--vault VAULT" in command}
        assert found == {Reason.VAULT_MISSING, Reason.VAULT_FAILED}

    def test_first_cause_is_the_events(self) -> None:
        """Where a batch serves several events the first to arrive is the cause, and each entry has its own."""
        (event,) = said(outcome(1, cause="cause-2"), outcome(2), causes=[CAUSE, OTHER])
        assert (event.extensions["causationid"], event.extensions["correlationid"]) == ("cause-1", "correlation-1")
        assert [entry["cause"] for entry in event.data["images"]] == ["cause-2", "cause-1"]

    def test_only_causes_of_these_images_count(self) -> None:
        """An event of the same batch that did not ask for them is none of their causes."""
        (event,) = said(outcome(cause="cause-2"), causes=[CAUSE, OTHER])
        assert event.extensions["causationid"] == "cause-2"

    def test_a_jobs_check_is_the_cause(self) -> None:
        """The notification stands in the entry only."""
        (event,) = said(outcome(cause="notified"), causes=[CAUSE], job_id="j")
        assert (event.extensions["causationid"], event.data["images"][0]["cause"]) == ("cause-1", "notified")

    def test_keys_are_of_what_is_told(self) -> None:
        """Causes, names, times, jobs and policies do not change them; how an image ends, and why, does."""
        (first,) = said(outcome(1), outcome(2))
        (again,) = outcome_events(
            replace(WRITER, policy_digest="f" * 16),
            [outcome(2, name="x", settled_at=START), outcome(1)],
            causes=[OTHER],
            now=START + timedelta(1),
            job_id="j",
        )
        others = [
            said(outcome(1)),
            said(outcome(1, OutcomeType.HELD), outcome(2, OutcomeType.HELD)),
            said(outcome(1), outcome(2, error_code="IMG.0027")),
            said(outcome(1), outcome(2, reason=Reason.ALREADY_SETTLED)),
            said(outcome(1), outcome(2, rule="r")),
        ]
        assert (keys(first), first.extensions["dedupekey"]) == (keys(again), again.extensions["dedupekey"])
        assert len({each.extensions["dedupekey"] for (each,) in [(first,), *others]}) == len(others) + 1
        assert [keys(each)[-1] in keys(first) for (each,) in others] == [True, False, False, False, False]

    def test_facts_are_cut(self) -> None:
        """A sharer may give an image tags without end."""
        (event,) = said(outcome(facts={"tags": "x" * 10_000, "min_disk": 5}))
        assert event.data["images"][0]["facts"] == {"tags": "x" * 500, "min_disk": "5"}


class TestDecisions:
    """The evidence that stands on record before a members call is made."""

    def test_whole_event(self) -> None:
        """What is about to be settled, how and into which vault, with all that the decision rested on."""
        told = outcome(1, OutcomeType.DECIDED, rule="r", decision="accept", facts={"owner": "o"}, cause="cause-2")
        (event,) = decided(told, vault_id="v")
        (entry,) = outcome_events(WRITER, [told], causes=[CAUSE], now=START)[0].data["images"]
        data = {
            "project_id": "receiver",
            "policy_digest": "0123456789abcdef",
            "status": "accepted",
            "vault_id": "v",
            "images": [entry],
        }
        key = make_key(WRITER, EventType.DECIDED, image_id(1), "allowed_owner", None, "r")
        assert entry["key"] == key
        more = (None, "accepted", "v")
        assert event == event_of("dev.doorman.share.decided.v1", data, keys=[key], subject=image_id(1), more=more)

    def test_a_batch(self) -> None:
        """One event for all, as long as it is not too large; none for nothing."""
        assert decided() == ()
        (event,) = decided(*(outcome(number, OutcomeType.DECIDED) for number in (1, 2)))
        assert (event.subject, len(event.data["images"])) == (None, 2)
        many = decided(*(outcome(number, OutcomeType.DECIDED, name="\x00" * 1000) for number in range(100)))
        assert len({each.id for each in many}) == len(many) > 1
        assert max(map(size_of, many)) <= LIMIT


WORST = cause_of(
    CloudEvent(
        id="😀" * 58,
        source="/x",
        type="x",
        extensions={"correlationid": "😀" * 58, "traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "€" * 56},
    )
)
"""A cause that passes on as much as any may."""

NAMES = st.none() | st.sampled_from(["\x00" * 1000, "😀" * 1000, "x" * 1000, 'a"\\\n']) | st.text(max_size=30)
OUTCOMES = st.builds(
    Outcome,
    type=st.sampled_from(OutcomeType),
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
    settled_at=st.none() | st.just(START),
    failed_condition=st.none() | st.just("max_age"),
    facts=st.none() | st.dictionaries(st.sampled_from(["owner", "name", "tags"]), st.just("\x01" * 9999), min_size=1),
)


@settings(max_examples=25)
@given(st.lists(OUTCOMES, max_size=60, unique_by=lambda outcome: outcome.image_id), st.none() | st.just("j"))
def test_no_entry_is_lost_and_no_event_is_too_large(outcomes: list[Outcome], job_id: str | None) -> None:
    """Every outcome is told exactly once, in events that brokers take and that keep to their published data."""
    events = said(*outcomes, causes=[WORST, CAUSE, OTHER], job_id=job_id)
    found = [(event.type, entry["image_id"]) for event in events for entry in event.data["images"]]
    assert sorted(found) == sorted((event_type(outcome.type), outcome.image_id) for outcome in outcomes)
    assert len({event.id for event in events}) == len(events)
    for event in events:
        assert size_of(event) <= LIMIT
        # a decision is told by `decided_events`, with data of its own
        model = OutcomeData if event.type == EventType.DECIDED else DATA[EventType(event.type)]
        model.model_validate_json(to_json(event.data))


def test_largest_event() -> None:
    """Filled to the brim with the longest causes and headers, an event is still below what brokers take."""
    outcomes = [outcome(number, name="x" * 255, cause=WORST.id) for number in range(1000)]
    sizes = [size_of(event) for event in outcome_events(WRITER, outcomes, causes=[WORST], now=START)]
    assert MAX_EVENT < max(sizes) <= LIMIT


def test_size_counts_the_separator() -> None:
    """What is packed is what is sent."""
    entries = [{"a": "ä"}, {"b": 1}]
    assert sum(map(pack_size, entries)) + 1 == len(to_json(entries))
