"""Looks whether a URL's host can be reached: its name, the proxy before it, its TLS. Asks for nothing but `/`.

It says what was seen; what that means is others' concern.
"""

import asyncio
import ssl
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx

from doorman.runtime.clock import Clock
from doorman.runtime.connection_errors import list_causes, name_cause, name_trouble
from doorman.runtime.proxies import PORTS, Proxies

_PROXYS_OWN = {407, 502, 503, 504}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """What was seen of one host.

    Attributes:
        host: with its port. proxy: in between, likewise; None: none.
        fault: where it ended; None: an answer came. trouble: why, in words.
        certificate: whose, by whom and until when; None without TLS.
        date: the answer's `Date`. at: our own time then.
    """

    host: str
    proxy: str | None
    fault: Literal["name", "proxy", "connection"] | None = None
    trouble: str = ""
    addresses: tuple[str, ...] = ()
    certificate: str | None = None
    date: str | None = None
    at: datetime


def origin(url: str) -> str:
    """Give scheme, host and port of a URL, nothing else of it; empty where it is none that can be asked."""
    try:
        parts = urlsplit(url)
        host, port = httpx.URL(url).host, parts.port or PORTS[parts.scheme]
    except (httpx.InvalidURL, KeyError, ValueError):
        return ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}" if host else ""


async def reach(url: str, *, client: httpx.AsyncClient, clock: Clock) -> Reached:
    """Look up the name, and ask for `/` without a login."""
    base = origin(url)
    if not base:
        return Reached(host="", proxy=None, fault="name", trouble="no URL of a host (http or https)", at=clock.now())
    via = Proxies.of_environment().find(httpx.URL(base))
    asked = urlsplit(via or base)
    proxy = f"{asked.hostname}:{asked.port or PORTS['http']}" if via else None
    seen: dict[str, Any] = {"host": urlsplit(base).netloc, "proxy": proxy}
    try:
        found = await asyncio.get_running_loop().getaddrinfo(asked.hostname or "", asked.port or 0)
    except (OSError, UnicodeError) as error:
        return Reached(**seen, fault="name", trouble=f"{asked.hostname}: {name_cause(error)}", at=clock.now())
    seen["addresses"] = tuple(dict.fromkeys(str(each[4][0]) for each in found))
    try:
        answer = await client.get(base, auth=httpx.Auth(), headers={"Accept": "application/json"})
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        is_behind = any(isinstance(cause, ssl.SSLError) for cause in list_causes(error))  # who speaks TLS to us
        fault: Literal["proxy", "connection"] = "proxy" if via and not is_behind else "connection"
        return Reached(**seen, fault=fault, trouble=name_trouble(error, base), at=clock.now())
    if via and (answer.status_code in _PROXYS_OWN or _is_page(answer, base)):
        trouble = f"{seen['host']} through the proxy {seen['proxy']}: it answers {answer.status_code} itself"
        return Reached(**seen, fault="proxy", trouble=trouble, at=clock.now())
    return Reached(**seen, certificate=_describe(answer), date=answer.headers.get("date"), at=clock.now())


def _is_page(answer: httpx.Response, base: str) -> bool:
    """Say whether a proxy that sees what is said put a page of its own in place of the answer."""
    is_html = answer.headers.get("content-type", "").startswith("text/html")
    return base.startswith("http:") and is_html and answer.status_code >= HTTPStatus.BAD_REQUEST


def _describe(answer: httpx.Response) -> str | None:
    stream = answer.extensions.get("network_stream")
    tls = stream.get_extra_info("ssl_object") if stream else None
    if tls is None:
        return None
    certificate: dict[str, Any] = tls.getpeercert() or {}
    subject, issuer = (_name(certificate.get(part, ())) for part in ("subject", "issuer"))
    return f"certificate of {subject} by {issuer}, until {certificate.get('notAfter', 'unknown')}"


def _name(parts: Any) -> str:
    """Give the most telling part of a name in a certificate."""
    told = {key: value for part in parts for key, value in part}
    return str(told.get("commonName") or told.get("organizationName") or "nobody")
