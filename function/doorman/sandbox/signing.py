"""Verifies AK/SK signatures (SDK-HMAC-SHA256); written from the specification, apart from the product's own signer.

https://support.huaweicloud.com/intl/en-us/devg-apisign/api-sign-algorithm.html
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, unquote

from doorman.sandbox.directory import Directory
from doorman.sandbox.problems import unauthorized
from doorman.sandbox.records import AccessKey, Caller

ALGORITHM = "SDK-HMAC-SHA256"
MAX_SKEW = 15 * 60


def verify(
    directory: Directory, *, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
) -> Caller:
    """Say who signed a request; header names in lower case, `path` and `query` as sent on the wire.

    Raises:
        Problem: 401 where the key is unknown, the signature wrong or old, or the project not the key's.
    """
    sent = _parse(headers.get("authorization", ""))
    key = directory.access_keys.get(sent.get("Access", ""))
    names = sent.get("SignedHeaders", "").split(";")
    date = headers.get("x-sdk-date", "")
    if key is None or "x-sdk-date" not in names or not _is_fresh(date, directory.clock()):
        raise unauthorized()
    canonical = _canonical(method, path, query, {name: headers.get(name, "") for name in names}, body)
    text = f"{ALGORITHM}\n{date}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(key.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(signature, sent.get("Signature", "")) or not _token_fits(key, headers, names):
        raise unauthorized()
    project_id = headers.get("x-project-id", key.project_id)
    roles = key.user.roles.get(project_id)
    if not roles or ("x-project-id" in headers and "x-project-id" not in names):
        raise unauthorized()
    return Caller(key.user.name, project_id, frozenset(roles))


def _parse(header: str) -> dict[str, str]:
    """Take `SDK-HMAC-SHA256 Access=.., SignedHeaders=.., Signature=..` apart."""
    fields = header.removeprefix(ALGORITHM).split(",")
    return {name.strip(): value.strip() for name, _, value in (field.partition("=") for field in fields)}


def _canonical(method: str, path: str, query: str, signed: Mapping[str, str], body: bytes) -> str:
    """Write the canonical request; the path always ends in a slash."""
    segments = "/".join(quote(unquote(segment), safe="~") for segment in path.split("/"))
    pairs = sorted((quote(k, safe="~"), quote(v, safe="~")) for k, v in parse_qsl(query, keep_blank_values=True))
    lines = [
        method,
        segments if segments.endswith("/") else segments + "/",
        "&".join(f"{k}={v}" for k, v in pairs),
        "".join(f"{name}:{signed[name].strip()}\n" for name in sorted(signed)),
        ";".join(sorted(signed)),
        signed.get("x-sdk-content-sha256") or hashlib.sha256(body).hexdigest(),
    ]
    return "\n".join(lines)


def _is_fresh(date: str, now: float) -> bool:
    try:
        at = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return False
    return abs(at.timestamp() - now) <= MAX_SKEW


def _token_fits(key: AccessKey, headers: Mapping[str, str], names: list[str]) -> bool:
    """Check that temporary keys come with their token, signed, and lasting ones without any."""
    if key.security_token is None:
        return "x-security-token" not in headers
    return headers.get("x-security-token") == key.security_token and "x-security-token" in names
