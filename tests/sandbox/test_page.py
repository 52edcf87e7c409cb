"""The page's side of the sandbox: who may use it, what its feed tells, what its endpoints do; see also `tests/page`."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from doorman.policy.policy import load
from doorman.sandbox import broker as brokers
from doorman.sandbox import cloud as clouds
from doorman.sandbox import world
from doorman.sandbox.assembly import environment
from doorman.sandbox.broker import Broker
from doorman.sandbox.delivery import Arrival, DeadLetter, Delivery
from doorman.sandbox.envelope import Event
from doorman.sandbox.page.feed import PART, Feed
from doorman.sandbox.page.guard import Guard, refuse
from doorman.sandbox.page.routes import Page
from doorman.sandbox.page.what_if import read_shares, try_out
from doorman.sandbox.records import Call, Job
from doorman.sandbox.samples import EVENTS, POLICY
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud

TYPE = "dev.doorman.share."
IMAGE = world.image_id("golden-base")


@contextmanager
def served(tmp_path: Path) -> Iterator[tuple[httpx.Client, Broker, Cloud]]:
    """The sample world and a broker without functions, with the page beside."""
    cloud, broker, settings = Cloud(), Broker(), dict[str, str]()
    world.build(cloud)
    page = Page(cloud, broker, {}, settings, tmp_path)
    with (
        serve(Guard(clouds.create_app(cloud, page.routes()))) as url,
        serve(Guard(brokers.create_app(broker))) as sink,
        httpx.Client(base_url=url, trust_env=False, timeout=60) as client,
    ):
        settings |= environment(url, sink + broker.path, POLICY)
        yield client, broker, cloud


def arrive(broker: Broker, kind: str, data: dict[str, Any], at: float, **more: str) -> Arrival:
    """Let an event come in."""
    attributes = {"id": f"{kind}-{at}", "type": f"{TYPE}{kind}.v1", "source": "/test", **more}
    arrival = Arrival(Event(attributes, json.dumps(data).encode()), at)
    broker.arrivals.append(arrival)
    return arrival


def everything(feed: Feed) -> dict[str, Any]:
    """What a page that comes now is told at first."""
    asyncio.run(feed.catch_up())
    return feed.since(0)[1]


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        ({"host": "127.0.0.1:8400"}, None),
        ({"host": "localhost"}, None),
        ({"host": "[::1]:8400", "origin": "http://[::1]:8400"}, None),
        ({"host": "127.0.0.1:8400", "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}, None),
        ({"host": "127.0.0.1:8400", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, None),
        ({}, "Host"),
        ({"host": "evil.example:8400"}, "Host"),
        ({"host": "127.0.0.1.evil.example"}, "Host"),
        ({"host": "localhost:80@evil.example"}, "Host"),
        ({"host": "127.0.0.1:8400", "origin": "http://evil.example"}, "Origin"),
        ({"host": "127.0.0.1:8400", "origin": "http://127.0.0.1:8401"}, "Origin"),
        ({"host": "127.0.0.1:8400", "origin": "https://127.0.0.1:8400"}, "Origin"),
        ({"host": "127.0.0.1:8400", "origin": "null"}, "Origin"),
        ({"host": "127.0.0.1:8400", "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, "Sec-Fetch-Site"),
        ({"host": "127.0.0.1:8400", "sec-fetch-site": "same-site", "sec-fetch-mode": "cors"}, "Sec-Fetch-Site"),
    ],
)
def test_only_this_machine_and_its_own_page_are_let_in(headers: dict[str, str], word: str | None) -> None:
    """A rebound name, a foreign page and one of another port are refused; curl and a link that is followed are not."""
    refusal = refuse(headers)
    assert (refusal and refusal.partition(":")[0]) == word
    if headers.get("sec-fetch-mode") == "navigate":  # a form, also where a browser sends no Origin with it
        assert [refuse(headers, method) is None for method in ("HEAD", "POST", "DELETE")] == [True, False, False]


def test_nothing_of_the_sandbox_is_open_to_other_pages(tmp_path: Path) -> None:
    """Page, feed, API, cloud and broker: each refuses both, and changes nothing."""
    with served(tmp_path) as (client, broker, cloud):
        sink = client.get("/sandbox/feed", headers={"host": "evil.example"})
        assert (sink.status_code, sink.text) == (403, "Host: this answers to 127.0.0.1 and localhost only")
        body = {"image_id": IMAGE, "project_id": world.RECEIVER}
        foreign = {"origin": "http://evil.example"}
        for verb, path in (
            ("GET", "/sandbox"), ("GET", "/sandbox/feed"), ("GET", "/sandbox/state"), ("DELETE", "/sandbox/shares"),
            ("PUT", "/sandbox/policy"), ("POST", "/sandbox/send"), ("POST", "/sandbox/settle"),
            ("POST", "/v3/auth/tokens"), ("POST", f"{environment('', '', POLICY)['K_SINK']}/sandbox/resend"),
        ):  # fmt: skip
            for headers in (foreign, {"host": "evil.example"}):
                assert client.request(verb, path, json=body, headers=headers).status_code == 403
        assert cloud.member_status(IMAGE, world.RECEIVER) == "pending"
        assert broker.events == []


def test_the_page_runs_its_own_script_alone(tmp_path: Path) -> None:
    """Nothing inline, nothing from elsewhere; no text becomes markup, not even by mistake."""
    with served(tmp_path) as (client, _, _):
        page = client.get("/sandbox")
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
        assert "require-trusted-types-for 'script'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        for name, kind in (("page.js", "javascript"), ("page.css", "css"), ("report.css", "css")):
            answer = client.get(f"/sandbox/page/{name}")
            assert (answer.status_code, kind in answer.headers["content-type"]) == (200, True)
            assert "http" + "://" not in answer.text
            assert [
                word for word in ("innerHTML", "insertAdjacent", "document.write", "eval(") if word in answer.text
            ] == []
        for name in ("routes.py", "..%2froutes.py", "nothing"):
            assert client.get(f"/sandbox/page/{name}").status_code == 404


def test_a_lane_has_all_that_one_event_led_to() -> None:
    """Events by their correlation; of the calls then those that name its image or job, logins in both lanes."""
    cloud, broker = Cloud(clock=lambda: 20.0), Broker()
    world.build(cloud)
    feed = Feed(cloud, broker)
    other = world.image_id("stranger-tool")
    first = arrive(broker, "notified", {"images": [IMAGE], "project_id": world.RECEIVER}, 1.0)
    second = arrive(broker, "notified", {"images": [other], "project_id": world.RECEIVER}, 1.5)
    broker.deliveries += [Delivery(first, "triage", 2.0, 9.0, 204), Delivery(second, "triage", 2.0, 9.0, 503)]
    login = Call(method="POST", path="/v3/auth/tokens", query="", at=3.0, status=201, seconds=0.1)
    ours = Call(
        method="PUT",
        path="/v1/cloudimages/members",
        query="",
        at=4.0,
        status=200,
        seconds=0.1,
        body={"images": [IMAGE]},
    )
    broken = Call(method="GET", path=f"/v2/images/{other}", query="", at=5.0, fault="reset", seconds=0.1)
    late = Call(method="GET", path="/v2/cloudimages", query="", at=10.0, status=200, seconds=0.1)
    cloud.calls += [login, ours, broken, late]
    entry = {"image_id": IMAGE, "reason": "allowed_owner"}
    told = {
        "images": [entry],
        "policy_digest": "1",
        "project_id": world.RECEIVER,
        "job_id": "job-1",
        "status": "accepted",
    }
    arrive(broker, "accepted", told, 8.0, correlationid=first.event.id, causationid=first.event.id)
    cloud.queue.jobs["job-1"] = Job(
        id="job-1", project_id=world.RECEIVER, status="accepted", images=[IMAGE], vault_id=None, submitted_at=4.0,
        due_at=6.0, state="SUCCESS", ended_at=6.0,
    )  # fmt: skip
    broker.dead_letters.append(DeadLetter(second.event, "triage", "HTTP 503", is_lost=False))
    lanes = {lane["id"]: lane for lane in everything(feed)["lanes"]}
    assert lanes[first.event.id]["steps"] == [
        (1.0, "event", "notified", ""),
        (4.0, "call", "members call", "200"),
        (6.0, "call", "job", "SUCCESS"),
        (8.0, "accepted", "accepted", "accepted"),
    ]
    assert (lanes[first.event.id]["name"], lanes[first.event.id]["outcomes"]) == ("golden-base", {"accepted": 1})
    assert lanes[second.event.id]["steps"] == [
        (1.5, "event", "notified", ""),
        (2.0, "failed", "triage", "503"),
        (2.0, "failed", "dead letter", "HTTP 503"),
        (5.0, "failed", "fault: reset", f"GET /v2/images/{other}"),
    ]
    calls = {key: [call["path"] for call in feed.open_lane(key)["calls"]] for key in lanes}
    assert calls == {first.event.id: [login.path, ours.path], second.event.id: [login.path, broken.path]}


def test_what_changes_is_told_again_and_nothing_else() -> None:
    """In parts, the oldest first; a delivery that ends, a share that is settled or gone."""
    cloud, broker = Cloud(clock=lambda: 20.0), Broker()
    image = cloud.add_share("owner", "receiver", name="one")
    feed = Feed(cloud, broker)
    arrivals = [arrive(broker, "notified", {"images": []}, float(number)) for number in range(PART + 10)]
    delivery = Delivery(arrivals[0], "triage", 100.0)
    broker.deliveries.append(delivery)
    asyncio.run(feed.catch_up())
    revision, seen = 0, list[str]()
    while (told := feed.since(revision))[1]:
        revision = told[0]
        seen += [lane["id"] for lane in told[1]["lanes"]]
    assert (len(seen), len(set(seen))) == (PART + 10, PART + 10)
    delivery.until, delivery.answer = 101.0, 204
    cloud.set_status(image, "receiver", "accepted")
    asyncio.run(feed.catch_up())
    revision, told_now = feed.since(revision)
    assert [lane["id"] for lane in told_now["lanes"]] == [arrivals[0].event.id]
    assert [(key, row["state"]) for key, row in told_now["shares"]] == [(f"receiver/{image}", "accepted")]
    cloud.unshare(image, "receiver")
    asyncio.run(feed.catch_up())
    revision, told_now = feed.since(revision)
    assert told_now == {"lanes": [], "shares": [[f"receiver/{image}", None]], "more": False}
    asyncio.run(feed.catch_up())
    assert feed.since(revision) == (revision, {})


def test_strange_events_do_not_end_the_feed() -> None:
    """Whatever a broker takes: no data, data of another kind, images that are none, a type of one word."""
    cloud, broker = Cloud(), Broker()
    feed = Feed(cloud, broker)
    for number, data in enumerate((b"", b"[1]", b"{", b'{"images": 1}', b'{"images": [1, {}, null]}')):
        for kind in ("dev.doorman.", f"{TYPE}held.v1", "x"):
            attributes = {"id": f"{kind}{number}", "type": kind, "source": "/x"}
            broker.arrivals.append(Arrival(Event(attributes, data), float(number)))
    cloud.calls.append(
        Call(method="PUT", path="/v1/cloudimages/members", query="", at=1.0, seconds=1, body={"images": [{}]})
    )
    assert len(everything(feed)["lanes"]) == 15


def test_the_feed_begins_with_all_there_is(tmp_path: Path) -> None:
    """Projects, samples and the policy that runs; then the shares in parts; then what is wrong."""
    with served(tmp_path) as (client, _, _), client.stream("GET", "/sandbox/feed") as answer:
        lines = (json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line)
        hello, part = next(lines), next(lines)
    assert hello["projects"] == world.PROJECTS
    assert hello["samples"]["golden-image.json"] == (EVENTS / "golden-image.json").read_text("utf-8")
    assert (hello["policy"], hello["file"]) == (POLICY.read_text("utf-8"), str(POLICY))
    assert {row["name"] for _, row in part["shares"]} == {each.name for each in world.SAMPLES if each.status}
    assert (part["letters"], part["faults"]) == ([], [])


def test_events_are_sent_as_they_are(tmp_path: Path) -> None:
    """What the broker says comes back, and a dead letter goes there again under its own id."""
    with served(tmp_path) as (client, broker, _):
        taken = client.post("/sandbox/send", content=(EVENTS / "golden-image.json").read_bytes())
        refused = client.post("/sandbox/send", content=b"{")
        assert taken.json() == {"status": 202, "text": ""}
        assert (refused.json()["status"], "JSON" in refused.json()["text"]) == (400, True)
        broker.dead_letters.append(
            DeadLetter(broker.events[0].extended(knativeerrorcode="503"), "triage", "x", is_lost=False)
        )
        assert client.post("/sandbox/resend", json={"number": 0}).json()["status"] == 202
        assert [event.id for event in broker.events] == ["sample-golden-image"] * 2
        assert "knativeerrorcode" not in broker.events[1].attributes
        for number in (1, -1, "0", None):
            assert client.post("/sandbox/resend", json={"number": number}).status_code == 400


def test_a_person_settles_by_the_command_itself(tmp_path: Path) -> None:
    """`doorman approve` runs; what it says is the answer, and what it refuses is refused."""
    with served(tmp_path) as (client, broker, cloud):
        asked = {"action": "approve", "image": IMAGE, "project": world.RECEIVER, "reason": "looked at"}
        done = client.post("/sandbox/settle", json=asked)
        assert (done.status_code, "accepted" in done.json()["text"]) == (200, True)
        assert cloud.member_status(IMAGE, world.RECEIVER) == "accepted"
        assert [event.type for event in broker.events] == [f"{TYPE}decided.v1", f"{TYPE}accepted.v1"]
        for wrong in ({"action": "run"}, {"image": "--help"}, {"reason": "\0"}):
            answer = client.post("/sandbox/settle", json=asked | wrong)
            assert (answer.status_code // 100, "error" in answer.json()) == (4, True)


def test_a_policy_is_tried_and_applied(tmp_path: Path) -> None:
    """Faults with their places; decisions, and the steps of one; the sample's own file stays as it is."""
    text = POLICY.read_text("utf-8")
    with served(tmp_path) as (client, _, _):
        tried = client.post("/sandbox/policy", json={"text": "version: 1\nruls: []"}).json()
        assert [(each["line"], each["column"]) for each in tried["faults"]] == [(2, 1)]
        (steps,) = client.post("/sandbox/policy", json={"text": text, "image": IMAGE}).json()
        assert (steps["decision"], steps["rules"][-1]["verdict"]) == ("accept", "not reached")
        assert client.post("/sandbox/policy", json={"text": text, "image": "none"}).json() == []
        assert client.post("/sandbox/policy", json={"text": "version: 2", "image": IMAGE}).status_code == 400
        assert client.put("/sandbox/policy", content=b"version: 2").status_code == 400
        assert client.put("/sandbox/policy", content=b"version: 1").status_code == 200
        assert (tmp_path / "policy.yaml").read_text() == "version: 1"
        undone = client.post("/sandbox/policy", json={"text": text}).json()["decisions"]
        assert {each["name"] for each in undone if each["changed"]} >= {"golden-base", "recovery-erp", "banned-miner"}
    assert POLICY.read_text("utf-8") == text


def test_shares_are_read_as_the_product_reads_them() -> None:
    """All facts of the lists, full-ECS included; own images are no shares. A thousand are decided within a breath."""
    cloud = Cloud()
    world.build(cloud)
    shares = {share.name: share for share in read_shares(cloud, world.RECEIVER)}
    assert set(shares) == {each.name for each in world.SAMPLES if each.status}
    assert (shares["recovery-erp"].full_ecs, shares["golden-base"].full_ecs) == (True, False)
    assert (shares["golden-base"].os_type, shares["golden-base"].min_disk) == ("Linux", 40)
    for number in range(1000):
        cloud.add_share(world.GOLDEN, world.RECEIVER, name=f"more-{number}")
    started = time.monotonic()
    text = POLICY.read_text("utf-8")
    tried = try_out(text.replace("default: hold", "default: reject"), load(text), read_shares(cloud, world.RECEIVER))
    assert time.monotonic() - started < 5
    assert len(tried["decisions"]) == 1000 + len(shares)
    changed = {each["name"] for each in tried["decisions"] if each["changed"]}
    assert {"stranger-tool", "stranger-says-golden", "golden-server", "more-0"} <= changed
    assert "golden-base" not in changed
