"""Faults on demand: each kind as a client meets it, in this process and over real connections."""

import json

import httpx
import pytest

from doorman.sandbox.cloud import create_app
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud
from tests.sandbox.asking import ME, OWNER, Api


def test_error_answers(api: Api, cloud: Cloud) -> None:
    """A status with a code and Retry-After, flow control in a 400, a proxy's page, and JSON that is none."""
    cloud.faults.add("status", status=429, retry_after=2, times=1)
    cloud.faults.add("status", status=400, code="IMG.0064", times=1)
    cloud.faults.add("flow_control", times=1)
    cloud.faults.add("html", status=502, times=1)
    cloud.faults.add("garbage", times=1)
    throttled, coded, flow, page, garbage, good = (api("GET", "/v2/cloudimages") for _ in range(6))
    found = (throttled.status_code, throttled.headers["retry-after"], throttled.json()["error"]["code"])
    assert found == (429, "2", 429)
    assert (coded.status_code, coded.json()["error"]["code"]) == (400, "IMG.0064")
    assert (flow.status_code, flow.json()["error"]["code"]) == (400, "IMG.0060")
    assert (page.status_code, page.headers["content-type"]) == (502, "text/html")
    with pytest.raises(json.JSONDecodeError):
        garbage.json()
    assert (garbage.status_code, good.status_code) == (200, 200)
    assert [call.fault for call in cloud.calls][-6:] == ["status", "status", "flow_control", "html", "garbage", None]


@pytest.mark.parametrize("kind", ["reset", "half", "hang"])
def test_broken_connections(api: Api, cloud: Cloud, kind: str) -> None:
    """A connection that breaks is a protocol or read error, in this process and over a real one."""
    cloud.faults.add(kind, seconds=0.01)  # type: ignore[arg-type] # parametrized text
    with pytest.raises(httpx.TransportError):
        api("GET", "/v2/cloudimages")
    with serve(create_app(cloud)) as url:
        for _ in range(2):
            with pytest.raises(httpx.TransportError):
                httpx.get(f"{url}/v2/cloudimages", headers=api.headers)
        cloud.faults.clear()
        assert httpx.get(f"{url}/v2/cloudimages", headers=api.headers).status_code == 200


def test_answer_that_gets_lost(api: Api, cloud: Cloud) -> None:
    """A request can be carried out while its answer is lost."""
    share = cloud.add_share(OWNER, ME)
    cloud.faults.add("reset", method="PUT", performed=True, times=1)
    with pytest.raises(httpx.TransportError):
        api("PUT", "/v1/cloudimages/members", json={"images": [share], "project_id": ME, "status": "accepted"})
    assert cloud.member_status(share, ME) == "accepted"
