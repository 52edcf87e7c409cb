"""CTS traces into notifications: which lead where, and how little of a trace is needed."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from doorman.entrypoints.functiongraph.cts import Ignored, read_trace
from doorman.errors import Rejected
from doorman.models import CloudEvent

RECEIVER = "5a1f0c7e2b944d0f8d3c6b7a8e9f0012"
SHARER = "9c61004714024f9586705d090530f9fa"
IMAGE = "6596628c-42d4-4ff1-8660-8ea5ae61f243"
OTHER_IMAGE = "7a2f61d0-0d57-4e0d-93a5-2b5f0c1f4a77"


def trace(**changes: Any) -> dict[str, Any]:
    """Write an addMember trace of the batch call, as the sharer's project records it."""
    return {
        "time": 1765788999507,
        "user": {"name": "alice", "id": "5b726c4fbfd84821ba866bafaaf56aa0", "domain": {"name": "OTC000000000012345"}},
        "request": {"images": [IMAGE], "projects": [RECEIVER]},
        "response": {"job_id": "edc89b490d7d4392898e19b2deb34797"},
        "code": 200,
        "service_type": "IMS",
        "resource_type": "ims",
        "resource_name": "golden",
        "resource_id": IMAGE,
        "trace_name": "addMember",
        "trace_rating": "normal",
        "trace_type": "ApiCall",
        "record_time": 1765788999800,
        "trace_id": "ae8b3f6e-d987-11f0-9e59-fa163e6c4d54",
        "project_id": SHARER,
        **changes,
    }


def notified(project_id: str, images: list[str], **changes: Any) -> CloudEvent:
    """Write the notification that the trace above stands for."""
    told = {
        "id": "ae8b3f6e-d987-11f0-9e59-fa163e6c4d54",
        "source": "/functiongraph/cts",
        "type": "dev.doorman.share.notified.v1",
        "time": datetime(2025, 12, 15, 8, 56, 39, 507000, UTC),
        "data": {"project_id": project_id, "images": images},
    }
    return CloudEvent(**{**told, **changes})


NATIVE: dict[str, Any] = {"request": {"member": RECEIVER}, "response": {"member_id": RECEIVER, "image_id": IMAGE}}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"request": json.dumps({"images": [IMAGE], "projects": [RECEIVER]})},
        {"request": {"images": [IMAGE, IMAGE], "projects": [SHARER, RECEIVER, RECEIVER]}},
        {"request": {"images": IMAGE, "projects": RECEIVER}},
        {"request": {"image_id": IMAGE, "member": RECEIVER}, "resource_id": "golden"},
        NATIVE,
        {**NATIVE, "request": None, "resource_id": None},
        {**NATIVE, "request": "free text", "response": json.dumps(NATIVE["response"])},
        {"request": None, "response": None, "project_id": RECEIVER},
        {"code": "201", "service_type": "ims", "trace_name": "ADDMEMBER"},
        *({"code": code} for code in (None, 0, "0", "", 2, 2000)),
        {"code": 200, "trace_rating": "warning"},
    ],
)
def test_a_share_is_read_however_the_trace_spells_it(changes: dict[str, Any]) -> None:
    """The batch and the native call, objects and JSON text, or only the resource and the project: one notification."""
    assert read_trace(trace(**changes), {RECEIVER}) == [notified(RECEIVER, [IMAGE])]


def test_each_served_project_gets_its_own_notification() -> None:
    """One trace may share with many projects; those that are not served are ignored."""
    shared = trace(request={"images": [IMAGE, OTHER_IMAGE], "projects": ["mine", "theirs", "mine-too"]})
    found = read_trace(shared, {"mine", "mine-too"})
    assert found == [notified("mine", [IMAGE, OTHER_IMAGE]), notified("mine-too", [IMAGE, OTHER_IMAGE])]


def test_more_images_than_an_event_carries_are_spread_over_several() -> None:
    """A notification names at most 1000 images."""
    images = [f"6596628c-42d4-4ff1-8660-{number:012x}" for number in range(2001)]
    events = read_trace(trace(request={"images": images, "projects": [RECEIVER]}), {RECEIVER})
    assert events == [notified(RECEIVER, images[start : start + 1000]) for start in (0, 1000, 2000)]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"service_type": "ECS"}, Ignored.OTHER_SERVICE),
        ({"service_type": None}, Ignored.OTHER_SERVICE),
        *(
            ({"trace_name": name}, Ignored.OTHER_OPERATION)
            for name in ("createImage", "updateMember", "deleteMember", "deleteMemeber", "", None, ["addMember"])
        ),
        *(({"code": code}, Ignored.OPERATION_FAILED) for code in (400, "403", 500, 302)),
        *(
            ({"code": 0, "trace_rating": rating}, Ignored.OPERATION_FAILED)
            for rating in ("warning", "incident", None, "", 7)
        ),
        ({"request": {"images": [IMAGE], "projects": [SHARER]}}, Ignored.PROJECT_NOT_SERVED),
        ({"request": {"images": [IMAGE]}}, Ignored.PROJECT_NOT_SERVED),
        ({"request": {"images": [IMAGE]}, "project_id": None}, Ignored.PROJECT_NOT_SERVED),
        ({"request": {"images": [IMAGE], "projects": [7, {}, ""]}}, Ignored.PROJECT_NOT_SERVED),
        ({"request": {"projects": [RECEIVER]}, "resource_id": "golden"}, Ignored.NO_IMAGE_NAMED),
        ({"request": {"projects": [RECEIVER], "images": [7]}, "resource_id": None}, Ignored.NO_IMAGE_NAMED),
    ],
)
def test_every_other_trace_asks_nothing_and_says_why(changes: dict[str, Any], reason: Ignored) -> None:
    """Other services and operations, failed ones, other projects: each is ignored under its own name."""
    assert read_trace(trace(**changes), {RECEIVER}) is reason


@pytest.mark.parametrize("trace_id", [None, "", 7, "x" * 257, "two\nlines"])
def test_a_share_whose_trace_can_name_no_event_is_malformed(trace_id: Any) -> None:
    """The trace's id becomes the causing id of everything that follows."""
    with pytest.raises(Rejected, match=r"cts\.trace_id: expected a string of 1 to 256 characters"):
        read_trace(trace(trace_id=trace_id), {RECEIVER})


@pytest.mark.parametrize(
    ("changes", "time"),
    [
        ({"time": "", "record_time": 1765788999800}, datetime(2025, 12, 15, 8, 56, 39, 800000, UTC)),
        ({"time": "1765788999507"}, datetime(2025, 12, 15, 8, 56, 39, 507000, UTC)),
        ({"time": "2025-12-15T08:56:39Z"}, datetime(2025, 12, 15, 8, 56, 39, tzinfo=UTC)),
        ({"time": None, "record_time": None}, None),
        ({"time": 10**30, "record_time": "yesterday"}, None),
        ({"time": {}, "record_time": -(10**17)}, None),
    ],
)
def test_the_time_of_a_trace_is_read_where_there_is_one(changes: dict[str, Any], time: datetime | None) -> None:
    """Milliseconds, also as text, or RFC 3339; the recording counts where the operation's time is missing."""
    assert read_trace(trace(**changes), {RECEIVER}) == [notified(RECEIVER, [IMAGE], time=time)]


@pytest.mark.parametrize("receivers", [(), (RECEIVER, "another")])
def test_a_sender_tells_whom_it_is_to_tell(receivers: tuple[str, ...]) -> None:
    """Everybody whom the trace names, or of these those that are known behind the sink; never the sharer itself."""
    shared = trace(request={"images": [IMAGE], "projects": [SHARER, RECEIVER, "another", "third"]})
    told = read_trace(shared, receivers, is_sender=True)
    wanted = receivers or (RECEIVER, "another", "third")
    assert told == [notified(project, [IMAGE]) for project in wanted]
    assert read_trace(trace(request={"images": [IMAGE]}), receivers, is_sender=True) is Ignored.PROJECT_NOT_SERVED


@pytest.mark.parametrize("name", ["deleteMember", "deleteMemeber"])
def test_a_sender_tells_of_shares_that_were_taken_back(name: str) -> None:
    """Without a time: nobody need wait for a share that will not come."""
    assert read_trace(trace(trace_name=name), (), is_sender=True) == [notified(RECEIVER, [IMAGE], time=None)]
    assert read_trace(trace(trace_name="updateMember"), (), is_sender=True) is Ignored.OTHER_OPERATION


def test_a_sender_makes_no_trace_many_times_larger() -> None:
    """Receivers times thousands of images: a quarter of a megabyte would become gigabytes of notices."""
    many = trace(request={"images": [f"i{n}" for n in range(2001)], "projects": [f"p{n}" for n in range(86)]})
    with pytest.raises(Rejected, match=r"^payload: leads to 258 notices; send what leads to at most 256$"):
        read_trace(many, (), is_sender=True)
