"""Reads `OS_*` values, of the environment or of a clouds.yaml entry, into `Account`s, one for each served project."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from doorman.cloud.api.base import Service
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
from doorman.cloud.auth.catalog import OVERRIDES, VERSIONS
from doorman.cloud.auth.variables import Values, gather
from doorman.errors import Misconfigured
from doorman.models import is_plain_id

PROJECT_IDS = ("OS_PROJECT_ID", "OS_TENANT_ID")
PROJECT_NAMES = ("OS_PROJECT_NAME", "OS_TENANT_NAME", "OS_DELEGATED_PROJECT")
TYPE = ("OS_AUTH_TYPE", "OS_AUTH_PLUGIN")
# Where no type is named, the first of these that is given in part. AK/SK come last: often they are there for the
# object store only, beside the login.
GIVEN: dict[str, tuple[str, ...]] = {
    "v3applicationcredential": ("OS_APPLICATION_CREDENTIAL_ID", "OS_APPLICATION_CREDENTIAL_SECRET"),
    "password": ("OS_USERNAME", "OS_USER_ID", "OS_PASSWORD"),
    "aksk": ("OS_ACCESS_KEY", "OS_SECRET_KEY"),
}
LOGIN = (*TYPE, "OS_TOKEN", *(name for names in GIVEN.values() for name in names))
# What the login of an agency is called where it has a type of its own: the names that count, and those found there.
TARGETS = {
    "OS_AGENCY_NAME": "OS_TARGET_AGENCY_NAME",
    "OS_AGENCY_DOMAIN_ID": "OS_TARGET_DOMAIN_ID",
    "OS_AGENCY_DOMAIN_NAME": "OS_TARGET_DOMAIN_NAME",
    "OS_PROJECT_ID": "OS_TARGET_PROJECT_ID",
    "OS_PROJECT_NAME": "OS_TARGET_PROJECT_NAME",
}
PROJECT_MARK = "%(project_id)s"
INTERFACES = ("public", "internal", "admin")
TRUE = ("true", "yes", "on", "1")


def check_served(places: Mapping[str, Any], spell: Callable[[str], str]) -> None:
    """Refuse what neither of the two readers honours.

    Args:
        places: what a login sets by place, such as `auth.username`. spell: how its source spells one.

    Raises:
        Misconfigured: it sets such a thing.
    """
    for place, value in places.items():
        key = place.removeprefix("auth.")
        is_true = str(value).lower() in TRUE
        if value is not None and ((key == "insecure" and is_true) or (key == "verify" and not is_true)):
            named = spell("cacert").rpartition(".")[2]
            raise Misconfigured(f"{spell(place)}: certificates are always verified; name your own authority in {named}")
        if value and key in {"system_scope", "system-scope"}:
            named = spell("project_id").rpartition(".")[2]
            raise Misconfigured(f"{spell(place)}: shares belong to a project: name it in {named}")


def read_ca_file(values: Values) -> str | None:
    """Read where extra certificate authorities stand.

    Raises:
        Misconfigured: it holds the certificates themselves.
    """
    path = values.get("OS_CACERT")
    if path and "-----BEGIN" in path:
        raise Misconfigured(
            f"{values.spell('OS_CACERT')} wants the path of a PEM file, not the certificates themselves"
        )
    return path


def read_accounts(values: Values, *, entry: str | None = None) -> tuple[Account, ...]:
    """Read one account for each project that `values` name.

    Args:
        entry: name of the clouds.yaml entry that they come from.

    Raises:
        Misconfigured: values are missing or wrong; the message names all of them as their source spells them.
    """
    kind = values.get(*TYPE) or next((kind for kind, names in GIVEN.items() if values.get(*names)), "password")
    values = name_targets(values) if kind == "agency" else values
    needs_url = kind != "aksk"
    read = gather(
        login=partial(READERS[kind], values),
        endpoints=partial(read_endpoints, values, is_needed=not needs_url),
        auth_url=lambda: read_auth_url(values) if needs_url else None,
        region=partial(read_region, values),
        interface=partial(read_interface, values),
        ca_file=partial(read_ca_file, values),
        agency=partial(read_agency, values, kind),
        projects=partial(read_projects, values, kind),
    )
    projects = read.pop("projects")
    return tuple(Account(project=project, entry=entry, **read) for project in projects)


def name_targets(values: Values) -> Values:
    """Give the values of a login of the type `agency` the names that they have without a type."""
    own = {name: value for name, value in values.values.items() if name not in (*PROJECT_IDS, *PROJECT_NAMES)}
    found = {ours: value for ours, theirs in TARGETS.items() if (value := values.get(theirs))}
    return Values({**own, **found}, spell=lambda name: values.spell(TARGETS.get(name, name)))


def read_keys(values: Values) -> Login:
    """Read AK/SK, with the security token of temporary ones."""
    read = gather(
        access=partial(values.need, "OS_ACCESS_KEY", why="it belongs to the secret key"),
        secret=partial(values.secret, "OS_SECRET_KEY", why="it belongs to the access key"),
    )
    return Keys(token=values.get("OS_SECURITY_TOKEN"), **read)


def read_application_credential(values: Values) -> Login:
    """Read an application credential, by ID."""
    read = gather(
        id=partial(values.need, "OS_APPLICATION_CREDENTIAL_ID", why="application credentials are found by their ID"),
        secret=partial(
            values.secret, "OS_APPLICATION_CREDENTIAL_SECRET", why="it belongs to the application credential"
        ),
    )
    return ApplicationCredential(**read)


def read_password(values: Values) -> Login:
    """Read a user and the password; a user name needs its domain, an ID does not."""
    user_id = values.get("OS_USER_ID")
    hint = f"; to sign with AK/SK, set {values.spell('OS_AUTH_TYPE')} to aksk" if values.get("OS_ACCESS_KEY") else ""
    name = partial(values.need, "OS_USERNAME", why="a login with a password needs its user" + hint)
    read = gather(
        user_name=lambda: None if user_id else name(),
        secret=partial(values.secret, "OS_PASSWORD", why="a login with a user name needs its password" + hint),
        domain=partial(read_user_domain, values, is_needed=user_id is None),
    )
    return Password(user_id=user_id, **read)


READERS: dict[str, Callable[[Values], Login]] = {
    "password": read_password,
    "v3password": read_password,
    "agency": read_password,
    "v3applicationcredential": read_application_credential,
    "aksk": read_keys,
}


def read_user_domain(values: Values, *, is_needed: bool) -> Domain | None:
    """Read the user's domain.

    Raises:
        Misconfigured: it is needed and not there.
    """
    domain = read_domain(values, "OS_USER_DOMAIN", "OS_DOMAIN", "OS_DEFAULT_DOMAIN")
    if domain or not is_needed:
        return domain
    is_old = (values.get("OS_AUTH_URL") or "").rstrip("/").endswith("/v2.0")
    gone = "; Keystone v2.0, which had no domains, is gone" if is_old else ""
    raise values.missing(
        "OS_USER_DOMAIN_NAME", why=f"a user name is looked up within its domain (the account name){gone}"
    )


def read_domain(values: Values, *prefixes: str) -> Domain | None:
    """Read a domain from the first of `prefixes` that is set (`OS_USER_DOMAIN` + `_ID` or `_NAME`).

    Any ID counts before any name, as in keystoneauth1; `OS_DEFAULT_DOMAIN` itself is an ID.
    """
    if found := values.get(*(f"{prefix}_ID" for prefix in prefixes)):
        return Domain(id=found)
    if found := values.get(*(f"{prefix}_NAME" for prefix in prefixes)):
        return Domain(name=found)
    found = values.get("OS_DEFAULT_DOMAIN")
    return Domain(id=found) if found else None


def read_agency(values: Values, kind: str) -> Agency | None:
    """Read the agency (assume role), named as the vendors' Terraform providers name it."""
    name = values.get("OS_AGENCY_NAME")
    if name is None and kind == "agency":
        raise values.missing("OS_AGENCY_NAME", why="the agency that the other account made for yours")
    if name is None:
        return None
    if READERS[kind] is not read_password:
        raise Misconfigured(f"{values.spell('OS_AGENCY_NAME')} needs a login with user name and password")
    if read_user_domain(values, is_needed=False) is None:
        raise values.missing("OS_USER_DOMAIN_NAME", why="an agency is asked for from within the user's own domain")
    domain = read_domain(values, "OS_AGENCY_DOMAIN")
    if domain is None:
        raise values.missing("OS_AGENCY_DOMAIN_NAME", why="the account that lends the agency")
    return Agency(name=name, domain=domain)


def read_projects(values: Values, kind: str) -> tuple[Project, ...]:
    """Read the served projects, by ID or by name; none with an application credential, which knows its own."""
    ids = check_ids(values, values.listed(*PROJECT_IDS))
    if kind == "v3applicationcredential":
        if len(ids) > 1:
            spelt = values.spell("OS_PROJECT_ID")
            raise Misconfigured(f"{spelt} names {len(ids)} projects, but an application credential is for one")
        return (Project(id=ids[0]) if ids else Project(),)
    if ids:
        return tuple(Project(id=project_id) for project_id in ids)
    names = (values.get(*PROJECT_NAMES) or "").splitlines()
    if kind == "aksk" or not names:
        raise values.missing("OS_PROJECT_ID", why="the ID of the served project, or several with commas between")
    lender = read_domain(values, "OS_AGENCY_DOMAIN") if values.get("OS_AGENCY_NAME") else None
    domain = (
        lender
        or read_domain(values, "OS_PROJECT_DOMAIN", "OS_DOMAIN", "OS_DEFAULT_DOMAIN")
        or read_user_domain(values, is_needed=False)
    )
    if domain is None:
        raise values.missing("OS_PROJECT_DOMAIN_NAME", why="a project name is looked up within its domain")
    return tuple(Project(name=name, domain=domain) for name in dict.fromkeys(names))


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
    url = url.removesuffix("/auth/tokens").rstrip("/")
    return url if url.endswith("/v3") else url.removesuffix("/v2.0") + "/v3"


def read_region(values: Values) -> str | None:
    """Read the one region whose endpoints we use."""
    region = values.get("OS_REGION_NAME")
    if region and "," in region:
        raise Misconfigured(f"{values.spell('OS_REGION_NAME')} names several regions: images are shared within one")
    return region


def read_interface(values: Values) -> str:
    """Read which of the catalog's URLs to use; `publicURL` is the older spelling of `public`."""
    interface = (values.get("OS_INTERFACE") or "public").removesuffix("URL")
    if interface not in INTERFACES:
        raise Misconfigured(f"{values.spell('OS_INTERFACE')} must be one of {', '.join(INTERFACES)}")
    return interface


def read_endpoints(values: Values, *, is_needed: bool = False) -> Endpoints:
    """Read the base URLs that replace the catalog's, without their version, which our requests bring.

    Args:
        is_needed: there is no catalog to find the image service in.
    """
    found = Endpoints(**gather(**{service: partial(read_endpoint, values, service) for service in OVERRIDES}))
    if is_needed and found.image is None:
        raise values.missing("OS_IMAGE_ENDPOINT_OVERRIDE", why="AK/SK has no catalog to find the image service in")
    return found


def read_endpoint(values: Values, service: Service) -> str | None:
    """Read one of them; `%(project_id)s` may stand in it, as keystoneauth1 has it."""
    name = OVERRIDES[service]
    if (url := values.url(name)) is None:
        return None
    url = VERSIONS[service].sub("", url.replace("%(tenant_id)s", PROJECT_MARK))
    if re.search(r"[%$]\(", url.replace(PROJECT_MARK, "")):
        raise Misconfigured(f"{values.spell(name)}: only {PROJECT_MARK} may stand in it")
    return url
