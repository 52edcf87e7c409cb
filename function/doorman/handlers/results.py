"""What has come of each requested image of one batch so far, and the events that say so.

An image counts as ended only when the sink took the event that tells it. What is to be done is `execute`'s concern.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from doorman.errors import Stopped, Unavailable
from doorman.events.outcomes import decided_events, outcome_events
from doorman.events.writing import job_check_event, share_notified_event
from doorman.handlers.context import ProjectContext
from doorman.models import MAX_TRIED_VAULTS, Cause, CloudEvent, Onward, Outcome, OutcomeType
from doorman.parsing import write_time
from doorman.planning.batch import RequestedImage
from doorman.planning.plan import MembersCall, regroup

Ended = Mapping[str, OutcomeType | Onward | Unavailable]
"""By image: how it ended, how it goes on, or why it must be asked for again."""


@dataclass(slots=True, kw_only=True, eq=False)
class Results:
    """What was requested in one batch, and what has come of it.

    Attributes:
        requested: by image.
        outcomes: still to be told.
        ended: by image, what has come of it for good.
        recorded: what stands on record of an image: the status and vault of its last `share.decided`.
    """

    context: ProjectContext
    requested: Mapping[str, RequestedImage]
    outcomes: list[Outcome] = field(default_factory=list)
    ended: dict[str, OutcomeType | Onward | Unavailable] = field(default_factory=dict)
    recorded: dict[str, tuple[str, str | None]] = field(default_factory=dict)

    def postpone(self, images: Iterable[str], error: Unavailable) -> None:
        """Note that these images must be asked for again."""
        self.ended |= dict.fromkeys(images, error)

    async def record(self, call: MembersCall, outcomes: Sequence[Outcome]) -> bool:
        """Put on record what is about to be settled; only then may the call be made.

        Args:
            outcomes: of the images of the call.

        Returns:
            Whether the sink took it; where it did not, the images are postponed.
        """
        evidence = (call.status, call.vault_id)
        new = [outcome for outcome in outcomes if self.recorded.get(outcome.image_id) != evidence]
        if self.context.stop.is_set():
            self.postpone(call.images, Stopped())
            return False
        if not new:
            return True
        causes = self._causes([outcome.image_id for outcome in new])
        now = self.context.clock.now()
        try:
            await self.context.emit(
                decided_events(
                    self.context.writer, new, status=call.status, vault_id=call.vault_id, causes=causes, now=now
                )
            )
        except Unavailable as error:
            self.postpone(call.images, error)
            return False
        self.recorded |= dict.fromkeys((outcome.image_id for outcome in new), evidence)
        return True

    async def follow(
        self, call: MembersCall, job_id: str, *, shares: Mapping[str, Mapping[str, Any]], failed_vaults: Sequence[str]
    ) -> None:
        """Hand a job that was started over to `check_job`."""
        now = self.context.clock.now()
        tried = dict.fromkeys((*self._tried_vaults(call.images), *failed_vaults))
        check = {
            "project_id": self.context.project_id,
            "job_id": job_id,
            "status": call.status,
            "images": list(call.images),
            "vault_id": call.vault_id,
            "submitted_at": write_time(now),
            "attempt": 1,
            "tries": self._tries(call.images),
            "tried_vaults": list(tried)[:MAX_TRIED_VAULTS],
            "shares": shares,
        }
        event = job_check_event(self.context.writer, check, cause=self._causes(call.images)[0], now=now)
        await self._emit([event], dict.fromkeys(call.images, Onward.SUBMITTED))

    async def repeat(self, images: Sequence[str]) -> None:
        """Notify suspects again, in smaller groups; `tries` travels along, so that this ends."""
        tries = self._tries(images) + 1
        await asyncio.gather(*(self._repeat(group, tries) for group in regroup(images, tries=tries)))

    async def tell(self) -> None:
        """Tell the outcomes, one event per type."""
        types: dict[OutcomeType, list[Outcome]] = {}
        for outcome in self.outcomes:
            types.setdefault(outcome.type, []).append(outcome)
        await asyncio.gather(*(self._tell(kind, outcomes) for kind, outcomes in types.items()))

    async def _repeat(self, images: Sequence[str], tries: int) -> None:
        event = share_notified_event(
            self.context.writer,
            images,
            cause=self._causes(images)[0],
            now=self.context.clock.now(),
            tries=tries,
            tried_vaults=self._tried_vaults(images),
        )
        await self._emit([event], dict.fromkeys(images, Onward.REPEATED))

    async def _tell(self, kind: OutcomeType, outcomes: Sequence[Outcome]) -> None:
        images = [outcome.image_id for outcome in outcomes]
        events = outcome_events(
            self.context.writer, outcomes, causes=self._causes(images), now=self.context.clock.now()
        )
        await self._emit(events, dict.fromkeys(images, kind))

    async def _emit(self, events: Sequence[CloudEvent], ended: Mapping[str, OutcomeType | Onward]) -> None:
        """Hand events over; only then do their images count as ended."""
        try:
            await self.context.emit(events)
        except Unavailable as error:
            self.postpone(ended, error)
            return
        for image, end in ended.items():
            # An image told twice (a rule on trial beside the enforced ones) has ended when both were taken.
            if not isinstance(self.ended.get(image), Unavailable):
                self.ended[image] = end

    def _causes(self, images: Collection[str]) -> list[Cause]:
        """Give the causing events of these images in order of arrival, each once."""
        wanted = set(images)
        found = {each.cause.id: each.cause for image, each in self.requested.items() if image in wanted}
        return list(found.values())

    def _tries(self, images: Iterable[str]) -> int:
        return min(self.requested[image].tries for image in images)

    def _tried_vaults(self, images: Sequence[str]) -> tuple[str, ...]:
        """Give the vaults that were tried for all of these images: what one event claims, counts for its own alone."""
        first, *others = (self.requested[image].tried_vaults for image in images)
        return tuple(vault for vault in first if all(vault in tried for tried in others))
