"""Faults that the cloud shows on demand: scripted ones, and random ones that a seed makes repeatable."""

import asyncio
import json
import random
import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Kind = Literal["status", "flow_control", "reset", "half", "html", "hang", "garbage"]
HTML = b"<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"


@dataclass(slots=True, kw_only=True)
class Fault:
    """What goes wrong, and for which requests.

    Attributes:
        kind: `status`: an error answer with `status`; `flow_control`: IMG.0060 in a 400; `reset`: the connection
            breaks; `half`: the answer stops in the middle; `html`: a proxy's page with `status`; `hang`: `seconds`
            of silence, then the connection breaks; `garbage`: 200 with a body that is no JSON.
        method, path: which requests: a verb or None for all, a regular expression that is searched in the path.
        times: how often; None for ever. rate: with which probability.
        performed: the request is carried out first, only its answer is lost.
        code: the error code told with `status`, such as `IMG.0064`.
        retry_after: seconds told in `Retry-After`.
    """

    kind: Kind
    method: str | None = None
    path: str = ""
    times: int | None = None
    rate: float = 1.0
    status: int = 503
    code: str | None = None
    retry_after: float | None = None
    seconds: float = 30.0
    performed: bool = False

    def applies(self, method: str, path: str) -> bool:
        """Say whether this request is meant."""
        return self.times != 0 and self.method in {None, method} and re.search(self.path, path) is not None


class Faults:
    """The plan of what goes wrong. The first fault that applies wins; the admin API is spared."""

    def __init__(self, seed: int = 0) -> None:
        self.plan: list[Fault] = []
        self._random = random.Random(seed)  # noqa: S311 - repeatable faults, no secrets

    def seed(self, seed: int) -> None:
        """Start the sequence of random faults anew."""
        self._random.seed(seed)

    def add(self, kind: Kind, **fields: Any) -> Fault:
        """Plan a fault; `fields` are those of `Fault`."""
        fault = Fault(kind=kind, **fields)
        self.plan.append(fault)
        return fault

    def clear(self, kind: str | None = None) -> None:
        """Drop all that is planned, or what is of one kind."""
        self.plan[:] = [fault for fault in self.plan if kind not in {None, fault.kind}]

    def choose(self, method: str, path: str) -> Fault | None:
        """Pick the fault that strikes this request, and use it up."""
        if path.startswith("/sandbox"):
            return None
        for fault in self.plan:
            if fault.applies(method, path) and (fault.rate >= 1 or self._random.random() < fault.rate):
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def describe(self) -> list[dict[str, Any]]:
        """Tell the plan as JSON."""
        return [asdict(fault) for fault in self.plan]


async def strike(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request as the fault wants it, after carrying it out where only the answer is to be lost."""
    if fault.performed:
        await app(scope, receive, _discard)
    if fault.kind == "hang":
        await asyncio.sleep(fault.seconds)
    if fault.kind in {"hang", "reset"}:
        await _hang_up(scope, at_once=True)
        return
    if fault.kind == "half":
        await _start(send, 200, [(b"content-type", b"application/json"), (b"content-length", b"4096")])
        await send({"type": "http.response.body", "body": b'{"images": [{"id": "', "more_body": True})
        await _hang_up(scope, at_once=False)
        return
    status, content_type, body = _answer(fault)
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    if fault.retry_after is not None:
        headers.append((b"retry-after", f"{fault.retry_after:g}".encode()))
    await _start(send, status, headers)
    await send({"type": "http.response.body", "body": body})


def _answer(fault: Fault) -> tuple[int, bytes, bytes]:
    """Compose status, content type and body of a whole answer that reports a fault."""
    if fault.kind == "html":
        return fault.status, b"text/html", HTML
    if fault.kind == "garbage":
        return 200, b"application/json", b"[not json"
    if fault.kind == "flow_control":
        error = {"code": "IMG.0060", "message": "The number of tasks exceeds the limit."}
        return 400, b"application/json", json.dumps({"error": error}).encode()
    body = {"error": {"code": fault.code or fault.status, "message": "The service is unavailable."}}
    return fault.status, b"application/json", json.dumps(body).encode()


async def _start(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _hang_up(scope: Scope, *, at_once: bool) -> None:
    """Break the connection; in-process, where there is none, raise what httpx would."""
    transport = scope.get("sandbox.transport")
    if transport is None:
        raise httpx.RemoteProtocolError("the sandbox broke the connection")
    if at_once:
        transport.abort()
    else:
        transport.close()
    for _ in range(3):  # uvicorn learns of it in its next turns, and must know before we return
        await asyncio.sleep(0)


async def _discard(message: Message) -> None:
    """Lose an answer."""
