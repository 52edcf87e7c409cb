"""`doctor` on FunctionGraph: a timer, or a test call, asks for it; it works with what the call lends."""

import asyncio
import json

import httpx
import pytest
from structlog.testing import capture_logs

from doorman.bootstrap import connect
from doorman.entrypoints.functiongraph.invocation import Invocations
from doorman.policy.policy import load
from doorman.runtime.clock import SystemClock
from doorman.sandbox.cloud import create_app
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud
from doorman.settings import Settings

POLICY = load("version: 1\nrules:\n- name: golden\n  owners: [golden]\n  decision: accept\n")
WISH = {
    "trigger_type": "TIMER",
    "trigger_name": "t",
    "time": "2026-01-31T08:30:00Z",
    "user_event": '{"action": "doctor"}',
}


@pytest.mark.parametrize("is_lent", [True, False])
def test_timer_asks_for_it(is_lent: bool) -> None:  # noqa: FBT001 - a table
    """The answer has all findings, each is a log line as well, and nothing is settled."""
    cloud = Cloud()
    user = cloud.add_user("doorman", "secret", ["receiver"])
    cloud.add_share("golden", "receiver")
    token = cloud.directory.issue(user, "receiver", ("token",)).id
    headers = {"X-CFF-Project-Id": "receiver", "X-CFF-Auth-Token": token} if is_lent else {}
    with serve(create_app(cloud)) as url:
        own = {"OS_AUTH_URL": f"{url}/v3", "OS_USERNAME": "doorman", "OS_PASSWORD": "secret"}
        own |= {"OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_ID": "receiver"}
        environ = {"OS_IMAGE_ENDPOINT_OVERRIDE": url} if is_lent else own
        settings = Settings.from_environ(environ, is_sink_required=False, is_login_required=False)

        async def run() -> tuple[int, str]:
            connections = connect(settings, clock=SystemClock())
            reply = await Invocations(connections, POLICY).answer(
                headers=httpx.Headers(headers), body=json.dumps(WISH).encode()
            )
            await connections.aclose()
            return reply.status, reply.text

        with capture_logs() as logs:
            status, text = asyncio.run(run())
    found = json.loads(text)
    assert (status, [each["check"] for each in found if each["mark"] == "mend"]) == (200, [])
    assert {each["project"] for each in found} == {None, "receiver"}
    assert [line for line in logs if line["event"] == "doctor.finding"] == [
        {"event": "doctor.finding", "log_level": "info", **each} for each in found
    ]
    assert next(each["text"] for each in found if each["check"] == "waiting").startswith("1 share to decide; ")
    assert cloud.writes == []
