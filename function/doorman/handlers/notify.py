"""The function that tells people: Doorman's own events go to one channel, gathered into few messages.

There is no store: a process remembers for a day what it told, so that what fails at every tick is told once.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, islice

from doorman.errors import Rejected, Unavailable
from doorman.models import CloudEvent, Handled
from doorman.planning.notices import News, pick, read_news, write_message
from doorman.runtime.clock import Clock
from doorman.runtime.logs import logger
from doorman.sinks.chat import Service

LINGER = 2.0
"""Seconds in which what comes together goes into one message, such as the reports of all projects."""

MEMORY = timedelta(days=1)
MEMORY_ENTRIES = 20_000
"""What is remembered at most, the newest of it; and what may wait for one message: anybody may send events."""


@dataclass(slots=True, kw_only=True, eq=False)
class Announcer:
    """Tells people through one channel, one message at a time.

    Attributes:
        names: the policy's groups by the project IDs in them.
        most: images that are remembered.
    """

    service: Service
    names: Mapping[str, str]
    clock: Clock
    most: int = MEMORY_ENTRIES
    _known: dict[str, datetime] = field(default_factory=dict)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _open: tuple[list[News], asyncio.Task[None]] | None = None

    async def tell(self, news: Iterable[News]) -> None:
        """Have it told, with what comes in the same moment.

        Raises:
            Unavailable: the service did not take the message, or too much waits for it.
        """
        if not (picked := self._pick(news)):
            return
        if self._open and len(self._open[0]) + len(picked) > self.most:
            raise Unavailable(f"channel {self.service.channel.name}: too much is waiting for it", retry_after=LINGER)
        if self._open is None:
            self._open = ([], asyncio.create_task(self._gather()))
        gathered, task = self._open
        gathered += picked
        await asyncio.shield(task)  # which goes on for the others where a caller is cancelled

    async def _gather(self) -> None:
        await self.clock.sleep(LINGER)
        async with self._turn:
            gathered, self._open = self._open[0] if self._open else [], None
            if picked := self._pick(gathered):
                await self._send(picked)

    def _pick(self, news: Iterable[News]) -> list[News]:
        forgotten = self.clock.now() - MEMORY
        self._known = {mark: at for mark, at in self._known.items() if at > forgotten}
        return pick(self.service.channel, news, known=self._known)

    async def _send(self, news: Sequence[News]) -> None:
        message = write_message(news, names=self.names, limit=self.service.limit)
        try:
            await self.service.send(message)
        except Unavailable as error:
            logger().warning("notify.failed", channel=self.service.channel.name, error=str(error))
            raise
        self._known |= dict.fromkeys((each.mark for each in news), self.clock.now())
        for mark in list(islice(self._known, max(0, len(self._known) - self.most))):
            del self._known[mark]
        logger().info(
            "notify.sent", channel=self.service.channel.name, shares=sum(bool(each.image_id) for each in news)
        )


async def handle_notify(
    events: Sequence[CloudEvent], *, announcers: Mapping[str, Announcer], name: str
) -> Sequence[Handled]:
    """Tell people of these events through the channel of that name; what is no news for people does nothing.

    Raises:
        Rejected: there is no such channel, or the data of an event is wrong.
    """
    if name not in announcers:
        raise Rejected(f"path: {name[:40]!r} is no channel of DOORMAN_CHANNELS: end it with {', '.join(announcers)}")
    told = [read_news(event) for event in events]
    error = None
    try:
        await announcers[name].tell(chain.from_iterable(news for _, news in told))
    except Unavailable as failure:
        error = failure
    return [Handled(project_id=project_id, error=error if news else None) for project_id, news in told]
