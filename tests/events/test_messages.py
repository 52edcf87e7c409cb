"""The data of events is held to its bounds at the door, and every refusal names the field."""

from datetime import UTC, datetime
from typing import Any

import pytest

from doorman.errors import Rejected
from doorman.events.messages import OUTCOMES, CheckData, CheckedShare, EventType, NotifiedData, validate
from doorman.events.outcomes import event_type
from doorman.events.schemas import DATA, OutcomeData
from doorman.models import OutcomeType

IMAGE = "6596628c-42d4-4ff1-8660-8ea5ae61f243"
NOTIFIED = {"project_id": "receiver", "images": [IMAGE]}
CHECK = {
    "project_id": "receiver",
    "job_id": "9a175ac692fa12540193005c340f321c",
    "status": "accepted",
    "images": [IMAGE],
    "vault_id": None,
    "submitted_at": "2026-01-02T03:04:05Z",
    "attempt": 1,
}
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def refusal(model: type[NotifiedData | CheckData], data: Any) -> str:
    """Say why data is refused."""
    with pytest.raises(Rejected) as caught:
        validate(model, data)
    return str(caught.value)


def test_least_notification() -> None:
    """A project and one image; it is the first try."""
    assert validate(NotifiedData, NOTIFIED) == NotifiedData(project_id="receiver", images=(IMAGE,), tries=1)


def test_whole_notification() -> None:
    """Image IDs are compared without case and counted once; what is not known is ignored."""
    data = {
        "project_id": "receiver",
        "images": [IMAGE.upper(), IMAGE],
        "owner": "x" * 1000,
        "tries": 3,
        "tried_vaults": ["v2", "v1", "v2"],
        "unknown": {},
    }
    read = validate(NotifiedData, data)
    assert (read.images, read.tries, read.tried_vaults) == ((IMAGE,), 3, ("v2", "v1"))


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("project_id", None, "data.project_id: expected a string"),
        ("project_id", "", "data.project_id: expected 1 to 64 of A-Z a-z 0-9 _ -"),
        ("project_id", "../v2", "data.project_id: expected 1 to 64 of A-Z a-z 0-9 _ -"),
        ("project_id", "a" * 65, "data.project_id: expected 1 to 64 of A-Z a-z 0-9 _ -"),
        ("images", None, "data.images: expected a list"),
        ("images", IMAGE, "data.images: expected a list"),
        ("images", {IMAGE: 1}, "data.images: expected a list"),
        ("images", [], "data.images: List should have at least 1 item after validation, not 0"),
        ("images", [IMAGE] * 1001, "data.images: List should have at most 1000 items after validation, not 1001"),
        ("images", [IMAGE, 5], "data.images[1]: expected a string"),
        ("images", [IMAGE, "../../x"], "data.images[1]: expected an image ID (a UUID)"),
        ("images", [IMAGE.replace("-", "")], "data.images[0]: expected an image ID (a UUID)"),
        ("owner", 5, "data.owner: expected a string"),
        ("tries", 0, "data.tries: Input should be greater than or equal to 1"),
        ("tries", "1", "data.tries: expected a whole number"),
        ("tries", 1.0, "data.tries: expected a whole number"),
        ("tries", True, "data.tries: expected a whole number"),
        ("tries", None, "data.tries: expected a whole number"),
        ("tries", 10**300, "data.tries: Input should be less than or equal to 1000000"),
        ("tried_vaults", ["a/b"], "data.tried_vaults[0]: expected 1 to 64 of A-Z a-z 0-9 _ -"),
        ("tried_vaults", ["v"] * 21, "data.tried_vaults: List should have at most 20 items after validation, not 21"),
    ],
)
def test_malformed_notification(field: str, value: Any, text: str) -> None:
    """Each field by its name, a list's item by its place."""
    assert refusal(NotifiedData, {**NOTIFIED, field: value}) == text


def test_missing_fields() -> None:
    """The first one is named."""
    assert refusal(NotifiedData, {}) == "data.project_id: missing"
    assert refusal(NotifiedData, {"project_id": "p"}) == "data.images: missing"
    assert refusal(CheckData, {**CHECK, "shares": {IMAGE: 5}}) == f"data.shares.{IMAGE}: expected a JSON object"


def test_least_check() -> None:
    """Follow this job; nothing is known of its shares."""
    assert validate(CheckData, CHECK) == CheckData(
        project_id="receiver",
        job_id="9a175ac692fa12540193005c340f321c",
        status="accepted",
        images=(IMAGE,),
        vault_id=None,
        submitted_at=WHEN,
        attempt=1,
        tries=1,
        tried_vaults=(),
        shares={},
    )


def test_shares_are_found_by_image() -> None:
    """Whatever the case in which their sender wrote the ID, as with `images`."""
    share = {"name": "n", "owner": "o", "rule": "r", "cause": "c", "more": 1}
    read = validate(CheckData, {**CHECK, "images": [IMAGE.upper()], "shares": {IMAGE.upper(): share}})
    assert read.shares == {read.images[0]: CheckedShare(name="n", owner="o", rule="r", cause="c")}


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("job_id", "../jobs", "data.job_id: expected 1 to 64 of A-Z a-z 0-9 _ -"),
        ("job_id", None, "data.job_id: expected a string"),
        ("status", "pending", "data.status: Input should be 'accepted' or 'rejected'"),
        ("status", "ACCEPTED", "data.status: Input should be 'accepted' or 'rejected'"),
        ("vault_id", "a b", "data.vault_id: expected 1 to 64 of A-Z a-z 0-9 _ -"),
        ("attempt", 0, "data.attempt: Input should be greater than or equal to 1"),
        ("submitted_at", 0, "data.submitted_at: expected RFC 3339, such as 2026-01-31T08:30:00Z"),
        ("submitted_at", 1e308, "data.submitted_at: expected RFC 3339, such as 2026-01-31T08:30:00Z"),
        ("submitted_at", None, "data.submitted_at: expected RFC 3339, such as 2026-01-31T08:30:00Z"),
        ("submitted_at", "1769848200", "data.submitted_at: expected RFC 3339, such as 2026-01-31T08:30:00Z"),
        ("submitted_at", "2026-01-31T08:30:00", "data.submitted_at: expected RFC 3339, such as 2026-01-31T08:30:00Z"),
        ("shares", [], "data.shares: expected a JSON object"),
        ("shares", {"x": {}}, "data.shares.x.[key]: expected an image ID (a UUID)"),
        ("shares", {IMAGE: {"name": 5}}, f"data.shares.{IMAGE}.name: expected a string"),
        (
            "shares",
            {IMAGE: {"cause": "x" * 257}},
            f"data.shares.{IMAGE}.cause: String should have at most 256 characters",
        ),
    ],
)
def test_malformed_check(field: str, value: Any, text: str) -> None:
    """A job ID that would leave its path, a time that is none, shares that are no shares."""
    assert refusal(CheckData, {**CHECK, field: value}) == text


def test_naive_time_of_our_own_is_refused() -> None:
    """A time without zone is no moment."""
    naive = WHEN.replace(tzinfo=None)
    assert refusal(CheckData, {**CHECK, "submitted_at": naive}) == "data.submitted_at: Input should have timezone info"


def test_every_type_has_its_model() -> None:
    """So has each way in which an image ends; all but the decision, which is told before the call, are outcomes."""
    assert set(DATA) == set(EventType)
    assert {event_type(kind) for kind in OutcomeType} - {EventType.DECIDED} == OUTCOMES
    assert {DATA[kind] for kind in OUTCOMES} == {OutcomeData}
