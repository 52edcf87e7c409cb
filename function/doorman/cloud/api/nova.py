"""The compute service's servers, sans I/O: which image each was booted from.

See https://docs.openstack.org/api-ref/compute/ and https://docs.otc.t-systems.com/elastic-cloud-server/api-ref/
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from doorman.cloud.api.base import Answer, Request, read_list
from doorman.models import is_image_id, is_plain_id

PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server, and the image that it was booted from."""

    server_id: str
    name: str | None
    image_id: str


def list_servers(*, marker: str | None = None) -> Request:
    """Ask for the project's servers with their details."""
    params = (("limit", str(PAGE)), *((("marker", marker),) if marker else ()))
    return Request(method="GET", service="compute", path="/servers/detail", params=params)


def read_servers(answer: Answer) -> tuple[list[Server], str | None]:
    """Read one page: the servers booted from an image, and the ID that the next page begins after; None at the end.

    Those of which no image is told, such as those booted from a volume, are left out.

    Raises:
        Unavailable, Refused: see `base.read_object`.
    """
    value, rows = read_list(answer, "servers")
    known = [row for row in rows if isinstance(row, dict) and _has_id(row)]
    servers = (_read_server(row) for row in known)
    # As the API has it: a next page is announced by a link, whose URL is not trusted, only that it is there.
    is_last = not known or not value.get("servers_links")
    return [server for server in servers if server is not None], None if is_last else known[-1]["id"]


def _has_id(row: Mapping[str, Any]) -> bool:
    server_id = row.get("id")
    return isinstance(server_id, str) and is_plain_id(server_id)


def _read_server(row: Mapping[str, Any]) -> Server | None:
    metadata, image, name = row.get("metadata"), row.get("image"), row.get("name")
    # T Cloud Public and Huawei Cloud keep it there also where the server runs from a volume.
    told = metadata.get("metering.image_id") if isinstance(metadata, dict) else None
    image_id = str(told or (image.get("id") if isinstance(image, dict) else None)).lower()
    if not is_image_id(image_id):
        return None
    return Server(server_id=row["id"], name=name if isinstance(name, str) else None, image_id=image_id)
