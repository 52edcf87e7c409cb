"""A storm in which everything fails now and then: the cloud, the sink, the order of events, the functions themselves.

`python tests/chaos/storm.py [--seed N] [--shares N] [--kills N] [--faults RATE]` plays one; it ends with 0 when every
share ended as the policy says and was told as such, none was written against it or without its evidence before, every
outcome told is true, no two events with one id say different things, and `doorman report` says of each image what the
cloud does, by which rule, and why. A password is rotated and a policy rolled out in the middle, and a forger sends
notices and checks of their own beside it.
"""

import argparse
import json
import math
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from doorman.events.report import Archive
from doorman.sandbox import broker as brokers
from doorman.sandbox import cloud as clouds
from doorman.sandbox.broker import Broker
from doorman.sandbox.delivery import Policy, Trigger
from doorman.sandbox.processes import Function
from doorman.sandbox.serving import await_that, serve
from doorman.sandbox.state import Cloud

TYPES = {"triage": "dev.doorman.share.notified.v1", "check_job": "dev.doorman.job.check.v1"}
DECIDED = "dev.doorman.share.decided.v1"
WANTED = {"golden": {"accepted"}, "banned": {"rejected"}, "stranger": {"pending"}, "newcomer": {"pending", "accepted"}}
TOLD = {"golden": {"accepted"}, "banned": {"rejected"}, "stranger": {"held"}, "newcomer": {"held", "accepted"}}
SETTLED_BY = {"golden": "golden-images", "banned": "known-bad", "newcomer": "newcomers"}
POLICY = """version: 1
default: hold
rules:
  - {name: golden-images, owners: [golden], decision: accept}
  - {name: known-bad, owners: [banned], decision: reject}
"""
ROLLED_OUT = POLICY + "  - {name: newcomers, owners: [newcomer], decision: accept}\n"
CLOUDS = """clouds:
  storm:
    auth: {auth_url: %s/identity/v3, username: doorman, password: %s, user_domain_name: Default, project_id: receiver}
"""
DELIVERY = Policy(retry=60, backoff="linear", delay=0.05, timeout=20)
POISONED = 0.01
"""Part of the images at which a call, or a job, fails once as a whole."""

FEW = 1000
"""Of so many shares one may be given up, since each of its three tries met a fault."""

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
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "policy.yaml").write_text(POLICY)
        (folder / "clouds.yaml").write_text(CLOUDS % (cloud_url, "secret"))
        (folder / "clouds.yaml").chmod(0o600)
        functions = [stack.enter_context(_running(target, folder, sink)) for target in TYPES]
        broker.triggers = [
            Trigger(name=each.target, subscriber=each.url, filters={"type": TYPES[each.target]}, policy=DELIVERY)
            for each in functions
        ]
        owners = {}
        for number in range(shares):
            owner = dice.choices(list(WANTED), [32, 4, 3, 1])[0]
            image = str(UUID(int=dice.getrandbits(128), version=4))
            owners[cloud.add_share(owner, "receiver", image_id=image, name=f"image-{number}")] = owner
            if dice.random() < POISONED:
                cloud.fail_image(image, dice.choice(["IMG.0064", "500"]), at="submit", times=1)
            elif dice.random() < POISONED:
                cloud.fail_image(image, "IMG.0064", at="job", times=1, whole=True)
        cloud.settings.job_results = dice.random() < 0.5
        _vary(cloud, random.Random(seed + 1))
        _send(sink, list(owners), dice)
        _forge(sink, cloud, list(owners), dice, count=shares // 20)
        _kill(functions, broker, kills // 2, dice)
        _roll_out(functions, cloud, folder, cloud_url)
        _kill(functions, broker, kills - kills // 2, dice)
        await_that(lambda: broker.is_idle, seconds=DEADLINE)
        return _judge(cloud, broker, owners, seconds=time.monotonic() - start)


def _vary(cloud: Cloud, dice: random.Random) -> None:
    """Draw what no documentation says: the assumptions of docs/clouds.md, either way."""
    settings = cloud.settings
    settings.partial_job = dice.choice(["FAIL", "SUCCESS"])
    settings.job_spelling = dice.choice(["lower", "upper"])
    settings.job_endpoints = dice.choice(["both", "classic", "new"])
    settings.whole_image_in_answer = dice.random() < 0.5
    settings.settling_again_counts = dice.random() < 0.5


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
def _running(target: str, folder: Path, sink: str) -> Iterator[Function]:
    settings = {
        "DOORMAN_POLICY": str(folder / "policy.yaml"),
        "DOORMAN_REQUEST_TIMEOUT": "2",
        "DOORMAN_SINK_TIMEOUT": "5",
        "K_SINK": sink,
        "LOG_LEVEL": "warning",
        "OS_CLIENT_CONFIG_FILE": str(folder / "clouds.yaml"),
        "OS_CLOUD": "storm",
    }
    function = Function(target, port=0, settings=settings, log=folder / f"{target}.log")
    try:
        function.await_start()
        yield function
    finally:
        function.kill()


def _roll_out(functions: list[Function], cloud: Cloud, folder: Path, cloud_url: str) -> None:
    """Rotate the password without a restart, and roll out another policy with one."""
    cloud.directory.named("doorman", "Default").password = "rotated"  # type: ignore[union-attr]
    (folder / "clouds.yaml").write_text(CLOUDS % (cloud_url, "rotated"))
    (folder / "policy.yaml").write_text(ROLLED_OUT)
    for function in functions:
        function.kill()
        function.restart()


def _forge(sink: str, cloud: Cloud, images: list[str], dice: random.Random, *, count: int) -> None:
    """Send events that nobody of ours sent: what they claim is meant to mislead."""
    with httpx.Client(timeout=30) as client:
        for number in range(count):
            named = [*dice.sample(images, dice.choice([1, 1, 5])), *([str(UUID(int=dice.getrandbits(128), version=4))])]
            claims = {"tries": dice.choice([1, 3]), "tried_vaults": dice.choice([[], ["v1", "v2"]])}
            age = dice.choice([0, 30, 4000, 10**7])
            body: dict[str, Any] = {"project_id": "receiver", "images": named[: dice.choice([1, len(named)])], **claims}
            kind = dice.choice(list(TYPES))
            if kind == "check_job":
                jobs = list(cloud.jobs) or ["no-such-job"]
                body |= {
                    "job_id": dice.choice([*jobs[-3:], "no-such-job"]),
                    "status": dice.choice(["accepted", "rejected"]),
                    "vault_id": dice.choice([None, "invented"]),
                    "submitted_at": _write_time(time.time() - age),
                    "attempt": dice.choice([1, 1000]),
                }
            headers = {
                "ce-specversion": "1.0",
                "ce-id": f"forged-{kind}-{number}",
                "ce-source": "/evil",
                "ce-type": TYPES[kind],
                "ce-time": _write_time(time.time() - age + dice.choice([0, 30, 10**6])),
            }
            while not client.post(sink, json=body, headers=headers).is_success:
                pass


def _write_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


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


def _judge(cloud: Cloud, broker: Broker, owners: dict[str, str], *, seconds: float) -> Verdict:
    calls = cloud.calls.copy()  # at once: a function may still make one
    verdict = Verdict(calls=len(calls), struck=sum(call.fault is not None for call in calls), seconds=seconds)
    verdict.faults += [f"dead letter: {letter.event.type} {letter.reason}" for letter in broker.dead_letters]
    if not broker.is_idle:
        verdict.faults.append("events are still under way")
    worn = _worn_out(broker, owners)
    for image, owner in owners.items():
        if (status := cloud.member_status(image, "receiver")) not in WANTED[owner] | worn.get(image, set()):
            verdict.faults.append(f"{image} of {owner} is {status}")
    verdict.faults += _judge_writes(cloud, broker, owners)
    verdict.faults += _judge_ids(broker)
    verdict.faults += _judge_report(cloud, broker, owners)
    _judge_outcomes(verdict, cloud, broker, owners)
    return verdict


def _worn_out(broker: Broker, owners: dict[str, str]) -> dict[str, set[str]]:
    """Find the images that were given up, since three calls of their own failed by chance: told so, they wait."""
    events = (event.value()["images"] for event in broker.events if event.type == "dev.doorman.share.failed.v1")
    worn = {each["image_id"] for entries in events for each in entries if each["error_code"] == "500"}
    return {image: {"pending", "failed"} for image in sorted(worn & owners.keys())[: len(owners) // FEW]}


def _judge_outcomes(verdict: Verdict, cloud: Cloud, broker: Broker, owners: dict[str, str]) -> None:
    """Look for untrue outcomes, and for shares that were settled and never told as such."""
    heard: dict[str, set[str]] = {image: set() for image in owners}
    worn = _worn_out(broker, owners)
    for event in broker.events:
        kind = event.type.split(".")[-2]
        if event.type in {*TYPES.values(), DECIDED}:
            continue
        for entry in event.value()["images"]:
            verdict.told[f"{kind}/{entry['reason']}"] += 1
            owner = owners.get(entry["image_id"], "")
            is_quiet = (kind, entry["reason"]) in {("skipped", "already_settled"), ("skipped", "not_shared")}
            # A forged check of a job that names no images is told that its share still waits, as it does.
            root = event.attributes.get("correlationid", "")
            is_quiet |= (kind, entry["reason"]) == ("failed", "still_pending") and root.startswith("forged-check_job")
            # A forged notice that claims to be the last try is told what the cloud answered to its own call.
            is_quiet |= (kind, entry["reason"]) == ("failed", "request_refused") and root.startswith("forged-triage")
            if owner:
                heard[entry["image_id"]].add(kind)
            if not is_quiet and kind not in TOLD.get(owner, set()) | worn.get(entry["image_id"], set()):
                verdict.faults.append(f"told of {owner or 'a strange image'}: {kind} {entry['reason']} ({root})")
    for image, owner in owners.items():
        status = cloud.member_status(image, "receiver")
        if (status or "") not in heard[image] | ({"pending"} if {"held", "failed"} & heard[image] else set()):
            verdict.faults.append(f"{image} of {owner} is {status}, told was {sorted(heard[image])}")


def _judge_report(cloud: Cloud, broker: Broker, owners: dict[str, str]) -> Iterator[str]:
    """Look for shares of which `doorman report` says something else than the cloud, or not by which rule and why."""
    archive = Archive()
    archive.read(json.dumps({**event.attributes, "data": event.value()}) for event in broker.events)
    stories = {story.image_id: story for story in archive.finish()}
    worn = _worn_out(broker, owners)
    for image, owner in owners.items():
        status, story = cloud.member_status(image, "receiver"), stories.get(image)
        if story is None:
            yield f"{image} of {owner} is {status}, and the report does not know it"
            continue
        told, reasons = (story.outcome, story.last.rule), {each.reason.partition(" ")[0] for each in story.moments}
        if status == "pending" and image in worn:
            is_right = told[0] == "failed"
        elif status == "pending":
            is_right = (told == ("held", "") or story.last.reason == "still_pending") and "owner_not_allowed" in reasons
        else:
            is_right = told == (status, SETTLED_BY[owner]) and reasons & {"allowed_owner", "rejected_by_rule"} != set()
        if not is_right:
            yield f"{image} of {owner} is {status}, the report says {story}"


def _judge_writes(cloud: Cloud, broker: Broker, owners: dict[str, str]) -> Iterator[str]:
    """Look for writes against the policy, and for those that were not on record before they were made."""
    recorded: dict[tuple[str, str], float] = {}
    for arrival in broker.arrivals.copy():  # at once: a copy of an event may still come in
        if arrival.event.type == DECIDED:
            data = arrival.event.value()
            for entry in data["images"]:
                recorded.setdefault((entry["image_id"], data["status"]), arrival.at)
    for call in cloud.writes:
        asked = call.body or {}
        for image in asked.get("images", []):
            if asked["status"] not in WANTED[owners[image]]:
                yield f"{image} of {owners[image]} was to be {asked['status']}"
            if recorded.get((image, asked["status"]), math.inf) > call.at:
                yield f"{image} was written without evidence"


def _judge_ids(broker: Broker) -> Iterator[str]:
    """Look for events that share an id and say different things."""
    said: dict[str, bytes] = {}
    for event in broker.events:
        if said.setdefault(event.id, event.data) != event.data:
            yield f"two events {event.id} of {event.type} say different things"


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
