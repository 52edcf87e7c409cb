"""The cloud's own services as sinks: which URNs are taken, which requests they get, and the bound."""

import json
from datetime import UTC, datetime

import pytest

from doorman.errors import Misconfigured
from doorman.events.cloudevents import from_structured
from doorman.models import CloudEvent
from doorman.sinks.huaweicloud import Target, deliver, find_beside, read_target
from tests.builders import whole

FUNCTION = Target(
    service="functiongraph",
    urn="urn:fss:eu-de:45c274f200d2498683982c8741fb76ac:function:default:doorman:latest",
    project_id="45c274f200d2498683982c8741fb76ac",
)
TOPIC = Target(
    service="smn",
    urn="urn:smn:eu-de:45c274f200d2498683982c8741fb76ac:doorman",
    project_id="45c274f200d2498683982c8741fb76ac",
)
TOLD = CloudEvent(
    id="1",
    source="/doorman/eu-de/p",
    type="dev.doorman.share.held.v1",
    time=datetime(2026, 1, 31, 8, 30, tzinfo=UTC),
    extensions={"causationid": "0", "severity": "action"},
    data={"project_id": "p", "images": [{"name": "größer"}]},
)
TEXT = (
    '{"specversion":"1.0","id":"1","source":"/doorman/eu-de/p","type":"dev.doorman.share.held.v1",'
    '"time":"2026-01-31T08:30:00Z","datacontenttype":"application/json","causationid":"0","severity":"action",'
    '"data":{"project_id":"p","images":[{"name":"größer"}]}}'
)


@pytest.mark.parametrize("target", [FUNCTION, TOPIC])
def test_a_sink_is_read_into_its_target(target: Target) -> None:
    """The URN names the service, and the project whose credentials it takes."""
    assert read_target(f"{target.service}:{target.urn}") == target


@pytest.mark.parametrize("urn", ["doorman", "doorman:v1.0", "doorman:!live"])
def test_a_function_may_be_named_without_version_with_one_or_by_alias(urn: str) -> None:
    """All three spellings are what the console shows."""
    full = f"urn:fss:eu-de:p:function:default:{urn}"
    assert read_target(f"functiongraph:{full}") == Target(service="functiongraph", urn=full, project_id="p")


@pytest.mark.parametrize(
    "sink",
    [
        "",
        "smn:",
        "smn:doorman",
        "http://broker",
        "smn:urn:fss:eu-de:p:function:default:doorman",
        "functiongraph:urn:smn:eu-de:p:doorman",
        "smn:urn:smn:eu-de:p:../topics",
        "smn:urn:smn:eu-de:p/../q:doorman",
        "smn:urn:smn:eu-de::doorman",
        f"smn:urn:smn:eu-de:{'p' * 65}:doorman",
        "smn:urn:smn:eu-de:p:doorman?x=1",
        "functiongraph:urn:fss:eu-de:p:function:default:doorman:latest:more",
    ],
)
def test_anything_else_is_no_sink(sink: str) -> None:
    """A URN goes into a URL path, so it is held to its form at the start."""
    with pytest.raises(Misconfigured, match="K_SINK: expected functiongraph:urn:fss:"):
        read_target(sink)


@pytest.mark.parametrize(
    ("target", "image", "base"),
    [
        (TOPIC, "https://ims.eu-de.otc.t-systems.com", "https://smn.eu-de.otc.t-systems.com"),
        (FUNCTION, "https://ims.eu-nl.otc.t-systems.com/", "https://functiongraph.eu-nl.otc.t-systems.com"),
        (TOPIC, "https://ims.ap-southeast-3.myhuaweicloud.com:443", "https://smn.ap-southeast-3.myhuaweicloud.com:443"),
        (TOPIC, "http://127.0.0.1:8774/image", "http://127.0.0.1:8774"),
        (FUNCTION, "https://imshop.example.com", "https://imshop.example.com"),
    ],
)
def test_the_services_stand_beside_the_image_service(target: Target, image: str, base: str) -> None:
    """One endpoint setting is enough for all of a region; a single host serves everything itself."""
    assert find_beside(image, target.service) == base


def test_a_function_is_invoked_with_the_event_itself() -> None:
    """The body is the CloudEvent in structured form."""
    assert deliver(TOLD, FUNCTION) == (
        f"/v2/{FUNCTION.project_id}/fgs/functions/{FUNCTION.urn}/invocations-async",
        TEXT.encode(),
    )


def test_a_topic_gets_the_event_as_text_under_a_subject_for_people() -> None:
    """Who reads it in a mailbox sees at once whether there is something to do."""
    path, body = deliver(TOLD, TOPIC)
    assert path == f"/v2/{TOPIC.project_id}/notifications/topics/{TOPIC.urn}/publish"
    assert json.loads(body) == {"subject": "[action] dev.doorman.share.held.v1", "message": TEXT}
    assert whole(from_structured(json.loads(json.loads(body)["message"]))) == TOLD


def test_a_subject_stays_short_and_needs_no_severity() -> None:
    """A subject of more than 512 bytes would be refused."""
    event = CloudEvent(id="1", source="/s", type="x" * 600)
    assert json.loads(deliver(event, TOPIC)[1])["subject"] == "x" * 120
