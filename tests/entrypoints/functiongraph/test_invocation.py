"""Invocations on FunctionGraph, against the sandbox cloud: whole runs, follow-ups, lent credentials, answers."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from structlog.testing import capture_logs

from doorman.bootstrap import Connections
from doorman.cloud.auth.credentials import from_settings, list_served
from doorman.entrypoints.functiongraph.invocation import Invocations
from doorman.entrypoints.http import Reply
from doorman.events.cloudevents import read, to_structured
from doorman.events.messages import TICK
from doorman.models import CloudEvent
from doorman.policy.policy import load
from doorman.runtime.clock import SystemClock
from doorman.runtime.http import Clients
from doorman.sandbox.cloud import create_app
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud
from doorman.settings import Settings
from tests.builders import ENVIRON, GOLDEN, POLICY, RECEIVER, STRANGER, trace, whole

BASE = "http://cloud.test"
OURS = {name: value for name, value in ENVIRON.items() if name not in {"K_SINK", "OS_REGION_NAME"}}
IMAGE = "6596628c-42d4-4ff1-8660-8ea5ae61f243"
LENT = {"OS_IMAGE_ENDPOINT_OVERRIDE": BASE}
TIMER = {"trigger_type": "TIMER", "trigger_name": "sweep", "time": "2026-01-31T08:30:00Z", "user_event": ""}


@pytest.fixture
def cloud() -> Cloud:
    """A cloud with our user, whose jobs end at once."""
    cloud = Cloud()
    cloud.settings.job_seconds = 0
    user = cloud.add_user("doorman", "secret", [RECEIVER, "second"])
    cloud.add_access_key("AK", "SK", user, RECEIVER, security_token="ST")
    return cloud


@pytest.fixture
def told() -> list[CloudEvent]:
    """What a sink of the test's own has taken."""
    return []


@pytest.fixture
def sink(told: list[CloudEvent]) -> Iterator[str]:
    """The URL of that sink."""

    async def take(request: Request) -> Response:
        told.extend(whole(event) for event in read(request.headers, await request.body()))
        return Response(status_code=202)

    with serve(Starlette(routes=[Route("/", take, methods=["POST"])])) as url:
        yield url


def invoke(
    cloud: Cloud,
    *payloads: Any,
    environ: Mapping[str, str] = OURS,
    headers: Mapping[str, str] | None = None,
    at_once: bool = False,
) -> list[Reply]:
    """Invoke one process once for each payload, in turn or at once."""
    settings = Settings.from_environ(environ, is_sink_required=False, is_login_required=False)

    async def run() -> list[Reply]:
        transport = httpx.ASGITransport(app=create_app(cloud))
        async with httpx.AsyncClient(transport=transport) as client, httpx.AsyncClient() as sink_client:
            clock = SystemClock()
            connections = Connections(
                settings=settings,
                clock=clock,
                cloud=Clients(lambda: client),
                sink=Clients(lambda: sink_client),
                credentials=from_settings(list_served(settings.identity), client=client, clock=clock),
            )
            door = Invocations(connections, load(POLICY))
            bodies = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in payloads]
            calls = [door.answer(headers=httpx.Headers(headers or {}), body=body) for body in bodies]
            return await asyncio.gather(*calls) if at_once else [await call for call in calls]

    return asyncio.run(run())


def added(*images: str, **changes: Any) -> dict[str, Any]:
    """Write the trace of a share as CTS brings it."""
    return {"cts": trace(*images, **changes)}


def told_in(lines: list[Any]) -> list[tuple[str, list[str]]]:
    """Give the outcomes that stand in the log: their kind, and the reasons."""
    return [
        (line["event_type"].split(".")[-2], [image["reason"] for image in line["data"]["images"]])
        for line in lines
        if line["event"] == "event.told"
    ]


def test_without_a_sink_a_trace_is_followed_to_its_outcome(cloud: Cloud) -> None:
    """One invocation decides, settles, follows the job, reads back and tells."""
    golden, strange = cloud.add_share(GOLDEN, RECEIVER), cloud.add_share(STRANGER, RECEIVER)
    with capture_logs() as lines:
        replies = invoke(cloud, added(golden, strange))
    assert replies == [
        Reply(status=200, text='{"events":1,"ignored":[]}', headers={"Content-Type": "application/json"})
    ]
    assert cloud.member_status(golden, RECEIVER) == "accepted"
    assert cloud.member_status(strange, RECEIVER) == "pending"
    assert told_in(lines) == [("held", ["owner_not_allowed"]), ("accepted", ["allowed_owner"])]
    found = [(line["event_type"], line["http_status"]) for line in lines if line["event"] == "event.handled"]
    assert found == [("dev.doorman.share.notified.v1", 204), ("dev.doorman.job.check.v1", 204)]
    assert "alice" not in str(lines)


def test_without_a_sink_each_project_is_followed(cloud: Cloud) -> None:
    """The jobs of a payload's traces, each by its own project."""
    images = {project: cloud.add_share(GOLDEN, project) for project in (RECEIVER, "second")}
    traces = [added(image, request={"images": [image], "projects": [each]}) for each, image in images.items()]
    payload = {"record": [{"smn": {"message": json.dumps(trace)}} for trace in traces]}
    (reply,) = invoke(cloud, payload, environ={**OURS, "OS_PROJECT_ID": f"{RECEIVER},second"})
    assert reply.status == 200
    assert [cloud.member_status(image, project) for project, image in images.items()] == ["accepted"] * 2
    assert cloud.jobs.keys() == {call.path.rpartition("/")[2] for call in cloud.calls if "/jobs/" in call.path}


def test_what_strangers_claim_stops_nothing_that_follows(cloud: Cloud, sink: str, told: list[CloudEvent]) -> None:
    """Copies of a check are followed like it; one that a step more takes out of its bounds is given up alone."""
    cloud.settings.job_seconds = 1
    invoke(cloud, added(cloud.add_share(GOLDEN, RECEIVER)), environ={**OURS, "K_SINK": sink})
    check = to_structured(told[1])
    late = {**check, "id": "late", "data": {**check["data"], "attempt": 1_000_000}}
    copies = [{"smn": {"message": json.dumps(each)}} for each in (check, {**check, "id": "copy"}, late)]
    with capture_logs() as lines:
        (reply,) = invoke(cloud, {"record": copies}, environ={**OURS, "DOORMAN_CHECK_BUDGET": "0"})
    assert (reply.status, reply.text.partition(":")[0]) == (503, "data.attempt")
    assert told_in(lines) == [("accepted", ["allowed_owner"])] * 2
    assert {line["project_id"] for line in lines if line["event"] == "event.handled"} == {RECEIVER}


def test_a_project_without_login_stops_no_other(cloud: Cloud, tmp_path: Path) -> None:
    """Only a login can tell which project it is; what follows for another one is done all the same."""
    golden = cloud.add_share(GOLDEN, RECEIVER)
    auth = {key.removeprefix("OS_").lower(): value for key, value in OURS.items() if key != "OS_PROJECT_ID"}
    entries = {"good": {"project_id": RECEIVER}, "bad": {"project_name": "x", "project_domain_name": "Default"}}
    (tmp_path / "clouds.yaml").write_text(json.dumps({"clouds": {k: {"auth": auth | v} for k, v in entries.items()}}))
    environ = {"OS_CLOUD": "good,bad", "OS_CLIENT_CONFIG_FILE": str(tmp_path / "clouds.yaml")}
    assert [reply.status for reply in invoke(cloud, added(golden), environ=environ)] == [200]


def test_without_a_sink_a_tick_is_the_whole_run(cloud: Cloud) -> None:
    """What `doorman run` does: everything that waits is decided, settled, followed and told."""
    golden, strange = cloud.add_share(GOLDEN, RECEIVER), cloud.add_share(STRANGER, RECEIVER)
    with capture_logs() as lines:
        (reply,) = invoke(cloud, TIMER)
    assert reply.status == 200
    assert cloud.member_status(golden, RECEIVER) == "accepted"
    assert cloud.member_status(strange, RECEIVER) == "pending"
    assert sorted(told_in(lines)) == [("accepted", ["allowed_owner"]), ("held", ["owner_not_allowed"])]
    (handled,) = (line for line in lines if line["event"] == "event.handled")
    assert (handled["event_type"], handled["accepted"], handled["held"]) == ("dev.knative.sources.ping", 1, 1)
    assert handled["api_calls"] == len(cloud.calls_to("GET", "/v2/cloudimages")) + 3


def test_ticks_of_one_payload_are_one_run(cloud: Cloud) -> None:
    """However many it brings; a compressed payload is refused by that name."""
    golden = cloud.add_share(GOLDEN, RECEIVER)
    ticks = [json.dumps({"specversion": "1.0", "id": str(n), "source": "/s", "type": TICK}) for n in range(100)]
    with capture_logs() as lines:
        (reply,) = invoke(cloud, {"trigger_type": "KAFKA", "records": [{"messages": ticks}]})
    assert reply.status == 200
    assert cloud.member_status(golden, RECEIVER) == "accepted"
    assert len(cloud.calls) < 20
    assert told_in(lines) == [("accepted", ["allowed_owner"])]
    assert invoke(cloud, TIMER, headers={"content-encoding": "gzip"}) == [
        Reply(status=415, text="content-encoding: gzip is not read; send the body as it is")
    ]


def test_calls_join_a_run(cloud: Cloud) -> None:
    """Ten timers at once are two runs at most."""
    cloud.add_share(STRANGER, RECEIVER)
    with capture_logs() as lines:
        replies = invoke(cloud, *[TIMER] * 10, at_once=True)
    assert [reply.status for reply in replies] == [200] * 10
    assert told_in(lines) in ([("held", ["owner_not_allowed"])], [("held", ["owner_not_allowed"])] * 2)


def test_a_run_that_gave_up_is_tried_again(cloud: Cloud) -> None:
    """A project that cannot be read is named, and the engine is asked to come again."""
    cloud.settings.keystone_down = True
    with capture_logs() as lines:
        (reply,) = invoke(cloud, TIMER)
    assert reply.status == 503
    (trouble,) = (line for line in lines if line["event"] == "run.trouble")
    assert (trouble["project_id"], trouble["images"]) == (RECEIVER, ())


@pytest.mark.parametrize("is_lent", [True, False])
def test_timer_asks_for_doctor(cloud: Cloud, is_lent: bool) -> None:  # noqa: FBT001 - a table
    """The answer has all findings, by what the call lends; each is a log line as well, and nothing is settled."""
    cloud.add_share(GOLDEN, RECEIVER)
    (user,) = cloud.directory.users.values()
    token = cloud.directory.issue(user, RECEIVER, ("token",)).id
    headers = {"X-CFF-Project-Id": RECEIVER, "X-CFF-Auth-Token": token} if is_lent else {}
    wish = {**TIMER, "user_event": '{"action": "doctor"}'}
    with serve(create_app(cloud)) as url, capture_logs() as logs:
        environ = {"OS_IMAGE_ENDPOINT_OVERRIDE": url} if is_lent else {**OURS, "OS_AUTH_URL": f"{url}/v3"}
        (reply,) = invoke(cloud, wish, environ=environ, headers=headers)
    found = json.loads(reply.text)
    assert (reply.status, [each["check"] for each in found if each["mark"] == "mend"]) == (200, [])
    assert {each["project"] for each in found} == {None, RECEIVER}
    assert [line for line in logs if line["event"] == "doctor.finding"] == [
        {"event": "doctor.finding", "log_level": "info", **each} for each in found
    ]
    assert next(each["text"] for each in found if each["check"] == "waiting").startswith("1 share to decide; ")
    assert cloud.writes == []


def test_with_a_sink_follow_ups_go_there(cloud: Cloud, sink: str, told: list[CloudEvent]) -> None:
    """Each invocation does its own part; the next one is the sink's to deliver."""
    golden = cloud.add_share(GOLDEN, RECEIVER)
    environ = {**OURS, "K_SINK": sink}
    assert [reply.status for reply in invoke(cloud, TIMER, environ=environ)] == [200]
    assert [event.type for event in told] == ["dev.doorman.share.notified.v1", "dev.doorman.shares.pending.v1"]
    assert cloud.member_status(golden, RECEIVER) == "pending"
    invoke(cloud, *(to_structured(event) for event in list(told)), environ=environ)
    assert [event.type for event in told[2:]] == ["dev.doorman.share.decided.v1", "dev.doorman.job.check.v1"]
    invoke(cloud, to_structured(told[3]), environ=environ)
    assert (told[4].type, told[4].extensions["causationid"]) == ("dev.doorman.share.accepted.v1", told[3].id)
    assert len(told) == 5


def test_the_office_stays_open_between_invocations(cloud: Cloud, sink: str) -> None:
    """One login serves them all."""
    invoke(cloud, TIMER, TIMER, TIMER, environ={**OURS, "K_SINK": sink})
    assert len(cloud.calls_to("POST", "/identity/v3/auth/tokens")) == 1


@pytest.mark.parametrize("projects", [{}, {"OS_PROJECT_ID": RECEIVER}])
@pytest.mark.parametrize("kind", ["keys", "token"])
def test_lent_credentials_are_used(cloud: Cloud, kind: str, projects: dict[str, str]) -> None:
    """Temporary keys or a token of the function's agency, for the projects named or the function's own."""
    golden = cloud.add_share(GOLDEN, RECEIVER)
    headers = {"X-CFF-Project-Id": RECEIVER, "X-CFF-Auth-Token": "null"}
    if kind == "keys":
        headers |= {"X-CFF-Security-Access-Key": "AK", "X-CFF-Security-Secret-Key": "SK", "X-CFF-Security-Token": "ST"}
    else:
        identity = {
            "methods": ["password"],
            "password": {"user": {"name": "doorman", "password": "secret", "domain": {"name": "Default"}}},
        }
        token = cloud.directory.login({"identity": identity, "scope": {"project": {"id": RECEIVER}}})
        headers |= {
            "X-CFF-Auth-Token": token.id,
            "X-CFF-Security-Access-Key": "null",
            "X-CFF-Security-Secret-Key": "null",
        }
    with capture_logs() as lines:
        (reply,) = invoke(cloud, added(golden), environ={**LENT, **projects}, headers=headers)
    assert reply.status == 200
    assert cloud.member_status(golden, RECEIVER) == "accepted"
    assert cloud.calls_to("POST", "/identity/v3/auth/tokens") == []
    for secret in headers.values():
        assert secret in {"null", RECEIVER, "AK", "SK", "ST"} or secret not in str(lines)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-CFF-Project-Id": RECEIVER},
        {"X-CFF-Project-Id": RECEIVER, "X-CFF-Auth-Token": "null", "X-CFF-Security-Access-Key": "null"},
        {"X-CFF-Project-Id": RECEIVER, "X-CFF-Security-Access-Key": "AK", "X-CFF-Security-Secret-Key": " null "},
        {"X-CFF-Project-Id": "../receiver", "X-CFF-Auth-Token": "token"},
        {"X-CFF-Auth-Token": "token"},
    ],
)
def test_a_call_without_credentials_is_asked_to_come_again(cloud: Cloud, headers: dict[str, str]) -> None:
    """Nothing is done, and the answer says what the function lacks."""
    (reply,) = invoke(cloud, TIMER, environ={**LENT, "OS_PROJECT_ID": RECEIVER}, headers=headers)
    found = (reply.status, reply.text)
    assert found == (503, "the call brings no credentials: give the function an agency, and include its keys")
    assert list(cloud.calls) == []


def test_without_an_endpoint_lent_credentials_give_way_to_ours(cloud: Cloud) -> None:
    """They know no catalog; our own login does."""
    headers = {"X-CFF-Project-Id": RECEIVER, "X-CFF-Auth-Token": "token"}
    assert [reply.status for reply in invoke(cloud, TIMER, headers=headers)] == [200]
    assert len(cloud.calls_to("POST", "/identity/v3/auth/tokens")) == 1


@pytest.mark.parametrize(
    ("payload", "answer"),
    [
        (b"", (400, "payload: not JSON (EOF while parsing a value at line 1 column 0)")),
        (added("a", code=403), (200, '{"events":0,"ignored":["operation_failed"]}')),
        ({"record": [{"smn": {"message": "hello"}}]}, (200, '{"events":0,"ignored":["not_an_event"]}')),
    ],
)
def test_strange_payloads_write_nothing(cloud: Cloud, payload: Any, answer: tuple[int, str]) -> None:
    """They are answered once, and never worth a retry."""
    cloud.add_share(GOLDEN, RECEIVER)
    (reply,) = invoke(cloud, payload)
    assert (reply.status, reply.text) == answer
    assert cloud.writes == []


def test_a_neighbour_does_not_stop_what_can_be_done(cloud: Cloud) -> None:
    """Of several records each is worked off for itself; the answer is that of the worst."""
    golden = cloud.add_share(GOLDEN, RECEIVER)
    bad = {**added("no-id")["cts"], "trace_id": "trace-2"}
    messages = [json.dumps(bad), "hello", json.dumps(added(golden))]
    (reply,) = invoke(cloud, {"record": [{"smn": {"message": message}} for message in messages]})
    assert (reply.status, reply.text) == (400, "data.images[0]: expected an image ID (a UUID)")
    assert cloud.member_status(golden, RECEIVER) == "accepted"


def test_a_cloud_that_is_down_is_tried_again_later(cloud: Cloud) -> None:
    """503 outweighs 400: a retry is safe, and may help."""
    golden = cloud.add_share(GOLDEN, RECEIVER)
    cloud.settings.keystone_down = True
    messages = [json.dumps(added("no-id")), json.dumps(added(golden))]
    (reply,) = invoke(cloud, {"record": [{"smn": {"message": message}} for message in messages]})
    assert reply.status == 503
    assert reply.headers["Retry-After"].isdecimal()


def test_a_project_that_is_only_known_by_name_needs_the_login(cloud: Cloud) -> None:
    """While the login fails nobody can tell whom a trace concerns."""
    cloud.add_project("named", name="landing-zone")
    environ = {key: value for key, value in OURS.items() if key != "OS_PROJECT_ID"}
    cloud.settings.keystone_down = True
    (reply,) = invoke(cloud, TIMER, environ={**environ, "OS_PROJECT_NAME": "landing-zone"})
    assert reply.status == 503


def test_a_trace_may_be_of_a_project_whose_login_fails(cloud: Cloud) -> None:
    """Of two that are known by name one is found: what concerns it is done, and what may be the other's comes again."""
    cloud.add_project(RECEIVER, name="landing-zone")
    golden = cloud.add_share(GOLDEN, RECEIVER)
    environ = {key: value for key, value in OURS.items() if key != "OS_PROJECT_ID"}
    strange = added(golden, request={"images": [golden], "projects": ["other"]}, trace_id="trace-2")
    messages = [{"smn": {"message": json.dumps(trace)}} for trace in (added(golden), strange)]
    (reply,) = invoke(cloud, {"record": messages}, environ={**environ, "OS_PROJECT_NAME": "landing-zone\nnowhere"})
    assert (reply.status, cloud.member_status(golden, RECEIVER)) == (503, "accepted")


SHARED_AT = datetime(2026, 1, 31, 8, 30, tzinfo=UTC)


def test_a_sender_passes_its_traces_on_without_any_login(cloud: Cloud, sink: str, told: list[CloudEvent]) -> None:
    """One notice for each receiver, as its own events look; nothing is read and nothing decided."""
    shared = added(IMAGE, time=SHARED_AT.isoformat(), request={"images": [IMAGE], "projects": [RECEIVER, "another"]})
    environ = {"DOORMAN_MODE": "forward", "K_SINK": sink, "OS_REGION_NAME": "eu-de"}
    with capture_logs() as lines:
        (reply,) = invoke(cloud, shared, environ=environ)
    assert (reply.status, reply.text) == (200, '{"events":2,"ignored":[]}')
    found = {event.source: event for event in told}
    assert sorted(found) == ["/doorman/eu-de/another", f"/doorman/eu-de/{RECEIVER}"]
    event = found[f"/doorman/eu-de/{RECEIVER}"]
    assert (event.type, event.time, event.subject) == ("dev.doorman.share.notified.v1", SHARED_AT, IMAGE)
    assert event.data == {"project_id": RECEIVER, "images": [IMAGE]}
    assert event.extensions == {"causationid": "trace-1", "correlationid": "trace-1"}
    assert len({event.id for event in told}) == 2
    assert [line["notified"] for line in lines if line["event"] == "event.handled"] == [1, 1]
    assert list(cloud.calls) == []


def test_a_sender_tells_only_those_behind_its_sink(cloud: Cloud, sink: str, told: list[CloudEvent]) -> None:
    """OS_PROJECT_ID names them; what others would refuse is not sent."""
    environ = {"DOORMAN_MODE": "forward", "K_SINK": sink, "OS_PROJECT_ID": "another"}
    (reply,) = invoke(cloud, added(IMAGE), environ=environ)
    assert (reply.status, reply.text, told) == (200, '{"events":0,"ignored":["project_not_served"]}', [])


def test_a_sender_is_called_again_where_the_sink_is_away(cloud: Cloud) -> None:
    """What is malformed, however, stays so: an ID that no receiver would take is not sent."""
    environ = {"DOORMAN_MODE": "forward", "K_SINK": "http://127.0.0.1:9/"}
    strange = added(IMAGE, request={"images": [IMAGE], "projects": ["../x"]})
    replies = invoke(cloud, added(IMAGE), strange, environ=environ)
    assert [reply.status for reply in replies] == [503, 400]


def test_a_sender_publishes_to_a_topic_with_lent_keys(cloud: Cloud) -> None:
    """The keys sign for the project that the topic lies in, which need not be the sender's."""
    urn = f"urn:smn:eu-de:{RECEIVER}:notices"
    cloud.add_topic(urn)
    environ = {"DOORMAN_MODE": "forward", "K_SINK": f"smn:{urn}", **LENT, "OS_PROJECT_ID": RECEIVER}
    keys = {"access-key": "AK", "secret-key": "SK", "token": "ST"}
    headers = {"x-cff-project-id": "sharer", **{f"x-cff-security-{name}": value for name, value in keys.items()}}
    with serve(create_app(cloud)) as url:
        environ |= {"OS_IMAGE_ENDPOINT_OVERRIDE": url}
        replies = invoke(cloud, added(IMAGE), environ=environ, headers=headers)
        replies += invoke(cloud, added(IMAGE), environ=environ)
    assert [reply.status for reply in replies] == [200, 503]
    assert [json.loads(each.message)["data"] for each in cloud.topics.published] == [
        {"project_id": RECEIVER, "images": [IMAGE]}
    ]
