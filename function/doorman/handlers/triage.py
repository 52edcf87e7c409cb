"""The first function: looks at the shares that notices name, decides them by policy, and has the cloud settle them.

Look, plan, perform. It takes notices of one project in batches, one being a batch of one; which notices share one
is `batching`'s concern, how a job ends is `check_job`'s.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from doorman.cloud.member_status import read_current
from doorman.errors import Unavailable
from doorman.events.writing import read_notice
from doorman.handlers.batching import Batcher, Turns
from doorman.handlers.context import ProjectContext
from doorman.handlers.execute import Execution
from doorman.handlers.projects import Projects
from doorman.handlers.results import Ended, Results
from doorman.models import FEW_ROWS, CloudEvent, Handled, Notice
from doorman.planning.batch import Observed, RequestedImage, decide, find_crowds, merge_notices
from doorman.planning.plan import make_plan, reopen
from doorman.policy import decision as decisions

MAX_ROWS = 2 * FEW_ROWS
"""Member rows that the notifications of one request may have read, beyond what lists show: anybody can name images."""


@dataclass(slots=True, eq=False)
class Batches:
    """The batches of all projects of one process: what its share notifications join."""

    served: Projects
    _turns: Turns = field(default_factory=Turns)
    _batchers: dict[str, Batcher] = field(default_factory=dict)

    async def handle(self, events: Sequence[CloudEvent], *, projects: int = 0) -> Sequence[Handled]:
        """Work off share notifications; a malformed one is found before any work begins, and refuses them all.

        Args:
            projects: that the request names, where these are not all of its events.
        """
        notices = [read_notice(event) for event in events]
        if len(notices) == 1 and projects <= 1:  # nearly always, and a third of our own work on an event
            return [await self._join(await self.served.context(notices[0].project_id), notices[0])]
        count = max(projects, len({notice.project_id for notice in notices}))
        if count * FEW_ROWS > MAX_ROWS:
            notices = [replace(notice, max_rows=MAX_ROWS // count) for notice in notices]
        contexts = [await self.served.context(notice.project_id) for notice in notices]
        answers = await asyncio.gather(*map(self._join, contexts, notices), return_exceptions=True)
        # All are waited for, so that no event of the batch is still being worked off when its sender hears of a defect.
        for answered in answers:
            if isinstance(answered, BaseException):
                raise answered
        return [answered for answered in answers if isinstance(answered, Handled)]

    async def _join(self, context: ProjectContext, notice: Notice) -> Handled:
        if (batcher := self._batchers.get(context.project_id)) is None:
            batcher = self._batchers[context.project_id] = Batcher(work=partial(triage, context), turns=self._turns)
        try:
            ended, calls = await batcher.join(notice)
        except Unavailable as error:
            return Handled(project_id=notice.project_id, error=error)
        counts: dict[str, int] = {}
        late = None
        for end in ended.values():
            if isinstance(end, Unavailable):
                late = late or end
            else:
                counts[end.value] = counts.get(end.value, 0) + 1
        return Handled(project_id=notice.project_id, counts=counts, api_calls=calls, error=late)


async def triage(context: ProjectContext, notices: Sequence[Notice]) -> Ended:
    """Settle what the notices of one project name, as far as it can be settled now.

    Returns:
        How each image ended; everything that is not Unavailable is done and told.

    Raises:
        Unavailable: the cloud cannot be read, so nothing was done.
    """
    now = context.clock.now()
    requested = merge_notices(notices, now=now, window=context.settings.visibility_window)
    looked_at = dict.fromkeys(requested, context.clock.monotonic())
    observed = await look(context, requested, max_rows=max(notice.max_rows for notice in notices))
    decided = decide(observed, context.policy, project_id=context.project_id, now=now)
    if any(decisions.needs_vaults(decision) for decision in decided.values()):
        observed = await _read_vaults(context, observed)
    plan = make_plan(
        requested,
        observed,
        decided,
        project_id=context.project_id,
        is_audit=context.is_audit,
        max_images=context.call_size.limit(context.settings.max_images_per_call),
    )
    results = Results(context=context, requested=requested)
    return await Execution(results=results, observed=observed, decided=decided, looked_at=looked_at).perform(plan)


async def look(
    context: ProjectContext, requested: Mapping[str, RequestedImage], *, max_rows: int = FEW_ROWS
) -> Observed:
    """Read what the cloud says of the requested images; of those that no list shows `max_rows` by their own rows.

    Raises:
        Unavailable: the cloud cannot be read now.
    """
    policy = context.policy
    has_limit = policy.accepts_per_owner is not None
    listed = await context.cloud.pending(None if has_limit else requested.keys())
    absent = [image for image in requested if image not in listed]
    current = await read_current(context.cloud, absent, max_rows=max_rows) if absent else {}
    # The row says that it waits, but no list shows it: its owner hides it, or the list lags. The image itself tells.
    waiting = {image: share for image, share in current.items() if share and share.member_status == "pending"}
    asked = {image: share for image, share in {**listed, **waiting}.items() if image in requested}
    # Without its owner nothing can be decided; and the image alone does not tell whether it is of a whole server.
    needs_list = context.cloud.service.has_whole_images
    blurred = frozenset(
        image
        for image, share in asked.items()
        if share.owner is None or (image in waiting and needs_list and share.full_ecs is None)
    )
    observed = Observed(
        pending={image: share for image, share in asked.items() if image not in blurred},
        current={image: share for image, share in current.items() if image not in waiting},
        unreadable=blurred,
    )
    now, project_id = context.clock.now(), context.project_id
    if policy.settles_anew:
        observed = reopen(observed, policy, project_id=project_id, now=now)
    if has_limit:
        everything = {**listed, **observed.pending}.values()
        observed = replace(observed, crowds=find_crowds(everything, policy, project_id=project_id, now=now))
    return observed


async def _read_vaults(context: ProjectContext, observed: Observed) -> Observed:
    """Read the vaults; who needs none goes on without them."""
    try:
        return replace(observed, vaults=await context.cloud.vaults())
    except Unavailable as error:
        return replace(observed, vaults_error=str(error))
