"""Finds a service's base URL in a Keystone catalog. Talks to nobody."""

import re
from collections.abc import Mapping, Sequence, ValuesView
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, OnErrorOmit

from doorman.cloud.api.base import Service
from doorman.cloud.auth.accounts import Account
from doorman.cloud.auth.variables import is_plain_url
from doorman.errors import Misconfigured

# `service_type`s under which clouds list the service, the usual one first.
TYPES: dict[Service, tuple[str, ...]] = {
    "image": ("image", "ims", "imsv2"),
    "cbr": ("cbr", "cbrv3"),
    "compute": ("compute", "ecs"),
}
# What a catalog URL carries behind the base URL. Compute keeps its version: it differs from cloud to cloud.
VERSIONS: dict[Service, re.Pattern[str]] = {
    "image": re.compile(r"/v2(\.\d+)?(/[^/]+)?$"),
    "cbr": re.compile(r"/v3(/[^/]+)?$"),
    "compute": re.compile(r"(?!)"),
}
OVERRIDES: dict[Service, str] = {service: f"OS_{service.upper()}_ENDPOINT_OVERRIDE" for service in TYPES}
"""The variables with base URLs that replace the catalog's."""

EVERYWHERE = "*"  # the region of T Cloud Public's global services


class Foreign(BaseModel):
    """What others answer; its reader is built when first needed."""

    model_config = ConfigDict(defer_build=True)


class Endpoint(Foreign):
    """One URL of a service."""

    url: Annotated[str, Field(pattern="(?i)^https?://[^/]")]
    interface: str = "public"
    region: str | None = None
    region_id: str | None = None


class Entry(Foreign):
    """One of our services with its endpoints."""

    type: Annotated[str, Field(pattern=f"^({'|'.join(name for names in TYPES.values() for name in names)})$")]
    endpoints: tuple[OnErrorOmit[Endpoint], ...]


def list_services(raw: Any) -> Any:
    """List the services of a catalog, which may have them by their place; none where it is something else."""
    services = raw.values() if isinstance(raw, Mapping) else raw
    return tuple(services) if isinstance(services, Sequence | ValuesView) else ()


Catalog = Annotated[tuple[OnErrorOmit[Entry], ...], BeforeValidator(list_services)]
"""What we can use of a catalog; others' faults in it are not ours."""


def find_endpoint(catalog: Sequence[Entry], service: Service, account: Account) -> str:
    """Find the base URL of `service` for an account: no trailing slash, no version (but compute's, `.../v2.1`).

    Raises:
        Misconfigured: the catalog has no such endpoint, or several regions and none is chosen.
    """
    region, interface = account.region, account.interface
    found = list_endpoints(catalog, service, interface=interface)
    own = [each for each in found if (region in name_regions(each) if region else EVERYWHERE not in name_regions(each))]
    regions = sorted({min(name_regions(each)) for each in found} - {EVERYWHERE})
    chosen = own or [each for each in found if EVERYWHERE in name_regions(each)]
    if not chosen:
        where = f" in region {region}" if region else ""
        others = f" (it has it in {', '.join(regions)})" if regions else ""
        raise Misconfigured(
            f"the catalog has no {interface} endpoint of the {service} service{where}{others}: "
            f"check {account.spell('region_name')}, or set {account.spell(f'{service}_endpoint_override')}"
        )
    if not region and len(regions) > 1:
        raise Misconfigured(
            f"the catalog has the {service} service in several regions ({', '.join(regions)}): "
            f"set {account.spell('region_name')}"
        )
    return VERSIONS[service].sub("", chosen[0].url.rstrip("/"))


def list_endpoints(catalog: Sequence[Entry], service: Service, *, interface: str) -> list[Endpoint]:
    """List the service's endpoints, those under its usual type first."""
    return [
        endpoint
        for name in TYPES[service]
        for entry in catalog
        if entry.type == name
        for endpoint in entry.endpoints
        if endpoint.interface.removesuffix("URL") == interface and is_plain_url(endpoint.url)
    ]


def name_regions(endpoint: Endpoint) -> set[str]:
    """Name the region of an endpoint, which may have an ID as well; without one it is everywhere."""
    return {name for name in (endpoint.region_id, endpoint.region) if name} or {EVERYWHERE}
