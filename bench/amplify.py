"""How many calls one hostile request causes, beyond a walk of the lists of each project that it names.

`python bench/amplify.py`: each request is as large as it may be, names what does not exist, and comes alone; then forty
ticks come at once. No share of theirs is genuine. A walk is at most six calls here: one page of each status, and one of
whole servers.
"""

import json
import time
from typing import Any
from uuid import uuid4

import harness
import load
from upstream import project_id

PROJECTS = 100
WALK = 6
TICKS = 40
BODY = 256 * 1024
JSON, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
NOTIFIED, CHECK, SWEEP = (f"dev.doorman.{name}.v1" for name in ("share.notified", "job.check", "project.sweep"))


def measure() -> dict[str, Any]:
    """Send each request: the calls that it caused, the most of them, and how many sweeps forty ticks were."""
    found: dict[str, int] = {}
    with harness.running(harness.upstream()) as cloud:
        for target, requests in _requests().items():
            server = harness.function(target, cloud, projects=PROJECTS, DOORMAN_SWEEP_FANOUT="1000")
            with harness.running(server):
                for what, (projects, kind, value) in requests.items():
                    body = json.dumps(value, separators=(",", ":")).encode()
                    assert len(body) <= BODY, what
                    calls = _count(cloud, server, [_post(server.url, kind, body)])
                    found[f"{target}: {what}"] = calls - WALK * projects
        with harness.running(harness.function("sweep", cloud, projects=1)) as sweep:
            ticks = [_post(sweep.url, JSON, json.dumps(_event("tick", None)).encode()) for _ in range(TICKS)]
            calls = _count(cloud, sweep, ticks)
    return {"extra": found, "most": max(found.values()), "sweeps": calls / (WALK - 2)}


def _count(cloud: harness.Server, server: harness.Server, posts: list[bytes]) -> int:
    cloud.ask("/bench/seed", {"projects": PROJECTS, "shares": 5})
    result = load.run(server.url, posts, connections=len(posts))
    if result.statuses.keys() - {200, 204, 400, 503}:
        raise SystemExit(f"a hostile request was answered {dict(result.statuses)}")
    calls: dict[str, int] = cloud.ask("/bench/stats")["calls"]
    return sum(count for name, count in calls.items() if "tokens" not in name)


def _requests() -> dict[str, dict[str, tuple[int, str, Any]]]:
    """Give for each function its requests: how many projects they name, their content type, and the body."""
    all_ = [project_id(number) for number in range(PROJECTS)]
    notices = [_notice(project, 20) for project in all_]
    checks = [_check(all_[0], 20) for _ in range(4)]
    sweeps = [_event(SWEEP, {"projects": all_[number:] + all_[:number]}) for number in range(40)]
    ticks = [_event("tick", None, scope=("", "pending", "settled")[number % 3]) for number in range(100)]
    topic = {
        "trigger_type": "KAFKA",
        "records": [{"messages": [json.dumps(each) for each in [*checks, *notices[:40]]]}],
    }
    return {
        "triage": {
            "1,000 images": (1, JSON, _notice(all_[0], 1000)),
            "20 images of each of 100 projects": (PROJECTS, BATCH, notices),
            "100 events of one project": (1, BATCH, [_notice(all_[0], 50) for _ in range(100)]),
        },
        "check_job": {
            "1,000 images": (1, JSON, _check(all_[0], 1000)),
            "4 jobs": (1, BATCH, checks),
            "100 jobs": (1, BATCH, checks * 25),
        },
        "sweep": {"100 ticks": (PROJECTS, BATCH, ticks), "100 projects, 40 times": (PROJECTS, BATCH, sweeps)},
        "functiongraph": {"4 jobs, 40 projects": (40, "application/json", topic)},
    }


def _event(kind: str, data: Any, **extensions: str) -> dict[str, Any]:
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600))
    event = {"specversion": "1.0", "id": str(uuid4()), "source": "/x", "type": kind, "time": moment, **extensions}
    return event if data is None else {**event, "data": data}


def _images(count: int) -> list[str]:
    return [str(uuid4()) for _ in range(count)]


def _notice(project: str, images: int) -> dict[str, Any]:
    return _event(NOTIFIED, {"project_id": project, "images": _images(images)})


def _check(project: str, images: int) -> dict[str, Any]:
    submitted = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600))
    head = {"project_id": project, "job_id": uuid4().hex, "status": "accepted", "images": _images(images)}
    return _event(CHECK, {**head, "submitted_at": submitted, "attempt": 9})


def _post(url: str, kind: str, body: bytes) -> bytes:
    return load.post(f"{url}/invoke", {"content-type": kind}, body)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
