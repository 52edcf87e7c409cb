"""Our reader of logins against openstacksdk's own: the same login, or handed over, or a refusal that names the key.

Each file is drawn from a seed. `LOGIN_FILES=10000` draws more of them than the suite does.
"""

import os
import random
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from keystoneauth1.exceptions import AuthorizationFailure, OptionError
from keystoneauth1.identity import generic
from openstack.config.loader import OpenStackConfig

from doorman.cloud.auth.accounts import Account, Plugin
from doorman.cloud.auth.cloud_files import CloudFiles
from doorman.cloud.auth.clouds_yaml import PROFILES, drop_unset
from doorman.cloud.auth.credentials import list_served
from doorman.cloud.auth.environ import Identity
from doorman.cloud.auth.keystone import login_body, tokens_url
from doorman.errors import Misconfigured

AT_ONCE = 50
FILES = int(os.environ.get("LOGIN_FILES", "300"))

# What may stand under `auth`, and beside it; the first group of each file is a login that makes sense by itself.
LOGINS: tuple[dict[str, Any], ...] = (
    {"auth_url": "https://iam.test/v3", "username": "u", "password": "p", "user_domain_name": "d"},
    {"auth_url": "https://iam.test:5000", "user_id": "u1", "password": "p {x}"},
    {"auth_url": "https://iam.test/identity/v3/", "username": "u", "password": "123", "domain_id": "d1"},
    {"auth_url": "https://iam.test/v3", "application_credential_id": "ac", "application_credential_secret": "s"},
    {"auth_url": "https://iam.test/v3", "token": "t"},
    {"auth_url": "https://iam.{region_name}.test/v3", "username": "u", "password": "p", "user_domain_id": "d2"},
    {"username": "u", "password": "p", "user_domain_name": "d"},
)
AUTH: Mapping[str, tuple[Any, ...]] = {
    "project_id": ("p1", 17, ""),
    "project_name": ("eu-de", None),
    "tenant_id": ("p2",),
    "tenant_name": ("old",),
    "project_domain_id": ("d3", "default"),
    "project_domain_name": ("d4",),
    "user_domain_id": ("d5",),
    "user_domain_name": ("d6",),
    "domain_id": ("d7",),
    "domain_name": ("d8",),
    "default_domain_id": ("d9",),
    "trust_id": ("t1",),
    "system_scope": ("all",),
    "security_token": (None,),
    "project-name": ("dashed",),
    "passcode": ("123456",),
}
ROOT: Mapping[str, tuple[Any, ...]] = {
    "auth_type": (
        "password", "v3password", "v3applicationcredential", "token", "v3token", "v3totp", "v3oidcpassword", "none",
        "v2password", "v3multifactor", "nonsense",
    ),
    "region_name": ("eu-de", "eu-nl", None, "eu-de,eu-nl"),
    "region": ("eu-de",),
    "regions": (["eu-de", "eu-nl"], [{"name": "eu-nl", "values": {"auth": {"auth_url": "https://nl.test/v3"}}}]),
    "interface": ("public", "internal", "publicURL", "outer"),
    "endpoint_type": ("adminURL", "internal"),
    "image_endpoint_override": ("https://ims.test/v2", "https://ims.test/", "https://ims.{region_name}.test"),
    "cbr_endpoint_override": ("https://cbr.test/v3/%(project_id)s", "https://cbr.test/v3/"),
    "compute_endpoint_override": ("https://ecs.test/v2.1/%(project_id)s",),
    "image_endpoint": ("https://old.test",),
    "image_interface": ("internal",),
    "profile": ("otc", "otc-swiss", "vexxhost", "unknown"),
    "cloud": ("otc",),
    "verify": (True, False),
    "insecure": (False, True),
    "cacert": ("/etc/ca.pem", None),
    "cert": ("/etc/me.pem",),
    "identity_api_version": (3, "3"),
    "volume_api_version": (2,),
    "ak": ("AK",),
    "sk": ("SK",),
    "password": ("beside",),
    "project_id": ("p9",),
}  # fmt: skip


def draw(chance: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draw an entry of clouds.yaml and one of secure.yaml."""
    auth = dict(chance.choice(LOGINS))
    auth |= {name: chance.choice(AUTH[name]) for name in chance.sample(list(AUTH), chance.choice((0, 1, 1, 2, 3)))}
    root = {name: chance.choice(ROOT[name]) for name in chance.sample(list(ROOT), chance.choice((0, 1, 2, 2, 3, 4)))}
    if not {"project_id", "project_name"} & {*auth} and chance.random() < 0.8:
        auth[chance.choice(("project_id", "project_name"))] = "p1"
    secret = {key: auth.pop(key) for key in ("password",) if key in auth and chance.random() < 0.2}
    return {**root, "auth": auth}, {"auth": secret} if secret else {}


class Posted(Exception):
    """What a login sends, and where to."""

    def __init__(self, url: str, body: Any) -> None:
        super().__init__(url)
        self.url, self.body = url, body


class Recorder:
    """A session of keystoneauth1 that shows what would be posted."""

    def post(self, url: str, *, json: Any, **_: Any) -> None:
        """Show it."""
        raise Posted(url, json)


def sent_by(plugin: Any) -> tuple[str, Any]:
    """Give what a plugin of keystoneauth1 posts, and where to."""
    if isinstance(plugin, generic.base.BaseGenericPlugin):
        url = re.sub(r"(/v3|/v2\.0)?/*$", "/v3", plugin.auth_url or "", count=1)
        plugin = plugin.create_plugin(Recorder(), (3, 0), url)  # type: ignore[arg-type]
    with pytest.raises((Posted, AuthorizationFailure)) as caught:
        plugin.get_auth_ref(Recorder())
    return getattr(caught.value, "url", "refused"), getattr(caught.value, "body", None)


def theirs(entry: dict[str, Any], secret: dict[str, Any], folder: Path) -> Any:
    """Have openstacksdk read the files; what the docs name as different is made the same before.

    It makes the word `None` of null, does not know `region`, and its profile of the Swiss region has no https://.
    """
    known = drop_unset(entry)
    if "region" in known:
        known.setdefault("region_name", known["region"])
    if known.get("profile") == "otc-swiss":
        known["auth"].setdefault("auth_url", PROFILES["otc-swiss"][0])
    (folder / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {"it": known}}))
    (folder / "secure.yaml").write_text(yaml.safe_dump({"clouds": {"it": secret}}))
    config = OpenStackConfig(
        config_files=[str(folder / "clouds.yaml")],
        secure_files=[str(folder / "secure.yaml")],
        vendor_files=[],
        load_envvars=False,
    )
    region = str(known.get("region_name", ""))
    return config.get_one("it", region_name="" if "," in region else region)


def ours(entry: dict[str, Any], secret: dict[str, Any], folder: Path) -> Account:
    """Read the files, as they are, ourselves."""
    (folder / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {"it": entry}}))
    (folder / "secure.yaml").write_text(yaml.safe_dump({"clouds": {"it": secret}}))
    (account,) = CloudFiles.find(Identity(), folders=(folder,)).accounts("it")
    return account


def compare(account: Account, cloud: Any) -> None:
    """Hold an account against what openstacksdk made of the same files."""
    assert account.region == (cloud.get_region_name() or None)
    assert account.interface == cloud.get_interface().removesuffix("URL")
    assert account.ca_file == cloud.config.get("cacert")
    for service in ("image", "cbr", "compute"):
        override = getattr(account.endpoints, service)
        assert (override is None) == (cloud.get_endpoint(service) is None)
        assert str(cloud.get_endpoint(service)).startswith(str(override))
    url, body = sent_by(cloud.get_auth())
    if isinstance(account.login, Plugin):
        assert sent_by(account.login.plugin) == (url, body)
        return
    expected = login_body(account)["auth"]
    assert (tokens_url(account), expected["identity"]) == (url, body["auth"]["identity"])
    if "scope" in expected:  # an application credential brings its own
        scope, found = expected["scope"], body["auth"]["scope"]
        found["project"] = scope["project"] | found["project"]  # where no domain is named, the user's is meant
        assert scope == found


@pytest.mark.parametrize("seed", range(FILES // AT_ONCE))
def test_same_or_handed_over_or_refused(seed: int, tmp_path: Path) -> None:
    """Whatever a file says, we log in as openstacksdk would, or say which key we do not honour."""
    chance = random.Random(seed)
    read = 0
    for _ in range(AT_ONCE):
        entry, secret = draw(chance)
        try:
            account = ours(entry, secret, tmp_path)
        except Misconfigured as error:
            check_refusal(error, r"clouds\.it\.[\w.-]+", entry)
            continue
        if is_without_type(entry):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                cloud = theirs(entry, secret, tmp_path)
            except OptionError as error:
                check_domain(error)
                continue
        try:
            compare(account, cloud)
        except AssertionError as error:
            raise AssertionError(f"{entry} {secret}") from error
        read += 1
    assert read > AT_ONCE // 10


def check_refusal(error: Misconfigured, key: str, drawn: Mapping[str, Any]) -> None:
    """A refusal names a key, and comes from no error that repeats a value."""
    assert re.search(key, str(error)), (drawn, str(error))
    assert error.__cause__ is None


def check_domain(error: Exception) -> None:
    """Some types want the domain of a project by name, or none of a user; we take the user's, or leave it out."""
    assert re.search("a project_name is only unique within a domain|argument 'user_domain", str(error))


def is_without_type(entry: Mapping[str, Any]) -> bool:
    """Say whether the type is left out where the keys say it; openstacksdk takes that for a password."""
    return "auth_type" not in entry and {"application_credential_id", "token"} & {*entry["auth"]} != set()


ENVIRON = {
    **AUTH,
    **{name: ROOT[name] for name in ("auth_type", "interface", "region_name", "image_endpoint_override")},
}


@pytest.mark.parametrize("seed", range(FILES // AT_ONCE))
def test_environment(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same of `OS_*` variables."""
    chance = random.Random(seed)
    for name in [name for name in os.environ if name.startswith("OS_")]:
        monkeypatch.delenv(name)
    for _ in range(AT_ONCE):
        drawn = dict(chance.choice([login for login in LOGINS if "{" not in login.get("auth_url", "{")]))
        names = [name for name in ENVIRON if "-" not in name]
        drawn |= {name: chance.choice(ENVIRON[name]) for name in chance.sample(names, chance.choice((1, 2, 3)))}
        environ = {f"OS_{name.upper()}": str(value) for name, value in drawn.items() if value}
        with monkeypatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name, value in environ.items():
                patch.setenv(name, value)
            try:
                account, _ = list_served(Identity.from_environ(environ))[0]
            except Misconfigured as error:
                check_refusal(error, r"OS_[A-Z]+", environ)
                continue
            if is_without_type({"auth": drawn} | drawn):
                continue
            try:
                cloud = OpenStackConfig(load_yaml_config=False).get_one("envvars")
            except (OptionError, TypeError) as error:
                check_domain(error)
                continue
            try:
                compare(account, cloud)
            except AssertionError as error:
                raise AssertionError(str(environ)) from error
