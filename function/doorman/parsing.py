"""Foreign text into values, strictly: JSON, and the timestamps of RFC 3339. What the values mean is others' concern."""

import re
from datetime import datetime
from typing import Any

from pydantic_core import from_json

from doorman.errors import Rejected

_HOUR = r"(?:[01]\d|2[0-3])"
_TIME = re.compile(rf"\d{{4}}-\d\d-\d\d[Tt]{_HOUR}:[0-5]\d:[0-5]\d(?:\.\d+)?(?:[Zz]|[+-]{_HOUR}:[0-5]\d)", re.ASCII)


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
    """Read an RFC 3339 timestamp with its offset; None where it is none."""
    if _TIME.fullmatch(text) is None:
        return None
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:
        return None
