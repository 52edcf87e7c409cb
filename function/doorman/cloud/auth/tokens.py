"""Logs in to Keystone: one login for all that wait, kept until shortly before its end, and no storm when it is down."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import httpx

from doorman.cloud.auth.accounts import Account, Password, Plugin
from doorman.cloud.auth.keystone import LoginRefused, Token, agency_body, login_body, read_token, tokens_url
from doorman.errors import Misconfigured, Unavailable
from doorman.runtime.clock import Clock
from doorman.runtime.connection_errors import name_trouble
from doorman.runtime.http import parse_url

PAUSE = 1.0  # seconds between attempts after a failed login
LONGEST_PAUSE = 60.0  # however long Keystone's Retry-After
PATIENCE = 3.0  # seconds that a project waits for its turn after another one was refused


class Gate:
    """Lets logins through to one auth URL.

    One at a time until the first has succeeded, freely from then on; after a failure one a second until one succeeds.
    While Keystone is down, everyone else gets the last failure at once. When it refused one project, others wait for
    their turn instead, since they may fare better.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._turn = asyncio.Lock()
        self._is_open = False
        self._closed_until = -math.inf
        self._last = Unavailable("no login yet")

    async def run(self, attempt: Callable[[], Awaitable[Token]], *, earlier: LoginRefused | None) -> Token:
        """Make the attempt when it is its turn.

        Args:
            earlier: how this project's last attempt failed; it does not wait for a turn again. None: it did not fail.

        Raises:
            Unavailable: the attempt failed, or another one has just shown that it would.
        """
        came = self._clock.monotonic()
        while not self._is_open:
            async with self._turn:
                if not self._is_open:
                    await self._wait(came=came, earlier=earlier)
                    return await self._watch(attempt)
        return await self._watch(attempt)

    async def _wait(self, *, came: float, earlier: LoginRefused | None) -> None:
        now = self._clock.monotonic()
        rest = self._closed_until - now
        if rest <= 0:
            return
        if not isinstance(self._last, LoginRefused):
            raise Unavailable(str(self._last), retry_after=rest)
        if earlier:
            raise again(earlier)
        if now - came + rest > PATIENCE:
            raise Unavailable("Keystone refused other logins just now, this one waits for its turn", retry_after=rest)
        await self._clock.sleep(rest)

    async def _watch(self, attempt: Callable[[], Awaitable[Token]]) -> Token:
        try:
            token = await attempt()
        except Unavailable as error:
            pause = min(max(PAUSE, error.retry_after or 0), LONGEST_PAUSE)
            self._is_open, self._last = False, error
            self._closed_until = self._clock.monotonic() + pause
            raise
        self._is_open = True
        return token


def again(error: Unavailable) -> Unavailable:
    """Make the same error anew: one that is raised again and again would grow its traceback."""
    return type(error)(str(error), retry_after=error.retry_after)


MARGIN = timedelta(minutes=2)  # a token is renewed this long before its end, or a tenth of its life where that is less


class TokenSource:
    """The token of one served project."""

    def __init__(self, *, load: Callable[[], Account], client: httpx.AsyncClient, gate: Gate, clock: Clock) -> None:
        self._load = load
        self._client = client
        self._gate = gate
        self._clock = clock
        self._token: Token | None = None
        self._renew_at = self._ends_at = -math.inf
        self._login: asyncio.Task[Token] | None = None
        self._failure: Unavailable | None = None
        self._failed_until = self._useless_until = -math.inf

    async def current(self) -> Token:
        """Give the token; log in where there is none or it ends soon.

        Raises:
            Unavailable: no login, and no token that still lives.
        """
        if self._token and self._clock.monotonic() < self._renew_at:
            return self._token
        try:
            return await self._join_login()
        except Unavailable:
            if self._token and self._clock.monotonic() < self._ends_at:
                return self._token
            raise

    async def renew(self, rejected: Token) -> Token | None:
        """Give a better token than one that a service answered 401 to; None where there is none to be had.

        Raises:
            Unavailable: the login failed.
        """
        if self._token is not rejected:
            return await self.current()
        if self._clock.monotonic() < self._useless_until:
            return None
        return await self._join_login()

    def distrust(self, token: Token) -> None:
        """Note that a fresh token got a 401 as well: for a moment, no further one is asked for."""
        if token is self._token:
            self._useless_until = self._clock.monotonic() + PAUSE

    async def _join_login(self) -> Token:
        if self._login is None or self._login.done():
            self._login = asyncio.create_task(self._log_in())
            # A login whose waiters have all gone may fail without anyone to hear it.
            self._login.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._login)

    async def _log_in(self) -> Token:
        if self._failure and self._clock.monotonic() < self._failed_until:
            raise again(self._failure)
        refusal = self._failure if isinstance(self._failure, LoginRefused) else None
        try:
            token = await self._gate.run(self._attempt, earlier=refusal)
        except Unavailable as error:
            self._failure = error
            self._failed_until = self._clock.monotonic() + PAUSE
            raise
        self._keep(token)
        return token

    def _keep(self, token: Token) -> None:
        start, margin = self._clock.monotonic(), min(MARGIN, token.life / 10)
        self._token, self._failure = token, None
        self._ends_at = start + token.life.total_seconds()
        self._renew_at = self._ends_at - margin.total_seconds()

    async def _attempt(self) -> Token:
        try:
            account = self._load()
        except Misconfigured as error:
            raise Unavailable(str(error)) from error
        return await log_in(account, client=self._client, now=self._clock.now)


async def log_in(account: Account, *, client: httpx.AsyncClient, now: Callable[[], datetime]) -> Token:
    """Log in to the account's project, with an agency in two steps.

    Raises:
        LoginRefused: Keystone does not let us in.
        Unavailable: Keystone is down, or answers something else.
    """
    if isinstance(account.login, Plugin):
        from doorman.cloud.auth.openstacksdk import log_in as run  # noqa: PLC0415 - a slow start for rare logins

        timeout = client.timeout.read or PATIENCE
        token = await asyncio.to_thread(run, account.login, account, timeout=timeout, now=now())
    else:
        token = await post(login_body(account), account=account, client=client, now=now, bearer=None)
    if account.agency:
        body = agency_body(account.agency, account.project)
        token = await post(body, account=account, client=client, now=now, bearer=token)
    if token.project_id is None or account.project.id not in {None, token.project_id}:
        place = account.spell("auth.project_id")
        raise LoginRefused(f"Keystone at {tokens_url(account)} gave a token for another project: check {place}")
    return token


async def is_known(account: Account, *, client: httpx.AsyncClient, now: Callable[[], datetime]) -> bool | None:
    """Say whether a user whom Keystone refused can log in without a project: then the project or its role is wrong.

    None: only a user with a password can be asked about so.
    """
    if not isinstance(account.login, Password) or account.agency:
        return None
    body = login_body(account)
    del body["auth"]["scope"]
    try:
        await post(body, account=account, client=client, now=now, bearer=None)
    except Unavailable:
        return False
    return True


async def post(
    body: dict[str, Any],
    *,
    account: Account,
    client: httpx.AsyncClient,
    now: Callable[[], datetime],
    bearer: Token | None,
) -> Token:
    """POST one login step; `bearer` is the token of the step before."""
    url = tokens_url(account)
    headers = {"Accept": "application/json"} | ({"X-Auth-Token": bearer.value} if bearer else {})
    try:
        answer = await client.post(
            parse_url(url), json=body, headers=headers, auth=httpx.Auth(), follow_redirects=False
        )
    except httpx.TimeoutException as error:
        raise Unavailable(f"Keystone at {url} did not answer in time") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unavailable(f"Keystone at {url} cannot be reached: {name_trouble(error, url)}") from error
    return read_token(answer.status_code, answer.headers, answer.content, account=account, now=now())
