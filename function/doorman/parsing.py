"""Foreign text into values, strictly: JSON, and the timestamps of RFC 3339; and into text that people can be shown.

What the values mean is others' concern.
"""

import codecs
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from pydantic_core import from_json

from doorman.errors import Rejected

_HOUR = r"(?:[01]\d|2[0-3])"
_TIME = re.compile(
    rf"\d{{4}}-\d\d-\d\d[Tt]{_HOUR}:[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:[Zz]|[+-]{_HOUR}:[0-5]\d)", re.ASCII
)
_SECONDS = slice(17, 19)
_DAY = 86_400.0
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


class Json(bytes):
    """JSON that nobody has read yet: many times smaller than what it holds, which is built where it is needed alone."""

    __slots__ = ()


def parse_json(body: bytes | str, where: str) -> Any:
    """Parse JSON strictly: no NaN, no lone surrogates, no nesting deep enough to hurt.

    Raises:
        Rejected: the text is no JSON; `where` names the field in the message.
    """
    try:
        return from_json(body.encode() if isinstance(body, str) else body, allow_inf_nan=False)
    except ValueError as error:
        raise Rejected(f"{where}: not JSON ({str(error)[:120]})") from error


def parse_time(text: str) -> datetime | None:
    """Read an RFC 3339 timestamp with its offset, a leap second as the moment after it; None where it is none."""
    if _TIME.fullmatch(text) is None:
        return None
    try:
        if text[_SECONDS] != "60":
            return datetime.fromisoformat(text.upper())
        moment = datetime.fromisoformat(f"{text[: _SECONDS.start]}59{text[_SECONDS.stop :]}".upper())
        is_leap = moment.astimezone(UTC).strftime("%H:%M") == "23:59"  # elsewhere there are none
        return moment + timedelta(seconds=1) if is_leap else None
    except (ValueError, OverflowError):
        return None


def write_time(moment: datetime | None) -> str | None:
    """Write a moment as RFC 3339."""
    return moment.isoformat().replace("+00:00", "Z") if moment else None


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After: seconds, at most a day, or a date, which counts from the answer's own; None: it is neither.

    Args:
        headers: found by names in lower case.

    See https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    text = headers.get("retry-after", "").strip()
    try:
        if not (text.isascii() and text.isdecimal()):
            wait = parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("date", ""))
            text = str(max(wait.total_seconds(), 0.0))
        return min(float(text), _DAY)
    except (TypeError, ValueError, OverflowError):
        return None


def as_utf8(data: bytes) -> bytes:
    """Give a text file as UTF-8 without a byte order mark; Windows writes UTF-16, or such a mark."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            try:
                return data[len(mark) :].decode(encoding).encode()
            except UnicodeDecodeError:
                break
    return data


def visible(text: str) -> str:
    """Escape what would move the cursor, change colours or hide text: an image's name is its sharer's own words."""
    hidden = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return "".join(repr(each)[1:-1] if unicodedata.category(each) in hidden else each for each in text)


def counted(number: int, noun: str) -> str:
    """Count things in words: `1 share`, `2 shares`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
