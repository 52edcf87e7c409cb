"""Logins as people have them written down: each works, or is refused in words that help; with the extra and without."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from doorman.cloud.auth.accounts import Account, ApplicationCredential, Keys, Password, Plugin
from doorman.cloud.auth.credentials import list_served
from doorman.errors import Misconfigured
from doorman.settings import Settings

USER = "auth_url: https://iam.test/v3, username: u, password: p, user_domain_name: d"
PROJECT, AGENCY = "project_id: p1", "target_agency_name: a"
CLIENT = "identity_provider: i, protocol: o, client_id: c, client_secret: s"
NULLS = "cacert: null, region_name: ~, interface: null, security_token: null"
URL, HOST = "https://iam.test/v3", "https://iam.eu-de.otc.t-systems.com/v3"
ENVIRON = {
    "OS_AUTH_URL": URL,
    "OS_USERNAME": "u",
    "OS_PASSWORD": "p",
    "OS_USER_DOMAIN_NAME": "d",
    "OS_PROJECT_ID": "p1",
}
OIDC = {
    "OS_AUTH_TYPE": "v3oidcpassword",
    "OS_IDENTITY_PROVIDER": "corp",
    "OS_PROTOCOL": "openid",
    "OS_CLIENT_ID": "c",
    "OS_CLIENT_SECRET": "s",
    "OS_ACCESS_TOKEN_ENDPOINT": "https://idp.test/token",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Works:
    """How an account is to come out.

    Attributes:
        key: what hands it over to openstacksdk; None where our own reader knows it all.
        more: attributes of the account, by path (`project__id`).
    """

    login: type
    more: Mapping[str, Any]
    key: str | None = None


def works(login: type = Password, key: str | None = None, **more: Any) -> Works:
    """Say how an account is to come out."""
    return Works(login=login, key=key, more={"auth_url": URL, "project__id": "p1", **more})


ENTRIES: Mapping[str, tuple[str, Works | str]] = {
    "1 keys for the object store beside a password": (f"{{ak: A, sk: S, auth: {{{USER}, {PROJECT}}}}}", works()),
    "1 with the type": (f"{{auth_type: password, ak: A, sk: S, auth: {{{USER}, {PROJECT}}}}}", works()),
    "1 keys beside it, asked for": (
        f"{{auth_type: aksk, ak: A, sk: S, image_endpoint_override: https://i.test, auth: {{{USER}, {PROJECT}}}}}",
        works(Keys, auth_url=None)),
    "2 a profile alone": ("{profile: otc, auth: {username: u, password: p, project_name: eu-de, user_domain_name: d}}",
        works(auth_url=HOST, region="eu-de", project__id=None, project__name="eu-de")),
    "3 an agency by names": (
        f"{{auth_type: agency, auth: {{{USER}, target_domain_name: L, {AGENCY}, target_project_name: x}}}}",
        works(project__id=None, project__name="x", project__domain__name="L", agency__name="a")),
    "3 an agency by IDs": (
        f"{{auth_type: agency, auth: {{{USER}, {PROJECT}, target_domain_id: L, {AGENCY}, target_project_id: x}}}}",
        works(project__id="x", agency__domain__id="L", agency__name="a")),
    "3 an agency beside auth": (
        f"{{auth_type: agency, target_domain_id: L, {AGENCY}, target_project_id: x, auth: {{{USER}}}}}",
        works(project__id="x", agency__domain__id="L", agency__name="a")),
    "4 the password beside auth": (
        f"{{password: p, auth: {{auth_url: {URL}, username: u, user_domain_name: d, {PROJECT}}}}}",
        works(Plugin, "password")),
    "5 v2.0 without a domain": ("{auth: {auth_url: https://iam.test/v2.0, username: u, password: p, project_name: x}}",
        r"auth\.user_domain_name is missing: .*; Keystone v2\.0, which had no domains, is gone"),
    "6 regions without a name": (f"{{regions: [eu-de, eu-nl], auth: {{{USER}, {PROJECT}}}}}", works(region="eu-de")),
    "7 regions with values": (
        ("{regions: [{name: a, values: {auth: {auth_url: https://a.test/v3}}}, {name: b, values: {auth: {auth_url: "
        f"https://b.test/v3}}}}}}], region_name: b, auth: {{{USER.partition(', ')[2]}, {PROJECT}}}}}"),
        works(Plugin, "regions", auth_url="https://b.test/v3", region="b")),
    "8 verify": (f"{{verify: false, auth: {{{USER}, {PROJECT}}}}}", r"verify: certificates are always .* cacert$"),
    "8 a path": (f"{{verify: /ca.pem, auth: {{{USER}, {PROJECT}}}}}", r"verify: certificates are .* cacert$"),
    "8 under auth": (f"{{auth: {{verify: no, {USER}, {PROJECT}}}}}", r"auth\.verify: certificates are .* cacert$"),
    "9 the system": (f"{{auth: {{system_scope: all, {USER}}}}}", r"auth\.system_scope: shares belong to a project"),
    "9 a trust": (f"{{auth: {{trust_id: t, {USER}}}}}", works(Plugin, "auth.trust_id", project__id=None)),
    "10 an identity provider": (
        (f"{{auth_type: v3oidcpassword, auth: {{{USER.replace('user_domain_name: d', PROJECT)}, {CLIENT}, "
        "access_token_endpoint: https://idp.test/token}}"), works(Plugin, "auth_type")),
    "10 a client of one": ((f"{{auth_type: v3oidcclientcredentials, auth: {{auth_url: {URL}, {PROJECT}, {CLIENT}, "
        "discovery_endpoint: https://idp.test/d}}"), works(Plugin, "auth_type")),
    "10 several factors": (
        f"{{auth_type: v3multifactor, auth_methods: [v3password, v3totp], auth: {{{USER}, passcode: 1, {PROJECT}}}}}",
        works(Plugin, "auth_type", login__is_renewable=False)),
    "10 a token": (f"{{auth_type: token, auth: {{auth_url: {URL}, token: t, {PROJECT}}}}}", works(Plugin, "auth_type")),
    "11 an application credential by name": (
        (f"{{auth: {{auth_url: {URL}, application_credential_name: n, application_credential_secret: s, "
        "username: u, user_domain_name: d}}"), works(Plugin, "auth.application_credential_name", project__id=None)),
    "an application credential by ID": (
        f"{{auth: {{auth_url: {URL}, application_credential_id: i, application_credential_secret: s}}}}",
        works(ApplicationCredential, project__id=None)),
    "12 region, and a URL without a path": (
        f"{{region: eu-de, auth: {{{USER.replace(URL, 'https://iam.test:5000')}, {PROJECT}}}}}",
        works(auth_url="https://iam.test:5000/v3", region="eu-de")),
    "the URL of the login itself": (f"{{auth: {{{USER.replace('/v3', '/v3/auth/tokens')}, {PROJECT}}}}}", works()),
    "13 no domain of the project": (f"{{auth: {{{USER}, project_name: x}}}}",
        works(project__id=None, project__name="x", project__domain__name="d")),
    "14 null": (f"{{{NULLS}, auth: {{project_name: null, {USER}, {PROJECT}}}}}",
        works(region=None, interface="public", ca_file=None, project__name=None)),
    "15 a client certificate": (f"{{cert: c.pem, key: k.pem, auth: {{{USER}, {PROJECT}}}}}",
        works(Plugin, "cert", login__certificate=("c.pem", "k.pem"))),
    **{f"16 {url}": (f"{{cbr_endpoint_override: '{url}', auth: {{{USER}, {PROJECT}}}}}",
        works(endpoints__cbr="https://cbr.test")) for url in ("https://cbr.test/v3/%(project_id)s",
        "https://cbr.test/v3", "https://cbr.test/v3/")},
    "16 another mark": (f"{{cbr_endpoint_override: 'https://cbr.test/%(user_id)s', auth: {{{USER}, {PROJECT}}}}}",
        r"cbr_endpoint_override: only %\(project_id\)s may stand in it"),
    "17 two documents": (f"{{auth: {{{USER}, {PROJECT}}}}}\n---\nx: 1", r"a second YAML document begins here"),
    "17 tabs": ("\n\tauth: {}", r"a tab stands where YAML wants spaces"),
    "an inline authority": (f"{{cacert: '-----BEGIN CERTIFICATE-----', auth: {{{USER}, {PROJECT}}}}}",
        r"cacert wants the path of a PEM file, not the certificates themselves"),
    "two regions": (f"{{auth: {{{USER}, {PROJECT}}}, interface: outer}}", r"interface must be one of public, internal"),
}  # fmt: skip
VARIABLES: Mapping[str, tuple[Mapping[str, str], Works | str]] = {
    "18 an identity provider": ({**ENVIRON, **OIDC}, works(Plugin, "OS_AUTH_TYPE", login__kind="v3oidcpassword")),
    "19 a token": (
        {"OS_AUTH_TYPE": "v3token", "OS_TOKEN": "t", "OS_AUTH_URL": URL, "OS_PROJECT_ID": "p1"},
        works(Plugin, "OS_AUTH_TYPE", login__is_renewable=False),
    ),
    "19 without a type": ({"OS_TOKEN": "t", "OS_AUTH_URL": URL, "OS_PROJECT_ID": "p1"}, works(Plugin, "OS_TOKEN")),
    **{
        f"20 {name}": (
            {**ENVIRON, "OS_USER_DOMAIN_NAME": "", "OS_PROJECT_ID": "", "OS_PROJECT_NAME": "x", name: "default"},
            works(project__id=None, project__name="x", project__domain__id="default", login__domain__id="default"),
        )
        for name in ("OS_DEFAULT_DOMAIN", "OS_DEFAULT_DOMAIN_ID")
    },
    "21 keys beside a password": ({**ENVIRON, "OS_ACCESS_KEY": "A", "OS_SECRET_KEY": "S"}, works()),
    "21 keys, asked for": (
        {
            **ENVIRON,
            "OS_ACCESS_KEY": "A",
            "OS_SECRET_KEY": "S",
            "OS_AUTH_TYPE": "aksk",
            "OS_IMAGE_ENDPOINT_OVERRIDE": URL,
        },
        works(Keys, auth_url=None),
    ),
    "22 Huawei's own": (
        {"HW_ACCESS_KEY": "A", "HW_SECRET_KEY": "S", "HW_REGION_NAME": "eu-west-101", "HW_PROJECT_ID": "p1"},
        works(
            Keys,
            auth_url=None,
            region="eu-west-101",
            login__access="A",
            endpoints__image="https://ims.eu-west-101.myhuaweicloud.com",
            endpoints__cbr="https://cbr.eu-west-101.myhuaweicloud.com",
        ),
    ),
    "22 beside a login": ({**ENVIRON, "HW_ACCESS_KEY": "A", "HW_SECRET_KEY": "S"}, works()),
    "22 half of it": (
        {"HW_ACCESS_KEY": "A"},
        r"^HW_SECRET_KEY is missing: .*; HW_REGION_NAME or OS_IMAGE_ENDPOINT_OVERRIDE is .*; HW_PROJECT_ID",
    ),
    "23 insecure": (
        {**ENVIRON, "OS_INSECURE": "true"},
        r"^OS_INSECURE: certificates are always verified; .* OS_CACERT$",
    ),
    "23 not verified": ({**ENVIRON, "OS_VERIFY": "no"}, r"^OS_VERIFY: certificates are always verified"),
    "23 insecure not": ({**ENVIRON, "OS_INSECURE": "false"}, works()),
    "23 a trust": (
        {**ENVIRON, "OS_PROJECT_ID": "", "OS_TRUST_ID": "t"},
        works(Plugin, "OS_TRUST_ID", project__id=None),
    ),
    "23 a passcode": ({**ENVIRON, "OS_PASSCODE": "1"}, r"^OS_PASSCODE: "),
    "a client certificate": ({**ENVIRON, "OS_CERT": "c"}, works(Plugin, "OS_CERT", login__certificate=("c", None))),
    "the system": ({**ENVIRON, "OS_SYSTEM_SCOPE": "all"}, r"^OS_SYSTEM_SCOPE: shares belong to a project"),
    "a certificate beside an entry": (
        {"OS_CLOUD": "it", "OS_KEY": "k"},
        r"^OS_KEY: beside OS_CLOUD, name the client's",
    ),
    "an inline authority": ({**ENVIRON, "OS_CACERT": "-----BEGIN X"}, r"^OS_CACERT wants the path of a PEM file"),
    "several regions": ({**ENVIRON, "OS_REGION_NAME": "a,b"}, r"^OS_REGION_NAME names several regions"),
    "an agency": (
        {
            **ENVIRON,
            "OS_AUTH_TYPE": "agency",
            "OS_TARGET_DOMAIN_NAME": "L",
            "OS_TARGET_AGENCY_NAME": "a",
            "OS_TARGET_PROJECT_ID": "x",
        },
        works(agency__name="a", agency__domain__name="L", project__id="x"),
    ),
    "an agency without its name": (
        {**ENVIRON, "OS_AUTH_TYPE": "agency"},
        r"^OS_TARGET_AGENCY_NAME is missing: .*; OS_TARGET_PROJECT_ID is missing",
    ),
    "18 with a domain": (
        {
            **ENVIRON,
            **OIDC,
            "OS_USER_DOMAIN_NAME": "",
            "OS_DOMAIN_NAME": "d",
            "OS_PROJECT_ID": "",
            "OS_PROJECT_NAME": "x",
        },
        works(Plugin, "OS_AUTH_TYPE", project__id=None, project__name="x"),
    ),
    "19 for a domain": (
        {"OS_AUTH_TYPE": "v3token", "OS_TOKEN": "t", "OS_AUTH_URL": URL, "OS_DOMAIN_ID": "d"},
        r"^OS_PROJECT_ID is missing: shares belong to a project$",
    ),
    "23 a trust beside a project": ({**ENVIRON, "OS_TRUST_ID": "t"}, r"^OS_TRUST_ID: a trust has its own project"),
    "a key without its certificate": ({**ENVIRON, "OS_KEY": "k"}, r"^OS_KEY: it belongs to a client certificate"),
    "22 an agency for keys": (
        {"HW_ACCESS_KEY": "A", "HW_SECRET_KEY": "S", "HW_PROJECT_ID": "p1", "HW_ASSUME_ROLE_AGENCY_NAME": "a"},
        r"HW_ASSUME_ROLE_AGENCY_NAME needs a login with user name and password$",
    ),
    "quotes that docker kept": ({**ENVIRON, "OS_AUTH_URL": f'"{URL}"'}, r"^OS_AUTH_URL .*; leave out the quotes$"),
    "a type that nobody knows": (
        {**ENVIRON, "OS_AUTH_TYPE": "nonsense"},
        r"^OS_AUTH_TYPE: openstacksdk cannot read it \(NoMatchingPlugin: plugin nonsense; some types need a package",
    ),
    "keys in part, asked for a password": (
        {**ENVIRON, "OS_USERNAME": "", "OS_ACCESS_KEY": "A", "OS_AUTH_TYPE": "password"},
        r"^OS_USERNAME is missing: .*; to sign with AK/SK, set OS_AUTH_TYPE to aksk$",
    ),
}


def read(environ: Mapping[str, str]) -> Account:
    """Read the one account of an environment."""
    ((account, _),) = list_served(Settings.from_environ(environ, is_sink_required=False).identity)
    return account


def check(account: Account, expected: Works) -> None:
    """Hold an account against what it is to be."""
    assert type(account.login) is expected.login
    for path, wanted in expected.more.items():
        found: Any = account
        for name in path.split("__"):
            found = getattr(found, name)
        assert (path, found) == (path, wanted)


def hold(environ: Mapping[str, str], expected: Works | str, *, has_extra: bool) -> None:
    """Read a login, with the extra or without, and hold it against what is expected."""
    if isinstance(expected, Works) and (has_extra or not expected.key):
        check(read(environ), expected)
        return
    needed = "this login needs openstacksdk: pip install 'openstacksdk>=4.4,<5'$"
    install = f"{expected.key}: {needed}" if isinstance(expected, Works) else expected
    with pytest.raises(Misconfigured, match=install if has_extra else f"{install}|needs openstacksdk"):
        read(environ)


@pytest.fixture(params=["with the extra", "without it"])
def has_extra(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether openstacksdk is installed."""
    if request.param == "without it":
        monkeypatch.setitem(sys.modules, "openstack.config", None)
    return bool(request.param == "with the extra")


@pytest.mark.parametrize("name", ENTRIES)
def test_entry(tmp_path: Path, name: str, *, has_extra: bool) -> None:
    """Entries of clouds.yaml."""
    entry, expected = ENTRIES[name]
    file = tmp_path / "clouds.yaml"
    file.write_text(f"clouds:\n  it: {entry}\n")
    environ = {"OS_CLOUD": "it", "OS_CLIENT_CONFIG_FILE": str(file)}
    hold(environ, expected, has_extra=has_extra)


@pytest.mark.parametrize("name", VARIABLES)
def test_variables(name: str, *, has_extra: bool) -> None:
    """Variables of the environment."""
    environ, expected = VARIABLES[name]
    hold(environ, expected, has_extra=has_extra)
