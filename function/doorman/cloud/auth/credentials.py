"""Lets requests of each served project through: tokens from Keystone, or AK/SK signatures, as `httpx.Auth`.

Decides nothing about what is sent, and logs nothing: its callers do.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import httpx

from doorman.cloud.auth.accounts import Account, Endpoints, Keys, Plugin
from doorman.cloud.auth.catalog import Service, find_endpoint
from doorman.cloud.auth.environ import Identity
from doorman.cloud.auth.http_auth import FixedTokenAuth, KeyAuth, TokenAuth
from doorman.cloud.auth.keystone import Token
from doorman.cloud.auth.logins import PROJECT_MARK
from doorman.cloud.auth.tokens import Gate, TokenSource
from doorman.errors import Misconfigured
from doorman.runtime.clock import Clock

if TYPE_CHECKING:
    from doorman.cloud.auth.cloud_files import CloudFiles


class Credentials(Protocol):
    """The way into one served project."""

    @property
    def auth(self) -> httpx.Auth:
        """What makes a request ours; after a 401 it renews once, then lets the 401 through."""

    @property
    def account(self) -> Account | None:
        """What the settings describe; None where credentials come with each call."""

    region: str | None  # that the account names; None where it names none
    names: frozenset[str]  # that the project is called by: its ID or name, as it is set, and its clouds.yaml entry

    async def project_id(self) -> str:
        """Give the project's ID, from Keystone where only its name is known.

        Raises:
            Unavailable: the login failed.
        """

    async def token(self) -> Token | None:
        """Give the token, with the names of user and project; None where nobody logs in. Raises as `project_id`."""

    async def endpoint(self, service: Service) -> str:
        """Give the base URL of a service: no trailing slash, no version but compute's.

        Raises:
            Misconfigured: neither the settings nor the catalog name one.
            Unavailable: the login failed.
        """


class KeystoneCredentials:
    """Credentials that log in: the catalog names the endpoints that the settings do not."""

    def __init__(self, account: Account, source: TokenSource) -> None:
        self.auth = TokenAuth(source)
        self.region = account.region
        self.names = name_project(account)
        self.account = account
        self._source = source
        self._project_id = account.project.id
        self._found: dict[Service, str] = {}
        self._found_in: object = None

    async def project_id(self) -> str:
        """Give the project's ID; asks Keystone the first time where only a name is known."""
        if self._project_id is None:
            self._project_id = (await self._source.current()).project_id
        return self._project_id or ""

    async def token(self) -> Token:
        """Give the token."""
        return await self._source.current()

    async def endpoint(self, service: Service) -> str:
        """Give the base URL from the settings, else from the catalog that came with the token."""
        if override := getattr(self.account.endpoints, service):
            is_marked = PROJECT_MARK in override
            return str(override).replace(PROJECT_MARK, await self.project_id() if is_marked else "")
        token = await self._source.current()
        if self._found_in is not token:
            self._found_in, self._found = token, {}
        if service not in self._found:
            account = self.account
            url = find_endpoint(token.catalog, service, region=account.region, interface=account.interface)
            self._found[service] = url
        return self._found[service]


class BareCredentials:
    """Credentials without a catalog, signed or with a given token: the settings name every endpoint."""

    def __init__(
        self,
        *,
        auth: httpx.Auth,
        project_id: str,
        endpoints: Endpoints,
        region: str | None = None,
        names: frozenset[str] = frozenset(),
        account: Account | None = None,
    ) -> None:
        self.auth = auth
        self.account = account
        self.region = region
        self.names = names | {project_id}
        self._project_id = project_id
        self._endpoints = endpoints

    async def project_id(self) -> str:
        """Give the project's ID."""
        return self._project_id

    async def token(self) -> None:
        """Give nothing: a signature names nobody, and a token that is given tells nothing of itself."""

    async def endpoint(self, service: Service) -> str:
        """Give the base URL from the settings."""
        url: str | None = getattr(self._endpoints, service)
        if url is None:
            raise Misconfigured(
                f"OS_{service.upper()}_ENDPOINT_OVERRIDE is missing: without a login there is no catalog"
            )
        return url.replace(PROJECT_MARK, self._project_id)


def name_project(account: Account) -> frozenset[str]:
    """Name what a project can be called by without asking anybody."""
    return frozenset(name for name in (account.project.id, account.project.name, account.entry) if name)


def from_settings(identity: Identity, *, client: httpx.AsyncClient, clock: Clock) -> tuple[Credentials, ...]:
    """Make the credentials of every served project; none of them logs in yet.

    Args:
        client: sends the logins, with its own time-outs and certificate authorities (see `list_ca_files`).

    Raises:
        Misconfigured: clouds.yaml is missing or wrong, or two entries serve the same project.
    """
    served = list_served(identity)
    gates = {account.auth_url: Gate(clock) for account, _ in served}
    make = partial(TokenSource, client=client, clock=clock)
    return tuple(
        make_signed(load, account, clock=clock)
        if isinstance(account.login, Keys)
        else KeystoneCredentials(account, make(load=partial(read_login, load), gate=gates[account.auth_url]))
        for account, load in served
    )


def from_invocation(
    *,
    project_id: str,
    endpoints: Endpoints,
    token: str | None = None,
    keys: Keys | None = None,
    now: Callable[[], datetime],
) -> Credentials:
    """Make credentials of what came with one call (FunctionGraph's agency); nobody renews them.

    Raises:
        Misconfigured: neither a token nor keys.
    """
    if keys:
        auth: httpx.Auth = KeyAuth(load=lambda: keys, project_id=project_id, now=now)
    elif token:
        auth = FixedTokenAuth(token)
    else:
        raise Misconfigured("the call brings neither a token nor temporary keys: give the function an agency")
    return BareCredentials(auth=auth, project_id=project_id, endpoints=endpoints)


def list_ca_files(identity: Identity) -> tuple[str, ...]:
    """List the files of extra certificate authorities: `OS_CACERT` and every entry's `cacert`.

    Raises:
        Misconfigured: clouds.yaml is missing or wrong.
    """
    named = (identity.ca_file, *(account.ca_file for account, _ in list_served(identity)))
    return tuple(dict.fromkeys(str(Path(name).expanduser()) for name in named if name))


def find_certificate(identity: Identity) -> tuple[str, str | None] | None:
    """Find the client's own certificate and its key, as files; None where no login has one.

    Raises:
        Misconfigured: clouds.yaml is missing or wrong, or two logins name different ones.
    """
    logins = [account.login for account, _ in list_served(identity)]
    found = {login.certificate for login in logins if isinstance(login, Plugin) and login.certificate}
    if len(found) > 1:
        raise Misconfigured("OS_CLOUD names entries with different client certificates (cert): one process has one")
    return next(iter(found), None)


def list_notes(identity: Identity) -> tuple[str, ...]:
    """Say what a person should know of the logins, though it stops nothing.

    Raises:
        Misconfigured: clouds.yaml is missing or wrong.
    """
    files = find_files(identity)
    ending = [
        f"the login of {account.entry or 'OS_AUTH_TYPE'} ({account.login.kind}) cannot be renewed: it ends by itself"
        for account, _ in list_served(identity)
        if isinstance(account.login, Plugin) and not account.login.is_renewable
    ]
    return (*(files.notes() if files else ()), *ending)


def list_served(identity: Identity) -> list[tuple[Account, Callable[[], Account]]]:
    """List every served project's account, and how to read it anew, so that rotated secrets are picked up.

    Raises:
        Misconfigured: clouds.yaml is missing or wrong, or two entries serve the same project.
    """
    own = identity.accounts
    if identity.handed:
        from doorman.cloud.auth.openstacksdk import read_handed  # noqa: PLC0415 - a slow start for rare logins

        own = read_handed(identity.handed, entry=None)
    served: list[tuple[Account, Callable[[], Account]]] = [(account, partial(replace, account)) for account in own]
    if files := find_files(identity):
        served += [
            (account, partial(files.account_of, account.project, cloud))
            for cloud in identity.clouds
            for account in files.accounts(cloud)
        ]
    ids = [account.project.id for account, _ in served if account.project.id]
    if twice := next((project_id for project_id in ids if ids.count(project_id) > 1), None):
        raise Misconfigured(f"OS_CLOUD names two entries for the project {twice}: keep one")
    return served


def find_files(identity: Identity) -> "CloudFiles | None":
    """Find clouds.yaml; None where no entry of it is asked for."""
    if not identity.clouds:
        return None
    from doorman.cloud.auth.cloud_files import CloudFiles, usual_folders  # noqa: PLC0415 - variables are enough for most

    return CloudFiles.find(identity, folders=usual_folders(here=Path.cwd(), config_home=identity.config_home))


def make_signed(load: Callable[[], Account], account: Account, *, clock: Clock) -> Credentials:
    """Make credentials that sign with AK/SK, which are always for a project given by ID."""
    project_id = account.project.id or ""
    auth = KeyAuth(load=partial(read_keys, load), project_id=project_id, now=clock.now)
    return BareCredentials(
        auth=auth,
        project_id=project_id,
        endpoints=account.endpoints,
        region=account.region,
        names=name_project(account),
        account=account,
    )


def read_keys(load: Callable[[], Account]) -> Keys:
    """Read an account's keys anew.

    Raises:
        Misconfigured: the entry has no keys any more.
    """
    login = load().login
    if not isinstance(login, Keys):
        raise Misconfigured("a clouds.yaml entry changed from AK/SK to another login: restart to use it")
    return login


def read_login(load: Callable[[], Account]) -> Account:
    """Read an account that logs in anew.

    Raises:
        Misconfigured: the entry has AK/SK instead by now.
    """
    account = load()
    if isinstance(account.login, Keys):
        raise Misconfigured("a clouds.yaml entry changed from a login to AK/SK: restart to use it")
    return account
