"""Logins that our own reader does not know: read by openstacksdk, made by keystoneauth1, same credentials."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from doorman.cloud.auth.accounts import Account, Plugin, Project
from doorman.cloud.auth.cloud_files import CloudFiles
from doorman.cloud.auth.credentials import from_settings, list_notes, list_served
from doorman.cloud.auth.environ import Identity
from doorman.errors import Misconfigured, Unavailable
from doorman.runtime.clock import SystemClock
from doorman.sandbox.serving import serve
from tests.fake_identity import OIDC, USER, FakeIdentity

pytestmark = pytest.mark.anyio

USER_ALONE = "username: u, password: p, user_domain_name: d"
USUAL = f"{USER_ALONE}, project_id: p1"
OIDC_DEVICE = (
    "identity_provider: i, protocol: o, client_id: c, client_secret: s, project_id: p1, auth_url: x, "
    "access_token_endpoint: x, device_authorization_endpoint: x"
)


@pytest.fixture
def fake() -> FakeIdentity:
    """An identity provider and its Keystone."""
    return FakeIdentity()


@pytest.fixture
def url(fake: FakeIdentity) -> Iterator[str]:
    """Where both are."""
    with serve(fake.app()) as base:
        yield base


def write(folder: Path, entry: dict[str, Any], name: str = "clouds.yaml") -> Identity:
    """Write an entry, and give the identity that it is."""
    (folder / name).write_text(yaml.safe_dump({"clouds": {"it": entry}}))
    return Identity.from_environ({"OS_CLOUD": "it", "OS_CLIENT_CONFIG_FILE": str(folder / "clouds.yaml")})


def read(folder: Path, entry: dict[str, Any]) -> Account:
    """Read the one account of an entry."""
    ((account, _),) = list_served(write(folder, {"region_name": "eu-de", **entry}))
    return account


def refusal(folder: Path, entry: str) -> str:
    """Say why an entry is refused, without where its file is."""
    with pytest.raises(Misconfigured) as caught:
        read(folder, yaml.safe_load(entry))
    return str(caught.value).replace(f"{folder}/clouds.yaml: clouds.it.", "")


async def use(identity: Identity) -> tuple[str, str, str | None, str | None]:
    """Log in; give the project's ID, the image service's URL, who we are and the project's name."""
    async with httpx.AsyncClient() as client:
        (credentials,) = from_settings(list_served(identity), client=client, clock=SystemClock())
        url = await credentials.endpoint("image")
        token = await credentials.token()
        assert token is not None
        return await credentials.project_id(), url, token.user, token.project_name


def oidc(url: str) -> dict[str, Any]:
    """An entry that logs in at the identity provider."""
    auth = {"auth_url": f"{url}/v3", "access_token_endpoint": f"{url}/token", "project_id": "p1", **OIDC}
    return {"auth_type": "v3oidcpassword", "auth": auth, "region_name": "eu-de"}


async def test_password_of_an_identity_provider(fake: FakeIdentity, url: str, tmp_path: Path) -> None:
    """It goes to the provider; Keystone gets a token of its own to scope, and never that password."""
    assert await use(write(tmp_path, oidc(url))) == ("p1", "https://ims.test", "jane", "eu-de")
    assert fake.grants == [{"grant_type": "password", "scope": "openid profile", **USER}]
    identity = {"methods": ["token"], "token": {"id": "unscoped"}}
    assert fake.logins == [{"identity": identity, "scope": {"project": {"id": "p1"}}}]


async def test_environment(fake: FakeIdentity, url: str) -> None:
    """The same of `OS_*` variables, each project with a login of its own."""
    entry = oidc(url)
    environ = {f"OS_{name.upper()}": value for name, value in {**entry, **entry["auth"]}.items() if name != "auth"}
    identity = Identity.from_environ(environ | {"OS_PROJECT_ID": "p1, p2"})
    assert [account.project for account, _ in list_served(identity)] == [Project(id="p1"), Project(id="p2")]
    assert (await use(Identity.from_environ(environ)))[0] == "p1"
    assert len(fake.grants) == 1


@pytest.mark.parametrize(
    ("entry", "methods"),
    [
        ("{auth_type: v3token, auth: {token: t, project_id: p1}}", ["token"]),
        ("{auth: {token: t, project_id: p1}}", ["token"]),
        ("{auth_type: v3totp, auth: {username: u, user_domain_id: d, passcode: '1', project_id: p1}}", ["totp"]),
        (f"{{auth: {{{USER_ALONE}, trust_id: t}}}}", ["password"]),
        (
            "{auth: {application_credential_name: n, application_credential_secret: s, user_id: u}}",
            ["application_credential"],
        ),
        (
            f"{{auth_type: v3multifactor, auth_methods: [v3password, v3totp], auth: {{{USUAL}, passcode: '1'}}}}",
            ["password", "totp"],
        ),
        (f"{{auth_type: password, password: p, auth: {{{USUAL.replace('password: p, ', '')}}}}}", ["password"]),
    ],
)
async def test_logins(fake: FakeIdentity, url: str, tmp_path: Path, entry: str, methods: list[str]) -> None:
    """Tokens, one-time codes, trusts, application credentials by name, several factors, options beside `auth`."""
    read = {"region_name": "eu-de", **yaml.safe_load(entry)}
    read["auth"]["auth_url"] = f"{url}/v3"
    assert (await use(write(tmp_path, read)))[:2] == ("p1", "https://ims.test")
    assert fake.logins[-1]["identity"]["methods"] == methods


async def test_secret_rotates(fake: FakeIdentity, url: str, tmp_path: Path) -> None:
    """The entry is read anew for each login, as our own reader does it."""
    auth = {**yaml.safe_load(f"{{{USUAL}}}"), "auth_url": f"{url}/v3", "default_domain_id": "d"}
    identity = write(tmp_path, {"auth": auth, "region_name": "eu-de"})
    async with httpx.AsyncClient() as client:
        (credentials,) = from_settings(list_served(identity), client=client, clock=SystemClock())
        await credentials.endpoint("image")
        write(tmp_path, {"auth": {**auth, "password": "new"}, "region_name": "eu-de"})
        mock = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(401)))
        await mock.get("https://ims.test/", auth=credentials.auth)
    assert [login["identity"]["password"]["user"]["password"] for login in fake.logins] == ["p", "new"]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "login refused by 127.0.0.1 (401): check what v3token (clouds.it) needs, the project and its role"),
        (503, "the login v3token (clouds.it) was not answered by 127.0.0.1 (503)"),
        (200, "the login v3token (clouds.it) at {url}/v3 failed (InvalidResponse)"),
    ],
)
async def test_refused(fake: FakeIdentity, url: str, tmp_path: Path, status: int, message: str) -> None:
    """Who refused is named, with the status; nothing that they said."""
    fake.status = status
    auth = {"auth_url": f"{url}/v3", "token": "t", "project_id": "p1"}
    with pytest.raises(Unavailable) as caught:
        await use(write(tmp_path, {"auth_type": "v3token", "auth": auth, "region_name": "eu-de"}))
    assert str(caught.value) == message.format(url=url)


async def test_nobody_there(tmp_path: Path) -> None:
    """A Keystone that cannot be reached is a passing failure."""
    auth = {"auth_url": "http://127.0.0.1:1/v3", "token": "t", "project_id": "p1"}
    with pytest.raises(
        Unavailable,
        match=r"^the login v3token \(clouds\.it\) does not get through: 127\.0\.0\.1:1: connection refused$",
    ):
        await use(write(tmp_path, {"auth_type": "v3token", "auth": auth}))


@pytest.mark.parametrize("kind", ["v3token", "v3totp", "v3oidcpassword"])
def test_what_ends_is_told_at_the_start(tmp_path: Path, kind: str) -> None:
    """A token or a code cannot be had again."""
    wanted = {
        "v3token": {"token": "t"},
        "v3totp": {"username": "u", "user_domain_name": "d", "passcode": "1"},
        "v3oidcpassword": {**OIDC, "access_token_endpoint": "https://idp.test/token"},
    }
    (tmp_path / "clouds.yaml").touch(mode=0o600)
    auth = {"auth_url": "https://iam.test/v3", "project_id": "p1", **wanted[kind]}
    identity = write(tmp_path, {"auth_type": kind, "auth": auth})
    ends = f"the login of it ({kind}) cannot be renewed: it ends by itself"
    assert list_notes(identity, list_served(identity)) == (() if kind == "v3oidcpassword" else (ends,))


def test_several_projects_with_a_profile_from_a_file(tmp_path: Path) -> None:
    """clouds-public.yaml beside clouds.yaml, and an account for each project."""
    vendors = {"public-clouds": {"mine": {"auth": {"auth_url": "https://mine.test/v3"}, "region_name": "here"}}}
    (tmp_path / "clouds-public.yaml").write_text(yaml.safe_dump(vendors))
    write(tmp_path, yaml.safe_load(f"{{profile: mine, auth: {{{USER_ALONE}, project_id: [p1, null, p2]}}}}"))
    accounts = CloudFiles.find(Identity(), folders=(tmp_path,)).accounts("it")
    found = [(each.auth_url, each.region, each.project.id) for each in accounts]
    assert found == [("https://mine.test/v3", "here", "p1"), ("https://mine.test/v3", "here", "p2")]


def test_environment_fills_the_gaps(tmp_path: Path) -> None:
    """A single entry that names no project, no region or no endpoint takes the environment's, handed over or not."""
    auth = f"{USER_ALONE}, project_id: '', auth_url: https://iam.test/v3"
    write(tmp_path, yaml.safe_load(f"{{auth: {{{auth}}}, cert: c, key: k}}"))
    environ = {
        "OS_CLOUD": "it",
        "OS_PROJECT_ID": "p7",
        "OS_CACERT": "/ca.pem",
        "OS_REGION_NAME": "eu-nl",
        "OS_IMAGE_ENDPOINT_OVERRIDE": "https://ims.test/v2",
    }
    (account,) = CloudFiles.find(Identity.from_environ(environ), folders=(tmp_path,)).accounts("it")
    assert (account.project.id, account.region, account.endpoints.image) == ("p7", "eu-nl", "https://ims.test")
    assert isinstance(account.login, Plugin)
    assert (account.login.certificate, account.ca_file) == (("c", "k"), "/ca.pem")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{auth_type: v3token, auth: {project_id: p}}", "auth_type: this login needs more: auth.auth_url"),
        (
            f"{{auth_type: nonsense, auth: {{{USUAL}}}}}",
            "auth_type: openstacksdk cannot read it (NoMatchingPlugin: plugin nonsense; some types need",
        ),
        (
            "{auth_type: v3applicationcredential, auth: {application_credential_name: n}}",
            "auth.application_credential_name: this login needs more:",
        ),
        (f"{{auth_type: v3oidcdeviceauthz, auth: {{{OIDC_DEVICE}}}}}", "auth_type: v3oidcdeviceauthz is no login"),
        (
            "{auth_type: v3oidcpassword, auth: {}}",
            "auth_type: this login needs more: You have to specify either an 'access-token-endpoint'",
        ),
        (
            "{auth_type: v3password, auth: {username: u, trust_id: t}}",
            "auth.trust_id: this login needs more: You have provided a username.",
        ),
        (
            f"{{auth_type: v2password, auth: {{{USUAL}, auth_url: x}}}}",
            "auth_type: openstacksdk cannot read it (TypeError",
        ),
        ("{auth_type: none, auth: {}}", "auth_type: none is no login to Keystone v3 that works without a person"),
        (
            "{username: u, auth: {username: u, user_domain_name: d, project_id: p1, auth_url: x}}",
            "username: this login needs more: auth.password",
        ),
        (f"{{username: u, auth: {{{USER_ALONE}, auth_url: x}}}}", "project_id is missing: shares belong to a project"),
        (
            f"{{username: u, profile: nowhere, auth: {{{USUAL}}}}}",
            "username: openstacksdk cannot read it (ConfigurationWarning: vendor profile nowhere)",
        ),
        (
            f"{{image_interface: internal, auth: {{{USUAL}, auth_url: x}}}}",
            "image_interface: not honoured; name the service in",
        ),
        (
            f"{{regions: [{{name: eu-de, values: {{verify: false}}}}], auth: {{{USUAL}, auth_url: x}}}}",
            "verify: certificates are always verified; name your own authority in cacert",
        ),
        (
            f"{{ak: A, auth: {{{USUAL}, foo: 1, auth_url: x}}}}",
            "auth.foo: openstacksdk cannot read it (TypeError: unexpected keyword argument 'foo')",
        ),
        ("{username: u, auth: 7}", "auth must hold keys"),
        (
            f"{{regions: [{{name: eu-de, values: {{}}}}], region_name: eu-nl, auth: {{{USUAL}, auth_url: x}}}}",
            "regions: openstacksdk cannot read it (ConfigException: Valid choices are eu-de",
        ),
        (f"{{auth_type: v3adfspassword, auth: {{{USUAL}, auth_url: x}}}}", "auth_type: "),  # why depends on its version
        (f"{{username: u, auth: {{{USER_ALONE}, project_id: [null], auth_url: x}}}}", "project_id is missing: shares"),
    ],
)
def test_what_neither_honours(tmp_path: Path, entry: str, message: str) -> None:
    """It is refused by the name of its key, and with no value of the entry."""
    assert refusal(tmp_path, entry).startswith(message)
