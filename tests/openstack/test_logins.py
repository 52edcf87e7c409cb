"""Every kind of login against a real Keystone: each opens the receiving project, and its token lists images."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from doorman.cloud.auth.credentials import from_settings, list_served
from doorman.cloud.auth.environ import Identity
from doorman.runtime.clock import SystemClock
from doorman.sandbox.serving import serve
from tests.fake_identity import OIDC, FakeIdentity
from tests.openstack.worlds import RECEIVER, SECRET, RealWorld, login_body

USER = {"username": "doorman", "password": SECRET, "user_domain_name": "Default"}


def list_images(entry: dict[str, Any], folder: Path) -> tuple[str, str | None, int]:
    """Log in as an entry of clouds.yaml says; give the project's ID, who we are, and how Glance answers."""
    file = folder / "clouds.yaml"
    file.write_text(yaml.safe_dump({"clouds": {"it": entry}}))
    identity = Identity.from_environ({"OS_CLOUD": "it", "OS_CLIENT_CONFIG_FILE": str(file)})

    async def run() -> tuple[str, str | None, int]:
        async with httpx.AsyncClient(timeout=60) as client:
            (credentials,) = from_settings(list_served(identity), client=client, clock=SystemClock())
            base = await credentials.endpoint("image")
            answer = await client.get(f"{base}/v2/images", auth=credentials.auth)
            token = await credentials.token()
            return await credentials.project_id(), token.user if token else None, answer.status_code

    return asyncio.run(run())


@pytest.fixture
def receiver(world: RealWorld) -> str:
    """The receiving project's ID."""
    return world.projects[RECEIVER]


@pytest.mark.parametrize("more", [{}, {"default_domain_id": "default"}])
def test_password(world: RealWorld, receiver: str, tmp_path: Path, more: dict[str, str]) -> None:
    """Through our own reader, and through openstacksdk, which the default domain asks for."""
    auth = {"auth_url": world.auth_url, **USER, "project_name": RECEIVER, **more}
    assert list_images({"auth": auth}, tmp_path) == (receiver, "doorman", 200)


@pytest.mark.parametrize("by", ["id", "name"])
def test_application_credential(world: RealWorld, receiver: str, tmp_path: Path, by: str) -> None:
    """By ID, or by name with its user."""
    rules = [{"service": "image", "method": "GET", "path": "/v2/images"}]
    made = world.make_application_credential(rules)
    user = {"username": "doorman", "user_domain_name": "Default", "application_credential_name": f"rules-{len(rules)}"}
    known = {"application_credential_id": made["id"]} if by == "id" else user
    auth = {"auth_url": world.auth_url, "application_credential_secret": made["secret"], **known}
    assert list_images({"auth": auth}, tmp_path) == (receiver, "doorman", 200)
    world.send(
        "DELETE", f"{world.auth_url}/users/{world.users['doorman']}/application_credentials/{made['id']}", "doorman"
    )


def test_token(world: RealWorld, receiver: str, tmp_path: Path) -> None:
    """A token that somebody got elsewhere."""
    token = world.log_in("doorman", {"id": receiver})
    auth = {"auth_url": world.auth_url, "token": token, "project_id": receiver}
    assert list_images({"auth_type": "v3token", "auth": auth}, tmp_path) == (receiver, "doorman", 200)


def test_trust(world: RealWorld, receiver: str, tmp_path: Path) -> None:
    """One user acts for another, in that one's project, without being a member of it."""
    trust = {
        "trustor_user_id": world.users["doorman"],
        "trustee_user_id": world.users["owner-a"],
        "project_id": receiver,
        "impersonation": True,
        "roles": [{"name": "member"}],
    }
    made = world.send("POST", f"{world.auth_url}/OS-TRUST/trusts", "doorman", json={"trust": trust})["trust"]
    auth = {"auth_url": world.auth_url, **USER, "username": "owner-a", "trust_id": made["id"]}
    assert list_images({"auth": auth}, tmp_path) == (receiver, "doorman", 200)


def test_identity_provider(world: RealWorld, receiver: str, tmp_path: Path) -> None:
    """The provider's password goes to the provider; Keystone scopes the token that it gave for its word."""

    def exchange() -> tuple[str, dict[str, Any]]:
        body = login_body("doorman", {})
        body["auth"]["scope"] = "unscoped"
        answer = httpx.post(f"{world.auth_url}/auth/tokens", json=body, timeout=60).raise_for_status()
        return answer.headers["X-Subject-Token"], answer.json()

    fake = FakeIdentity(exchange=exchange, keystone=world.auth_url)
    with serve(fake.app()) as url:
        auth = {"auth_url": f"{url}/v3", "access_token_endpoint": f"{url}/token", "project_id": receiver, **OIDC}
        assert list_images({"auth_type": "v3oidcpassword", "auth": auth}, tmp_path) == (receiver, "doorman", 200)
    assert [login["identity"]["methods"] for login in fake.logins] == [["token"]]
    assert len(fake.grants) == 1
