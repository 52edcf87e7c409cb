"""What events claim of their images: notifications, checks, decisions, outcomes, pending reports; others nothing."""

from typing import Any

import pytest

from doorman.errors import Rejected
from doorman.events.claims import read_claims
from doorman.events.messages import EventType
from doorman.models import CloudEvent
from tests.builders import share

IMAGE = "6596628c-42d4-4ff1-8660-8ea5ae61f243"
OTHER = "7a96628c-42d4-4ff1-8660-8ea5ae61f243"


def event(type_: str, data: Any) -> CloudEvent:
    """Make an event of this type."""
    return CloudEvent(id="1", source="/test", type=type_, data=data)


def test_a_notification_claims_one_owner_for_all() -> None:
    """Each image of it, with the owner that it names, if any."""
    data = {"project_id": "receiver", "images": [IMAGE, OTHER], "owner": "aaa"}
    assert read_claims(event(EventType.NOTIFIED, data)) == [
        share(image_id=IMAGE, project_id="receiver", owner="aaa"),
        share(image_id=OTHER, project_id="receiver", owner="aaa"),
    ]


def test_a_check_carries_names_and_owners() -> None:
    """An image that it says nothing of is there all the same."""
    data = {
        "project_id": "receiver",
        "job_id": "job",
        "status": "accepted",
        "images": [IMAGE, OTHER],
        "submitted_at": "2026-11-05T12:00:00Z",
        "attempt": 1,
        "shares": {IMAGE: {"name": "golden", "owner": "aaa"}},
    }
    assert read_claims(event(EventType.CHECK, data)) == [
        share(image_id=IMAGE, project_id="receiver", owner="aaa", name="golden"),
        share(image_id=OTHER, project_id="receiver"),
    ]


def test_what_was_told_can_be_asked_about() -> None:
    """Why was this held? The outcome event itself is enough to ask."""
    entry = {"image_id": IMAGE, "name": "golden", "owner": "aaa", "rule": None, "reason": "owner_not_allowed"}
    held = {
        "project_id": "receiver",
        "job_id": None,
        "policy_digest": "0" * 16,
        "images": [{**entry, "member_status": "pending", "error_code": None, "vault_id": None, "cause": "c"}],
    }
    decided = {**held, "status": "accepted", "vault_id": None}
    report = {
        "project_id": "receiver",
        "count": 1,
        "oldest_created_at": None,
        "images": [{**entry, "created_at": None}],
        "error": None,
    }
    claimed = [share(image_id=IMAGE, project_id="receiver", owner="aaa", name="golden")]
    assert read_claims(event(EventType.HELD, held)) == claimed
    assert read_claims(event(EventType.DECIDED, decided)) == claimed
    assert read_claims(event(EventType.PENDING, report)) == claimed


@pytest.mark.parametrize("kind", ["dev.knative.sources.ping", EventType.USED, EventType.SWEEP])
def test_other_types_claim_nothing(kind: str) -> None:
    """A scheduler's tick names no image, and servers are none."""
    assert read_claims(event(kind, {"images": [IMAGE]})) == []


def test_malformed_data_is_refused() -> None:
    """As the functions would."""
    with pytest.raises(Rejected, match=r"data\.images"):
        read_claims(event(EventType.NOTIFIED, {"project_id": "receiver"}))
