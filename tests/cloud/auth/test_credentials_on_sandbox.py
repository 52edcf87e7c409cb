"""Every way in, over real HTTP, against the sandbox's own Keystone and signature check."""

from collections.abc import Iterator, Mapping

import httpx
import pytest

from doorman.cloud.auth.credentials import from_settings, list_served
from doorman.cloud.auth.environ import Identity
from doorman.errors import Unavailable
from doorman.runtime.clock import SystemClock
from doorman.sandbox.cloud import create_app
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud

pytestmark = pytest.mark.anyio


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


async def list_images(environ: dict[str, str]) -> tuple[str, int]:
    """List images with the credentials of an environment; give the project's ID and the status."""
    async with httpx.AsyncClient() as client:
        served = list_served(Identity.from_environ(environ))
        (credentials,) = from_settings(served, client=client, clock=SystemClock())
        base = await credentials.endpoint("image")
        answer = await client.get(f"{base}/v2/images", params={"limit": "2"}, auth=credentials.auth)
        return await credentials.project_id(), answer.status_code


def password(url: str, more: Mapping[str, str]) -> dict[str, str]:
    """The environment of a password login."""
    return {
        "OS_AUTH_URL": f"{url}/identity/v3",
        "OS_USERNAME": "doorman",
        "OS_PASSWORD": "s3cret",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_ID": "me",
        **more,
    }


def keys(url: str, more: Mapping[str, str]) -> dict[str, str]:
    """The environment of AK/SK."""
    usual = {"OS_ACCESS_KEY": "AK", "OS_SECRET_KEY": "SK", "OS_PROJECT_ID": "me"}
    return {**usual, "OS_IMAGE_ENDPOINT_OVERRIDE": url, **more}


def application_credential(url: str, cloud: Cloud, more: Mapping[str, str]) -> dict[str, str]:
    """The environment of an application credential."""
    (credential,) = cloud.directory.application_credentials.values()
    return {
        "OS_AUTH_URL": f"{url}/v3",
        "OS_APPLICATION_CREDENTIAL_ID": credential.id,
        "OS_APPLICATION_CREDENTIAL_SECRET": "s3cret",
        **more,
    }


LENT = {"OS_AGENCY_NAME": "doorman", "OS_AGENCY_DOMAIN_NAME": "Lender", "OS_PROJECT_ID": "lent"}


@pytest.mark.parametrize(
    ("more", "project"), [({}, "me"), ({"OS_PROJECT_ID": "", "OS_PROJECT_NAME": "me"}, "me"), (LENT, "lent")]
)
async def test_password(url: str, more: dict[str, str], project: str) -> None:
    """A password opens a project given by ID or by name, and with an agency one of the account that lends it."""
    assert await list_images(password(url, more)) == (project, 200)


async def test_application_credential(url: str, cloud: Cloud) -> None:
    """An application credential opens its own project."""
    assert await list_images(application_credential(url, cloud, {})) == ("me", 200)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({}, 200),
        ({"OS_ACCESS_KEY": "TEMP", "OS_SECURITY_TOKEN": "ST"}, 200),
        ({"OS_SECRET_KEY": "wrong"}, 401),
        ({"OS_ACCESS_KEY": "NOBODY"}, 401),
        ({"OS_ACCESS_KEY": "TEMP"}, 401),
        ({"OS_PROJECT_ID": "other"}, 401),
    ],
)
async def test_keys(url: str, more: dict[str, str], status: int) -> None:
    """Lasting and temporary AK/SK sign rightly; a wrong key, secret, token or project is a 401 of the service."""
    assert (await list_images(keys(url, more)))[1] == status


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
async def test_refusals_look_the_same(url: str, wrong: dict[str, str]) -> None:
    """A wrong password, user, domain, project or agency, and a missing role, are the same 401 and the same line."""
    with pytest.raises(Unavailable) as caught:
        await list_images(password(url, wrong))
    assert str(caught.value) == (
        f"login refused by Keystone at {url}/identity/v3/auth/tokens (401): "
        "check OS_USERNAME, OS_PASSWORD, the project and its role"
    )


async def test_refused_agency(url: str) -> None:
    """An agency that nobody lends is a 401 as well, and the line names it."""
    with pytest.raises(Unavailable, match=r"\(401\): check OS_USERNAME, OS_PASSWORD, the agency and its rights"):
        await list_images(password(url, {**LENT, "OS_AGENCY_NAME": "nothing"}))


@pytest.mark.parametrize(
    ("wrong", "status"),
    [({"OS_APPLICATION_CREDENTIAL_SECRET": "x"}, 401), ({"OS_APPLICATION_CREDENTIAL_ID": "0" * 32}, 404)],
)
async def test_refused_application_credential(url: str, cloud: Cloud, wrong: dict[str, str], status: int) -> None:
    """A wrong secret is a 401, an unknown ID a 404."""
    with pytest.raises(Unavailable, match=rf"\({status}\): check OS_AUTH_URL, OS_APPLICATION_CREDENTIAL_ID"):
        await list_images(application_credential(url, cloud, wrong))


async def test_wrong_url(url: str) -> None:
    """A URL without a Keystone is told as such."""
    with pytest.raises(
        Unavailable, match=r"^no Keystone v3 at .*/elsewhere/v3/auth/tokens \(404\): check OS_AUTH_URL$"
    ):
        await list_images(password(url, {"OS_AUTH_URL": f"{url}/elsewhere"}))
