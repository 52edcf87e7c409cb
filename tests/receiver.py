"""What people's services are in tests: an HTTP receiver, also for hosts that are not here, and a mail server."""

import asyncio
import json
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.runtime.test_http import make_certificate


@dataclass
class Receiver:
    """Keeps what it is sent, as (host and path, JSON); answers 200 unless `statuses` has another one to give first."""

    address: str = ""
    taken: list[tuple[str, Any]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: Receiver
    tls: ssl.SSLContext

    def do_CONNECT(self) -> None:
        """Be the host that is asked for."""
        self.send_response(200)
        self.end_headers()
        self.close_connection = False
        self.connection = self.tls.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", 0)

    def do_POST(self) -> None:
        """Take a message."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.receiver.taken.append((self.headers["Host"].partition(":")[0] + self.path, body))
        self.send_response(self.receiver.statuses.pop(0) if self.receiver.statuses else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def finish(self) -> None:
        """Close what was wrapped, too."""
        super().finish()
        self.connection.close()

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - likewise
        """Keep quiet."""


class _Mailbox:
    def __init__(self) -> None:
        self.taken: list[tuple[list[str], EmailMessage]] = []

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802 - the server's name for it
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        self.taken.append((envelope.rcpt_tos, message_from_bytes(content, policy=default)))
        return "250 taken"


@asynccontextmanager
async def mailbox() -> AsyncIterator[tuple[str, list[tuple[list[str], EmailMessage]]]]:
    """Serve mail; gives the address, and to whom which mails came."""
    box = _Mailbox()
    server = await asyncio.get_running_loop().create_server(partial(SMTP, box), "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", box.taken


@contextmanager
def receiving(folder: Path, monkeypatch: pytest.MonkeyPatch, *hosts: str) -> Iterator[Receiver]:
    """Serve a receiver; the environment leads there for `hosts`, which are trusted by a certificate of its own."""
    pem, secret = make_certificate(folder, *hosts)
    receiver, tls = Receiver(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pem, secret)
    handler = type("Handler", (_Handler,), {"receiver": receiver, "tls": tls})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        receiver.address = f"127.0.0.1:{server.server_address[1]}"
        monkeypatch.setenv("HTTPS_PROXY", f"http://{receiver.address}")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
