"""The chain in which the function calls itself: K_SINK names it, and each step is an invocation of its own."""

import json
from pathlib import Path
from typing import Any

from doorman.sandbox.state import Cloud
from tests.builders import GOLDEN
from tests.topic_chain import FUNCTION, PROJECT, deployed, write_trace


def run(cloud: Cloud, folder: Path, payload: Any, **environ: str) -> list[Any]:
    """Call the function, and wait for the calls that follow; gives what they were called with."""
    with deployed(cloud, folder, loan="keys", sink=f"functiongraph:{FUNCTION}", **environ) as chain:
        chain.invoke(payload)
        chain.settle()
        assert chain.tries().keys() == {"200"}
    return [json.loads(call.payload) for call in cloud.engine.invocations]


def test_a_share_goes_from_call_to_call(tmp_path: Path) -> None:
    """Trace, check, outcome: three calls, all answered 200; the outcome asks nothing more, so the chain ends."""
    cloud = Cloud()
    image = cloud.add_share(GOLDEN, PROJECT)
    trace = write_trace([image], "trace-1")
    first, *events = run(cloud, tmp_path, trace)
    assert cloud.member_status(image, PROJECT) == "accepted"
    assert first == trace
    assert [event["type"] for event in events] == ["dev.doorman.job.check.v1", "dev.doorman.share.accepted.v1"]
    assert {event["correlationid"] for event in events} == {"trace-1"}


def test_a_tick_over_many_projects_is_a_call_for_each_part(tmp_path: Path) -> None:
    """Asynchronous ones, which the engine may run side by side; each sweeps its own."""
    cloud = Cloud()
    cloud.add_user("doorman", "secret", [PROJECT, "second"])
    timer = {"trigger_type": "TIMER", "trigger_name": "sweep", "time": "2026-01-31T08:30:00Z", "user_event": ""}
    _, *events = run(
        cloud,
        tmp_path,
        timer,
        OS_AUTH_URL="URL/identity/v3",
        OS_USERNAME="doorman",
        OS_PASSWORD="secret",
        OS_USER_DOMAIN_NAME="Default",
        OS_PROJECT_ID=f"{PROJECT},second",
        OS_IMAGE_ENDPOINT_OVERRIDE="",
        DOORMAN_SWEEP_FANOUT="1",
    )
    named = [(event["type"], event["data"].get("projects") or [event["data"]["project_id"]]) for event in events]
    kinds = ("dev.doorman.project.sweep.v1", "dev.doorman.shares.pending.v1")
    assert sorted(named) == [(kind, [project]) for kind in kinds for project in sorted([PROJECT, "second"])]
