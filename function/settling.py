"""Performs the plan of one round: has the cloud settle what was decided, splits what it refuses, and tells the rest.

Decides nothing: which vault comes next is asked of `plan`, what an image became is read back from the cloud.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from .api import Failure, classify
from .asks import Ask, Facts
from .cloudevents import CloudEvent
from .decision import Decision
from .desk import Desk
from .errors import Refused, Unavailable
from .events import follow, notify
from .logs import logger
from .messages import CheckData
from .plan import Plan, Submission, carried, pick_vault
from .shares import MAX_TRIED_VAULTS, MAX_TRIES, Cause, Fate, Outcome, Reason, Share
from .standing import read_back, read_standings
from .telling import tell
from .verdicts import conclude, conclude_settled, judge

SUBMITTED = "submitted"
"""The word for an image whose job was started: its outcome is told by `check_job`."""

REPEATED = "repeated"
"""The word for an image that is notified again, after an error that may pass."""

Ended = Mapping[str, str | Unavailable]
"""By image: how it ended (a fate, SUBMITTED or REPEATED), or why it must be asked for again."""

AGAIN = 5.0
"""Seconds to wait for a share that is not visible yet."""

SYSTEMIC = 3
"""So many single images denied in a row, and none settled: the right is missing for the rest as well."""

_DIVISIBLE = frozenset(
    {Failure.GONE, Failure.NOT_USABLE, Failure.PASSING, Failure.VAULT, Failure.PERMISSION, Failure.BAD_REQUEST}
)
# These say that the vault itself cannot be used, whatever the images: no part of the batch would fare better.
_VAULT_UNUSABLE = frozenset({"IMG.0184", "IMG.0188", "IMG.0189", "IMG.0193"})
_REFUSED: Mapping[Failure, tuple[Fate, Reason]] = {
    Failure.NOT_USABLE: (Fate.SKIPPED, Reason.NOT_USABLE),
    Failure.PERMISSION: (Fate.FAILED, Reason.PERMISSION_DENIED),
    Failure.GONE: (Fate.FAILED, Reason.STILL_PENDING),
}


@dataclass(slots=True, kw_only=True)
class Round:
    """One round while it is performed: what was known, and what has come of it so far."""

    desk: Desk
    asks: dict[str, Ask]
    facts: Facts
    decided: Mapping[str, Decision]
    ended: dict[str, str | Unavailable] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)

    async def perform(self, plan: Plan) -> Ended:
        """Carry the plan out as far as cloud and sink allow; every asked image is in the answer."""
        self._postpone(plan.invisible, Unavailable("the share is not visible yet", retry_after=AGAIN))
        self.outcomes.extend(plan.outcomes)
        settle = self._submit if self.desk.cloud.is_ims else self._settle_each
        await asyncio.gather(*(settle(submission) for submission in plan.submissions))
        await self._tell()
        return self.ended

    async def _submit(self, first: Submission) -> None:
        """Make one members call; where it is refused, find out for which images, and settle the others."""
        queue = [first]
        refused: dict[str, Refused] = {}
        denied = 0
        while queue:
            part = queue.pop()
            try:
                job_id = await self.desk.cloud.submit(part.images, status=part.status, vault_id=part.vault_id)
            except Unavailable as error:
                self._postpone(part.images, error)
            except Refused as error:
                failure = classify(code=error.code, status=error.status)
                is_systemic = failure is Failure.PERMISSION and denied >= SYSTEMIC
                if len(part.images) > 1 and _is_divisible(error, failure) and not is_systemic:
                    queue += _halve(part)
                elif failure is Failure.VAULT:
                    queue += self._move_on(part, error)
                else:
                    denied += failure is Failure.PERMISSION
                    refused |= dict.fromkeys(part.images, error)
            else:
                denied = 0
                await self._follow(part, job_id)
        await self._conclude_refused(refused)

    def _move_on(self, part: Submission, error: Refused) -> list[Submission]:
        """Give the images of a failed vault to the next one of the mapping; hold those that have none left."""
        moved: dict[str, list[str]] = {}
        for image in part.images:
            tried = (*self.asks[image].tried_vaults, part.vault_id or "")
            ask = self.asks[image] = replace(self.asks[image], tried_vaults=tried)
            share, decision = self.facts.pending[image], self.decided[image]
            vault, _ = pick_vault(ask, share, decision, self.facts.vaults)
            if vault is None or len(tried) >= MAX_TRIED_VAULTS:
                self.outcomes.append(
                    conclude(ask, share, decision, fate=Fate.HELD, reason=Reason.VAULT_FAILED, error_code=error.code)
                )
            else:
                moved.setdefault(vault, []).append(image)
        return [replace(part, vault_id=vault, images=tuple(images)) for vault, images in moved.items()]

    async def _follow(self, part: Submission, job_id: str) -> None:
        now = self.desk.clock.now()
        asks = [self.asks[image] for image in part.images]
        check = CheckData(
            project_id=self.desk.project_id,
            job_id=job_id,
            status=part.status,
            images=part.images,
            vault_id=part.vault_id,
            submitted_at=now,
            attempt=1,
            tries=max(ask.tries for ask in asks),
            tried_vaults=tuple(dict.fromkeys(vault for ask in asks for vault in ask.tried_vaults))[:MAX_TRIED_VAULTS],
            shares={
                image: carried(self.asks[image], self.facts.pending[image], self.decided[image])
                for image in part.images
            },
        )
        event = follow(self.desk.teller, check, cause=self._causes(part.images)[0], now=now)
        await self._emit([event], dict.fromkeys(part.images, SUBMITTED))

    async def _settle_each(self, part: Submission) -> None:
        """Settle images one by one where the cloud has no jobs, and say how they stand afterwards."""
        errors = await asyncio.gather(*(self._settle(image, part) for image in part.images))
        refused = {image: error for image, error in zip(part.images, errors, strict=True) if error is not None}
        await self._conclude_refused(refused)
        done = [image for image in part.images if image not in refused and image not in self.ended]
        for image, share in (await self._read(done, part)).items():
            self.outcomes.append(
                judge(
                    self.asks[image],
                    share,
                    self.decided[image],
                    project_id=self.desk.project_id,
                    wanted=part.status,
                    otherwise=Reason.STILL_PENDING,
                )
            )

    async def _settle(self, image: str, part: Submission) -> Refused | None:
        try:
            await self.desk.cloud.settle(image, status=part.status)
        except Unavailable as error:
            self._postpone([image], error)
        except Refused as error:
            return error
        return None

    async def _read(self, images: Sequence[str], part: Submission) -> dict[str, Share | None]:
        try:
            return await read_back(self.desk.cloud, images, status=part.status) if images else {}
        except Unavailable as error:
            self._postpone(images, error)
            return {}

    async def _conclude_refused(self, refused: Mapping[str, Refused]) -> None:
        """Say what became of images whose settling was refused, from how they stand now."""
        if not refused:
            return
        try:
            standings = await read_standings(self.desk.cloud, list(refused))
        except Unavailable as error:
            self._postpone(refused, error)
            return
        again = []
        for image, refusal in refused.items():
            ask, share, decision = self.asks[image], standings[image], self.decided[image]
            failure = classify(code=refusal.code, status=refusal.status)
            if share is None or share.member_status != "pending":
                self.outcomes.append(conclude_settled(ask, share, decision))
            elif failure is Failure.PASSING and ask.tries < MAX_TRIES:
                again.append(image)
            else:
                self._log_refusal(image, refusal, failure)
                fate, reason = _REFUSED.get(failure, (Fate.FAILED, Reason.REQUEST_REFUSED))
                known = replace(self.facts.pending[image], member_status="pending")
                self.outcomes.append(conclude(ask, known, decision, fate=fate, reason=reason, error_code=refusal.code))
        if again:
            await self._repeat(again)

    async def _repeat(self, images: Sequence[str]) -> None:
        """Notify again what met an error that may pass; `tries` travels along, so that this ends."""
        asks = [self.asks[image] for image in images]
        event = notify(
            self.desk.teller,
            images,
            cause=self._causes(images)[0],
            now=self.desk.clock.now(),
            tries=max(ask.tries for ask in asks) + 1,
            tried_vaults=tuple(dict.fromkeys(vault for ask in asks for vault in ask.tried_vaults))[:MAX_TRIED_VAULTS],
        )
        await self._emit([event], dict.fromkeys(images, REPEATED))

    async def _tell(self) -> None:
        """Tell the outcomes, one event per fate."""
        fates: dict[Fate, list[Outcome]] = {}
        for outcome in self.outcomes:
            fates.setdefault(outcome.fate, []).append(outcome)
        await asyncio.gather(*(self._tell_fate(fate, outcomes) for fate, outcomes in fates.items()))

    async def _tell_fate(self, fate: Fate, outcomes: Sequence[Outcome]) -> None:
        images = [outcome.image_id for outcome in outcomes]
        events = tell(self.desk.teller, outcomes, causes=self._causes(images), now=self.desk.clock.now())
        await self._emit(events, dict.fromkeys(images, fate.value))

    async def _emit(self, events: Sequence[CloudEvent], ended: Mapping[str, str]) -> None:
        """Hand events over; only then do their images count as ended."""
        try:
            await self.desk.emit(events)
        except Unavailable as error:
            self._postpone(ended, error)
            return
        for image, word in ended.items():
            # An image told twice (a rule on trial beside the enforced ones) has ended when both were taken.
            if not isinstance(self.ended.get(image), Unavailable):
                self.ended[image] = word

    def _postpone(self, images: Mapping[str, object] | Sequence[str] | frozenset[str], error: Unavailable) -> None:
        self.ended |= dict.fromkeys(images, error)

    def _causes(self, images: Sequence[str]) -> list[Cause]:
        """Give the causing events of these images in order of arrival, each once."""
        wanted = set(images)
        found = {ask.cause.id: ask.cause for image, ask in self.asks.items() if image in wanted}
        return list(found.values())

    def _log_refusal(self, image: str, error: Refused, failure: Failure) -> None:
        logger().warning(
            "members.refused",
            project_id=self.desk.project_id,
            image_id=image,
            error_code=error.code,
            missing_right="ims:images:share" if failure is Failure.PERMISSION else None,
        )


def _is_divisible(error: Refused, failure: Failure) -> bool:
    return failure in _DIVISIBLE and error.code not in _VAULT_UNUSABLE


def _halve(part: Submission) -> list[Submission]:
    middle = (len(part.images) + 1) // 2
    return [replace(part, images=part.images[middle:]), replace(part, images=part.images[:middle])]
