"""Keeps other web pages away from the sandbox, which asks for no login: checks Host and Origin of every request."""

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = {"127.0.0.1", "localhost", "[::1]"}


class Guard:
    """What every request passes first: only who means this machine, and comes from no other page, gets further."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one request."""
        refusal = refuse(Headers(scope=scope)) if scope["type"] == "http" else None
        app = self.app if refusal is None else PlainTextResponse(refusal, 403)
        await app(scope, receive, send)


def refuse(headers: Mapping[str, str]) -> str | None:
    """Say why a request is refused: another name for this machine (DNS rebinding), or another page; else None."""
    host, origin = headers.get("host", "").lower(), headers.get("origin")
    if host.rsplit(":", 1)[0] not in LOOPBACK and host not in LOOPBACK:
        return "Host: this answers to 127.0.0.1 and localhost only"
    if origin is not None and origin.lower() != f"http://{host}":
        return "Origin: no other page may use the sandbox"
    is_foreign = headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}
    if is_foreign and headers.get("sec-fetch-mode") != "navigate":
        return "Sec-Fetch-Site: no other page may use the sandbox"
    return None
