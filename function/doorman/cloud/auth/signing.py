"""Signs requests with an access key: SDK-HMAC-SHA256, the vendor's AK/SK scheme. Sends nothing and reads no clock.

See https://docs.otc.t-systems.com/api-usage/guidelines/calling_apis/ak_sk_authentication/
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, unquote

from doorman.cloud.auth.accounts import Keys

ALGORITHM = "SDK-HMAC-SHA256"


def sign(
    *,
    method: str,
    path: str,
    query: Sequence[tuple[str, str]],
    headers: Mapping[str, str],
    body: bytes,
    keys: Keys,
    project_id: str,
    now: datetime,
) -> dict[str, str]:
    """Give the headers that make the request ours: date, project, security token and `Authorization`.

    Args:
        path: as it goes over the wire, percent-encoded or not.
        query: names and values, decoded, in any order.
        headers: the headers to sign, `Host` among them; others may be added to the request unsigned.
    """
    added = {"X-Sdk-Date": now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"), "X-Project-Id": project_id}
    if keys.token:
        added["X-Security-Token"] = keys.token
    signed = {name.lower(): value.strip() for name, value in {**headers, **added}.items()}
    names = ";".join(sorted(signed))
    lines = [f"{name}:{signed[name]}" for name in sorted(signed)]
    parts = (method.upper(), canonical_path(path), canonical_query(query), *lines, "", names, digest(body))
    to_sign = "\n".join((ALGORITHM, added["X-Sdk-Date"], digest("\n".join(parts).encode())))
    signature = hmac.new(keys.secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    added["Authorization"] = f"{ALGORITHM} Access={keys.access}, SignedHeaders={names}, Signature={signature}"
    return added


def canonical_path(path: str) -> str:
    """Percent-encode every segment anew; the signed path always ends in a slash, the one on the wire need not."""
    encoded = "/".join(quote(segment, safe="~") for segment in unquote(path).split("/"))
    return encoded if encoded.endswith("/") else encoded + "/"


def canonical_query(pairs: Sequence[tuple[str, str]]) -> str:
    """Sort by name and value as they read, then percent-encode: also the best form to send, as no `+` is in doubt."""
    return "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(pairs))


def read_query(query: str) -> list[tuple[str, str]]:
    """Read a query string as servers do: `+` is a space, a name without `=` has an empty value."""
    return parse_qsl(query, keep_blank_values=True)


def digest(content: bytes) -> str:
    """Give the SHA-256 of `content` in hex."""
    return hashlib.sha256(content).hexdigest()
