"""A storm in which everything fails now and then: the cloud, the sink, the order of events, the functions themselves.

`python tests/chaos/storm.py [--seed N] [--shares N] [--kills N] [--faults RATE]` plays one; it ends with 0 when every
share ended as the policy says, none was written against it, and every outcome told is true.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from doorman.sandbox import broker as brokers
from doorman.sandbox import cloud as clouds
from doorman.sandbox.broker import Broker
from doorman.sandbox.delivery import Policy, Trigger
from doorman.sandbox.processes import Function
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud

TYPES = {"triage": "dev.doorman.share.notified.v1", "check_job": "dev.doorman.job.check.v1"}
WANTED = {"golden": "accepted", "banned": "rejected", "stranger": "pending"}
FATES = {"golden": "accepted", "banned": "rejected", "stranger": "held"}
POLICY = """version: 1
default: hold
rules:
  - {name: golden-images, owners: [golden], decision: accept}
  - {name: known-bad, owners: [banned], decision: reject}
"""
DELIVERY = Policy(retry=60, backoff="linear", delay=0.05, timeout=20)
DEADLINE = 600.0
"""Seconds after which a storm counts as lost."""


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What a storm came to; `faults` is empty where all is well."""

    faults: list[str] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    struck: int = 0
    seconds: float = 0.0


def play(*, seed: int, shares: int, kills: int, rate: float) -> Verdict:
    """Play one storm.

    Args:
        rate: part of the requests to the cloud that meet a fault; half of it for those to the sink.
    """
    dice = random.Random(seed)
    start = time.monotonic()
    with ExitStack() as stack:
        cloud = _make_cloud(seed, rate)
        broker = Broker(duplicates=0.05, jitter=0.2, seed=seed, concurrency=128)
        cloud_url = stack.enter_context(serve(clouds.create_app(cloud)))
        flaky = Flaky(brokers.create_app(broker), dice=random.Random(seed + 1), rate=rate / 2)
        sink = stack.enter_context(serve(flaky)) + broker.path
        functions = [stack.enter_context(_running(target, cloud_url, sink)) for target in TYPES]
        broker.triggers = [
            Trigger(name=each.target, subscriber=each.url, filters={"type": TYPES[each.target]}, policy=DELIVERY)
            for each in functions
        ]
        owners = {}
        for number in range(shares):
            owner = dice.choices(list(WANTED), [8, 1, 1])[0]
            image = str(UUID(int=dice.getrandbits(128), version=4))
            owners[cloud.add_share(owner, "receiver", image_id=image, name=f"image-{number}")] = owner
        _send(sink, list(owners), dice)
        _kill(functions, broker, kills, dice)
        _await_rest(broker)
        return _judge(cloud, broker, owners, seconds=time.monotonic() - start)


class Flaky:
    """A sink that now and then does not take an event, or takes it and does not say so."""

    def __init__(self, app: ASGIApp, *, dice: random.Random, rate: float) -> None:
        self._app = app
        self._dice = dice
        self._rate = rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or self._dice.random() >= self._rate:
            await self._app(scope, receive, send)
            return
        if self._dice.random() < 0.5:
            await self._app(scope, receive, _silence)
        await send({"type": "http.response.start", "status": 503, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


async def _silence(message: Message) -> None:
    """Lose an answer."""


def _make_cloud(seed: int, rate: float) -> Cloud:
    cloud = Cloud()
    cloud.settings.token_seconds = 3.0
    cloud.add_user("doorman", "secret", ["receiver"])
    kinds: list[dict[str, Any]] = [
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 429},
        {"kind": "flow_control"},
        {"kind": "reset"},
        {"kind": "reset", "performed": True},
        {"kind": "half"},
        {"kind": "garbage"},
        {"kind": "html", "status": 502},
        {"kind": "hang", "seconds": 0.5, "rate": rate / 40},
    ]
    for fault in kinds:
        fields: dict[str, Any] = {"rate": rate / len(kinds), "path": "/v[12]/"} | fault
        cloud.faults.add(fields.pop("kind"), **fields)
    cloud.faults.seed(seed)
    return cloud


@contextmanager
def _running(target: str, cloud_url: str, sink: str) -> Iterator[Function]:
    with tempfile.TemporaryDirectory() as folder:
        policy = Path(folder) / "policy.yaml"
        policy.write_text(POLICY)
        settings = {
            "DOORMAN_POLICY": str(policy),
            "DOORMAN_REQUEST_TIMEOUT": "2",
            "DOORMAN_SINK_TIMEOUT": "5",
            "K_SINK": sink,
            "LOG_LEVEL": "warning",
            "OS_AUTH_URL": f"{cloud_url}/identity/v3",
            "OS_USERNAME": "doorman",
            "OS_PASSWORD": "secret",
            "OS_USER_DOMAIN_NAME": "Default",
            "OS_PROJECT_ID": "receiver",
        }
        function = Function(target, port=0, settings=settings, log=Path(folder) / "log")
        try:
            function.await_start()
            yield function
        finally:
            function.kill()


def _send(sink: str, images: list[str], dice: random.Random) -> None:
    """Notify of every image, in any order, most of them alone and some together; some of them twice."""
    dice.shuffle(images)
    place = number = 0
    with httpx.Client(timeout=30) as client:
        while place < len(images):
            size = dice.choice([1, 1, 1, 1, 5, 20])
            for _ in range(dice.choice([1] * 9 + [2])):
                body = {"project_id": "receiver", "images": images[place : place + size]}
                headers = {
                    "ce-specversion": "1.0",
                    "ce-id": f"notice-{number}",
                    "ce-source": "/chaos",
                    "ce-type": TYPES["triage"],
                }
                while not client.post(sink, json=body, headers=headers).is_success:
                    pass
            place, number = place + size, number + 1


def _kill(functions: list[Function], broker: Broker, kills: int, dice: random.Random) -> None:
    """Kill functions at random moments while they work, and start them again."""
    for _ in range(kills):
        time.sleep(dice.uniform(0.05, 0.6))
        if broker.is_idle:
            return
        victim = dice.choice(functions)
        victim.kill()
        victim.restart()


def _await_rest(broker: Broker) -> None:
    deadline = time.monotonic() + DEADLINE
    while not broker.is_idle and time.monotonic() < deadline:
        time.sleep(0.02)


def _judge(cloud: Cloud, broker: Broker, owners: dict[str, str], *, seconds: float) -> Verdict:
    verdict = Verdict(calls=len(cloud.calls), struck=sum(call.fault is not None for call in cloud.calls))
    verdict.seconds = seconds
    verdict.faults += [f"dead letter: {letter.event.type} {letter.reason}" for letter in broker.dead_letters]
    if not broker.is_idle:
        verdict.faults.append("events are still under way")
    for image, owner in owners.items():
        if (status := cloud.member_status(image, "receiver")) != WANTED[owner]:
            verdict.faults.append(f"{image} of {owner} is {status}")
    for call in cloud.writes:
        asked = call.body or {}
        verdict.faults += [
            f"{image} of {owners[image]} was to be {asked['status']}"
            for image in asked.get("images", [])
            if WANTED[owners[image]] != asked["status"]
        ]
    heard: dict[str, set[str]] = {image: set() for image in owners}
    for event in broker.events:
        fate = event.type.split(".")[-2]
        if event.type in TYPES.values():
            continue
        for entry in event.value()["images"]:
            verdict.told[f"{fate}/{entry['reason']}"] += 1
            heard[entry["image_id"]].add(fate)
            if (fate, entry["reason"]) != ("skipped", "already_settled") and fate != FATES[owners[entry["image_id"]]]:
                verdict.faults.append(f"told of {owners[entry['image_id']]}: {fate} {entry['reason']}")
    verdict.faults += [f"nothing told of {image}" for image, fates in heard.items() if not fates]
    return verdict


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shares", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--faults", type=float, default=0.2, dest="rate")
    found = play(**vars(parser.parse_args()))
    told = json.dumps({"told": found.told, "calls": found.calls, "struck": found.struck, "seconds": found.seconds})
    sys.stdout.write("\n".join([told, *(found.faults[:50] or ["all is well"]), ""]))
    sys.exit(1 if found.faults else 0)
