"""From settings to credentials, one for each served project."""

import asyncio
from pathlib import Path

import httpx
import pytest

from doorman.bootstrap import connect
from doorman.cloud.auth.accounts import Endpoints, Keys
from doorman.cloud.auth.credentials import (
    Credentials,
    find_certificate,
    from_invocation,
    from_settings,
    list_ca_files,
    list_served,
)
from doorman.cloud.auth.environ import Identity
from doorman.errors import Misconfigured, Unavailable
from doorman.runtime.clock import SystemClock
from doorman.settings import Settings
from tests.fake_keystone import KEYS, PASSWORD, FakeClock, World

pytestmark = pytest.mark.anyio

CLOUDS = """
clouds:
  one: {cacert: /etc/one.pem, auth: {auth_url: "https://iam.test/v3", user_id: u1, password: %s, project_id: p1}}
  two: {auth: {ak: AK, sk: SK, project_id: p2}, image_endpoint_override: "https://ims.test"}
  twin: {auth: {ak: AK, sk: SK, project_id: p1}, image_endpoint_override: "https://ims.test"}
"""


def make(world: World, environ: dict[str, str]) -> tuple[Credentials, ...]:
    """Make the credentials of an environment in a world of fakes."""
    return from_settings(list_served(Identity.from_environ(environ)), client=world.client, clock=world.clock)


async def test_project_and_override_need_no_login(world: World) -> None:
    """A project known by ID and an endpoint from the settings ask nobody."""
    environ = PASSWORD | {"OS_PROJECT_ID": "p1,p2", "OS_IMAGE_ENDPOINT_OVERRIDE": "https://other.test"}
    first, second = make(world, environ)
    found = await first.project_id(), await second.project_id(), await first.endpoint("image")
    assert (*found, len(world.keystone.logins)) == ("p1", "p2", "https://other.test", 0)


async def test_catalog_names_endpoints(world: World) -> None:
    """What the settings leave open comes from the catalog, read anew with each new token."""
    (credentials,) = make(world, PASSWORD)
    found = [await credentials.endpoint("image"), await credentials.endpoint("image")]
    world.clock.seconds = 3600.0
    found.append(await credentials.endpoint("cbr"))
    with pytest.raises(Misconfigured, match="OS_COMPUTE_ENDPOINT_OVERRIDE"):
        await credentials.endpoint("compute")
    assert (found, len(world.keystone.logins)) == (["https://ims.test", "https://ims.test", "https://cbr.test"], 2)


async def test_project_name_is_resolved_once(world: World) -> None:
    """The ID of a project known by name comes with the first token and stays known when Keystone is down."""
    (credentials,) = make(world, PASSWORD | {"OS_PROJECT_ID": "", "OS_PROJECT_NAME": "eu-de"})
    first = await credentials.project_id()
    world.keystone.failure = httpx.Response(503)
    world.clock.seconds = 7200.0
    assert (first, await credentials.project_id()) == ("p-eu-de", "p-eu-de")


async def test_projects_of_one_keystone_share_its_gate(world: World) -> None:
    """When Keystone is down, 20 projects cause one login."""
    world.keystone.failure = httpx.Response(503)
    names = ",".join(f"p{number}" for number in range(20))
    found = make(world, PASSWORD | {"OS_PROJECT_ID": names})
    await asyncio.gather(*(each.endpoint("image") for each in found), return_exceptions=True)
    assert len(world.keystone.logins) == 1


async def test_keys_name_their_missing_endpoint() -> None:
    """Without a catalog, a service that the settings do not name is a missing setting."""
    (credentials,) = make(World(), KEYS)
    with pytest.raises(Misconfigured, match=r"^OS_CBR_ENDPOINT_OVERRIDE is missing"):
        await credentials.endpoint("cbr")
    assert (await credentials.project_id(), await credentials.endpoint("image")) == ("p1", "https://ims.test")


async def test_rotated_password_is_picked_up(world: World, tmp_path: Path) -> None:
    """A revoked token leads to a login with what clouds.yaml says now."""
    file = tmp_path / "clouds.yaml"
    file.write_text(CLOUDS % "old")
    (credentials,) = make(world, {"OS_CLOUD": "one", "OS_CLIENT_CONFIG_FILE": str(file)})
    await world.client.get("https://ims.test/", auth=credentials.auth)
    world.keystone.revoked = {"token-1"}
    file.write_text(CLOUDS % "new")
    assert (await world.client.get("https://ims.test/", auth=credentials.auth)).status_code == 200
    assert [body["identity"]["password"]["user"]["password"] for body in world.keystone.logins] == ["old", "new"]


async def test_each_entry_serves_one_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several entries, each with its own way in; the same project twice is refused."""
    (tmp_path / "clouds.yaml").write_text(CLOUDS % "old")
    monkeypatch.chdir(tmp_path)
    assert [await each.project_id() for each in make(World(), {"OS_CLOUD": "one,two"})] == ["p1", "p2"]
    with pytest.raises(Misconfigured, match=r"^OS_CLOUD names two entries for the project p1: keep one of one, twin$"):
        make(World(), {"OS_CLOUD": "one,twin"})


def test_one_client_certificate(tmp_path: Path) -> None:
    """Entries may share the client's certificate; with two different ones nobody knows which to show."""
    file = tmp_path / "clouds.yaml"
    auth = "{auth_url: https://iam.test, user_id: u, password: p, project_id: %s}"
    entries = [f"e{number}: {{cert: c{number // 2}, key: k, auth: {auth % number}}}" for number in range(3)]
    file.write_text(f"clouds: {{{', '.join(entries)}}}")
    named = {"OS_CLIENT_CONFIG_FILE": str(file)}
    assert find_certificate(list_served(Identity.from_environ({"OS_CLOUD": "e0,e1", **named}))) == ("c0", "k")
    with pytest.raises(
        Misconfigured,
        match=r"^OS_CLOUD names entries with different client certificates \(clouds.e1.cert, clouds.e2.cert\)",
    ):
        find_certificate(list_served(Identity.from_environ({"OS_CLOUD": "e1,e2", **named})))
    settings = Settings.from_environ({"OS_CLOUD": "e0", **named}, is_sink_required=False)
    with pytest.raises(Misconfigured, match=r"^OS_CERT or cert: no readable PEM certificate with its key in c0$"):
        connect(settings, clock=SystemClock())


@pytest.mark.parametrize("entry", ["one", "two"])
async def test_a_login_stays_one_and_keys_stay_keys(world: World, tmp_path: Path, entry: str) -> None:
    """An entry that changes from the one to the other while we run needs a restart, and says so."""
    login, keys = 'auth_url: "https://iam.test/v3", user_id: u1, password: x', "ak: AK, sk: SK"
    file = tmp_path / "clouds.yaml"
    environ = {"OS_CLOUD": entry, "OS_CLIENT_CONFIG_FILE": str(file), "OS_IMAGE_ENDPOINT_OVERRIDE": "https://ims.test"}
    file.write_text(CLOUDS % "x")
    world.keystone.is_trusted = False
    (credentials,) = make(world, environ)
    file.write_text((CLOUDS % "x").replace(login, "LOGIN").replace(keys, login).replace("LOGIN", keys))
    with pytest.raises(Unavailable, match=r"has another project or login now: restart to use it$"):
        await world.client.get("https://ims.test/", auth=credentials.auth)


def test_ca_files_are_collected(tmp_path: Path) -> None:
    """Authorities of the environment and of every entry are listed once, with the home folder spelt out."""
    file = tmp_path / "clouds.yaml"
    file.write_text(CLOUDS % "x")
    environ = {"OS_CLOUD": "one,two", "OS_CLIENT_CONFIG_FILE": str(file), "OS_CACERT": "~/ca.pem"}
    identities = [Identity.from_environ(each) for each in (environ, PASSWORD)]
    found = [list_ca_files(identity, list_served(identity)) for identity in identities]
    assert found == [(str(Path.home() / "ca.pem"), "/etc/one.pem"), ()]


def test_authority_of_an_entry_is_trusted(tmp_path: Path) -> None:
    """The connections to the cloud read every entry's authority; one that is none is named."""
    (tmp_path / "ca.pem").write_text("no certificate")
    file = tmp_path / "clouds.yaml"
    file.write_text((CLOUDS % "x").replace("/etc/one.pem", str(tmp_path / "ca.pem")))
    environ = {"OS_CLOUD": "one", "OS_CLIENT_CONFIG_FILE": str(file)}
    settings = Settings.from_environ(environ, is_sink_required=False)
    with pytest.raises(Misconfigured) as caught:
        connect(settings, clock=FakeClock())
    assert str(caught.value) == f"OS_CACERT or cacert: not a readable set of PEM certificates in {tmp_path}/ca.pem"


async def test_invocation_brings_its_own_credentials(world: World) -> None:
    """A token or temporary keys that came with a call are used as they are."""
    endpoints, clock = Endpoints(image="https://ims.test"), world.clock
    with_token = from_invocation(project_id="p1", endpoints=endpoints, lent="given", now=clock.now)
    keys = Keys(access="AK", secret="SK", token="ST")
    with_keys = from_invocation(project_id="p1", endpoints=endpoints, lent=keys, now=clock.now)
    for each in (with_token, with_keys):
        await world.client.get("https://ims.test/", auth=each.auth)
    first, second = (request.headers for request in world.keystone.services)
    found = await with_token.project_id(), await with_keys.endpoint("image")
    assert (*found, [first["X-Auth-Token"], second["X-Security-Token"]]) == ("p1", "https://ims.test", ["given", "ST"])


async def test_only_a_login_has_a_user(world: World) -> None:
    """Keystone tells who logged in, and the project's name; a signature names nobody."""
    token, none = [await make(world, environ)[0].token() for environ in (PASSWORD, KEYS)]
    assert token is not None
    assert (token.user, token.project_name, none) == ("doorman", "eu-de", None)


async def test_endpoints_may_name_the_project(world: World) -> None:
    """`%(project_id)s` stands for the project's ID, as keystoneauth1 has it, also where only its name is known."""
    marked = {"OS_COMPUTE_ENDPOINT_OVERRIDE": "https://ecs.test/v2.1/%(tenant_id)s"}
    by_name = PASSWORD | {"OS_PROJECT_ID": "", "OS_PROJECT_NAME": "eu-de"}
    for environ, project in ((PASSWORD, "p1"), (by_name, "p-eu-de"), (KEYS, "p1")):
        (credentials,) = make(world, environ | marked)
        assert await credentials.endpoint("compute") == f"https://ecs.test/v2.1/{project}"
