"""The stand-in cloud over HTTP: logins, lists, members, jobs."""

import httpx
import pytest

from doorman.sandbox.cloud import create_app
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud

ME, OWNER = "receiver", "owner"


@pytest.fixture
def cloud() -> Cloud:
    """A cloud with one user in the receiving project, whose jobs end at once."""
    cloud = Cloud()
    cloud.settings.job_seconds = 0
    cloud.add_user("doorman", "secret", [ME])
    return cloud


def login_body(project: str = ME, password: str = "secret") -> dict[str, object]:
    """Write a password login as clients send it."""
    user = {"name": "doorman", "domain": {"name": "Default"}, "password": password}
    identity = {"methods": ["password"], "password": {"user": user}}
    return {"auth": {"identity": identity, "scope": {"project": {"id": project}}}}


def test_smoke(cloud: Cloud) -> None:
    """A login, both lists, a members call and its job, over real loopback HTTP."""
    share = cloud.add_share(OWNER, ME, name="golden")
    with serve(create_app(cloud)) as url, httpx.Client(base_url=url) as client:
        answer = client.post("/identity/v3/auth/tokens", json=login_body())
        assert answer.status_code == 201
        headers = {"X-Auth-Token": answer.headers["x-subject-token"], "Accept": "application/json"}
        query = {"member_status": "pending", "visibility": "shared", "__imagetype": "shared"}
        listed = client.get("/v2/cloudimages", params=query, headers=headers).json()["images"]
        assert [i["id"] for i in listed] == [share]
        body = {"images": [share], "project_id": ME, "status": "accepted"}
        job = client.put("/v1/cloudimages/members", json=body, headers=headers).json()["job_id"]
        told = client.get(f"/v1/{ME}/jobs/{job}", headers=headers).json()
        assert told["status"] == "SUCCESS"
        assert client.get("/v2/cloudimages", params=query, headers=headers).json() == {"images": []}
        assert cloud.member_status(share, ME) == "accepted"
        assert client.get("/sandbox/state").status_code == 200
        assert client.get("/sandbox/calls?writes=1").json()["count"] == 1
    assert [(c.path, c.status, c.project_id) for c in cloud.writes] == [("/v1/cloudimages/members", 200, ME)]
