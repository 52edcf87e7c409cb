"""Performs the plan of one round: has the cloud settle what was decided, splits what it refuses, and tells the rest.

Decides nothing: which vault comes next is asked of `plan`, what an image became is read back from the cloud and entered
in the `ledger`, which tells it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from doorman.cloud.api.base import Failure, classify
from doorman.cloud.member_status import read_back, read_current
from doorman.cloud.project import Cloud
from doorman.errors import Refused, Unavailable
from doorman.handlers.results import Ended, Results
from doorman.models import MAX_TRIED_VAULTS, MAX_TRIES, OutcomeType, Reason, Share
from doorman.planning.batch import Facts
from doorman.planning.outcomes import conclude, conclude_settled, judge
from doorman.planning.plan import MembersCall, Plan, carried, pick_vault
from doorman.policy.decision import Decision
from doorman.runtime.logs import logger

AGAIN = 5.0
"""Seconds to wait for a share that is not visible yet."""

SYSTEMIC = 3
"""So many single images denied in a row, and none settled: the right is missing for the rest as well."""

_DIVISIBLE = frozenset(
    {Failure.GONE, Failure.NOT_USABLE, Failure.PASSING, Failure.VAULT, Failure.PERMISSION, Failure.BAD_REQUEST}
)
# These say that the vault itself cannot be used, whatever the images: no part of the batch would fare better.
_VAULT_UNUSABLE = frozenset({"IMG.0184", "IMG.0188", "IMG.0189", "IMG.0193"})
_REFUSED: Mapping[Failure, tuple[OutcomeType, Reason]] = {
    Failure.NOT_USABLE: (OutcomeType.SKIPPED, Reason.NOT_USABLE),
    Failure.PERMISSION: (OutcomeType.FAILED, Reason.PERMISSION_DENIED),
    Failure.GONE: (OutcomeType.FAILED, Reason.STILL_PENDING),
}


@dataclass(slots=True, kw_only=True)
class Execution:
    """One round while it is performed: what was known, and the ledger of what has come of it."""

    results: Results
    facts: Facts
    decided: Mapping[str, Decision]

    @property
    def cloud(self) -> Cloud:
        """The cloud of the round's project."""
        return self.results.context.cloud

    async def perform(self, plan: Plan) -> Ended:
        """Carry the plan out as far as cloud and sink allow; every asked image is in the answer."""
        self.results.postpone(plan.invisible, Unavailable("the share is not visible yet", retry_after=AGAIN))
        self.results.outcomes.extend(plan.outcomes)
        settle = self._submit if self.cloud.is_ims else self._settle_each
        await asyncio.gather(*(settle(call) for call in plan.calls))
        await self.results.tell()
        return self.results.ended

    async def _submit(self, first: MembersCall) -> None:
        """Make one members call; where it is refused, find out for which images, and settle the others."""
        queue = [first]
        refused: dict[str, Refused] = {}
        denied = 0
        while queue:
            part = queue.pop()
            try:
                job_id = await self.cloud.submit(part.images, status=part.status, vault_id=part.vault_id)
            except Unavailable as error:
                self.results.postpone(part.images, error)
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

    def _move_on(self, part: MembersCall, error: Refused) -> list[MembersCall]:
        """Give the images of a failed vault to the next one of the mapping; hold those that have none left."""
        moved: dict[str, list[str]] = {}
        for image in part.images:
            tried = (*self.results.asks[image].tried_vaults, part.vault_id or "")
            ask = self.results.asks[image] = replace(self.results.asks[image], tried_vaults=tried)
            share, decision = self.facts.pending[image], self.decided[image]
            vault, _ = pick_vault(ask, share, decision, self.facts.vaults)
            if vault is None or len(tried) >= MAX_TRIED_VAULTS:
                self.results.outcomes.append(
                    conclude(
                        ask, share, decision, fate=OutcomeType.HELD, reason=Reason.VAULT_FAILED, error_code=error.code
                    )
                )
            else:
                moved.setdefault(vault, []).append(image)
        return [replace(part, vault_id=vault, images=tuple(images)) for vault, images in moved.items()]

    async def _follow(self, part: MembersCall, job_id: str) -> None:
        shares = {
            image: carried(self.results.asks[image], self.facts.pending[image], self.decided[image])
            for image in part.images
        }
        await self.results.follow(part, job_id, shares=shares)

    async def _settle_each(self, part: MembersCall) -> None:
        """Settle images one by one where the cloud has no jobs, and say how they stand afterwards."""
        errors = await asyncio.gather(*(self._settle(image, part) for image in part.images))
        refused = {image: error for image, error in zip(part.images, errors, strict=True) if error is not None}
        await self._conclude_refused(refused)
        done = [image for image in part.images if image not in refused and image not in self.results.ended]
        for image, share in (await self._read(done, part)).items():
            self.results.outcomes.append(
                judge(
                    self.results.asks[image],
                    share,
                    self.decided[image],
                    project_id=self.results.context.project_id,
                    wanted=part.status,
                    otherwise=Reason.STILL_PENDING,
                )
            )

    async def _settle(self, image: str, part: MembersCall) -> Refused | None:
        try:
            await self.cloud.settle(image, status=part.status)
        except Unavailable as error:
            self.results.postpone([image], error)
        except Refused as error:
            return error
        return None

    async def _read(self, images: Sequence[str], part: MembersCall) -> dict[str, Share | None]:
        try:
            return await read_back(self.cloud, images, status=part.status) if images else {}
        except Unavailable as error:
            self.results.postpone(images, error)
            return {}

    async def _conclude_refused(self, refused: Mapping[str, Refused]) -> None:
        """Say what became of images whose settling was refused, from how they stand now."""
        if not refused:
            return
        try:
            standings = await read_current(self.cloud, list(refused))
        except Unavailable as error:
            self.results.postpone(refused, error)
            return
        again = []
        for image, refusal in refused.items():
            ask, share, decision = self.results.asks[image], standings[image], self.decided[image]
            failure = classify(code=refusal.code, status=refusal.status)
            known = self.facts.pending[image]
            if share is None or share.member_status != known.member_status:
                self.results.outcomes.append(conclude_settled(ask, share, decision))
            elif failure is Failure.PASSING and ask.tries < MAX_TRIES:
                again.append(image)
            else:
                self._log_refusal(image, refusal, failure)
                fate, reason = _REFUSED.get(failure, (OutcomeType.FAILED, Reason.REQUEST_REFUSED))
                self.results.outcomes.append(
                    conclude(ask, known, decision, fate=fate, reason=reason, error_code=refusal.code)
                )
        if again:
            await self.results.repeat(again)

    def _log_refusal(self, image: str, error: Refused, failure: Failure) -> None:
        logger().warning(
            "members.refused",
            project_id=self.results.context.project_id,
            image_id=image,
            error_code=error.code,
            missing_right="ims:images:share" if failure is Failure.PERMISSION else None,
        )


def _is_divisible(error: Refused, failure: Failure) -> bool:
    return failure in _DIVISIBLE and error.code not in _VAULT_UNUSABLE


def _halve(part: MembersCall) -> list[MembersCall]:
    middle = (len(part.images) + 1) // 2
    return [replace(part, images=part.images[middle:]), replace(part, images=part.images[:middle])]
