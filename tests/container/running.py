"""Runs programs in the built tree as a cluster would: read-only root, user and group 1003, /tmp in memory."""

import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.container.tree import PATH

START_SECONDS = 20.0


class Proof:
    """The built tree, and what runs in it."""

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        self.root, self.environment = root, environment

    def popen(
        self, command: Sequence[str], environment: Mapping[str, str], *, output: int | None = None
    ) -> subprocess.Popen[str]:
        """Start a program in the tree: a mount namespace of its own, read-only, uid and gid 1003."""
        root = self.root
        enter = (
            f"mount --bind {root} {root} && mount -o remount,bind,ro {root} && "
            f"mount -t tmpfs -o size=16m,mode=1777 tmpfs {root}/tmp && cd {root} && "
            f'exec chroot --userspec=1003:1003 --groups= {root} /bin/sh -c \'cd /app && exec "$@"\' sh "$@"'
        )
        return subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", enter, "sh", *command],
            env={"PATH": PATH, **self.environment, **environment},
            stdout=output,
            stderr=output,
            text=True,
        )

    def run(self, *command: str) -> str:
        """Run a program in the tree and give what it prints."""
        with self.popen(command, {}, output=subprocess.PIPE) as process:
            return "".join(filter(None, process.communicate(timeout=60)))

    @contextmanager
    def function(
        self, target: str, environment: Mapping[str, str]
    ) -> Iterator[tuple[str, subprocess.Popen[str], float]]:
        """Start a function and wait until it answers; gives its URL, its process and the seconds it took."""
        port = _free_port()
        start = time.perf_counter()
        command = ["functions-framework", "--source", "function/main.py", "--target", target, "--port", str(port)]
        with self.popen(command, environment) as process:
            try:
                while not _is_healthy(port):
                    must(time.perf_counter() - start < START_SECONDS, f"{target}: not ready in {START_SECONDS} s")
                    must(process.poll() is None, f"{target}: ended with {process.returncode}")
                    time.sleep(0.01)
                yield f"http://127.0.0.1:{port}", process, time.perf_counter() - start
            finally:
                process.terminate()
                process.wait(timeout=60)


def must(holds: object, fault: str) -> None:
    """End with `fault` where something does not hold."""
    if not holds:
        raise SystemExit(f"FAILED: {fault}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_healthy(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
    except httpx.TransportError:
        return False
