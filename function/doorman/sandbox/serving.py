"""Serves an ASGI application on loopback in a thread of this process, for tests and the demo."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

START_SECONDS = 10.0


@contextlib.contextmanager
def serve(app: ASGIApp, *, port: int = 0, host: str = "127.0.0.1") -> Iterator[str]:
    """Serve `app` and yield its base URL, without a slash at the end; port 0 takes a free one.

    Raises:
        RuntimeError: the application did not start.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        server = uvicorn.Server(_configure(app))
        thread = threading.Thread(target=_run, args=(server, listener), daemon=True)
        thread.start()
        try:
            await_that(lambda: server.started or not thread.is_alive(), seconds=START_SECONDS)
            if not server.started:
                raise RuntimeError("the application did not start")
            yield f"http://{host}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def await_that(is_so: Callable[[], bool], *, seconds: float = 20.0) -> bool:
    """Wait for something to become so; whether it did."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


def _configure(app: ASGIApp) -> uvicorn.Config:
    """Configure a quiet server; open connections and hanging requests do not delay its end."""
    return uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",
        access_log=False,
        ws="none",
        lifespan="auto",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )


def _run(server: uvicorn.Server, listener: socket.socket) -> None:
    """Run in a thread of its own; signals stay with the main thread."""
    asyncio.run(server.serve(sockets=[listener]))
