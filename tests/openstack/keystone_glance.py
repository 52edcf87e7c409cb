"""Configures, starts and stops a real Keystone and Glance on loopback: SQLite, uWSGI, files in one folder."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

ADMIN_PASSWORD = "admin-of-the-test-cloud"
GLANCE_PASSWORD = "glance-of-the-test-cloud"
TOKEN_CACHE = 2
START_SECONDS = 90.0

KEYSTONE_CONF = """\
[DEFAULT]
log_file = {folder}/keystone.log
[database]
connection = sqlite:///{folder}/keystone.db
[fernet_tokens]
key_repository = {folder}/fernet
[credential]
key_repository = {folder}/credential
[cache]
enabled = true
backend = oslo_cache.dict
[identity]
password_hash_rounds = 4
[token]
expiration = 3600
"""

GLANCE_CONF = """\
[DEFAULT]
log_file = {folder}/glance.log
enabled_backends = files:file
[glance_store]
default_backend = files
[files]
filesystem_store_datadir = {folder}/images
[os_glance_staging_store]
filesystem_store_datadir = {folder}/staging
[os_glance_tasks_store]
filesystem_store_datadir = {folder}/tasks
[database]
connection = sqlite:///{folder}/glance.db
[paste_deploy]
flavor = keystone
config_file = {programs}/../etc/glance/glance-api-paste.ini
[keystone_authtoken]
www_authenticate_uri = {keystone}/v3
auth_url = {keystone}/v3
auth_type = password
username = glance
password = {password}
project_name = service
user_domain_id = default
project_domain_id = default
# Without it, access rules of application credentials are not looked at.
service_type = image
# Seconds that Glance believes a token that it has seen: short, so that one that was revoked is soon refused.
token_cache_time = {token_cache}
"""


def find_free_port() -> int:
    """Find a port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass(slots=True)
class Service:
    """One WSGI application under uWSGI; can be stopped and started again on the same port."""

    module: str
    programs: Path
    environ: dict[str, str]
    folder: Path
    threads: int = 4
    port: int = field(default_factory=find_free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [
            str(self.programs / "uwsgi"), "--http-socket", f"127.0.0.1:{self.port}", "--module", self.module,
            "--master", "--need-app", "--die-on-term", "--lazy-apps", "--threads", str(self.threads),
            "--buffer-size", "65535", "--post-buffering", "65535", "--disable-logging",
            # Without it, clients would use a connection again that uWSGI closes after each answer.
            "--add-header", "Connection: close",
        ]  # fmt: skip
        with (self.folder / f"{self.module}.out").open("ab") as log:
            environ = {"PATH": os.environ["PATH"], **self.environ}
            self.process = subprocess.Popen(command, env=environ, stdout=log, stderr=log, cwd=self.folder)
        deadline = time.monotonic() + START_SECONDS
        while not answers(self.url):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.module} did not start; see {self.folder}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop it, and wait until it is gone."""
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=30)
            self.process = None


@dataclass(slots=True, kw_only=True)
class Cloud:
    """A running Keystone and Glance."""

    keystone: Service
    glance: Service


def answers(url: str) -> bool:
    """Say whether somebody speaks HTTP there."""
    try:
        return httpx.get(url, timeout=5).status_code < 500
    except httpx.HTTPError:
        return False


def run(programs: Path, folder: Path, *words: str) -> None:
    """Run one of the services' own commands; its output goes into the folder."""
    with (folder / "setup.out").open("ab") as log:
        subprocess.run([str(programs / words[0]), *words[1:]], check=True, cwd=folder, stdout=log, stderr=log)


def prepare(programs: Path, folder: Path) -> None:
    """Make the databases and keys of an empty cloud with its administrator."""
    folder.mkdir(parents=True)
    write_configuration(folder, programs=programs, keystone="http://127.0.0.1")
    for name in ("fernet", "credential"):
        (folder / name).mkdir(mode=0o700)
    keystone = ("keystone-manage", "--config-file", str(folder / "keystone.conf"))
    us = ("--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid()))
    run(programs, folder, *keystone, "db_sync")
    run(programs, folder, *keystone, "fernet_setup", *us)
    run(programs, folder, *keystone, "credential_setup", *us)
    run(programs, folder, *keystone, "bootstrap", "--bootstrap-password", ADMIN_PASSWORD)
    run(programs, folder, "glance-manage", "--config-file", str(folder / "glance-api.conf"), "db_sync")


def write_configuration(folder: Path, *, programs: Path, keystone: str) -> None:
    """Write both services' configuration; `keystone` is Keystone's base URL."""
    values = {"folder": folder, "programs": programs, "keystone": keystone, "password": GLANCE_PASSWORD}
    values["token_cache"] = TOKEN_CACHE
    (folder / "keystone.conf").write_text(KEYSTONE_CONF.format(**values))
    (folder / "glance-api.conf").write_text(GLANCE_CONF.format(**values))


@contextlib.contextmanager
def start(programs: Path, *, seed: Path, folder: Path) -> Iterator[Cloud]:
    """Run a Keystone and a Glance in `folder`; the empty cloud in `seed` is made once and copied from then on."""
    if not (seed / "glance.db").exists():
        shutil.rmtree(seed, ignore_errors=True)
        prepare(programs, seed)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(seed, folder)
    keystone = Service("keystone.wsgi.api", programs, {"OS_KEYSTONE_CONFIG_FILES": f"{folder}/keystone.conf"}, folder)
    # One thread: two writers at once are too much for Glance on SQLite ("database is locked").
    glance = Service("glance.wsgi.api", programs, {"OS_GLANCE_CONFIG_DIR": str(folder)}, folder, threads=1)
    write_configuration(folder, programs=programs, keystone=keystone.url)
    try:
        keystone.start()
        glance.start()
        yield Cloud(keystone=keystone, glance=glance)
    finally:
        glance.stop()
        keystone.stop()
