"""Spaces logins to one Keystone out: no storm when it is down, and no project waits for another one's refusal."""

import asyncio
import math
from collections.abc import Awaitable, Callable

from doorman.cloud.auth.keystone import LoginRefused, Token
from doorman.errors import Unavailable
from doorman.runtime.clock import Clock

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
