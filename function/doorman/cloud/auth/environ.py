"""Reads `OS_*` values into `Account`s, one for each served project. Reads no file and talks to nobody."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from doorman.cloud.auth.accounts import (
    Account,
    Agency,
    ApplicationCredential,
    Domain,
    Endpoints,
    Keys,
    Login,
    Password,
    Project,
)
from doorman.cloud.auth.variables import Values
from doorman.errors import Misconfigured
from doorman.models import is_plain_id

# What a clouds.yaml entry takes from the environment where it does not say so itself.
FALLBACKS = (
    "OS_REGION_NAME",
    "OS_INTERFACE",
    "OS_ENDPOINT_TYPE",
    "OS_IMAGE_ENDPOINT_OVERRIDE",
    "OS_CBR_ENDPOINT_OVERRIDE",
    "OS_COMPUTE_ENDPOINT_OVERRIDE",
)
PROJECT_IDS = ("OS_PROJECT_ID", "OS_TENANT_ID")
PROJECT_NAMES = ("OS_PROJECT_NAME", "OS_TENANT_NAME", "OS_DELEGATED_PROJECT")
LOGIN = (
    "OS_ACCESS_KEY",
    "OS_SECRET_KEY",
    "OS_APPLICATION_CREDENTIAL_ID",
    "OS_APPLICATION_CREDENTIAL_SECRET",
    "OS_USERNAME",
    "OS_USER_ID",
    "OS_PASSWORD",
)
INTERFACES = ("public", "internal", "admin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The identity part of the environment: ready accounts, or names of clouds.yaml entries still to be read.

    Attributes:
        accounts: one for each served project; empty where `clouds` names entries.
        clouds: names of clouds.yaml entries, one served project each.
        config_file: the clouds.yaml to read instead of searching. secure_file: likewise its secrets.
        config_home: folder of the user's settings, usually `~/.config`; None where there is no home.
        ca_file: extra certificate authorities for the cloud (PEM).
        endpoints: base URLs that replace the catalog's.
        region: region for event sources; None where nobody said.
        projects: IDs of the projects to serve with credentials that come with each call; empty where none may come.
        fallbacks: `OS_*` values for entries that do not say so themselves.
    """

    accounts: tuple[Account, ...] = ()
    clouds: tuple[str, ...] = ()
    config_file: str | None = None
    secure_file: str | None = None
    config_home: str | None = None
    ca_file: str | None = None
    endpoints: Endpoints = field(default_factory=Endpoints)
    region: str | None = None
    projects: tuple[str, ...] = ()
    fallbacks: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], *, login_required: bool = True) -> Self:
        """Read the `OS_*` variables.

        Args:
            login_required: False where credentials may come with each call instead (FunctionGraph).

        Raises:
            Misconfigured: a variable is missing or wrong; the message names it.
        """
        values = Values(environ)
        clouds = values.listed("OS_CLOUD")
        wanted = FALLBACKS + (PROJECT_IDS + PROJECT_NAMES if len(clouds) == 1 else ())
        home = values.get("HOME")
        has_login = not clouds and (login_required or values.get(*LOGIN) is not None)
        return cls(
            accounts=read_accounts(values) if has_login else (),
            clouds=clouds,
            config_file=values.get("OS_CLIENT_CONFIG_FILE"),
            secure_file=values.get("OS_CLIENT_SECURE_FILE"),
            config_home=values.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else None),
            ca_file=values.get("OS_CACERT"),
            endpoints=read_endpoints(values),
            region=values.get("OS_REGION_NAME"),
            projects=() if login_required else check_ids(values, values.listed(*PROJECT_IDS)),
            fallbacks={name: value for name in wanted if clouds and (value := values.get(name))},
        )


def read_accounts(values: Values) -> tuple[Account, ...]:
    """Read one account for each project that `values` name.

    Raises:
        Misconfigured: a value is missing or wrong; the message names it as its source spells it.
    """
    login, endpoints = read_login(values), read_endpoints(values)
    if isinstance(login, Keys) and endpoints.image is None:
        raise values.missing("OS_IMAGE_ENDPOINT_OVERRIDE", why="AK/SK has no catalog to find the image service in")
    agency = read_agency(values, login)
    return tuple(
        Account(
            project=project,
            login=login,
            auth_url=None if isinstance(login, Keys) else read_auth_url(values),
            agency=agency,
            region=values.get("OS_REGION_NAME"),
            interface=read_interface(values),
            endpoints=endpoints,
        )
        for project in read_projects(values, login, agency)
    )


def read_login(values: Values) -> Login:
    """Read how to prove who we are: AK/SK before an application credential before a password."""
    if values.get("OS_ACCESS_KEY", "OS_SECRET_KEY"):
        return Keys(
            access=values.need("OS_ACCESS_KEY", why="it belongs to the secret key"),
            secret=values.secret("OS_SECRET_KEY", why="it belongs to the access key"),
            token=values.get("OS_SECURITY_TOKEN"),
        )
    if values.get("OS_APPLICATION_CREDENTIAL_ID", "OS_APPLICATION_CREDENTIAL_SECRET"):
        return ApplicationCredential(
            id=values.need("OS_APPLICATION_CREDENTIAL_ID", why="application credentials are found by their ID"),
            secret=values.secret("OS_APPLICATION_CREDENTIAL_SECRET", why="it belongs to the application credential"),
        )
    return read_password(values)


def read_password(values: Values) -> Password:
    """Read a user and the password; a user name needs its domain, an ID does not."""
    user_id = values.get("OS_USER_ID")
    name = None
    if user_id is None:
        name = values.need("OS_USERNAME", why="without it, AK/SK or an application credential nobody can log in")
    secret = values.secret("OS_PASSWORD", why="a login with a user name needs its password")
    domain = read_domain(values, "OS_USER_DOMAIN", "OS_DOMAIN")
    if name and domain is None:
        raise values.missing("OS_USER_DOMAIN_NAME", why="a user name is looked up within its domain (the account name)")
    return Password(user_id=user_id, user_name=name, domain=domain, secret=secret)


def read_domain(values: Values, *prefixes: str) -> Domain | None:
    """Read a domain by ID or name from the first of `prefixes` that is set (`OS_USER_DOMAIN` + `_ID` or `_NAME`)."""
    for prefix in prefixes:
        if found := values.get(f"{prefix}_ID"):
            return Domain(id=found)
        if found := values.get(f"{prefix}_NAME"):
            return Domain(name=found)
    return None


def read_agency(values: Values, login: Login) -> Agency | None:
    """Read the agency (assume role), named as the vendors' Terraform providers name it."""
    if (name := values.get("OS_AGENCY_NAME")) is None:
        return None
    if not isinstance(login, Password):
        raise Misconfigured(f"{values.spell('OS_AGENCY_NAME')} needs a login with user name and password")
    if login.domain is None:
        raise values.missing("OS_USER_DOMAIN_NAME", why="an agency is asked for from within the user's own domain")
    domain = read_domain(values, "OS_AGENCY_DOMAIN")
    if domain is None:
        raise values.missing("OS_AGENCY_DOMAIN_NAME", why="the account that lends the agency")
    return Agency(name=name, domain=domain)


def read_projects(values: Values, login: Login, agency: Agency | None) -> tuple[Project, ...]:
    """Read the served projects: IDs, or the name of one, or none with an application credential."""
    if ids := values.listed(*PROJECT_IDS):
        if isinstance(login, ApplicationCredential) and len(ids) > 1:
            spelt = values.spell("OS_PROJECT_ID")
            raise Misconfigured(f"{spelt} names {len(ids)} projects, but an application credential is for one")
        return tuple(Project(id=project_id) for project_id in check_ids(values, ids))
    name = None if isinstance(login, Keys) else values.get(*PROJECT_NAMES)
    if isinstance(login, ApplicationCredential):
        return (Project(),)
    if name is None:
        raise values.missing("OS_PROJECT_ID", why="the ID of the served project, or several with commas between")
    own = login.domain if isinstance(login, Password) else None
    lender = agency.domain if agency else None
    domain = lender or read_domain(values, "OS_PROJECT_DOMAIN", "OS_DOMAIN") or own
    if domain is None:
        raise values.missing("OS_PROJECT_DOMAIN_NAME", why="a project name is looked up within its domain")
    return (Project(name=name, domain=domain),)


def check_ids(values: Values, ids: tuple[str, ...]) -> tuple[str, ...]:
    """Give `ids` back where each can stand in a URL path."""
    if not all(map(is_plain_id, ids)):
        name = values.spell("OS_PROJECT_ID")
        raise Misconfigured(f"{name} must hold project IDs: 1 to 64 of A-Z a-z 0-9 _ -, commas between")
    return ids


def read_auth_url(values: Values) -> str:
    """Read Keystone's URL and lead it to version 3, as clients do that are given the bare service URL."""
    url = values.url("OS_AUTH_URL")
    if url is None:
        raise values.missing("OS_AUTH_URL", why="the URL of Keystone, such as https://iam.eu-de.otc.t-systems.com/v3")
    return url if url.endswith("/v3") else url.removesuffix("/v2.0") + "/v3"


def read_interface(values: Values) -> str:
    """Read which of the catalog's URLs to use; `publicURL` is the older spelling of `public`."""
    interface = (values.get("OS_INTERFACE", "OS_ENDPOINT_TYPE") or "public").removesuffix("URL")
    if interface not in INTERFACES:
        raise Misconfigured(f"{values.spell('OS_INTERFACE')} must be one of {', '.join(INTERFACES)}")
    return interface


def read_endpoints(values: Values) -> Endpoints:
    """Read the base URLs that replace the catalog's; a version at the end of the image URL is taken off."""
    image = values.url("OS_IMAGE_ENDPOINT_OVERRIDE")
    return Endpoints(
        image=image and image.removesuffix("/v2"),
        cbr=values.url("OS_CBR_ENDPOINT_OVERRIDE"),
        compute=values.url("OS_COMPUTE_ENDPOINT_OVERRIDE"),
    )
