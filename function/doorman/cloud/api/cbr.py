"""The backup service's vaults, sans I/O.

See https://docs.otc.t-systems.com/cloud-backup-recovery/api-ref/
"""

from collections.abc import Mapping
from typing import Any

from doorman.cloud.api.base import Answer, Request, read_list
from doorman.models import Vault, is_plain_id

PAGE = 1000
_MB_PER_GB = 1024
_MOST = 1e15


def list_vaults(*, project_id: str, offset: int = 0) -> Request:
    """Ask for the vaults that can take server backups."""
    params = {
        "object_type": "server",
        "protect_type": "backup",
        "status": "available",
        "limit": str(PAGE),
        "offset": str(offset),
    }
    return Request(method="GET", service="cbr", path=f"/v3/{project_id}/vaults", params=tuple(params.items()))


def read_vaults(answer: Answer) -> tuple[list[Vault], int]:
    """Read one page of vaults, and how many rows it had; those without an ID or a size are left out.

    Raises:
        Unavailable, Refused: see `base.read_object`.
    """
    _, rows = read_list(answer, "vaults")
    vaults = (_read_vault(row) for row in rows if isinstance(row, dict))
    return [vault for vault in vaults if vault is not None], len(rows)


def _read_vault(row: Mapping[str, Any]) -> Vault | None:
    billing = row.get("billing")
    vault_id, name = row.get("id"), row.get("name")
    if not isinstance(billing, dict) or not isinstance(vault_id, str) or not is_plain_id(vault_id):
        return None
    size, used = _number(billing.get("size")), _number(billing.get("used", 0))
    if size is None or used is None:
        return None
    return Vault(
        vault_id=vault_id,
        name=name if isinstance(name, str) else None,
        size=size,
        used=used / _MB_PER_GB,
        object_type=str(billing.get("object_type")),
        protect_type=str(billing.get("protect_type")),
        status=str(billing.get("status")),
        tags=_read_tags(row.get("tags")),
        auto_expand=row.get("auto_expand") is True,
        locked=row.get("locked") is True,
    )


def _read_tags(tags: Any) -> tuple[tuple[str, str], ...]:
    pairs = (
        [(tag.get("key"), tag.get("value")) for tag in tags if isinstance(tag, dict)] if isinstance(tags, list) else []
    )
    return tuple((key, value) for key, value in pairs if isinstance(key, str) and isinstance(value, str))


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= _MOST else None
