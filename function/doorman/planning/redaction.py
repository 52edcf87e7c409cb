"""Writes answers of a cloud down without anything that is somebody's: IDs, names, tokens and hosts become others.

By allowlist: only fields that Doorman reads are kept; of their texts only times, numbers and the words of a closed set.
Every other text becomes a pseudonym of the same form, the same one wherever it stands. Pure.
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID

from doorman.errors import Rejected
from doorman.models import is_image_id
from doorman.parsing import parse_json, parse_time
from doorman.planning.assumptions import UNKNOWN_JOB

_WORDS: Final = (
    "true false pending accepted rejected all queued saving active killed deleted deactivated importing uploading "
    "shared public private community FusionCompute DataImage IsoImage Ironic Linux Windows Other bios uefi x86_64 "
    "aarch64 arm64 Ubuntu CentOS Debian Fedora Redhat SUSE EulerOS server disk turbo backup replication available lock "
    "frozen deleting error INIT RUNNING SUCCESS FAIL FAILED success fail failed init running image ims imsv2 cbr cbrv3 "
    "compute ecs internal admin publicURL reader member _member_ manager readonly te_admin ims_adm GET PUT POST"
)
_PATH_WORDS: Final = (
    f"auth tokens images cloudimages members job jobs vaults servers detail identity image * ** {UNKNOWN_JOB}"
)
# what the text of a field may be, by fields; "": only what lies in it counts
_KINDS: Final = {
    "": "images vaults servers servers_links token project user catalog endpoints roles billing entities results "
    "metadata image error application_credential access_rules",
    "any": "id owner name tags key value image_id project_id member_id job_id __backup_id region region_id marker "
    "__system__cmkid cinder_encryption_key_id metering.image_id os_hash_value fail_reason __os_version os_version",
    "word": "status visibility virtual_env_type __os_type os_type __platform os_distro architecture hw_firmware_type "
    "type interface member_status __imagetype object_type protect_type __whole_image __support_arm os_hidden method",
    "number": "min_disk min_ram __image_size size used limit offset auto_expand locked",
    "time": "created_at updated_at begin_time expires_at issued_at",
    "code": "code error_code",
    "url": "url next path",
}
_FIELDS: Final = {name: kind for kind, names in _KINDS.items() for name in names.split()}
_CODE: Final = re.compile(r"[A-Za-z]{2,20}\.\d{3,5}|\d{3}", re.ASCII)
_HEX: Final = re.compile(r"[0-9a-fA-F]{32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Redactor:
    """Gives pseudonyms; who does not know `salt` cannot find out of what.

    Attributes:
        salt: random, forgotten after one recording.
    """

    salt: bytes

    def name(self, text: str) -> str:
        """Give the pseudonym of a text: a UUID for a UUID, 32 hex digits for such, else a word."""
        digest = hmac.digest(self.salt, text.lower().encode(errors="replace"), "sha256").hex()
        if is_image_id(text):
            return str(UUID(digest[:32]))
        return digest[:32] if _HEX.fullmatch(text) else f"text-{digest[:12]}"

    def url(self, text: str) -> str:
        """Redact a URL: host, parts of the path and values of the query, each where it is no known word."""
        try:
            parts = urlsplit(text)
        except ValueError:
            return self.name(text)
        host = f"https://{self.name(parts.netloc).replace('text', 'host')}.example" if parts.netloc else ""
        path = "/".join(self._segment(each) for each in parts.path.split("/"))
        asked = [(key, self._text(value, kind)) for key, value in parse_qsl(parts.query) if (kind := _FIELDS.get(key))]
        query = urlencode([pair for pair in asked if pair[1] is not None])
        return f"{host}{path}{'?' if query else ''}{query}"

    def answer(self, method: str, url: str, status: int, body: bytes) -> dict[str, Any]:
        """Redact one answer, as the sandbox plays it back."""
        try:
            value = parse_json(body, "answer")
        except Rejected:
            value = None
        told = self.body(value) if isinstance(value, dict) else None
        return {"method": method, "url": self.url(url), "status": status, "body": told}

    def body(self, value: Mapping[str, Any], parent: str = "") -> dict[str, Any]:
        """Redact a JSON object: what is not known is left out."""
        kinds = {key: "word" if (parent, key) == ("roles", "name") else _FIELDS.get(key) for key in value}
        return {key: self._value(value[key], key, kind) for key, kind in kinds.items() if kind is not None}

    def _value(self, value: Any, key: str, kind: str) -> Any:
        if isinstance(value, dict):
            return self.body(value, key)
        if isinstance(value, list):
            return [self._value(each, key, kind) for each in value]
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value, kind)
        return value if kind in {"number", "code"} else None

    def _text(self, text: str, kind: str) -> str | None:
        if kind == "url":
            return self.url(text)
        is_plain = {
            "word": text in _WORDS.split(),
            "number": text.isascii() and text.isdecimal(),
            "time": parse_time(text) is not None,
            "code": _CODE.fullmatch(text) is not None,
        }
        if not text or is_plain.get(kind):
            return text
        return self.name(text) if kind in {"any", "word"} else None

    def _segment(self, text: str) -> str:
        is_plain = not text or text in _PATH_WORDS.split() or re.fullmatch(r"v\d(\.\d{1,2})?", text, re.ASCII)
        return text if is_plain else self.name(text)
