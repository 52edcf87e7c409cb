"""Sets the harness: starts the upstream, the function as it is deployed, and a function that does nothing."""

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upstream import project_id

HERE = Path(__file__).parent
ROOT = HERE.parent
POLICY = """version: 1
default: hold
rules:
  - name: golden-images
    owners: [9c61004714024f9586705d090530f9fa]
    decision: accept
"""
NOOP = """
import functions_framework.aio
from starlette.responses import Response
from uvicorn_worker import UvicornWorker

UvicornWorker.CONFIG_KWARGS = {**UvicornWorker.CONFIG_KWARGS, "http": "h11"}  # as it comes, without httptools


@functions_framework.aio.http
async def noop(request):
    await request.body()
    return Response(status_code=204)
"""
PATIENCE = 30.0


@dataclass(slots=True, kw_only=True)
class Server:
    """A process of ours that serves HTTP."""

    process: "subprocess.Popen[bytes]"
    url: str
    started_at: float

    def memory(self) -> int:
        """Bytes that the process and its children keep for themselves, each page once (proportional set size)."""
        return sum(_pss(pid) for pid in [self.process.pid, *_children(self.process.pid)])

    @contextlib.contextmanager
    def peak(self) -> Iterator[list[int]]:
        """Watch the memory while the body runs; its last item is the most that was seen."""
        seen, has_ended = [self.memory()], threading.Event()

        def watch() -> None:
            while not has_ended.wait(0.03):
                seen.append(max(seen[-1], self.memory()))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield seen
        finally:
            has_ended.set()
            watcher.join()

    def processor(self) -> float:
        """Seconds of processor time that the process and its children have used."""
        return sum(_used(pid) for pid in [self.process.pid, *_children(self.process.pid)])

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask the upstream's own pages."""
        data = None if body is None else json.dumps(body).encode()
        context = ssl._create_unverified_context()  # noqa: SLF001 - our own process, on this machine
        with urllib.request.urlopen(self.url + path, data=data, timeout=PATIENCE, context=context) as answer:
            return json.loads(answer.read())

    def end(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.wait()

    def kill(self) -> None:
        """End it and its children with force, in the midst of whatever they do."""
        for pid in [self.process.pid, *_children(self.process.pid)]:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()


def free_port() -> int:
    """Find a free port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def launch(command: list[str], port: int, environ: dict[str, str] | None = None) -> Server:
    """Start a process; does not wait for it."""
    started_at = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, **(environ or {})}, stdout=subprocess.DEVNULL)
    return Server(process=process, url=f"http://127.0.0.1:{port}", started_at=started_at)


def wait(server: Server) -> None:
    """Wait until the process listens."""
    address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise SystemExit(f"a process ended at once: {server.process.args!r}")
        with contextlib.suppress(OSError), socket.create_connection(address, timeout=1) as connection:
            if connection.getsockname() != address:  # else it reached itself: the port is one that clients get
                return
        time.sleep(0.002)
    raise SystemExit("a process does not start")


@contextlib.contextmanager
def running(server: Server) -> Iterator[Server]:
    """Wait for a process, and end it afterwards."""
    try:
        wait(server)
        yield server
    finally:
        server.end()


def upstream(certificate: Path | None = None) -> Server:
    """Start the other side; over https where there is a certificate."""
    port = free_port()
    server = launch(
        [sys.executable, str(HERE / "upstream.py"), str(port), *([str(certificate)] if certificate else [])], port
    )
    if certificate:
        server.url = server.url.replace("http:", "https:")
    return server


def make_certificate(folder: str) -> Path:
    """Make a certificate for 127.0.0.1 that vouches for itself, with its key in the same file; needs openssl."""
    pem = Path(folder) / "upstream.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(pem), "-out", f"{pem}.crt"]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    pem.write_text(pem.read_text() + Path(f"{pem}.crt").read_text())
    return pem


def framework(source: Path, target: str, environ: dict[str, str] | None = None, *, port: int = 0) -> Server:
    """Start a function as it is deployed; port 0 takes a free one."""
    port = port or free_port()
    command = [str(Path(sys.executable).parent / "functions-framework"), "--source", str(source), "--target", target]
    return launch([*command, "--host", "127.0.0.1", "--port", str(port)], port, environ)


def noop(imports: str = "") -> Server:
    """Start a function that does nothing, but for importing what it is told to."""
    source = Path(tempfile.gettempdir()) / f"doorman_noop{len(imports)}.py"
    source.write_text(imports + NOOP)
    return framework(source, "noop")


def triage(other_side: Server, *, projects: int, **environ: str) -> Server:
    """Start `triage`, serving so many projects."""
    return function("triage", other_side, projects=projects, **environ)


def broker(port: int, subscribers: list[str]) -> Server:
    """Start the sandbox's broker, which spreads ticks over these processes."""
    return launch([sys.executable, str(HERE / "broker.py"), str(port), *subscribers], port)


def function(target: str, other_side: Server, *, projects: int, port: int = 0, **environ: str) -> Server:
    """Start a function under test, serving so many projects."""
    policy = Path(tempfile.gettempdir()) / "doorman_bench_policy.yaml"
    policy.write_text(POLICY)
    settings = {
        "DOORMAN_POLICY": str(policy),
        "K_SINK": f"{other_side.url}/sink",
        "OS_AUTH_URL": f"{other_side.url}/v3",
        "OS_USERNAME": "bench",
        "OS_PASSWORD": "bench",
        "OS_USER_DOMAIN_NAME": "bench",
        "OS_PROJECT_ID": ",".join(project_id(number) for number in range(projects)),
    }
    return framework(ROOT / "function" / "main.py", target, {**settings, **environ}, port=port)


def _children(pid: int) -> list[int]:
    found = []
    with contextlib.suppress(OSError):  # it has ended meanwhile
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *_children(int(child))]
    return found


def _used(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it has ended meanwhile
    for line in lines:
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("this kernel does not tell the proportional set size")
