"""Keeps other web pages away from the sandbox, which asks for no login: checks Host and Origin of every request."""

import re
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?", re.ASCII)


class Guard:
    """What every request passes first: only who means this machine, and comes from no other page, gets further."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one request."""
        refusal = refuse(Headers(scope=scope), scope["method"]) if scope["type"] == "http" else None
        app = self.app if refusal is None else PlainTextResponse(refusal, 403)
        await app(scope, receive, send)


def refuse(headers: Mapping[str, str], method: str = "GET") -> str | None:
    """Say why a request is refused: another name for this machine (DNS rebinding), or another page; else None.

    A link from another page may be followed; a form of it may not be sent.
    """
    host, origin = headers.get("host", "").lower(), headers.get("origin")
    if LOOPBACK.fullmatch(host) is None:
        return "Host: this answers to 127.0.0.1 and localhost only"
    if origin is not None and origin.lower() != f"http://{host}":
        return "Origin: no other page may use the sandbox"
    is_foreign = headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}
    if is_foreign and (headers.get("sec-fetch-mode") != "navigate" or method not in {"GET", "HEAD"}):
        return "Sec-Fetch-Site: no other page may use the sandbox"
    return None
