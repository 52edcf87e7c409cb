"""Every way in, over real HTTP, against the sandbox's own Keystone and signature check."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from doorman.cloud.auth.credentials import from_settings, list_served
from doorman.cloud.auth.environ import Identity
from doorman.errors import Unavailable
from doorman.runtime.clock import SystemClock
from doorman.sandbox.cloud import create_app
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud


@pytest.fixture(scope="module")
def cloud() -> Cloud:
    """A cloud with a user in one of two projects, and every other kind of credential."""
    cloud = Cloud()
    cloud.add_project("other")
    user = cloud.add_user("doorman", "s3cret", ["me"])
    cloud.add_access_key("AK", "SK", user, "me")
    cloud.add_access_key("TEMP", "SK", user, "me", security_token="ST")
    cloud.add_agency("Lender", "doorman", ["lent"])
    cloud.add_application_credential(user, "me", "s3cret")
    return cloud


@pytest.fixture(scope="module")
def url(cloud: Cloud) -> Iterator[str]:
    """The cloud's base URL on loopback."""
    with serve(create_app(cloud)) as base:
        yield base


def list_images(environ: dict[str, str]) -> tuple[str, int]:
    """List images with the credentials of an environment; give the project's ID and the status."""

    async def run() -> tuple[str, int]:
        async with httpx.AsyncClient() as client:
            (credentials,) = from_settings(
                list_served(Identity.from_environ(environ)), client=client, clock=SystemClock()
            )
            base = await credentials.endpoint("image")
            answer = await client.get(f"{base}/v2/images", params={"limit": "2"}, auth=credentials.auth)
            return await credentials.project_id(), answer.status_code

    return asyncio.run(run())


def password(url: str, **more: str) -> dict[str, str]:
    """The environment of a password login."""
    return {
        "OS_AUTH_URL": f"{url}/identity/v3",
        "OS_USERNAME": "doorman",
        "OS_PASSWORD": "s3cret",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_ID": "me",
    } | more


@pytest.mark.parametrize("more", [{}, {"OS_PROJECT_ID": "", "OS_PROJECT_NAME": "me"}])
def test_password(url: str, more: dict[str, str]) -> None:
    """A password opens a project given by ID or by name."""
    assert list_images(password(url, **more)) == ("me", 200)


def test_application_credential(url: str, cloud: Cloud) -> None:
    """An application credential opens its own project."""
    (credential,) = cloud.directory.application_credentials.values()
    environ = {
        "OS_AUTH_URL": f"{url}/v3",
        "OS_APPLICATION_CREDENTIAL_ID": credential.id,
        "OS_APPLICATION_CREDENTIAL_SECRET": "s3cret",
    }
    assert list_images(environ) == ("me", 200)


def test_agency(url: str) -> None:
    """An agency opens a project of the account that lends it."""
    environ = password(url, OS_AGENCY_NAME="doorman", OS_AGENCY_DOMAIN_NAME="Lender", OS_PROJECT_ID="lent")
    assert list_images(environ) == ("lent", 200)


@pytest.mark.parametrize("keys", [{"OS_ACCESS_KEY": "AK"}, {"OS_ACCESS_KEY": "TEMP", "OS_SECURITY_TOKEN": "ST"}])
def test_keys(url: str, keys: dict[str, str]) -> None:
    """Lasting and temporary AK/SK sign requests that the sandbox finds right."""
    environ = keys | {"OS_SECRET_KEY": "SK", "OS_PROJECT_ID": "me", "OS_IMAGE_ENDPOINT_OVERRIDE": url}
    assert list_images(environ) == ("me", 200)


@pytest.mark.parametrize(
    "keys",
    [
        {"OS_ACCESS_KEY": "AK", "OS_SECRET_KEY": "wrong"},
        {"OS_ACCESS_KEY": "NOBODY", "OS_SECRET_KEY": "SK"},
        {"OS_ACCESS_KEY": "TEMP", "OS_SECRET_KEY": "SK"},
        {"OS_ACCESS_KEY": "AK", "OS_SECRET_KEY": "SK", "OS_PROJECT_ID": "other"},
    ],
)
def test_wrong_keys(url: str, keys: dict[str, str]) -> None:
    """A wrong key, secret, token or project is a 401 of the service."""
    environ = {"OS_PROJECT_ID": "me", "OS_IMAGE_ENDPOINT_OVERRIDE": url} | keys
    assert list_images(environ)[1] == 401


@pytest.mark.parametrize(
    "wrong",
    [
        {"OS_PASSWORD": "wrong"},
        {"OS_USERNAME": "nobody"},
        {"OS_USER_DOMAIN_NAME": "nowhere"},
        {"OS_PROJECT_ID": "nothing"},
        {"OS_PROJECT_ID": "other"},
    ],
)
def test_refusals_look_the_same(url: str, wrong: dict[str, str]) -> None:
    """A wrong password, user, domain, project or agency, and a missing role, are the same 401 and the same line."""
    with pytest.raises(Unavailable) as caught:
        list_images(password(url, **wrong))
    assert str(caught.value) == (
        f"login refused by Keystone at {url}/identity/v3/auth/tokens (401): "
        "check OS_USERNAME, OS_PASSWORD, the project and its role"
    )


def test_refused_agency(url: str) -> None:
    """An agency that nobody lends is a 401 as well, and the line names it."""
    with pytest.raises(Unavailable, match=r"\(401\): check OS_USERNAME, OS_PASSWORD, the agency and its rights"):
        list_images(password(url, OS_AGENCY_NAME="nothing", OS_AGENCY_DOMAIN_NAME="Lender"))


@pytest.mark.parametrize("status", [401, 404])
def test_refused_application_credential(url: str, cloud: Cloud, status: int) -> None:
    """A wrong secret is a 401, an unknown ID a 404."""
    (credential,) = cloud.directory.application_credentials.values()
    environ = {
        "OS_AUTH_URL": f"{url}/v3",
        "OS_APPLICATION_CREDENTIAL_ID": credential.id if status == 401 else "0" * 32,
        "OS_APPLICATION_CREDENTIAL_SECRET": "wrong",
    }
    with pytest.raises(Unavailable, match=rf"\({status}\): check OS_AUTH_URL, OS_APPLICATION_CREDENTIAL_ID"):
        list_images(environ)


def test_wrong_url(url: str) -> None:
    """A URL without a Keystone is told as such."""
    with pytest.raises(
        Unavailable, match=r"^no Keystone v3 at .*/elsewhere/v3/auth/tokens \(404\): check OS_AUTH_URL$"
    ):
        list_images(password(url, OS_AUTH_URL=f"{url}/elsewhere"))
