"""Lets requests of each served project through: tokens from Keystone, or AK/SK signatures, as `httpx.Auth`.

Decides nothing about what is sent, and logs nothing: its callers do.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from doorman.cloud.api.base import Service
from doorman.cloud.auth.accounts import Account, Endpoints, Keys, Plugin, Project
from doorman.cloud.auth.catalog import OVERRIDES, find_endpoint
from doorman.cloud.auth.environ import Identity
from doorman.cloud.auth.http_auth import FixedTokenAuth, KeyAuth, TokenAuth
from doorman.cloud.auth.keystone import Token
from doorman.cloud.auth.logins import PROJECT_MARK
from doorman.cloud.auth.tokens import Gate, TokenSource
from doorman.errors import Misconfigured
from doorman.runtime.clock import Clock

if TYPE_CHECKING:
    from doorman.cloud.auth.cloud_files import CloudFiles

Served = tuple[Account, Callable[[], Account]]
"""The account of a served project, and how to read it anew, so that rotated secrets are picked up."""


class Credentials:
    """The way into one served project.

    Attributes:
        account: what it is made of.
        auth: makes a request ours; after a 401 it renews once, then lets the 401 through.
        region: that the account names; None where it names none.
        names: that the project is called by: its ID or name, as it is set, and its clouds.yaml entry.
    """

    def __init__(self, account: Account, *, auth: httpx.Auth, source: TokenSource | None = None) -> None:
        self.account = account
        self.auth = auth
        self.region = account.region
        self.names = frozenset(name for name in (account.project.id, account.project.name, account.entry) if name)
        self._source = source
        self._project_id = account.project.id
        self._found: dict[Service, str] = {}
        self._found_in: Token | None = None

    async def project_id(self) -> str:
        """Give the project's ID, from Keystone where only its name is known.

        Raises:
            Unavailable: the login failed.
        """
        if self._source and self._project_id is None:
            self._project_id = (await self._source.current()).project_id
        return self._project_id or ""

    async def token(self) -> Token | None:
        """Give the token, with the names of user and project; None where nobody logs in. Raises as `project_id`."""
        return await self._source.current() if self._source else None

    async def endpoint(self, service: Service) -> str:
        """Give the base URL of a service: no trailing slash, no version but compute's.

        Raises:
            Misconfigured: neither the settings nor the catalog name one.
            Unavailable: the login failed.
        """
        if override := getattr(self.account.endpoints, service):
            is_marked = PROJECT_MARK in override
            return str(override).replace(PROJECT_MARK, await self.project_id() if is_marked else "")
        token = await self.token()
        if token is None:
            raise Misconfigured(f"{OVERRIDES[service]} is missing: without a login there is no catalog")
        if self._found_in is not token:
            self._found_in, self._found = token, {}
        if service not in self._found:
            self._found[service] = find_endpoint(token.catalog, service, self.account)
        return self._found[service]


def from_settings(served: Iterable[Served], *, client: httpx.AsyncClient, clock: Clock) -> tuple[Credentials, ...]:
    """Make the credentials of every served project; none of them logs in yet.

    Args:
        client: sends the logins, with its own time-outs and certificate authorities (see `list_ca_files`).
    """
    gates: dict[str | None, Gate] = {}

    def make(account: Account, load: Callable[[], Account]) -> Credentials:
        if isinstance(account.login, Keys):
            return Credentials(account, auth=KeyAuth(load=load, now=clock.now))
        gate = gates.setdefault(account.auth_url, Gate(clock))
        source = TokenSource(load=load, client=client, gate=gate, clock=clock)
        return Credentials(account, auth=TokenAuth(source), source=source)

    return tuple(make(account, load) for account, load in served)


def from_invocation(
    *, project_id: str, endpoints: Endpoints, lent: str | Keys, now: Callable[[], datetime]
) -> Credentials:
    """Make credentials of a token or keys that came with one call (FunctionGraph's agency); nobody renews them."""
    if isinstance(lent, str):
        account = Account(project=Project(id=project_id), login=None, endpoints=endpoints)
        return Credentials(account, auth=FixedTokenAuth(lent))
    account = Account(project=Project(id=project_id), login=lent, endpoints=endpoints)
    return Credentials(account, auth=KeyAuth(load=lambda: account, now=now))


def list_ca_files(identity: Identity, served: Iterable[Served]) -> tuple[str, ...]:
    """List the files of extra certificate authorities: `OS_CACERT` and every entry's `cacert`."""
    named = (identity.ca_file, *(account.ca_file for account, _ in served))
    return tuple(dict.fromkeys(str(Path(name).expanduser()) for name in named if name))


def find_certificate(served: Iterable[Served]) -> tuple[str, str | None] | None:
    """Find the client's own certificate and its key, as files; None where no login has one.

    Raises:
        Misconfigured: two logins name different ones.
    """
    logins = {account.entry: account.login for account, _ in served}
    found = {
        login.certificate: entry for entry, login in logins.items() if isinstance(login, Plugin) and login.certificate
    }
    if len(found) > 1:
        named = ", ".join(f"clouds.{entry}.cert" for entry in found.values())
        raise Misconfigured(f"OS_CLOUD names entries with different client certificates ({named}): one process has one")
    return next(iter(found), None)


def list_notes(identity: Identity, served: Iterable[Served]) -> tuple[str, ...]:
    """Say what a person should know of the logins, though it stops nothing."""
    files = find_files(identity)
    ending = [
        f"the login of {account.entry or 'OS_AUTH_TYPE'} ({account.login.kind}) cannot be renewed: it ends by itself"
        for account, _ in served
        if isinstance(account.login, Plugin) and not account.login.is_renewable
    ]
    return (*(files.notes() if files else ()), *ending)


def list_served(identity: Identity) -> list[Served]:
    """List every served project.

    Raises:
        Misconfigured: clouds.yaml is missing or wrong, or two entries serve the same project.
    """
    own = identity.accounts
    if identity.handed:
        from doorman.cloud.auth.openstacksdk import read_handed  # noqa: PLC0415 - a slow start for rare logins

        own = read_handed(identity.handed, entry=None)
    served: list[Served] = [(account, partial(replace, account)) for account in own]
    if files := find_files(identity):
        found = [account for cloud in identity.clouds for account in files.accounts(cloud)]
        served = [(account, partial(files.read_again, account)) for account in found]
    ids = [account.project.id for account, _ in served if account.project.id]
    if twice := next((project_id for project_id in ids if ids.count(project_id) > 1), None):
        named = ", ".join(str(account.entry) for account, _ in served if account.project.id == twice)
        raise Misconfigured(f"OS_CLOUD names two entries for the project {twice}: keep one of {named}")
    return served


def find_files(identity: Identity) -> "CloudFiles | None":
    """Find clouds.yaml; None where no entry of it is asked for."""
    if not identity.clouds:
        return None
    from doorman.cloud.auth.cloud_files import CloudFiles  # noqa: PLC0415 - variables are enough for most

    return CloudFiles.find(identity)
