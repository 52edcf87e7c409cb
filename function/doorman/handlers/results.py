"""The ledger of one round: what has come of each asked image so far, and the events that say so.

An image counts as ended only when the sink took the event that tells it. What is to be done is `settling`'s concern.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from doorman.errors import Unavailable
from doorman.events.messages import CheckData, CheckedShare
from doorman.events.outcomes import tell
from doorman.events.writing import follow, notify
from doorman.handlers.context import ProjectContext
from doorman.models import MAX_TRIED_VAULTS, Cause, CloudEvent, Outcome, OutcomeType
from doorman.planning.batch import RequestedImage
from doorman.planning.plan import MembersCall

SUBMITTED = "submitted"
"""The word for an image whose job was started: its outcome is told by `check_job`."""

REPEATED = "repeated"
"""The word for an image that is notified again, after an error that may pass."""

Ended = Mapping[str, str | Unavailable]
"""By image: how it ended (a fate, SUBMITTED or REPEATED), or why it must be asked for again."""


@dataclass(slots=True, kw_only=True)
class Results:
    """What was asked in one round, and what has come of it.

    Attributes:
        asks: by image; a vault that fails is entered here.
        outcomes: still to be told.
        ended: by image, what has come of it for good.
    """

    context: ProjectContext
    asks: dict[str, RequestedImage]
    outcomes: list[Outcome] = field(default_factory=list)
    ended: dict[str, str | Unavailable] = field(default_factory=dict)

    def postpone(self, images: Iterable[str], error: Unavailable) -> None:
        """Enter that these images must be asked for again."""
        self.ended |= dict.fromkeys(images, error)

    async def follow(self, part: MembersCall, job_id: str, *, shares: Mapping[str, CheckedShare]) -> None:
        """Hand a job that was started over to `check_job`."""
        now = self.context.clock.now()
        check = CheckData(
            project_id=self.context.project_id,
            job_id=job_id,
            status=part.status,
            images=part.images,
            vault_id=part.vault_id,
            submitted_at=now,
            attempt=1,
            tries=self._tries(part.images),
            tried_vaults=self._tried_vaults(part.images),
            shares=dict(shares),
        )
        event = follow(self.context.writer, check, cause=self._causes(part.images)[0], now=now)
        await self._emit([event], dict.fromkeys(part.images, SUBMITTED))

    async def repeat(self, images: Sequence[str]) -> None:
        """Notify again what met an error that may pass; `tries` travels along, so that this ends."""
        event = notify(
            self.context.writer,
            images,
            cause=self._causes(images)[0],
            now=self.context.clock.now(),
            tries=self._tries(images) + 1,
            tried_vaults=self._tried_vaults(images),
        )
        await self._emit([event], dict.fromkeys(images, REPEATED))

    async def tell(self) -> None:
        """Tell the outcomes, one event per fate."""
        fates: dict[OutcomeType, list[Outcome]] = {}
        for outcome in self.outcomes:
            fates.setdefault(outcome.fate, []).append(outcome)
        await asyncio.gather(*(self._tell_fate(fate, outcomes) for fate, outcomes in fates.items()))

    async def _tell_fate(self, fate: OutcomeType, outcomes: Sequence[Outcome]) -> None:
        images = [outcome.image_id for outcome in outcomes]
        events = tell(self.context.writer, outcomes, causes=self._causes(images), now=self.context.clock.now())
        await self._emit(events, dict.fromkeys(images, fate.value))

    async def _emit(self, events: Sequence[CloudEvent], ended: Mapping[str, str]) -> None:
        """Hand events over; only then do their images count as ended."""
        try:
            await self.context.emit(events)
        except Unavailable as error:
            self.postpone(ended, error)
            return
        for image, word in ended.items():
            # An image told twice (a rule on trial beside the enforced ones) has ended when both were taken.
            if not isinstance(self.ended.get(image), Unavailable):
                self.ended[image] = word

    def _causes(self, images: Collection[str]) -> list[Cause]:
        """Give the causing events of these images in order of arrival, each once."""
        wanted = set(images)
        found = {ask.cause.id: ask.cause for image, ask in self.asks.items() if image in wanted}
        return list(found.values())

    def _tries(self, images: Iterable[str]) -> int:
        return max(self.asks[image].tries for image in images)

    def _tried_vaults(self, images: Iterable[str]) -> tuple[str, ...]:
        tried = dict.fromkeys(vault for image in images for vault in self.asks[image].tried_vaults)
        return tuple(tried)[:MAX_TRIED_VAULTS]
