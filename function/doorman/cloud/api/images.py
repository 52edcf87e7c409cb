"""Reads the rows of an image list into shares: what is missing or of a strange type is unknown, never guessed."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from doorman.cloud.api.base import Answer, read_object
from doorman.errors import Broken
from doorman.models import Kind, MemberStatus, Share, is_image_id
from doorman.parsing import parse_time

MAX_TEXT = 255
"""Characters of a foreign text that are taken; image services allow no longer names. A longer one is unknown."""

_KINDS: dict[str, Kind] = {
    "fusioncompute": "server",
    "dataimage": "data",
    "isoimage": "iso",
    "ironic": "bare_metal",
}


def read_rows(answer: Answer) -> tuple[dict[str, Any], dict[str, Mapping[str, Any]]]:
    """Read an image list: the whole answer, and by image ID its rows that have one.

    Raises:
        Unavailable, Refused: see `read_object`.
    """
    value = read_object(answer, "image list")
    rows = value.get("images")
    if not isinstance(rows, list):
        raise Broken("image list: the cloud's answer has no images")
    named = (((_text(row.get("id")) or "").lower(), row) for row in rows if isinstance(row, dict))
    return value, {image_id: row for image_id, row in named if is_image_id(image_id)}


def read_share(row: Mapping[str, Any], *, project_id: str, status: MemberStatus | None) -> Share:
    """Read one image of a list; what is missing or of a strange type is unknown, never guessed."""
    tags = row.get("tags")
    return Share(
        image_id=(_text(row.get("id")) or "").lower(),
        project_id=project_id,
        owner=_text(row.get("owner")),
        name=_text(row.get("name")),
        member_status=status,
        created_at=_time(row.get("created_at")),
        full_ecs=True if _text(row.get("__backup_id")) else _truth(row.get("__whole_image")),
        kind=_KINDS.get((_text(row.get("virtual_env_type")) or "").lower()),
        os_type=_text(row.get("__os_type")) or _text(row.get("os_type")),
        os_version=_text(row.get("__os_version")) or _text(row.get("os_version")),
        platform=_text(row.get("__platform")) or _text(row.get("os_distro")),
        architecture=_architecture(row),
        min_disk=_number(row.get("min_disk")),
        min_ram=_number(row.get("min_ram")),
        size=_number(row.get("__image_size")) if "__image_size" in row else _number(row.get("size")),
        tags=frozenset(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else None,
        encrypted=_encrypted(row),
        firmware=_text(row.get("hw_firmware_type")),
        hash_value=_text(row.get("os_hash_value")),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= MAX_TEXT else None


def _number(value: Any) -> int | None:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return int(text) if re.fullmatch(r"\d{1,18}", text, re.ASCII) else None


def _truth(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None


def _time(value: Any) -> datetime | None:
    return parse_time(value) if isinstance(value, str) else None


def _architecture(row: Mapping[str, Any]) -> str | None:
    if _truth(row.get("__support_arm")):
        return "arm64"
    return _text(row.get("architecture"))


def _encrypted(row: Mapping[str, Any]) -> bool:
    return bool(_text(row.get("__system__cmkid")) or _text(row.get("cinder_encryption_key_id")))
