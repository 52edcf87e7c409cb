"""Finds a service's base URL in a Keystone catalog. Talks to nobody."""

import re
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from doorman.errors import Misconfigured

Service = Literal["image", "cbr", "compute"]

# `service_type`s under which clouds list the service, the usual one first.
TYPES: dict[Service, tuple[str, ...]] = {
    "image": ("image", "ims", "imsv2"),
    "cbr": ("cbr", "cbrv3"),
    "compute": ("compute", "ecs"),
}
# What a catalog URL carries behind the base URL. Compute keeps its version: it differs from cloud to cloud.
VERSIONS: dict[Service, re.Pattern[str]] = {
    "image": re.compile(r"/v2(\.\d+)?$"),
    "cbr": re.compile(r"/v3(/[^/]+)?$"),
    "compute": re.compile(r"(?!)"),
}
EVERYWHERE = "*"  # the region of T Cloud Public's global services


class Foreign(BaseModel):
    """What others answer; its reader is built when first needed."""

    model_config = ConfigDict(defer_build=True)


class Endpoint(Foreign):
    """One URL of a service."""

    url: str
    interface: str = "public"
    region: str | None = None
    region_id: str | None = None


class Entry(Foreign):
    """One service with its endpoints."""

    type: str
    endpoints: tuple[Endpoint, ...] = ()


def find_endpoint(catalog: Sequence[Entry], service: Service, *, region: str | None, interface: str) -> str:
    """Find the base URL of `service`: no trailing slash, no version (but compute's, `.../v2.1`).

    Raises:
        Misconfigured: the catalog has no such endpoint, or several regions and none is chosen.
    """
    found = list_endpoints(catalog, service, region=region, interface=interface)
    if not found:
        where = f" in region {region}" if region else ""
        raise Misconfigured(
            f"the catalog has no {interface} endpoint of the {service} service{where}: check OS_REGION_NAME, "
            f"or set OS_{service.upper()}_ENDPOINT_OVERRIDE"
        )
    if len({endpoint.region_id or endpoint.region for endpoint in found}) > 1:
        raise Misconfigured(f"the catalog has the {service} service in several regions: set OS_REGION_NAME")
    return VERSIONS[service].sub("", found[0].url.rstrip("/"))


def list_endpoints(catalog: Sequence[Entry], service: Service, *, region: str | None, interface: str) -> list[Endpoint]:
    """List the endpoints that fit, those under the service's usual type first."""
    return [
        endpoint
        for name in TYPES[service]
        for entry in catalog
        if entry.type == name
        for endpoint in entry.endpoints
        if endpoint.interface.removesuffix("URL") == interface
        and (region is None or {endpoint.region, endpoint.region_id} & {region, EVERYWHERE})
    ]
