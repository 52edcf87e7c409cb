"""The chain in which the function calls itself: K_SINK names it, and each step is an invocation of its own."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from doorman.sandbox.cloud import create_app
from doorman.sandbox.processes import Function
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud
from tests.builders import GOLDEN, POLICY
from tests.topic_chain import FUNCTION, PROJECT, write_trace


def run(cloud: Cloud, folder: Path, payload: Any, *, calls: int, settings: Mapping[str, str]) -> list[Any]:
    """Call the function, and wait for so many calls in all; gives what they were called with."""
    (folder / "policy.yaml").write_text(POLICY)
    agency = cloud.add_user("agency", "secret", [PROJECT])
    with serve(create_app(cloud)) as url:
        fixed = {"K_SINK": f"functiongraph:{FUNCTION}", "DOORMAN_POLICY": str(folder / "policy.yaml")}
        filled = {name: value.replace("URL", url) for name, value in settings.items()}
        function = Function("functiongraph", port=0, settings=fixed | filled, log=folder / "function.log")
        try:
            function.await_start()
            cloud.add_function(FUNCTION, function.url, agency=agency, loan="keys")
            token = cloud.directory.issue(agency, PROJECT, ("password",))
            path = f"/v2/{PROJECT}/fgs/functions/{FUNCTION}/invocations-async"
            httpx.post(url + path, json=payload, headers={"X-Auth-Token": token.id}).raise_for_status()
            deadline = time.monotonic() + 20
            while len(cloud.engine.invocations) < calls or not cloud.engine.tasks.is_idle:
                assert time.monotonic() < deadline, cloud.engine.invocations
                time.sleep(0.005)
        finally:
            function.stop()
            assert function.await_end() == 0
    assert [call.tries for call in cloud.engine.invocations] == [[200]] * calls
    return [json.loads(call.payload) for call in cloud.engine.invocations]


def test_a_share_goes_from_call_to_call(tmp_path: Path) -> None:
    """Trace, check, outcome: three calls, all answered 200; the outcome asks nothing more, so the chain ends."""
    cloud = Cloud()
    image = cloud.add_share(GOLDEN, PROJECT)
    trace = write_trace([image], "trace-1")
    first, *events = run(cloud, tmp_path, trace, calls=3, settings={"OS_IMAGE_ENDPOINT_OVERRIDE": "URL"})
    assert cloud.member_status(image, PROJECT) == "accepted"
    assert first == trace
    assert [event["type"] for event in events] == ["dev.doorman.job.check.v1", "dev.doorman.share.accepted.v1"]
    assert {event["correlationid"] for event in events} == {"trace-1"}


def test_a_tick_over_many_projects_is_a_call_for_each_part(tmp_path: Path) -> None:
    """Asynchronous ones, which the engine may run side by side; each sweeps its own."""
    cloud = Cloud()
    cloud.add_user("doorman", "secret", [PROJECT, "second"])
    settings = {
        "OS_AUTH_URL": "URL/identity/v3",
        "OS_USERNAME": "doorman",
        "OS_PASSWORD": "secret",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_ID": f"{PROJECT},second",
        "DOORMAN_SWEEP_FANOUT": "1",
    }
    timer = {"trigger_type": "TIMER", "trigger_name": "sweep", "time": "2026-01-31T08:30:00Z", "user_event": ""}
    _, *events = run(cloud, tmp_path, timer, calls=1 + 2 + 2, settings=settings)
    named = [(event["type"], event["data"].get("projects") or [event["data"]["project_id"]]) for event in events]
    kinds = ("dev.doorman.project.sweep.v1", "dev.doorman.shares.pending.v1")
    assert sorted(named) == [(kind, [project]) for kind in kinds for project in sorted([PROJECT, "second"])]
