"""The chain in which the function calls itself: K_SINK names it, and each step is an invocation of its own."""

import json
import time
from pathlib import Path

import httpx

from doorman.sandbox.cloud import create_app
from doorman.sandbox.processes import Function
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud
from tests.builders import GOLDEN, POLICY
from tests.topic_chain import FUNCTION, PROJECT, write_trace


def test_a_share_goes_from_call_to_call(tmp_path: Path) -> None:
    """Trace, check, outcome: three calls, all answered 200; the outcome asks nothing more, so the chain ends."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    cloud = Cloud()
    agency = cloud.add_user("agency", "secret", [PROJECT])
    image = cloud.add_share(GOLDEN, PROJECT)
    with serve(create_app(cloud)) as url:
        settings = {
            "K_SINK": f"functiongraph:{FUNCTION}",
            "OS_IMAGE_ENDPOINT_OVERRIDE": url,
            "DOORMAN_POLICY": str(tmp_path / "policy.yaml"),
        }
        function = Function("functiongraph", port=0, settings=settings, log=tmp_path / "function.log")
        try:
            function.await_start()
            cloud.add_function(FUNCTION, function.url, agency=agency, loan="keys")
            token = cloud.directory.issue(agency, PROJECT, ("password",))
            path = f"/v2/{PROJECT}/fgs/functions/{FUNCTION}/invocations-async"
            trace = write_trace([image], "trace-1")
            httpx.post(url + path, json=trace, headers={"X-Auth-Token": token.id}).raise_for_status()
            deadline = time.monotonic() + 20
            while len(cloud.engine.invocations) < 3 or not cloud.engine.is_idle:
                assert time.monotonic() < deadline, cloud.engine.invocations
                time.sleep(0.005)
        finally:
            function.stop()
            assert function.await_end() == 0
    assert cloud.member_status(image, PROJECT) == "accepted"
    assert [call.tries for call in cloud.engine.invocations] == [[200]] * 3
    first, *events = [json.loads(call.payload) for call in cloud.engine.invocations]
    assert first == trace
    assert [event["type"] for event in events] == ["dev.doorman.job.check.v1", "dev.doorman.share.accepted.v1"]
    assert {event["correlationid"] for event in events} == {"trace-1"}
