"""Reads the rows of an image list into shares: what is missing or of a strange type is unknown, never guessed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from doorman.cloud.api.base import Answer, read_list, read_time
from doorman.models import Kind, MemberRow, MemberStatus, Share, is_image_id

MAX_TEXT = 1000
"""Characters of a foreign text; a longer one is unknown: it is matched whole or not at all."""

_NUMBER, _TOO_LARGE = re.compile(r"\d{1,18}", re.ASCII), 10**18
_ID = re.compile(rb'(?<!\\)"id":\s*"([0-9a-fA-F-]{36})"')

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
    value, rows = read_list(answer, "images")
    named = (((_text(row.get("id")) or "").lower(), row) for row in rows if isinstance(row, dict))
    return value, {image_id: row for image_id, row in named if is_image_id(image_id)}


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One image as a row tells it. It is no share yet: of most rows another list says whether it is full-ECS.

    Attributes:
        tells_full_ecs: the row says by itself whether the image is of a whole server; else `_share` takes it for none,
            which most are, so that most need no copy.
    """

    _share: Share
    tells_full_ecs: bool

    @property
    def owner(self) -> str | None:
        """The sharer's project."""
        return self._share.owner

    def complete(self, full_ecs: bool | None, member: MemberRow | None = None) -> Share:  # noqa: FBT001 - one fact
        """Make the share.

        Args:
            full_ecs: what another list said; counts where the row does not tell. None: nobody tells.
            member: our own member row, where it was read.
        """
        is_told = self.tells_full_ecs or full_ecs is self._share.full_ecs
        share = self._share if is_told else replace(self._share, full_ecs=full_ecs)
        return share if member is None else with_member(share, member)


def with_member(share: Share, member: MemberRow) -> Share:
    """Give a share as our own member row tells it: the row is the truth of the status, also where a list lags."""
    return replace(share, member_status=member.status, shared_at=member.created_at, settled_at=member.updated_at)


def read_row(row: Mapping[str, Any], *, project_id: str, status: MemberStatus | None) -> ImageRow:
    """Read one image of a list; what is missing or of a strange type is unknown, never guessed."""
    full_ecs = True if _text(row.get("__backup_id")) else _truth(row.get("__whole_image"))
    return ImageRow(
        Share(
            image_id=(_text(row.get("id")) or "").lower(),
            project_id=project_id,
            owner=_text(row.get("owner")),
            name=_text(row.get("name")),
            member_status=status,
            created_at=read_time(row, "created_at"),
            full_ecs=full_ecs or False,
            kind=_KINDS.get((_text(row.get("virtual_env_type")) or "").lower()),
            os_type=_text(row.get("__os_type")) or _text(row.get("os_type")),
            os_version=_text(row.get("__os_version")) or _text(row.get("os_version")),
            platform=_text(row.get("__platform")) or _text(row.get("os_distro")),
            architecture=_architecture(row),
            min_disk=_number(row.get("min_disk")),
            min_ram=_number(row.get("min_ram")),
            size=_number(row.get("__image_size")) if "__image_size" in row else _number(row.get("size")),
            tags=_read_tags(row.get("tags")),
            encrypted=_encrypted(row),
            firmware=_text(row.get("hw_firmware_type")),
            hash_value=_text(row.get("os_hash_value")),
        ),
        tells_full_ecs=full_ecs is not None,
    )


def read_first_id(start: bytes) -> str | None:
    """Find the ID of the first image in the beginning of a list that is too large to be read whole.

    Within a value the quotes would be escaped, so only a field of that name is found.
    """
    found = _ID.search(start)
    return found[1].decode().lower() if found else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= MAX_TEXT else None


def _number(value: Any) -> int | None:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value)
    return value if type(value) is int and 0 <= value < _TOO_LARGE else None


def _truth(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None


def _read_tags(value: Any) -> frozenset[str] | None:
    tags = [_text(tag) for tag in value] if isinstance(value, list) else [None]
    return None if None in tags else frozenset(tag for tag in tags if tag)


def _architecture(row: Mapping[str, Any]) -> str | None:
    if _truth(row.get("__support_arm")):
        return "arm64"
    return _text(row.get("architecture"))


def _encrypted(row: Mapping[str, Any]) -> bool | None:
    """Say whether it carries a key; one of a strange type, or too long, is a key that we cannot read."""
    keys = [key for key in (row.get("__system__cmkid"), row.get("cinder_encryption_key_id")) if key not in (None, "")]
    if not keys:
        return False
    return True if any(map(_text, keys)) else None
