"""The payloads in events/functiongraph: each ends as its CloudEvent twin in events/, and strange ones do nothing."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic_core import to_json
from structlog.testing import capture_logs

from doorman.bootstrap import Connections
from doorman.cloud.auth.credentials import from_settings, list_served
from doorman.entrypoints.functiongraph.invocation import Invocations
from doorman.events.cloudevents import read, to_structured
from doorman.events.messages import EventType
from doorman.policy.policy import load as load_policy
from doorman.runtime.http import Clients
from doorman.sandbox import world
from doorman.sandbox.assembly import environment
from doorman.sandbox.cloud import create_app
from doorman.sandbox.samples import EVENTS, POLICY, load
from doorman.sandbox.state import Cloud
from doorman.settings import Settings
from tests.builders import FakeClock

PAYLOADS = sorted((EVENTS / "functiongraph").glob("*.json"))
TWINS = [path for path in PAYLOADS if not path.name.startswith("strange-")]
STRANGE = [path for path in PAYLOADS if path.name.startswith("strange-")]
RULES = load_policy(POLICY.read_text(), file="policy.yaml")


class Scene:
    """The sample world, and a process with nothing but a login to it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.cloud = Cloud(clock=lambda: self.clock.now().timestamp())
        self.cloud.settings.job_seconds = 0
        world.build(self.cloud)
        environ = environment("http://cloud.test", "", POLICY)
        self.settings = Settings.from_environ(environ, is_sink_required=False)

    def client(self) -> httpx.AsyncClient:
        """Connect to the cloud."""
        return httpx.AsyncClient(transport=httpx.ASGITransport(app=create_app(self.cloud)))

    def connect(self, client: httpx.AsyncClient) -> Connections:
        """Make ready to serve."""
        return Connections(
            settings=self.settings,
            clock=self.clock,
            cloud=Clients(lambda: client),
            sink=Clients(httpx.AsyncClient),
            credentials=from_settings(list_served(self.settings.identity), client=client, clock=self.clock),
        )

    async def invoke(self, *payloads: bytes) -> list[int]:
        """Post payloads to the function, in turn; gives the answers' statuses."""
        async with self.client() as client:
            door = Invocations(self.connect(client), RULES)
            return [(await door.answer(headers={}, body=payload)).status for payload in payloads]

    def standing(self) -> dict[str, str | None]:
        """Say how each sample image stands."""
        return {s.name: self.cloud.member_status(s.image_id, world.RECEIVER) for s in world.SAMPLES}


def outcomes(lines: Sequence[Any]) -> list[tuple[str, str]]:
    """Give what was told of each image, but for the event that it was told for."""
    return sorted(
        (line["event_type"], json.dumps({**entry, "cause": None}, sort_keys=True))
        for line in lines
        if line["event"] == "event.told"
        for entry in line["data"]["images"]
    )


@pytest.mark.parametrize("path", TWINS, ids=lambda path: path.stem)
def test_a_payload_ends_as_its_twin(path: Path) -> None:
    """The same outcomes, the same shares settled, the same answer where it is refused."""
    (twin,) = EVENTS.glob(f"{path.stem}.*")
    message = load(twin)
    by_event, by_payload = Scene(), Scene()
    with capture_logs() as lines:
        events = [to_json(to_structured(event)) for event in read(message.headers, message.body)]
        expected = asyncio.run(by_event.invoke(*events))
    with capture_logs() as payload_lines:
        (status,) = asyncio.run(by_payload.invoke(path.read_bytes()))
    assert outcomes(payload_lines) == outcomes(lines)
    assert by_payload.standing() == by_event.standing()
    assert status == (400 if 400 in expected else 200)
    is_told = status == 200 and path.stem != "forged-job-check"  # a check of another job is told to nobody
    assert bool(outcomes(lines)) is is_told
    assert "jane.roe" not in str(payload_lines)


def test_a_tick_settles_all_samples() -> None:
    """In one invocation, each as it does behind a broker."""
    scene = Scene()
    asyncio.run(scene.invoke((EVENTS / "functiongraph" / "ping-tick.json").read_bytes()))
    assert scene.standing() == {sample.name: sample.ends for sample in world.SAMPLES}


def test_what_follows_is_tried_again() -> None:
    """A job that nobody can look at for a while is followed all the same, in the one invocation."""
    scene = Scene()
    scene.cloud.faults.add("status", method="GET", path="/jobs/", times=5)
    with capture_logs() as lines:
        statuses = asyncio.run(scene.invoke((EVENTS / "functiongraph" / "golden-image.json").read_bytes()))
    assert (statuses, [kind for kind, _ in outcomes(lines)]) == ([200], [EventType.ACCEPTED])


@pytest.mark.parametrize("path", STRANGE, ids=lambda path: path.stem)
def test_a_strange_payload_does_nothing(path: Path) -> None:
    """No write, nothing told, and no answer that asks for a retry."""
    scene = Scene()
    before = scene.standing()
    with capture_logs() as lines:
        (status,) = asyncio.run(scene.invoke(path.read_bytes()))
    assert status == (400 if path.stem in {"strange-empty", "strange-list"} else 200)
    assert outcomes(lines) == []
    assert (scene.cloud.writes, scene.standing()) == ([], before)


def test_every_payload_is_explained() -> None:
    """The README names each file."""
    readme = (EVENTS / "functiongraph" / "README.md").read_text()
    assert [path.name for path in PAYLOADS if f"`{path.name}`" not in readme] == []
