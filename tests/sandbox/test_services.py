"""The other services, topics and functions; and the sandbox's own admin API, with its log of calls."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from doorman.sandbox.cloud import create_app
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud
from tests.builders import password_login
from tests.sandbox.asking import ME, OWNER, Api

FUNCTION = f"urn:fss:eu-de:{ME}:function:default:triage:latest"
TOPIC = f"urn:smn:eu-de:{ME}:shares"


class Container:
    """Stands for a function's container: keeps what it gets, and answers these statuses in turn, then 200."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], Any]] = []
        self.answers: list[int] = []

    @property
    def app(self) -> Starlette:
        """The container's ASGI application."""

        async def take(request: Request) -> Response:
            body = json.loads(await request.body())
            self.got.append((request.url.path, dict(request.headers), body))
            is_call = request.url.path == "/invoke"
            return Response(status_code=self.answers.pop(0) if is_call and self.answers else 200)

        return Starlette(routes=[Route("/{path}", take, methods=["POST"])])

    def calls(self) -> list[Any]:
        """What was invoked, without the initialization."""
        return [body for path, _, body in self.got if path == "/invoke"]


@pytest.fixture
def container(cloud: Cloud) -> Iterator[Container]:
    """A container behind the function FUNCTION, which subscribes to TOPIC."""
    container = Container()
    cloud.settings.retry_seconds = 0
    with serve(container.app) as url:
        cloud.add_function(FUNCTION, url, agency=cloud.directory.named("doorman", "Default"))
        cloud.add_topic(TOPIC, [FUNCTION, "urn:not:deployed"])
        yield container


def ask(cloud: Cloud, path: str, body: Any) -> httpx.Response:
    """Post to the cloud as the receiving project, and wait until all calls of functions have ended."""
    headers = Api(cloud).login().headers

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app=create_app(cloud))
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud.test", headers=headers) as client:
            answer = await client.post(path, json=body)
            await cloud.engine.tasks.settle()
            await cloud.engine.aclose()
            return answer

    return asyncio.run(run())


INVOKE = f"/v2/{ME}/fgs/functions/{FUNCTION}/invocations-async"
PUBLISH = f"/v2/{ME}/notifications/topics/{TOPIC}/publish"


def test_invocation(cloud: Cloud, container: Container) -> None:
    """An invocation is taken with 202, the container is initialized once and lent a token of its agency."""
    answers = [ask(cloud, INVOKE, {"n": n}) for n in range(2)]
    assert [(a.status_code, a.json().keys() == {"request_id"}) for a in answers] == [(202, True)] * 2
    found = [(path, body) for path, _, body in container.got]
    assert found == [("/init", {}), ("/invoke", {"n": 0}), ("/invoke", {"n": 1})]
    headers = container.got[1][1]
    lent = cloud.directory.tokens[headers["x-cff-auth-token"]]
    assert (lent.project_id, headers["x-cff-project-id"], headers["x-cff-security-access-key"]) == (ME, ME, "null")


@pytest.mark.parametrize(
    ("answers", "tries"), [([500, 200], [500, 200]), ([503, 503, 200], [503, 503]), ([400], [400]), ([], [200])]
)
def test_retries(cloud: Cloud, container: Container, answers: list[int], tries: list[int]) -> None:
    """What failed is called once more, and then no more; a refusal is not called again."""
    container.answers = list(answers)
    ask(cloud, INVOKE, {})
    assert cloud.engine.invocations[0].tries == tries


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
