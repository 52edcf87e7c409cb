"""The sandbox's own admin API, and its log of calls."""

from typing import Any

from doorman.sandbox.state import Cloud
from tests.builders import password_login
from tests.sandbox.asking import ME, OWNER, Api

FUNCTION = f"urn:fss:eu-de:{ME}:function:default:triage:latest"
TOPIC = f"urn:smn:eu-de:{ME}:shares"


def test_admin_seeds_and_tells(anonymous: Api, cloud: Cloud) -> None:
    """Everything that a test can seed by hand can be seeded over HTTP, and the state is told without secrets."""

    def post(path: str, **body: Any) -> Any:
        answer = anonymous("POST", f"/sandbox/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    post("projects", project_id="p-1", name="Production")
    post("users", name="maker", password="hidden-word", projects=["p-1"])
    post("access-keys", user="maker", access="AK", secret="hidden-word", project_id="p-1")
    image = post("images", owner=OWNER, name="gold", share_with=["p-1", ME])["id"]
    other = post("images", owner=OWNER)["id"]
    post("shares", image_id=other, project_id="p-1")
    post("vaults", project_id="p-1", vault_id="v-1", size=10)
    post("servers", project_id="p-1", image_id=image)
    post("functions", urn=FUNCTION, url="http://127.0.0.1:1", agency="maker")
    post("topics", urn=TOPIC, functions=[FUNCTION])
    post("image-failures", image_id=image, code="IMG.0064", at="submit")
    post("vault-failures", vault_id="v-1", code="IMG.0182")
    anonymous("PATCH", "/sandbox/shares", json={"image_id": image, "project_id": ME, "status": "rejected"})
    anonymous("DELETE", "/sandbox/shares", json={"image_id": other, "project_id": "p-1"})
    anonymous("DELETE", "/sandbox/images", json={"image_id": other})
    told = anonymous("GET", "/sandbox/state")
    assert [(i["id"], i["members"]) for i in told.json()["images"]] == [(image, {"p-1": "pending", ME: "rejected"})]
    assert [v["id"] for v in told.json()["vaults"]] == ["v-1"]
    assert "hidden-word" not in told.text


def test_admin_adjusts(anonymous: Api, api: Api, cloud: Cloud) -> None:
    """Settings, faults, jobs and the call log can be changed over HTTP."""
    assert anonymous("PATCH", "/sandbox/settings", json={"job_seconds": None}).json()["job_seconds"] is None
    assert anonymous("POST", "/sandbox/faults", json={"kind": "status", "seed": 3, "times": 1}).json()[0]["times"] == 1
    assert anonymous("DELETE", "/sandbox/faults").json() == []
    share = cloud.add_share(OWNER, ME)
    body = {"images": [share], "project_id": ME, "status": "accepted"}
    job_id = api("PUT", "/v1/cloudimages/members", json=body).json()["job_id"]
    anonymous("POST", "/sandbox/finished-jobs", json={"job_id": job_id})
    anonymous("DELETE", "/sandbox/jobs", json={"job_id": job_id})
    assert (cloud.member_status(share, ME), cloud.jobs) == ("accepted", {})
    (call,) = anonymous("GET", "/sandbox/calls", params={"writes": 1}).json()["calls"]
    found = (call["path"], call["project_id"], call["status"], call["body"])
    assert found == ("/v1/cloudimages/members", ME, 200, body)
    assert anonymous("DELETE", "/sandbox/calls").status_code == 204
    assert anonymous("GET", "/sandbox/calls").json() == {"count": 0, "calls": []}
    assert cloud.calls_to("GET", "/v2/images") == []


def test_secrets_stay_out_of_the_call_log(anonymous: Api, cloud: Cloud) -> None:
    """A login leaves who and where in the log, and nothing of its body."""
    anonymous("POST", "/v3/auth/tokens", json=password_login())
    (call,) = cloud.calls
    assert (call.user, call.project_id, call.status, call.body) == ("doorman", ME, 201, None)
    assert "secret" not in repr(cloud.directory.users) + repr(call)
