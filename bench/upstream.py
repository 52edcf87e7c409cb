"""The other side of the benchmarks: a cloud and a sink in one process, with as little work as HTTP allows.

Keystone logins, the image service's list, members, member rows and jobs, and `POST /sink`. It settles at once and
checks nothing; `POST /bench/seed` sets it up, `GET /bench/stats` says what it was asked.
"""

import asyncio
import json
import re
import ssl
import sys
from bisect import bisect_right
from collections import Counter
from typing import Any
from urllib.parse import parse_qsl, unquote

PAGE = 500
BULK = ",".join(f'"property{number}":"{"x" * 60_000}"' for number in range(128)).encode()
"""What a sharer may put on an image."""

NOT_FOUND = 404, b'{"code":404}'

LARGE = 1 << 20
"""Bytes of an answer that is not written at once."""

LIVES_UNTIL = "2099-01-01T00:00:00.000000Z"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def image_id(project: int, number: int) -> str:
    """Name the image of one project."""
    return f"{project:08x}-0000-4000-8000-{number:012x}"


def project_id(project: int) -> str:
    """Name a project."""
    return f"{project:032x}"


class Project:
    """The shares of one project, newest first; a marker may be an image that was settled meanwhile."""

    def __init__(self, project: int, shares: int, *, status: str = "pending", bulky: int = 0) -> None:
        self.places = {image_id(project, number): number for number in range(shares)}
        self.rows = [_row(image) for image in self.places]
        self.rows[:bulky] = [b"%s,%s}" % (row[:-1], BULK) for row in self.rows[:bulky]]
        self.statuses: list[str] = [status] * shares
        self._orders: dict[str, list[int]] = {}

    def settle(self, images: list[str], status: str) -> None:
        """Settle shares."""
        for image in images:
            self.statuses[self.places[image]] = status
        self._orders.clear()

    def list(self, status: str, *, marker: str | None, image: str | None, limit: int) -> "list[bytes]":
        """Give the rows of one page."""
        if image is not None:
            place = self.places.get(image)
            found = [place] if place is not None and self.statuses[place] == status else []
        else:
            found = self._after(status, marker)[:limit]
        return [self.rows[place] for place in found]

    def _after(self, status: str, marker: str | None) -> "list[int]":
        order = self._orders.get(status)
        if order is None:
            order = self._orders[status] = [place for place, has in enumerate(self.statuses) if has == status]
        if marker is None:
            return order
        return order[bisect_right(order, self.places[marker]) :]


class State:
    """All projects, and what was asked."""

    def __init__(self) -> None:
        self.projects: dict[str, Project] = {}
        self.calls: Counter[str] = Counter()
        self.emitted: Counter[str] = Counter()
        self.delay = 0.0
        self.url = ""

    def answer(self, method: str, target: str, head: bytes, body: bytes) -> tuple[int, bytes | list[bytes]]:
        """Answer one request."""
        path, _, query = target.partition("?")
        if path == "/sink":
            self.emitted[_header(head, b"ce-type")] += 1
            return 204, b""
        if path.startswith("/bench/"):
            return 200, json.dumps(self._admin(path, body)).encode()
        self.calls[f"{method} {_shape(path)}"] += 1
        if path == "/v2/cloudimages":
            return 200, self._list(head, dict(parse_qsl(query)))
        if path == "/v1/cloudimages/members" and method == "PUT":
            asked_of = json.loads(body)
            self.projects[asked_of["project_id"]].settle(asked_of["images"], asked_of["status"])
            return 200, b'{"job_id":"%032x"}' % self.calls.total()
        if path.startswith("/v1/"):
            is_known = int(path.rpartition("/")[2], 16) <= self.calls.total()
            return (200, b'{"status":"SUCCESS","error_code":null,"entities":{}}') if is_known else NOT_FOUND
        return self._native(path, body)

    def _list(self, head: bytes, asked: dict[str, str]) -> list[bytes]:
        project = self._project(head)
        if project is None or "__whole_image" in asked:
            return [b'{"images":[]}']
        rows = project.list(
            asked.get("member_status", "accepted"),
            marker=asked.get("marker"),
            image=asked.get("id"),
            limit=int(asked.get("limit", PAGE)),
        )
        parts, before = [], b'{"images":['
        for row in rows:
            parts += [before, row]
            before = b","
        return [*parts, b"]}" if rows else b'{"images":[]}']

    def _native(self, path: str, body: bytes) -> tuple[int, bytes]:
        if path == "/v3/auth/tokens":
            return 201, self._login(json.loads(body))
        image, _, receiver = path.removeprefix("/v2/images/").partition("/members/")
        project = self.projects.get(receiver)
        if project is None or image not in project.places:
            return NOT_FOUND
        return 200, b'{"status":"%s"}' % project.statuses[project.places[image]].encode()

    def _project(self, head: bytes) -> Project | None:
        """Find the project: the token is its ID, and signed requests name it."""
        return self.projects.get(_header(head, b"x-auth-token") or _header(head, b"x-project-id"))

    def _login(self, asked: dict[str, Any]) -> bytes:
        scope = asked["auth"]["scope"]["project"]["id"]
        token = {
            "project": {"id": scope, "name": scope, "domain": {"name": "bench"}},
            "expires_at": LIVES_UNTIL,
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "catalog": [{"type": "image", "endpoints": [{"interface": "public", "region": "bench", "url": self.url}]}],
        }
        return json.dumps({"token": token}).encode()

    def _admin(self, path: str, body: bytes) -> dict[str, Any]:
        if path == "/bench/seed":
            asked = json.loads(body)
            self.calls.clear()
            self.emitted.clear()
            self.delay = asked.get("delay", 0.0)
            special = {name: asked[name] for name in ("status", "bulky") if name in asked}
            self.projects = {project_id(n): Project(n, asked["shares"], **special) for n in range(asked["projects"])}
        settled = Counter(status for project in self.projects.values() for status in project.statuses)
        return {"calls": dict(self.calls), "emitted": dict(self.emitted), "shares": dict(settled)}


class Connection(asyncio.Protocol):
    """One connection: requests with a Content-Length or without a body, answered in order."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Answer what has come in whole."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[: end + 2]
            length = _LENGTH.search(head)
            total = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < total:
                return
            body, self._buffer = self._buffer[end + 4 : total], self._buffer[total:]
            method, target, _ = head.split(b" ", 2)
            status, answer = self._state.answer(method.decode(), target.decode(), head, body)
            is_login = target == b"/v3/auth/tokens"
            token = b"x-subject-token: %s\r\n" % _scope(body) if is_login else b""
            kind = b"" if status == 204 else b"content-type: application/json\r\n"  # noqa: PLR2004
            parts = answer if isinstance(answer, list) else [answer]
            length = sum(map(len, parts))
            parts.insert(0, b"HTTP/1.1 %d OK\r\n%s%scontent-length: %d\r\n\r\n" % (status, kind, token, length))
            if length > LARGE:
                self._task = asyncio.get_running_loop().create_task(self._write_slowly(parts))
            else:
                self._write(b"".join(parts))

    async def _write_slowly(self, parts: list[bytes]) -> None:
        """Write no further than is read: most of a large answer is read by nobody."""
        for part in parts:
            while self._transport.get_write_buffer_size() > LARGE:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.001)
            if self._transport.is_closing():
                return
            self._transport.write(part)

    def _write(self, message: bytes) -> None:
        if self._state.delay:
            asyncio.get_running_loop().call_later(self._state.delay, self._transport.write, message)
        else:
            self._transport.write(message)


def _scope(body: bytes) -> bytes:
    return str(json.loads(body)["auth"]["scope"]["project"]["id"]).encode()


def _header(head: bytes, name: bytes) -> str:
    found = re.search(rb"\r\n" + name + rb": *([^\r]*)", head, re.IGNORECASE)
    return unquote(found[1].decode()) if found else ""


def _shape(path: str) -> str:
    return re.sub(r"/[0-9a-f-]{32,36}", "/*", path)


def _row(image: str) -> bytes:
    row = {
        "id": image,
        "name": f"golden-{image[-6:]}",
        "owner": "9c61004714024f9586705d090530f9fa",
        "status": "active",
        "visibility": "shared",
        "min_disk": 40,
        "min_ram": 0,
        "tags": [],
        "protected": False,
        "disk_format": "zvhd2",
        "container_format": "bare",
        "created_at": "2026-01-31T08:30:00Z",
        "updated_at": "2026-01-31T08:30:00Z",
        "self": f"/v2/images/{image}",
        "file": f"/v2/images/{image}/file",
        "schema": "/v2/schemas/image",
        "__imagetype": "shared",
        "__image_size": "1073741824",
        "__isregistered": "true",
        "__image_source_type": "uds",
        "__os_type": "Linux",
        "__os_bit": "64",
        "__platform": "Ubuntu",
        "__os_version": "Ubuntu 22.04 server 64bit",
        "virtual_env_type": "FusionCompute",
    }
    return json.dumps(row).encode()


async def serve(port: int, certificate: str | None = None) -> None:
    """Serve until the process is ended; over https where there is a file with a certificate and its key."""
    state, context = State(), None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    state.url = f"http{'s' if certificate else ''}://127.0.0.1:{port}"
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(state), "127.0.0.1", port, backlog=1024, ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), *sys.argv[2:]))
