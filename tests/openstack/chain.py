"""The functions as deployed, on a real Glance: a broker that delivers between them, and words to send and to wait."""

import contextlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from doorman.sandbox import broker as brokers
from doorman.sandbox.broker import Broker
from doorman.sandbox.delivery import Policy, Trigger
from doorman.sandbox.processes import Function
from doorman.sandbox.serving import await_that, serve
from tests.openstack.worlds import OWNERS, RECEIVER, SECRET, RealWorld

WAIT_SECONDS = 120.0
TYPES = {"triage": "dev.doorman.share.notified.v1", "sweep": "dev.knative.sources.ping"}
DELIVERY = Policy(retry=8, backoff="linear", delay=0.5, timeout=60)

POLICY = """\
version: 1
default: hold
rules:
  - name: golden
    owners: [{golden}]
    images:
      names: [golden-*]
    decision: accept
  - name: banned
    owners: [{banned}]
    decision: reject
"""

CLOUDS = """\
clouds:
  receiver:
    auth: {{auth_url: "{auth_url}", username: doorman, user_domain_name: Default, project_name: receiver}}
    region_name: RegionOne
"""


@dataclass(slots=True)
class Chain:
    """The functions and the broker, with what tests do to them."""

    world: RealWorld
    broker: Broker
    sink: str
    functions: dict[str, Function]
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def make_shares(self, owner: str, name: str, count: int) -> list[str]:
        """Share that many images of an owner with the receiver."""
        images = [self.world.add_image(owner, f"{name}-{number}") for number in range(count)]
        for image_id in images:
            self.world.share(image_id, owner)
        return images

    def event(self, kind: str, data: Any = None) -> dict[str, Any]:
        """Write an event of another system, old enough that a share that it names must be visible by now."""
        then = (datetime.now(UTC) - timedelta(minutes=2)).isoformat()
        event = {
            "specversion": "1.0",
            "id": f"event-{next(self._numbers)}",
            "source": "/tests",
            "type": kind,
            "time": then,
        }
        return event if data is None else event | {"datacontenttype": "application/json", "data": data}

    def notice(self, images: Sequence[str]) -> dict[str, Any]:
        """Write a share notification."""
        return self.event(TYPES["triage"], {"project_id": self.world.projects[RECEIVER], "images": list(images)})

    def notify(self, images: Sequence[str]) -> str:
        """Send a share notification through the broker; give its ID."""
        event = self.notice(images)
        self.post(self.sink, event)
        return str(event["id"])

    def tick(self) -> None:
        """Send a scheduler's tick through the broker."""
        self.post(self.sink, self.event(TYPES["sweep"]))

    def post(self, url: str, event: dict[str, Any]) -> httpx.Response:
        """Send an event to anybody."""
        headers = {"Content-Type": "application/cloudevents+json"}
        return httpx.post(url, content=json.dumps(event), headers=headers, timeout=60)

    def wait(self) -> None:
        """Wait until everything is delivered, and see that nothing died on the way."""
        assert await_that(lambda: self.broker.is_idle, seconds=WAIT_SECONDS), "the broker does not come to rest"
        assert [letter.reason for letter in self.broker.dead_letters] == []

    def outcomes(self, images: Sequence[str]) -> list[list[tuple[str, str]]]:
        """Give for each image how its outcome events say that it ended, with the reason; each on record before."""
        told: dict[str, list[tuple[str, str]]] = {image_id: [] for image_id in images}
        decided: set[str] = set()
        for event in list(self.broker.events):
            if event.type.startswith("dev.doorman.share.") and event.type != TYPES["triage"]:
                for entry in event.value()["images"]:
                    outcome, image_id = event.type.split(".")[3], entry["image_id"]
                    if outcome == "decided":
                        decided.add(image_id)
                        continue
                    told.get(image_id, []).append((outcome, entry["reason"]))
                    is_ours = outcome in {"accepted", "rejected"} and entry["reason"] != "already_settled"
                    assert image_id in decided or not is_ours, f"{outcome} without evidence: {image_id}"
        return list(told.values())

    def digest(self) -> dict[str, Any]:
        """Give the last digest of a sweep."""
        digests = [event.value() for event in self.broker.events if event.type == "dev.doorman.shares.pending.v1"]
        found: dict[str, Any] = digests[-1]
        return found

    def log(self, target: str) -> list[dict[str, Any]]:
        """Read what a function has logged."""
        lines = (self.folder / f"{target}.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def set_password(self, password: str) -> None:
        """Change the password that the functions find."""
        secret = {"clouds": {RECEIVER: {"auth": {"password": password}}}}
        (self.folder / "secure.yaml").write_text(json.dumps(secret))


@contextlib.contextmanager
def run_chain(world: RealWorld, folder: Path) -> Iterator[Chain]:
    """Run `triage` and `sweep` as processes; their settings and logs are in `folder`."""
    golden, banned = (world.projects[owner] for owner in OWNERS)
    (folder / "policy.yaml").write_text(POLICY.format(golden=golden, banned=banned))
    (folder / "clouds.yaml").write_text(CLOUDS.format(auth_url=world.auth_url))
    broker = Broker()
    with serve(brokers.create_app(broker)) as url, contextlib.ExitStack() as stack:
        chain = Chain(world, broker, url + broker.path, {}, folder)
        chain.set_password(SECRET)
        settings = {
            "OS_CLOUD": RECEIVER,
            "OS_CLIENT_CONFIG_FILE": str(folder / "clouds.yaml"),
            "DOORMAN_API": "glance",
            "DOORMAN_POLICY": str(folder / "policy.yaml"),
            "K_SINK": chain.sink,
        }
        chain.settings = settings
        for target, kind in TYPES.items():
            function = stack.enter_context(run_function(chain, target, target))
            chain.functions[target] = function
            trigger = Trigger(name=target, subscriber=function.url, filters={"type": kind}, policy=DELIVERY)
            broker.triggers.append(trigger)
        yield chain


def run_function(chain: Chain, target: str, name: str, changes: Mapping[str, str] | None = None) -> Function:
    """Run one function as a process, with the chain's settings but for `changes`; its log is `name`.log."""
    settings = {**chain.settings, **(changes or {})}
    return Function(target, port=0, settings=settings, log=chain.folder / f"{name}.log")
