"""Lists a project's servers, to find those that run from shared images: only `reconcile` asks for them."""

from doorman.cloud.api import nova
from doorman.cloud.client import ApiClient
from doorman.cloud.listing import read


async def list_servers(client: ApiClient) -> tuple[nova.Server, ...]:
    """List the servers that were booted from images.

    Raises:
        Unavailable: the cloud cannot be read now, or the right to read servers is missing.
    """
    found: dict[str, nova.Server] = {}
    request = nova.list_servers()
    markers: set[str] = set()
    while True:
        page = await read(client, request, nova.read_servers)
        found |= {server.server_id: server for server in page.servers}
        if page.last is None or page.last in markers:
            return tuple(found.values())
        markers.add(page.last)
        request = nova.list_servers(marker=page.last)
