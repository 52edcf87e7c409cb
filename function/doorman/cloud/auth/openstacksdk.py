"""Has openstacksdk read the logins that our own reader does not know, and keystoneauth1 make them.

Both come with the extra `openstack` and are loaded here alone: slow, and needed by few.
"""

import re
import ssl
import warnings
from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import TypeAdapter

from doorman.cloud.auth.accounts import Account, HandOver, Plugin, Project
from doorman.cloud.auth.catalog import OVERRIDES, Catalog, Entry
from doorman.cloud.auth.clouds_yaml import PROFILES, list_places
from doorman.cloud.auth.keystone import LoginRefused, Token, in_utc
from doorman.cloud.auth.logins import check_ids, check_served, read_endpoints, read_interface
from doorman.cloud.auth.variables import Values
from doorman.errors import Misconfigured, Unavailable
from doorman.runtime.connection_errors import name_trouble
from doorman.version import VERSION

if TYPE_CHECKING:
    from openstack.config.cloud_region import CloudRegion

INSTALL = "pip install 'openstacksdk>=4.4,<5'"
PER_SERVICE = ("interface", "region_name", "service_type", "service_name")
PEOPLE = {"v3oidcdeviceauthz", "v3websso"}  # a person must be there
FOR_ONCE = {"token", "v3token", "v3totp", "v3oidcauthcode", "v3oidcaccesstoken"}
PROJECTS = ("project_id", "project_name", "tenant_id", "tenant_name")
OWN_PROJECT = ("trust_id", "application_credential_id", "application_credential_name", "token")


def read_handed(handed: HandOver, *, entry: str | None) -> tuple[Account, ...]:
    """Read the account of each project that is named.

    Args:
        entry: name of the clouds.yaml entry; None for the environment.

    Raises:
        Misconfigured: openstacksdk is not installed, or cannot read it, or it is a login that nobody can make here.
    """
    try:
        import openstack.config  # noqa: F401, PLC0415 - may not be installed
    except ImportError as error:
        raise Misconfigured(f"{handed.key}: this login needs openstacksdk: {INSTALL}") from error
    return tuple(read_account(handed, single, entry=entry) for single in list_singles(handed))


def list_singles(handed: HandOver) -> Iterator[dict[str, Any]]:
    """List what is handed over once for each project, with the environment's where it names none, and a type."""
    whole = deepcopy(dict(handed.entry))
    auth = whole.get("auth") if isinstance(whole.get("auth"), dict) else None
    place = whole if auth is None else auth
    if not any(each.get(name) for each in (whole, place) for name in PROJECTS):
        place |= {name: value for name in PROJECTS if (value := handed.fallbacks.get(f"OS_{name.upper()}"))}
    if whole.get("region"):
        whole["region_name"] = whole.get("region_name") or whole["region"]
    if whole.get("profile") == "otc-swiss":
        place.setdefault("auth_url", PROFILES["otc-swiss"][0])  # openstacksdk leaves out https://
    if "auth_type" not in whole and "auth_plugin" not in whole:
        whole |= guess_type({**whole, **place})
    for home, name in ((home, name) for home in (place, whole) for name in PROJECTS[:2]):
        value = home.get(name)
        values = value.split(",") if isinstance(value, str) and name == "project_id" else value
        if isinstance(values, list):
            for each in [text for each in values if (text := str(each or "").strip())] or [""]:
                home[name] = each
                yield deepcopy(whole)
            return
    yield whole


def guess_type(entry: Mapping[str, Any]) -> dict[str, str]:
    """Name the type of a login that says by its keys what it is."""
    if any(entry.get(f"application_credential_{key}") for key in ("id", "name")):
        return {"auth_type": "v3applicationcredential"}
    return {"auth_type": "token"} if entry.get("token") and not entry.get("password") else {}


def read_account(handed: HandOver, single: Mapping[str, Any], *, entry: str | None) -> Account:
    """Have openstacksdk read what is handed over, and keep what we use of it."""
    cloud = resolve(handed, single)
    check_usable(handed, cloud)
    config, auth = cloud.config, cloud.config["auth"]
    kind, fallbacks = str(config["auth_type"]), handed.fallbacks
    values = {name: cloud.get_endpoint(service) or "" for service, name in OVERRIDES.items()}
    values |= {"OS_PROJECT_ID": auth.get("project_id") or "", "OS_INTERFACE": str(cloud.get_interface() or "")}
    values = {**fallbacks, **{name: value for name, value in values.items() if value}}
    spelt = Values(values, spell=lambda name: handed.spell(name.removeprefix("OS_").lower()))
    ca_file = config.get("cacert") or fallbacks.get("OS_CACERT")
    cert, key = (expand(config.get(name)) for name in ("cert", "key"))
    return Account(
        project=read_project(spelt, auth),
        login=Plugin(
            plugin=cloud.get_auth(),
            kind=kind,
            certificate=(cert, key) if cert else None,
            is_renewable=not FOR_ONCE & {kind, *(auth.get("auth_methods") or ())},
        ),
        auth_url=auth.get("auth_url"),
        region=cloud.get_region_name() or fallbacks.get("OS_REGION_NAME"),
        interface=read_interface(spelt),
        endpoints=read_endpoints(spelt),
        entry=entry,
        ca_file=ca_file,
    )


def expand(path: str | None) -> str | None:
    """Write out the home folder."""
    return str(Path(path).expanduser()) if path else None


def resolve(handed: HandOver, single: Mapping[str, Any]) -> "CloudRegion":
    """Have openstacksdk resolve an entry: its region, profile, defaults and older spellings, and the login.

    Raises:
        Misconfigured: it cannot.
    """
    from keystoneauth1.exceptions import NoMatchingPlugin, OptionError  # noqa: PLC0415 - see read_handed
    from openstack.config.loader import OpenStackConfig  # noqa: PLC0415 - see read_handed
    from openstack.warnings import ConfigurationWarning  # noqa: PLC0415 - see read_handed

    if "auth" not in single and single.get("auth_type") != "v3multifactor":
        single = drop_user_domain(single)
    config = OpenStackConfig(
        config_files=[], secure_files=[], vendor_files=list(handed.vendor_files), load_envvars=False
    )
    config.cloud_config = {"clouds": {"it": dict(single)}}
    region = single.get("region_name") or handed.fallbacks.get("OS_REGION_NAME") or ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", ConfigurationWarning)
            return config.get_one("it", region_name=region if "," not in region else "")
    except OptionError as error:
        names = ", ".join(handed.spell(f"auth.{option.dest}") for option in getattr(error, "options", ()))
        raise Misconfigured(f"{handed.key}: this login needs more: {names or error}") from None
    except Exception as error:  # noqa: BLE001 - it checks little of what it is given
        # The text of most may quote what stands in the entry, a secret as well; the names in these are harmless.
        known = re.search(
            r"(unexpected keyword|\d required positional) arguments?:? '\w+'|vendor profile [\w.-]+"
            r"|plugin [\w.-]+(?= could)|Valid choices are [\w, -]+",
            str(error),
        )
        what = f": {known[0]}" if known else ""
        kind = str(single.get("auth_type"))
        is_rare = isinstance(error, NoMatchingPlugin | ImportError) or "saml" in kind or "adfs" in kind
        what += "; some types need a package, such as keystoneauth1[saml2]" if is_rare else ""
        raise Misconfigured(f"{handed.key}: openstacksdk cannot read it ({type(error).__name__}{what})") from None


def drop_user_domain(single: Mapping[str, Any]) -> Mapping[str, Any]:
    """Drop what an environment says of the user's domain where the login has none: many scripts set it regardless."""
    from keystoneauth1 import loading  # noqa: PLC0415 - see read_handed
    from keystoneauth1.exceptions import NoMatchingPlugin  # noqa: PLC0415 - see read_handed

    try:
        taken = {option.dest for option in loading.get_plugin_loader(single.get("auth_type", "password")).get_options()}
    except NoMatchingPlugin:
        return single
    if "user_domain_name" in taken:
        return single
    rest = {name: value for name, value in single.items() if not name.startswith("user_domain")}
    if not any(rest.get(name) for name in PROJECTS):
        return rest
    domains = {f"project_{name}": rest.pop(name) for name in ("domain_id", "domain_name") if name in rest}
    return {**domains, **rest}


def check_usable(handed: HandOver, cloud: "CloudRegion") -> None:
    """Refuse what we could not honour.

    Raises:
        Misconfigured: the entry has such a key.
    """
    from keystoneauth1.identity.base import BaseIdentityPlugin  # noqa: PLC0415 - see read_handed

    config = cloud.config
    check_served(list_places(config), handed.spell)
    kind = str(config["auth_type"])
    if kind in PEOPLE or kind.startswith("v2") or not isinstance(cloud.get_auth(), BaseIdentityPlugin):
        raise Misconfigured(
            f"{handed.spell('auth_type')}: {kind} is no login to Keystone v3 that works without a person"
        )
    if config.get("key") and not config.get("cert"):
        raise Misconfigured(f"{handed.spell('key')}: it belongs to a client certificate, but there is no cert")
    if kind in {"password", "v3password"} and not config["auth"].get("password"):
        raise Misconfigured(f"{handed.key}: this login needs more: {handed.spell('auth.password')}")
    for key in (f"{service}_{key}" for service in OVERRIDES for key in PER_SERVICE):
        if config.get(key):
            raise Misconfigured(
                f"{handed.spell(key)}: not honoured; name the service in {key.partition('_')[0]}_endpoint_override"
            )


def read_project(values: Values, auth: Mapping[str, Any]) -> Project:
    """Read the project; a trust, a token or an application credential may know its own."""
    if auth.get("trust_id") and (auth.get("project_id") or auth.get("project_name")):
        raise Misconfigured(f"{values.spell('auth.trust_id')}: a trust has its own project, so leave out any other")
    if ids := check_ids(values, values.listed("OS_PROJECT_ID")):
        return Project(id=ids[0])
    if name := auth.get("project_name"):
        return Project(name=str(name))
    if auth.get("domain_id") or auth.get("domain_name") or not any(auth.get(name) for name in OWN_PROJECT):
        raise values.missing("OS_PROJECT_ID", why="shares belong to a project")
    return Project()


def log_in(login: Plugin, account: Account, *, timeout: float, now: datetime) -> Token:
    """Log in to the account's project; blocks, so it runs in a thread.

    Args:
        timeout: seconds for each request.

    Raises:
        LoginRefused: Keystone or the identity provider does not let us in.
        Unavailable: one of them is down, or answers something else.
    """
    from keystoneauth1 import exceptions  # noqa: PLC0415 - see read_handed
    from keystoneauth1.session import Session  # noqa: PLC0415 - see read_handed

    named = f"{login.kind} (clouds.{account.entry})" if account.entry else login.kind
    file, key = login.certificate or (None, None)
    certificate = (file, key) if file and key else file
    trusted = ssl.get_default_verify_paths()  # the system's, as for all other calls; requests would bring its own
    session = Session(
        verify=expand(account.ca_file) or trusted.cafile or trusted.capath or True,
        cert=certificate,
        timeout=timeout,
        app_name="doorman",
        app_version=VERSION,
    )
    try:
        login.plugin.invalidate()
        access = login.plugin.get_access(session)
        value, life = str(access.auth_token), in_utc(access.expires) - in_utc(access.issued or now)
        raw = access.service_catalog.catalog if access.has_service_catalog() else ()
        catalog: tuple[Entry, ...] = TypeAdapter(Catalog).validate_python(raw)
    except exceptions.HttpError as error:
        raise read_refusal(error, named) from None
    except exceptions.ConnectionError as error:
        found = re.search(r"https?://[\w.:-]+", str(error))  # the identity provider's, perhaps
        trouble = name_trouble(error, found[0].rstrip(":") if found else account.auth_url or "")
        raise Unavailable(f"the login {named} does not get through: {trouble}") from None
    except Exception as error:  # noqa: BLE001 - nor what is answered
        raise Unavailable(f"the login {named} at {account.auth_url} failed ({type(error).__name__})") from None
    return Token(
        value=value,
        life=life,
        project_id=access.project_id,
        catalog=catalog,
        user=access.username,
        project_name=access.project_name,
        roles=tuple(access.role_names or ()),
    )


def read_refusal(error: Any, kind: str) -> Unavailable:
    """Say who refused, and with which status; what they said may repeat what we sent."""
    where = f"by {urlsplit(error.url or '').hostname or 'Keystone'} ({error.http_status})"
    if error.http_status in {400, 401, 403, 404}:
        return LoginRefused(f"login refused {where}: check what {kind} needs, the project and its role")
    return Unavailable(f"the login {kind} was not answered {where}", retry_after=float(error.retry_after or 0) or None)
