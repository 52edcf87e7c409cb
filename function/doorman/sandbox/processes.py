"""Starts the functions as production does, one process each, and ends them cleanly."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import httpx

import doorman

COMMAND = (sys.executable, "-P", "-c", "import sys; from doorman.entrypoints.cli.main import main; sys.exit(main())")
"""The command `doorman`, with the Python that runs us."""

START_SECONDS, STOP_SECONDS = 30.0, 10.0
HOST = "127.0.0.1"
FOREIGN = ("OS_", "DOORMAN_", "K_", "LOG_")
SOURCE = Path(doorman.__file__ or "").with_name("functions.py")


class NotStartedError(Exception):
    """A function did not come up; the text holds what it said."""


class Function:
    """One function in a process of its own.

    Args:
        target: its name in `doorman/functions.py`.
        port: 0 takes a free one.
        settings: its environment, beside ours without anything that would lead to a real cloud.
        log: where its output goes; None: where ours goes.

    Raises:
        NotStartedError: somebody listens at the port, who would be taken for this function.
    """

    def __init__(self, target: str, *, port: int, settings: Mapping[str, str], log: Path | None) -> None:
        self.target = target
        self.port = _claim_port(port)
        self.log = log
        self._settings = settings
        self._process = self._start()

    def __enter__(self) -> Self:
        """Wait until it serves; it is ended in any case."""
        try:
            self.await_start()
        except NotStartedError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End it, and wait."""
        self.stop()
        self.await_end()

    @property
    def url(self) -> str:
        """Where it takes events."""
        return f"http://{HOST}:{self.port}/"

    def await_start(self) -> None:
        """Wait until it serves.

        Raises:
            NotStartedError: it ended, or took too long.
        """
        deadline = time.monotonic() + START_SECONDS
        while not self._is_healthy():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise NotStartedError(f"{self.target} did not start\n{self.tail()}".rstrip())
            time.sleep(0.02)

    def tail(self, lines: int = 20) -> str:
        """Give the end of what it wrote."""
        if self.log is None:
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """Ask it to end."""
        if self._process.poll() is None:
            self._process.terminate()

    def kill(self) -> None:
        """End it with force, in the middle of whatever it does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # the server's workers too, which would hold the port
        self._process.wait()

    def restart(self) -> None:
        """Start it again on the same port, after it has ended."""
        self._process = self._start()

    def await_end(self) -> int:
        """Wait until it has ended, with force where it does not; its exit code."""
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(self.log.open("ab")) if self.log else None
            return subprocess.Popen(
                [*_command(), "--source", str(SOURCE), "--target", self.target, "--port", str(self.port)],
                env=own_environment(self._settings),
                stdout=output,
                stderr=subprocess.STDOUT if output else None,
                start_new_session=True,  # Ctrl-C reaches us alone, and we end our children in order
            )

    def _is_healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}healthz", timeout=2, trust_env=False).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


def _command() -> tuple[str, ...]:
    """Find functions-framework beside the Python that runs us, else on the path; loopback is where it listens."""
    beside = Path(sys.executable).with_name("functions-framework")
    found = str(beside) if beside.exists() else shutil.which("functions-framework")
    if found is None:
        raise NotStartedError("functions-framework is not installed beside this Python: install Doorman anew")
    return found, "--host", HOST


def own_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Take our environment without what leads to real clouds and sinks, and add the settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)} | dict(settings)


def _claim_port(port: int) -> int:
    """Make sure that nobody listens at a port; 0 finds a free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of a former one may linger
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise NotStartedError(
                f"port {port} is in use, perhaps by a function of a sandbox that was killed; --port 0 takes free ports"
            ) from error
        claimed = probe.getsockname()[1]
    assert isinstance(claimed, int)  # noqa: S101 - what getsockname gives for AF_INET, which its type does not say
    return claimed
