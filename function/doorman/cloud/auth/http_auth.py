"""Makes single requests ours, as `httpx.Auth`: with a token, or with an AK/SK signature."""

from collections.abc import AsyncGenerator, Callable
from datetime import datetime
from http import HTTPStatus
from typing import cast

import httpx

from doorman.cloud.api.base import Failure, classify, read_error_code
from doorman.cloud.auth.accounts import Account, Keys
from doorman.cloud.auth.tokens import TokenSource
from doorman.errors import Misconfigured, Unavailable


class TokenAuth(httpx.Auth):
    """Sends the project's token; where it is refused, it is renewed once for all who wait."""

    def __init__(self, source: TokenSource) -> None:
        self._source = source

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Add the token, and once more where it is refused."""
        token = await self._source.current()
        if not await is_denied((yield mark(request, token.value))):
            return
        fresh = await self._source.renew(token)
        if fresh and await is_denied((yield mark(request, fresh.value))):
            self._source.distrust(fresh)


class FixedTokenAuth(httpx.Auth):
    """Sends a token that somebody else renews."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Add the token."""
        yield mark(request, self._token)


class KeyAuth(httpx.Auth):
    """Signs with AK/SK; where that is refused the keys are read again, and tried if they are new."""

    def __init__(self, *, load: Callable[[], Account], now: Callable[[], datetime]) -> None:
        self._load = load
        self._account = load()
        self._now = now

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Sign, and once more with new keys where that is refused."""
        await request.aread()
        account = self._account
        if not await is_denied((yield self._sign(request, account))):
            return
        try:
            self._account = self._load()
        except Misconfigured as error:
            raise Unavailable(str(error)) from error
        if self._account.login != account.login:
            yield self._sign(request, self._account)

    def _sign(self, request: httpx.Request, account: Account) -> httpx.Request:
        from doorman.cloud.auth.signing import canonical_query, read_query, sign  # noqa: PLC0415 - most log in instead

        query = read_query(request.url.query.decode())
        if query:
            request.url = request.url.copy_with(query=canonical_query(query).encode())
        signature = sign(
            method=request.method,
            path=request.url.raw_path.partition(b"?")[0].decode(),
            query=query,
            headers={name: request.headers[name] for name in ("host", "content-type") if name in request.headers},
            body=request.content,
            keys=cast("Keys", account.login),
            project_id=account.project.id or "",
            now=self._now(),
        )
        request.headers.update(signature)
        return request


async def is_denied(response: httpx.Response) -> bool:
    """Say whether the service refuses the login, which the image service may say by a code of its own beside a 400."""
    if response.status_code != HTTPStatus.BAD_REQUEST:
        return response.status_code == HTTPStatus.UNAUTHORIZED
    code = read_error_code(await response.aread()) or ""
    return classify(code=code, status=response.status_code) is Failure.LOGIN


def mark(request: httpx.Request, token: str) -> httpx.Request:
    """Put the token on the request."""
    request.headers["X-Auth-Token"] = token
    return request
