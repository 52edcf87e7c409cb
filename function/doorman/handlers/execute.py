"""Performs the plan of one batch: has the cloud settle what was decided, finds out what it refuses, and tells the rest.

Decides nothing: which vault comes next is asked of `plan`, how an image ended of `outcomes`. No call is made
that is not on record, none on a look that is older than a second, and none again without a fresh one.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, groupby

from doorman.cloud.api.base import Failure, classify
from doorman.cloud.client import CALLS_PER_PROJECT, MAX_PAUSE
from doorman.cloud.member_status import read_back, read_current
from doorman.errors import Broken, Busy, Failed, Late, Refused, Stopped, TimedOut, Unavailable
from doorman.handlers.results import Ended, Results
from doorman.models import Share, Status
from doorman.planning import plan as plans
from doorman.planning.batch import Observed
from doorman.planning.outcomes import Again, after_call, after_refusal, before_call, decided
from doorman.planning.plan import MembersCall, Plan
from doorman.policy.decision import Decision
from doorman.runtime.logs import logger

FRESH = 1.0
"""Seconds for which a look may speak for a write."""

ATTEMPTS = 3
"""So often one members call is made where the cloud had no time for it."""

PAUSE = 0.4
"""Seconds before it is made again, where the cloud does not say how long."""

SYSTEMIC = 3
"""So many single images denied in a row, and none settled: the right is missing for the rest as well."""

_DIVISIBLE = {Failure.GONE, Failure.NOT_USABLE, Failure.PASSING, Failure.VAULT, Failure.PERMISSION, Failure.BAD_REQUEST}
# These say that the vault itself cannot be used, whatever the images: no part of the batch would fare better.
_VAULT_UNUSABLE = frozenset({"IMG.0184", "IMG.0188", "IMG.0189", "IMG.0193"})


@dataclass(slots=True, kw_only=True, eq=False)
class Execution:
    """One batch while it is performed.

    Attributes:
        looked_at: by image, when it was last looked at, by the monotonic clock; a call for it uses the look up.
        extra: members calls that may still be made beyond those of the plan.
        has_settled: the cloud took a call of this batch, so that it is not the cloud itself that fails.
        suspects: images that nobody looked at alone: they are notified again.
        done: images that were settled without a job.
        failed_vaults: by image, the vaults that failed here.
    """

    results: Results
    observed: Observed
    decided: Mapping[str, Decision]
    looked_at: dict[str, float]
    has_settled: bool = False
    denied: int = 0
    extra: int = 0
    refused: dict[str, Refused | Failed] = field(default_factory=dict)
    suspects: list[str] = field(default_factory=list)
    done: set[str] = field(default_factory=set)
    failed_vaults: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CALLS_PER_PROJECT))

    async def perform(self, plan: Plan) -> Ended:
        """Carry the plan out as far as cloud and sink allow; every requested image is in the answer."""
        for image, why in plan.later.items():
            self.results.postpone([image], plans.delay(why))
        self.results.outcomes.extend(plan.outcomes)
        count = sum(len(call.images) for call in plan.calls)
        has_jobs = self.results.context.cloud.service.has_jobs
        self.extra = plans.max_extra_calls(count) if has_jobs else count * ATTEMPTS
        alike = groupby(plan.calls, key=lambda call: (call.status, call.vault_id))
        await asyncio.gather(*[self._settle(list(calls)) for _, calls in alike])
        await self._conclude_refused()
        if self.suspects:
            await self.results.repeat(self.suspects)
        await self.results.tell()
        return self.results.ended

    async def _settle(self, calls: Sequence[MembersCall]) -> None:
        """Put on record what is planned alike, then have the cloud settle it."""
        images = tuple(chain.from_iterable(call.images for call in calls))
        if await self._record(replace(calls[0], images=images)):
            await asyncio.gather(*map(self._carry_out, calls))

    async def _carry_out(self, call: MembersCall) -> None:
        """Have the images of one call settled: together in a job, or one by one where the cloud has no jobs."""
        has_jobs = self.results.context.cloud.service.has_jobs
        parts = [call] if has_jobs else [replace(call, images=(image,)) for image in call.images]
        await asyncio.gather(*map(self._submit, parts))
        if done := [image for image in call.images if image in self.done]:
            await self._conclude_done(done, call.status)

    async def _submit(self, first: MembersCall) -> None:
        """Make one members call; where it is refused, find out for which images, and settle the others."""
        queue = await self._make(first)
        while queue:
            call = queue.pop()
            if self.extra <= 0:
                self.suspects += call.images
                continue
            self.extra -= 1
            if await self._record(call):
                queue += await self._make(call)

    async def _record(self, call: MembersCall) -> bool:
        """Put on record what is about to be done; only then may the call be made."""
        requested, pending = self.results.requested, self.observed.pending
        evidence = [
            decided(requested[image], pending[image], self.decided[image], vault_id=call.vault_id)
            for image in call.images
        ]
        return await self.results.record(call, evidence)

    async def _make(self, call: MembersCall) -> list[MembersCall]:
        """Make a members call for what nobody settled since it was looked at; gives the calls that follow from it."""
        async with self._turn:
            if self._speaks_until(call) < self.results.context.clock.monotonic():
                call = replace(call, images=await self._leave_out_settled(call.images))
            return await self._call(call) if call.images else []

    def _speaks_until(self, call: MembersCall) -> float:
        return min(self.looked_at[image] for image in call.images) + FRESH

    async def _leave_out_settled(self, images: Sequence[str]) -> tuple[str, ...]:
        """Look again; tell of what does not wait any more, and give the rest."""
        current = await self._read(images)
        was, project_id = self.observed.pending, self.results.context.project_id
        waiting = {
            image for image, share in current.items() if share and share.member_status == was[image].member_status
        }
        self.results.outcomes.extend(
            before_call(self.results.requested[image], share, self.decided[image], project_id=project_id)
            for image, share in current.items()
            if image not in waiting
        )
        left = tuple(image for image in images if image in waiting)
        self.looked_at |= dict.fromkeys(left, self.results.context.clock.monotonic())
        return left

    async def _call(self, call: MembersCall) -> list[MembersCall]:
        """Make one members call; gives the calls that follow from its refusal."""
        context = self.results.context
        if context.stop.is_set():
            self.results.postpone(call.images, Stopped())
            return []
        until = self._speaks_until(call)
        self.looked_at |= dict.fromkeys(call.images, -math.inf)
        try:
            job_id = await context.cloud.settle(call.images, status=call.status, vault_id=call.vault_id, until=until)
        except (Busy, Late) as error:
            return await self._wait(call, error)
        except Failed as error:
            return await self._divide_failed(call, error)
        except Broken as error:
            return await self._read_lost(call, error)
        except Refused as error:
            return await self._divide_refused(call, error)
        except Unavailable as error:
            self.results.postpone(call.images, error)
        else:
            await self._note_taken(call, job_id)
        return []

    async def _note_taken(self, call: MembersCall, job_id: str) -> None:
        """Hand over the job that the cloud started, or note what it did at once."""
        self.has_settled, self.denied = True, 0
        self.results.context.call_size.learn(len(call.images), has_timed_out=False)
        if not job_id:
            self.done.update(call.images)
            return
        shares = {
            image: plans.check_share(self.results.requested[image], self.observed.pending[image], self.decided[image])
            for image in call.images
        }
        tried = dict.fromkeys(vault for image in call.images for vault in self.failed_vaults.get(image, ()))
        await self.results.follow(call, job_id, shares=shares, failed_vaults=tuple(tried))

    async def _wait(self, call: MembersCall, error: Unavailable) -> list[MembersCall]:
        """Make the call again after a pause, a few times; the broker's redelivery comes after that."""
        self.extra += isinstance(error, Late)  # which was no call
        wait = error.retry_after or PAUSE * call.attempt
        if call.attempt >= ATTEMPTS or wait > MAX_PAUSE:
            self.results.postpone(call.images, error)
            return []
        await self.results.context.clock.sleep(wait)
        return [replace(call, attempt=call.attempt + 1)]

    async def _divide_failed(self, call: MembersCall, error: Failed) -> list[MembersCall]:
        """Find the image at which the service itself fails; what it settled all the same is told as such."""
        left = await self._leave_out_settled(call.images)
        if len(left) > 1:
            return plans.halve(replace(call, images=left))
        self.refused |= dict.fromkeys(left, error)
        return []

    async def _read_lost(self, call: MembersCall, error: Broken) -> list[MembersCall]:
        """Read back at once what an answer that got lost may have settled; the rest waits for the redelivery."""
        if isinstance(error, TimedOut):
            self.results.context.call_size.learn(len(call.images), has_timed_out=True)
        self.results.postpone(await self._leave_out_settled(call.images), error)
        return []

    async def _divide_refused(self, call: MembersCall, error: Refused) -> list[MembersCall]:
        failure = classify(code=error.code, status=error.status)
        if failure is Failure.PASSING and call.attempt < ATTEMPTS:
            return await self._wait(call, Unavailable(str(error)))
        is_systemic = failure is Failure.PERMISSION and self.denied >= SYSTEMIC and not self.has_settled
        is_divisible = failure in _DIVISIBLE and error.code not in _VAULT_UNUSABLE
        if len(call.images) > 1 and is_divisible and not is_systemic:
            return plans.halve(call)
        if failure is Failure.VAULT:
            return self._move_on(call, error)
        self.denied += failure is Failure.PERMISSION
        self.refused |= dict.fromkeys(call.images, error)
        return []

    def _move_on(self, call: MembersCall, error: Refused) -> list[MembersCall]:
        """Give the images of a failed vault to the next one of the mapping; hold those that have none left."""
        moved: dict[str, list[str]] = {}
        for image in call.images:
            failed = self.failed_vaults[image] = (*self.failed_vaults.get(image, ()), call.vault_id or "")
            request, share = self.results.requested[image], self.observed.pending[image]
            vault = plans.pick_vault(request, share, self.decided[image], self.observed.vaults, failed=failed)
            if vault is None:
                self.refused[image] = error
            else:
                moved.setdefault(vault, []).append(image)
        return [replace(call, vault_id=vault, images=tuple(images), attempt=1) for vault, images in moved.items()]

    async def _conclude_done(self, images: Sequence[str], wanted: Status) -> None:
        """Say how images stand that were settled at once: what the answer echoed proves nothing."""
        try:
            current = await read_back(self.results.context.cloud, images, status=wanted)
        except Unavailable as error:
            self.results.postpone(images, error)
            return
        self.results.outcomes.extend(
            after_call(
                self.results.requested[image],
                share,
                self.decided[image],
                wanted=wanted,
                vault_id=self.results.recorded[image][1],
                project_id=self.results.context.project_id,
            )
            for image, share in current.items()
        )

    async def _read(self, images: Sequence[str]) -> dict[str, Share | None]:
        """Read how images stand of which most should wait; where that cannot be done, they are postponed."""
        cloud = self.results.context.cloud
        try:
            waiting = await cloud.pending(images)
            rest = [image for image in images if image not in waiting]
            return {**waiting, **(await read_current(cloud, rest) if rest else {})}
        except Unavailable as error:
            self.results.postpone(images, error)
            return {}

    async def _conclude_refused(self) -> None:
        """Say what became of images whose settling was refused, from how they stand now."""
        if not self.refused:
            return
        current = await self._read(list(self.refused))
        for image, error in ((image, self.refused[image]) for image in current):
            if isinstance(error, Failed) and not self.has_settled:
                # Nobody fares better: it is the cloud that fails, not the image.
                self.results.postpone([image], error)
                continue
            refusal = error if isinstance(error, Refused) else Refused(str(error), code="500", status=500)
            end = after_refusal(
                self.results.requested[image],
                self.observed.pending[image],
                current[image],
                self.decided[image],
                refusal=refusal,
                project_id=self.results.context.project_id,
            )
            if isinstance(end, Again):
                self.suspects.append(image)
            else:
                self._log_refusal(image, refusal)
                self.results.outcomes.append(end)

    def _log_refusal(self, image: str, error: Refused) -> None:
        is_denied = classify(code=error.code, status=error.status) is Failure.PERMISSION
        logger().warning(
            "members.refused",
            project_id=self.results.context.project_id,
            image_id=image,
            error_code=error.code,
            missing_right="ims:images:share" if is_denied else None,
        )
