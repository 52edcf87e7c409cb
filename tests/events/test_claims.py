"""Reads what events claim of their images: notifications, checks, outcomes and digests; nothing from others."""

from typing import Any

import pytest

from doorman.errors import Rejected
from doorman.events.claims import read_claims
from doorman.events.messages import EventType
from doorman.models import CloudEvent, Share

IMAGE = "6596628c-42d4-4ff1-8660-8ea5ae61f243"
OTHER = "7a96628c-42d4-4ff1-8660-8ea5ae61f243"


def event(type_: str, data: Any) -> CloudEvent:
    """Make an event of this type."""
    return CloudEvent(id="1", source="/test", type=type_, data=data)


def test_a_notification_claims_one_owner_for_all() -> None:
    """Each image of it, with the owner that it names, if any."""
    data = {"project_id": "receiver", "images": [IMAGE, OTHER], "owner": "aaa"}
    assert read_claims(event(EventType.NOTIFIED, data)) == [
        Share(image_id=IMAGE, project_id="receiver", owner="aaa"),
        Share(image_id=OTHER, project_id="receiver", owner="aaa"),
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
        Share(image_id=IMAGE, project_id="receiver", owner="aaa", name="golden"),
        Share(image_id=OTHER, project_id="receiver"),
    ]


def test_outcomes_and_digests_can_be_asked_about() -> None:
    """Why was this held? The outcome event itself is enough to ask."""
    entry = {"image_id": IMAGE, "name": "golden", "owner": "aaa", "rule": None, "reason": "owner_not_allowed"}
    held = {
        "project_id": "receiver",
        "job_id": None,
        "policy_digest": "0" * 16,
        "images": [{**entry, "member_status": "pending", "error_code": None, "vault_id": None, "cause": "c"}],
    }
    digest = {
        "project_id": "receiver",
        "count": 1,
        "oldest_created_at": None,
        "images": [{**entry, "created_at": None}],
        "error": None,
    }
    share = Share(image_id=IMAGE, project_id="receiver", owner="aaa", name="golden")
    assert read_claims(event(EventType.HELD, held)) == [share]
    assert read_claims(event(EventType.PENDING, digest)) == [share]


def test_other_types_claim_nothing() -> None:
    """A scheduler's tick names no image."""
    assert read_claims(event("dev.knative.sources.ping", {"images": [IMAGE]})) == []


def test_malformed_data_is_refused() -> None:
    """As the functions would."""
    with pytest.raises(Rejected, match=r"data\.images"):
        read_claims(event(EventType.NOTIFIED, {"project_id": "receiver"}))
