"""What is put on single requests, and what a 401 leads to."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from doorman.cloud.auth.accounts import Account, Keys, Project
from doorman.cloud.auth.http_auth import FixedTokenAuth, KeyAuth, TokenAuth
from doorman.cloud.auth.signing import sign
from doorman.errors import Misconfigured, Unavailable
from tests.fake_keystone import FakeClock, World

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OLD, NEW = Keys(access="AK1", secret="s3cret"), Keys(access="AK2", secret="s3cret", token="t0ken")
OURS: dict[str, Any] = {"keys": OLD, "project_id": "p1", "now": NOW}


class Service:
    """A service that takes one access key and remembers what it was sent."""

    def __init__(self, good: str) -> None:
        self.good = good
        self.requests: list[httpx.Request] = []

    def client(self) -> httpx.AsyncClient:
        """Make a client whose requests all come here."""
        return httpx.AsyncClient(transport=httpx.MockTransport(self.handle))

    def handle(self, request: httpx.Request) -> httpx.Response:
        """Take the key or not; what was sent is kept as it was at that moment."""
        kept = httpx.Request(request.method, request.url, headers=request.headers, content=request.content)
        self.requests.append(kept)
        return httpx.Response(200 if f"Access={self.good}," in request.headers["Authorization"] else 401)


def account(keys: Keys) -> Account:
    """Make the account that signs with these keys."""
    return Account(project=Project(id="p1"), login=keys)


async def put(client: httpx.AsyncClient, auth: httpx.Auth) -> int:
    """Send one request with a query and a body; give the status."""
    params = {"name": "a b+c", "id": ["2", "1"]}
    answer = await client.put("https://ims.test/v2/images", params=params, json={"x": 1}, auth=auth)
    return answer.status_code


async def test_token_goes_on_the_request(world: World) -> None:
    """Many requests carry the token of one login."""
    auth = TokenAuth(world.source())
    answers = await asyncio.gather(*(put(world.client, auth) for _ in range(200)))
    sent = {request.headers["X-Auth-Token"] for request in world.keystone.services}
    assert (answers, sent, len(world.keystone.logins)) == ([200] * 200, {"token-1"}, 1)


@pytest.mark.parametrize("code", [None, "IMG.0030", "IMG.0087"])
async def test_expired_token_causes_one_renewal(world: World, code: str | None) -> None:
    """200 requests that are refused at the same time, by a 401 or a code, are all repeated with one new token."""
    if code:
        world.keystone.refusal = {"status_code": 400, "json": {"error": {"code": code}}}
    auth = TokenAuth(world.source())
    await put(world.client, auth)
    world.keystone.revoked = {"token-1"}
    answers = await asyncio.gather(*(put(world.client, auth) for _ in range(200)))
    assert (answers, len(world.keystone.logins)) == ([200] * 200, 2)


async def test_second_401_is_let_through(world: World) -> None:
    """A service that takes no token at all gets two tries a request at first, and causes no storm of logins."""
    world.keystone.is_trusted = False
    auth = TokenAuth(world.source())
    answers = [await put(world.client, auth) for _ in range(10)]
    assert (answers, len(world.keystone.logins), len(world.keystone.services)) == ([401] * 10, 2, 11)


async def test_failed_renewal_is_unavailable(world: World) -> None:
    """A 401 while Keystone is down is no refusal: the caller hears that Keystone is down."""
    auth = TokenAuth(world.source())
    await put(world.client, auth)
    world.keystone.revoked = {"token-1"}
    world.keystone.failure = httpx.Response(503)
    with pytest.raises(Unavailable, match="answered 503"):
        await put(world.client, auth)


async def test_given_token_is_sent_as_it_is(world: World) -> None:
    """A token that came with a call is not renewed; its 401 goes to the caller."""
    world.keystone.is_trusted = False
    status = await put(world.client, FixedTokenAuth("given"))
    assert (status, [request.headers["X-Auth-Token"] for request in world.keystone.services]) == (401, ["given"])


def test_signature_covers_what_is_sent() -> None:
    """The query goes over the wire in the form that was signed, and host, content type and body are covered."""
    service = Service("AK1")
    auth = KeyAuth(load=lambda: account(OLD), now=lambda: NOW)
    assert asyncio.run(put(service.client(), auth)) == 200
    (sent,) = service.requests
    query = [("id", "1"), ("id", "2"), ("name", "a b+c")]
    headers = {"Host": "ims.test", "Content-Type": "application/json"}
    added = sign(method="PUT", path="/v2/images", query=query, headers=headers, body=b'{"x":1}', **OURS)
    assert {name: sent.headers[name] for name in added} == added
    assert str(sent.url) == "https://ims.test/v2/images?id=1&id=2&name=a%20b%2Bc"


def test_request_without_query_or_body_is_signed() -> None:
    """A bare GET keeps its URL, and no content type is signed that is not sent."""
    service = Service("AK1")
    auth = KeyAuth(load=lambda: account(OLD), now=lambda: NOW)
    asyncio.run(service.client().get("https://ims.test:8443/v2/images/", auth=auth))
    (sent,) = service.requests
    added = sign(method="GET", path="/v2/images/", query=[], headers={"Host": "ims.test:8443"}, body=b"", **OURS)
    assert ({name: sent.headers[name] for name in added}, str(sent.url)) == (added, "https://ims.test:8443/v2/images/")


def test_rotated_keys_are_picked_up() -> None:
    """After a 401 the keys are read again and tried where they are new; the security token goes along."""
    keys = [OLD]
    service = Service("AK2")
    auth = KeyAuth(load=lambda: account(keys[0]), now=lambda: NOW)
    keys[0] = NEW
    assert asyncio.run(put(service.client(), auth)) == 200
    assert [request.headers.get("X-Security-Token") for request in service.requests] == [None, "t0ken"]


def test_wrong_keys_are_tried_once() -> None:
    """Keys that have not changed are not tried again."""
    service = Service("AK2")
    auth = KeyAuth(load=lambda: account(OLD), now=lambda: NOW)
    assert (asyncio.run(put(service.client(), auth)), len(service.requests)) == (401, 1)


def test_unreadable_keys_are_unavailable() -> None:
    """A file that is being replaced just now is worth another delivery."""
    keys = [OLD]

    def load() -> Account:
        if not keys:
            raise Misconfigured("clouds.yaml cannot be read: FileNotFoundError")
        return account(keys.pop())

    auth = KeyAuth(load=load, now=FakeClock().now)
    with pytest.raises(Unavailable, match=r"^clouds"):
        asyncio.run(put(Service("AK2").client(), auth))
