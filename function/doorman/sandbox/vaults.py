"""The backup service's list of vaults (CBR v3), with its filters and its mixed units.

https://docs.otc.t-systems.com/cloud-backup-recovery/api-ref/
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from doorman.sandbox.access import authenticate
from doorman.sandbox.problems import gateway
from doorman.sandbox.records import Vault
from doorman.sandbox.state import Cloud

FILTERS = ("object_type", "protect_type", "status", "name", "id")
PAGE_SIZE = 1000


def routes(cloud: Cloud) -> list[BaseRoute]:
    """Name the endpoint, also below `/cbr`."""

    async def list_vaults(request: Request) -> Response:
        foreign = gateway(403, "BackupService.0003", "The token is not of this project.")
        caller = await authenticate(request, cloud, foreign=foreign)
        asked = request.query_params
        shown = [v for v in cloud.vaults.values() if v.project_id == caller.project_id and _matches(v, dict(asked))]
        offset, limit = (_number(asked.get(name), default) for name, default in (("offset", 0), ("limit", PAGE_SIZE)))
        page = shown[offset : offset + min(limit, PAGE_SIZE)]
        return JSONResponse({"vaults": [_describe(vault) for vault in page], "count": len(shown)})

    return [Route(f"{prefix}/v3/{{project_id}}/vaults", list_vaults) for prefix in ("", "/cbr")]


def _number(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not text.isascii() or not text.isdigit():
        raise gateway(400, "BackupService.0001", "limit and offset must be numbers of at least 0.")
    return int(text)


def _matches(vault: Vault, asked: dict[str, str]) -> bool:
    return all(getattr(vault, name) == asked[name] for name in FILTERS if name in asked)


def _describe(vault: Vault) -> dict[str, Any]:
    return {
        "id": vault.id,
        "name": vault.name,
        "project_id": vault.project_id,
        "tags": [{"key": key, "value": value} for key, value in vault.tags.items()],
        "auto_expand": False,
        "auto_bind": False,
        "locked": vault.status == "lock",
        "provider_id": "0daac4c5-6707-4851-97ba-169e36266b66",
        "resources": [],
        "billing": {
            "object_type": vault.object_type,
            "protect_type": vault.protect_type,
            "status": vault.status,
            "size": vault.size,
            "used": int(vault.used),
            "allocated": 0,
            "charging_mode": "post_paid",
            "cloud_type": "public",
            "consistent_level": "crash_consistent",
        },
    }
