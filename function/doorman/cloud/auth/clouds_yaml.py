"""Reads one entry of clouds.yaml (and secure.yaml) into `OS_*` values, as if they stood in the environment.

Gets text, finds no files. It knows a closed list of keys; an entry with any other goes to openstacksdk as it is, so
that no entry means one thing here and another there.
See https://docs.openstack.org/openstacksdk/latest/user/config/configuration.html
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from doorman.cloud.auth.accounts import HandOver
from doorman.cloud.auth.catalog import OVERRIDES
from doorman.cloud.auth.logins import PROJECT_IDS, PROJECT_NAMES, READERS, check_served
from doorman.cloud.auth.variables import Values
from doorman.errors import Misconfigured
from doorman.parsing import visible

IN_AUTH = (
    "auth_url", "username", "user_id", "password", "user_domain_id", "user_domain_name", "domain_id", "domain_name",
    "project_domain_id", "project_domain_name", "application_credential_id", "application_credential_secret",
    "agency_name", "agency_domain_id", "agency_domain_name", "delegated_project", "target_agency_name",
    "target_domain_id", "target_domain_name", "target_project_id", "target_project_name",
)  # fmt: skip
BESIDE = ("auth_type", *(f"{service}_endpoint_override" for service in OVERRIDES), "cacert")
# Where an entry keeps what a variable of the environment holds; the first that is set counts.
PLACES: dict[str, tuple[str, ...]] = {
    **{f"OS_{key.upper()}": (f"auth.{key}",) for key in IN_AUTH},
    **{f"OS_{key.upper()}": (key,) for key in BESIDE},
    "OS_PROJECT_ID": ("auth.project_id", "auth.tenant_id"),
    "OS_PROJECT_NAME": ("auth.project_name", "auth.tenant_name"),
    "OS_ACCESS_KEY": ("auth.ak", "auth.access_key", "ak", "access_key"),
    "OS_SECRET_KEY": ("auth.sk", "auth.secret_key", "sk", "secret_key"),
    "OS_SECURITY_TOKEN": ("auth.security_token", "security_token"),
    "OS_REGION_NAME": ("region_name", "region"),
    "OS_INTERFACE": ("interface", "endpoint_type"),
}
KNOWN = {place for places in PLACES.values() for place in places} | {
    "auth", "profile", "regions", "verify", "auth.verify", "insecure", "auth.insecure"
}  # fmt: skip
# Neither changes where we log in nor what we call.
HARMLESS = re.compile(
    rf"\w+_api_version|(?!(?:{'|'.join(OVERRIDES)})_)\w+_endpoint_override"
    r"|image_format|image_api_use_tasks|networks|(ex|in)ternal_network|nat_(source|destination)|floating_ip_source"
    r"|secgroup_source|api_timeout|disable_vendor_agent"
)
LISTS = {"auth.project_id": ",", "auth.project_name": "\n"}
PROJECT = (*PROJECT_IDS, *PROJECT_NAMES, "OS_PROJECT_DOMAIN_ID", "OS_PROJECT_DOMAIN_NAME")
# openstacksdk's, but that it leaves out https:// in the second, which then leads nowhere.
PROFILES = {
    "otc": ("https://iam.{}.otc.t-systems.com/v3", ("eu-de", "eu-nl")),
    "otc-swiss": ("https://iam-pub.eu-ch2.sc.otc.t-systems.com/v3", ("eu-ch2",)),
}


class Loader(yaml.SafeLoader):
    """Keeps every scalar as it is written: a password `0123` or `yes` is text. Null and merge keys (`<<`) work."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's way
        "<": [("tag:yaml.org,2002:merge", re.compile(r"^<<$"))],
        **{
            letter: [("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"))]
            for letter in ("~", "n", "N", "")
        },
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where an entry stands, and what counts besides.

    Attributes:
        file: name of clouds.yaml, for messages. cloud: name of the entry.
        fallbacks: `OS_*` values that count where the entry does not say.
        vendor_files: files of vendor profiles (clouds-public.yaml), which count before our own.
    """

    file: str
    cloud: str
    fallbacks: Mapping[str, str]
    vendor_files: tuple[str, ...] = ()

    def spell(self, place: str) -> str:
        """Say where a key of the entry, or what a variable of the environment holds, stands."""
        return visible(f"{self.file}: clouds.{self.cloud}.{PLACES.get(place, (place,))[0]}")


def read_entry(text: str, secure: str | None, source: Source) -> Values | HandOver:
    """Read an entry of a clouds.yaml.

    Args:
        text: content of clouds.yaml. secure: content of secure.yaml, laid over it; None without one.

    Raises:
        Misconfigured: no YAML, no such entry, or an entry that nobody can serve; never repeats a value.
    """
    clouds = find_clouds(parse(text, file=source.file))
    entry = clouds.get(source.cloud)
    if source.cloud in clouds and not isinstance(entry, dict):
        raise Misconfigured(f"{source.spell('auth')} is missing: keys such as `username:` stand there")
    if not isinstance(entry, dict):
        there = f"; there are {visible(', '.join(map(str, clouds)))}" if clouds else ""
        raise Misconfigured(f"{source.file} has no entry {source.cloud!r} under clouds: check OS_CLOUD{there}")
    hidden = find_clouds(parse(secure, file="secure.yaml")).get(source.cloud) if secure else None
    entry = drop_unset(merge(entry, hidden if isinstance(hidden, dict) else {}))
    places = list_places(entry)
    check_served(places, source.spell)
    for place, kind, form in (("auth", dict, "keys, such as `username:`"), ("regions", list, "a list of names")):
        if not isinstance(places.get(place, kind()), kind):
            raise Misconfigured(f"{source.spell(place)} must hold {form}")
    if (key := find_foreign(places, source)) is not None:  # a key may be empty
        return HandOver(
            entry=entry,
            key=source.spell(key),
            spell=source.spell,
            vendor_files=source.vendor_files,
            fallbacks=source.fallbacks,
        )
    values = add_fallbacks(add_region(name_values(places), places, source), source.fallbacks)
    return Values(values, spell=source.spell)


def parse(text: str, *, file: str) -> Any:
    """Parse YAML; an error tells where, but not what, since what stands there may be a password."""
    try:
        document = yaml.load(text, Loader)  # noqa: S506 - our Loader is a SafeLoader
        json.dumps(document, skipkeys=True, default=str)  # a ValueError where an alias lies within its own anchor
    except (yaml.YAMLError, ValueError, AttributeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        # The YAML error itself quotes the line, so it is not chained.
        raise Misconfigured(f"{file}{where}: {name_fault(error)}") from None
    return document


def name_fault(error: Exception) -> str:
    """Say what is wrong with a YAML file."""
    if "single document" in (getattr(error, "context", None) or ""):
        return "a second YAML document begins here (---); keep one"
    if "'\\t'" in (getattr(error, "problem", None) or ""):
        return "a tab stands where YAML wants spaces"
    if "Circular" in str(error):
        return "an entry contains itself: an alias (*) lies within its own anchor (&)"
    return "is no YAML; put values with special characters into quotes"


def find_clouds(document: Any) -> dict[str, Any]:
    """Give the entries of a file by their names."""
    clouds = document.get("clouds") if isinstance(document, dict) else None
    return clouds if isinstance(clouds, dict) else {}


def merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Lay one entry over another, mapping by mapping."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def list_places(entry: dict[str, Any]) -> dict[str, Any]:
    """List what the entry sets by place: `region_name`, `auth.username`."""
    auth = entry.get("auth")
    nested = auth if isinstance(auth, dict) else {}
    places = {**{str(key): value for key, value in entry.items()}, **{f"auth.{key}": nested[key] for key in nested}}
    if places.get("auth_type") == "agency":  # which openstacksdk, that reads both places, does not know
        kept = {place for place in places if place in KNOWN or f"auth.{place}" not in KNOWN}
        places = {place if place in kept else f"auth.{place}": value for place, value in places.items()}
    return places


def drop_unset(entry: dict[str, Any], *, levels: int = 2) -> dict[str, Any]:
    """Give an entry, as well as what stands under `auth`, without what is null, empty or blank."""
    return {
        key: drop_unset(value, levels=levels - 1) if levels > 1 and isinstance(value, dict) else value
        for key, value in entry.items()
        if value is not None and not (isinstance(value, str) and not value.strip())
    }


def find_foreign(places: Mapping[str, Any], source: Source) -> str | None:
    """Find the first key, type or layout that our own reader does not know; None where it knows everything."""
    if str(places.get("auth_type", "password")) not in READERS:
        return "auth_type"
    for place, value in places.items():
        is_list = isinstance(value, list) and all(isinstance(each, str) for each in value)
        if place == "auth" or HARMLESS.fullmatch(place):
            continue
        is_formatted = "auth_url" in place or not place.startswith("auth.")  # openstacksdk fills in what stands in {}
        if place not in KNOWN or (is_formatted and "{" in str(value)):
            return place
        if not (is_list if place == "regions" else isinstance(value, str) or (is_list and place in LISTS)):
            return place
    layouts = {
        "region_name": "," in places.get("region_name", ""),
        "endpoint_type": {"interface", "endpoint_type"} <= {*places},
        "profile": "profile" in places and bool(source.vendor_files or places["profile"] not in PROFILES),
    }
    return next((key for key, is_foreign in layouts.items() if is_foreign), None)


def name_values(places: Mapping[str, Any]) -> dict[str, str]:
    """Give what is said by the names that it has in the environment, lists as one text."""
    said = {name: place for name, spellings in PLACES.items() for place in reversed(spellings) if place in places}
    return {
        name: value if isinstance(value := places[place], str) else LISTS[place].join(value)
        for name, place in said.items()
    }


def add_region(values: dict[str, str], places: Mapping[str, Any], source: Source) -> dict[str, str]:
    """Choose the region: the one that is named, else the first of those that there are; the profile's URL is there.

    Raises:
        Misconfigured: a region is named that the entry does not have.
    """
    url, known = PROFILES.get(places.get("profile", ""), ("", ()))
    named = values.get("OS_REGION_NAME")
    regions = places.get("regions") or ([] if named else known)
    region = named or source.fallbacks.get("OS_REGION_NAME") or next(iter(regions), None)
    if regions and region not in regions:
        spelt = source.spell("region_name") if named else "OS_REGION_NAME"
        raise Misconfigured(
            f"{spelt} names a region that clouds.{source.cloud} does not have: {visible(', '.join(regions))}"
        )
    found = {"OS_REGION_NAME": region} if region else {}
    return {**({"OS_AUTH_URL": url.format(region)} if url else {}), **found, **values}


def add_fallbacks(values: Mapping[str, str], fallbacks: Mapping[str, str]) -> dict[str, str]:
    """Fill in from the environment what the entry does not say; its project, once named in any way, is its own."""
    has_project = any(name in values for name in (*PROJECT, "OS_TARGET_PROJECT_ID", "OS_TARGET_PROJECT_NAME"))
    return {**{name: value for name, value in fallbacks.items() if not (has_project and name in PROJECT)}, **values}
