"""Reads one entry of clouds.yaml (and secure.yaml) into `OS_*` values, as if they stood in the environment.

Gets text, finds no files. See https://docs.openstack.org/openstacksdk/latest/user/config/configuration.html
"""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from doorman.cloud.auth.variables import Values
from doorman.errors import Misconfigured

# Where an entry keeps what a variable of the environment holds; the first that is set counts.
PLACES: dict[str, tuple[str, ...]] = {
    "OS_AUTH_URL": ("auth.auth_url",),
    "OS_USERNAME": ("auth.username",),
    "OS_USER_ID": ("auth.user_id",),
    "OS_PASSWORD": ("auth.password",),
    "OS_USER_DOMAIN_ID": ("auth.user_domain_id",),
    "OS_USER_DOMAIN_NAME": ("auth.user_domain_name",),
    "OS_DOMAIN_ID": ("auth.domain_id",),
    "OS_DOMAIN_NAME": ("auth.domain_name",),
    "OS_PROJECT_ID": ("auth.project_id", "auth.tenant_id"),
    "OS_PROJECT_NAME": ("auth.project_name", "auth.tenant_name"),
    "OS_PROJECT_DOMAIN_ID": ("auth.project_domain_id",),
    "OS_PROJECT_DOMAIN_NAME": ("auth.project_domain_name",),
    "OS_APPLICATION_CREDENTIAL_ID": ("auth.application_credential_id",),
    "OS_APPLICATION_CREDENTIAL_SECRET": ("auth.application_credential_secret",),
    "OS_ACCESS_KEY": ("auth.ak", "auth.access_key", "ak", "access_key"),
    "OS_SECRET_KEY": ("auth.sk", "auth.secret_key", "sk", "secret_key"),
    "OS_SECURITY_TOKEN": ("auth.security_token", "security_token"),
    "OS_AGENCY_NAME": ("auth.agency_name",),
    "OS_AGENCY_DOMAIN_ID": ("auth.agency_domain_id",),
    "OS_AGENCY_DOMAIN_NAME": ("auth.agency_domain_name",),
    "OS_DELEGATED_PROJECT": ("auth.delegated_project",),
    "OS_REGION_NAME": ("region_name",),
    "OS_INTERFACE": ("interface", "endpoint_type"),
    "OS_IMAGE_ENDPOINT_OVERRIDE": ("image_endpoint_override",),
    "OS_CBR_ENDPOINT_OVERRIDE": ("cbr_endpoint_override",),
    "OS_COMPUTE_ENDPOINT_OVERRIDE": ("compute_endpoint_override",),
    "OS_CACERT": ("cacert",),
}
AUTH_TYPES = ("password", "v3password", "v3applicationcredential", "aksk")
NO = ("false", "no", "off", "0")
YES = ("true", "yes", "on", "1")
PROJECT = (
    "OS_PROJECT_ID",
    "OS_TENANT_ID",
    "OS_PROJECT_NAME",
    "OS_TENANT_NAME",
    "OS_PROJECT_DOMAIN_ID",
    "OS_PROJECT_DOMAIN_NAME",
    "OS_DELEGATED_PROJECT",
)


class Loader(yaml.SafeLoader):
    """Keeps every scalar as it is written: a password `0123` or `yes` is text. Merge keys (`<<`) still work."""

    yaml_implicit_resolvers = {"<": [("tag:yaml.org,2002:merge", re.compile(r"^<<$"))]}  # noqa: RUF012 - PyYAML's way


def read_entry(text: str, secure: str | None, *, cloud: str, file: str, fallbacks: Mapping[str, str]) -> Values:
    """Read the entry `cloud` of a clouds.yaml.

    Args:
        text: content of clouds.yaml. secure: content of secure.yaml, laid over it; None without one.
        file: name of the file, for messages.
        fallbacks: `OS_*` values that count where the entry does not say.

    Raises:
        Misconfigured: no YAML, no such entry, or an entry that we cannot serve; never repeats a value.
    """
    entry = find_entry(parse(text, file=file), cloud)
    if entry is None:
        raise Misconfigured(f"{file} has no entry {cloud!r} under clouds: check OS_CLOUD")
    hidden = find_entry(parse(secure, file="secure.yaml"), cloud) if secure else None
    where = f"{file}: clouds.{cloud}"
    places = list_places(merge(entry, hidden or {}))
    check_served(places, where=where)
    return Values(
        add_fallbacks(name_values(places), fallbacks),
        spell=lambda name: f"{where}.{PLACES.get(name, (name,))[0]}",
    )


def parse(text: str, *, file: str) -> Any:
    """Parse YAML; an error tells where, but not what, since what stands there may be a password."""
    try:
        return yaml.load(text, Loader)  # noqa: S506 - our Loader is a SafeLoader
    except (yaml.YAMLError, ValueError, AttributeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        # The YAML error itself quotes the line, so it is not chained.
        message = f"{file}{where}: is no YAML; put values with special characters into quotes"
        raise Misconfigured(message) from None


def find_entry(document: Any, cloud: str) -> dict[str, Any] | None:
    """Give the entry `cloud`, or None where there is none."""
    clouds = document.get("clouds") if isinstance(document, dict) else None
    entry = clouds.get(cloud) if isinstance(clouds, dict) else None
    return entry if isinstance(entry, dict) else None


def merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Lay one entry over another, mapping by mapping."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def list_places(entry: dict[str, Any]) -> dict[str, str]:
    """List the entry's texts by place: `region_name`, `auth.username`."""
    auth = entry.get("auth")
    nested = auth.items() if isinstance(auth, dict) else ()
    pairs = [*entry.items(), *((f"auth.{name}", value) for name, value in nested)]
    return {str(place): value for place, value in pairs if isinstance(value, str) and value.strip()}


def check_served(places: Mapping[str, str], *, where: str) -> None:
    """Refuse what we would otherwise ignore to the reader's surprise."""
    if places.get("auth_type", "password") not in AUTH_TYPES:
        raise Misconfigured(f"{where}.auth_type must be one of {', '.join(AUTH_TYPES)}: other logins cannot be renewed")
    if places.get("verify", "true").lower() in NO or places.get("insecure", "false").lower() in YES:
        raise Misconfigured(f"{where}: certificates are always verified; name your own authority in cacert")


def name_values(places: Mapping[str, str]) -> dict[str, str]:
    """Give the texts by the names that they have in the environment."""
    return {
        name: next(places[place] for place in spellings if place in places)
        for name, spellings in PLACES.items()
        if any(place in places for place in spellings)
    }


def add_fallbacks(values: Mapping[str, str], fallbacks: Mapping[str, str]) -> dict[str, str]:
    """Fill in from the environment what the entry does not say; its project, once named in any way, is its own."""
    has_project = any(name in values for name in PROJECT)
    return {**{name: value for name, value in fallbacks.items() if not (has_project and name in PROJECT)}, **values}
