"""The third function: lists every pending share, notifies those that the policy would settle, and tells the rest.

It works when no cloud ever sent an event: events are hints, the pending list is the truth. It also looks at what was
settled earlier, and tells what today's policy would settle otherwise. Ticks that ask for the same are one sweep.
"""

import asyncio
import math
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar, get_args

from doorman.cloud.client import counting
from doorman.errors import Unavailable
from doorman.events.messages import MAX_PROJECTS, EventType
from doorman.events.outcomes import outcome_events
from doorman.events.writing import cause_of, project_sweep_event, read_sweep, share_notified_event
from doorman.handlers.context import ProjectContext
from doorman.handlers.projects import Projects
from doorman.models import Cause, CloudEvent, Handled, Share, Status
from doorman.planning.drift import Drift, conclude_drift, find_drift
from doorman.planning.sweep import SweepPlan, hold_without_vault, pending_report, plan_sweep
from doorman.policy import decision as decisions
from doorman.policy.decision import Decision
from doorman.policy.policy import expired
from doorman.runtime import telemetry
from doorman.runtime.logs import logger

OURS = "dev.doorman."

SCOPES = frozenset({"pending", "settled"})

MAX_DRIFTS = 5000
"""Shares of one project that one sweep tells of; the next one tells of others where these are settled anew."""

AT_ONCE = 8
"""Projects that one process reads at the same time, however many ticks it hears."""

T = TypeVar("T")


class Shared:
    """Work that is done for all who ask for it alike while other such work runs; one at a time, in order."""

    def __init__(self) -> None:
        self._last: asyncio.Task[Any] | None = None
        self._waiting: dict[Hashable, asyncio.Task[Any]] = {}

    async def join(self, what: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """Have it done, from a fresh start, and give what came of it; it goes on where a caller is cancelled."""
        if what not in self._waiting:
            self._last = self._waiting[what] = asyncio.create_task(self._do(what, work, after=self._last))
        task: asyncio.Task[T] = self._waiting[what]
        return await asyncio.shield(task)

    async def _do(self, what: Hashable, work: Callable[[], Awaitable[T]], *, after: "asyncio.Task[Any] | None") -> T:
        if after is not None:
            await asyncio.wait([after])
        del self._waiting[what]
        return await work()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tour:
    """What one sweep looks at, and what its events pass on of the event that asks for it.

    Attributes:
        scope: `pending` or `settled`: only what is so; empty: both.
        is_daily: people hear of it in their daily report.
    """

    cause: Cause
    scope: str = ""
    is_daily: bool = False

    @classmethod
    def of(cls, asking: Sequence[CloudEvent]) -> "Tour":
        """Join what the events of a batch ask for: few things, so that many are few sweeps whatever they carry."""
        scopes = {event.extensions.get("scope", "") for event in asking}
        (scope,) = scopes if len(scopes) == 1 else {""}
        is_daily = any("daily" in event.extensions for event in asking)
        return cls(cause=cause_of(asking[0]), scope=scope if scope in SCOPES else "", is_daily=is_daily)

    @property
    def scope_and_mark(self) -> tuple[str, bool]:
        """What makes two of them differ."""
        return self.scope, self.is_daily

    @property
    def marks(self) -> dict[str, str]:
        """The extensions that are passed on to people."""
        return {"daily": "true"} if self.is_daily else {}


@dataclass(slots=True, eq=False)
class Sweeps:
    """All sweeps of one process: what its ticks join, and what the sweeps of one project do."""

    served: Projects
    _ticks: Shared = field(default_factory=Shared)
    _sweeps: defaultdict[str, Shared] = field(default_factory=partial(defaultdict, Shared))
    _places: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, AT_ONCE))

    async def handle(self, events: Sequence[CloudEvent]) -> Sequence[Handled]:
        """Sweep all served projects, or those that a `project.sweep` names.

        Each is swept once for all events of a batch, and once more for all that come while it is swept. Any event is a
        tick, but for our own others, which may be routed here and would go round for ever; of a tick no data is read.
        Of the extensions, `scope` says what to look at (`pending` or `settled`; both without it), and `daily` is passed
        on.
        """
        asking = [event for event in events if _asks(event)]
        if not asking:
            return [Handled() for _ in events]
        named = [read_sweep(event) if event.type == EventType.SWEEP else None for event in asking]
        tour = Tour.of(asking)
        if None in named:
            done = await self._ticks.join(tour.scope_and_mark, partial(self._tick, tour))
        else:
            done = await self._sweep_named({each for projects in named for each in projects or ()}, tour)
        return [done if event is asking[0] else Handled(error=done.error if _asks(event) else None) for event in events]

    async def _tick(self, tour: Tour) -> Handled:
        contexts, errors = await self.served.contexts()
        for unknown in errors:
            # A project that is known by name only has no pending report of its own while its login fails.
            logger().warning("project.unreachable", error=str(unknown))
        work = self._spread if len(contexts) > self.served.settings.sweep_fanout else self._sweep
        done = await work(contexts, tour)
        telemetry.note(None, {"unread": len(errors)})
        counts = {**done.counts, **({"unread": done.counts.get("unread", 0) + len(errors)} if errors else {})}
        return replace(done, counts=counts, error=done.error or (errors[0] if errors and not contexts else None))

    async def _sweep_named(self, wanted: Collection[str], tour: Tour) -> Handled:
        contexts, errors = await self.served.contexts()
        found = [each for each in contexts if each.project_id in wanted]
        done = await self._sweep(found, tour)
        # One that is known by name only may be meant, too.
        return replace(done, error=done.error or errors[0]) if errors and len(found) < len(wanted) else done

    async def _spread(self, contexts: Sequence[ProjectContext], tour: Tour) -> Handled:
        """Leave the projects to the broker, in as equal parts as may be, for as many processes as it likes."""
        projects = sorted(context.project_id for context in contexts)
        parts = math.ceil(len(projects) / min(self.served.settings.sweep_fanout, MAX_PROJECTS))
        marks = {**tour.marks, **({"scope": tour.scope} if tour.scope else {})}
        writer, now = self.served.writer(), self.served.clock.now()
        make = partial(project_sweep_event, writer, cause=tour.cause, now=now, marks=marks)
        try:
            await contexts[0].emit([make(projects[start::parts]) for start in range(parts)])
        except Unavailable as error:
            return Handled(error=error)
        return Handled(counts={"spread": len(projects)})

    async def _sweep(self, contexts: Sequence[ProjectContext], tour: Tour) -> Handled:
        with counting() as tally:
            found = await asyncio.gather(
                *(
                    self._sweeps[context.project_id].join(tour.scope_and_mark, partial(self._sweep_one, context, tour))
                    for context in contexts
                )
            )
        counts: Counter[str] = Counter()
        for each in found:
            counts.update(each if isinstance(each, Mapping) else {})
        error = next((each for each in found if isinstance(each, Unavailable)), None)
        return Handled(counts=counts, api_calls=tally.calls, error=error)

    async def _sweep_one(self, context: ProjectContext, tour: Tour) -> Mapping[str, int] | Unavailable:
        async with self._places:
            try:
                counts = await sweep(context, tour)
            except Unavailable as error:
                return error
        telemetry.note(context.project_id, counts)
        return counts


def _asks(event: CloudEvent) -> bool:
    return event.type == EventType.SWEEP or not event.type.startswith(OURS)


async def sweep(context: ProjectContext, tour: Tour) -> Mapping[str, int]:
    """Look at all shares of one project: gather, plan, emit; gives what was found, as it is logged.

    Raises:
        Unavailable: the sink took not everything; the same tick may be run again.
    """
    drifts = () if tour.scope == "pending" else await _find_drift(context)
    plan = SweepPlan()
    try:
        if tour.scope != "settled":
            shares, decided = await look(context, cause=tour.cause)
            plan = plan_sweep(shares, decided, drifts if context.policy.settles_anew else ())
    except Unavailable as error:
        await _report(context, plan, tour, error=str(error))
        return {"pending": 0, "notified": 0, "unread": 1}
    cause, now = tour.cause, context.clock.now()
    await context.emit([share_notified_event(context.writer, part, cause=cause, now=now) for part in plan.notices])
    if tour.scope != "settled":
        await _report(context, plan, tour)
    outcomes = [conclude_drift(drift, cause=cause) for drift in drifts if context.policy.tells_drift]
    await context.emit(outcome_events(context.writer, outcomes, causes=[cause], now=now, marks=tour.marks))
    counts = {"pending": plan.count, "notified": plan.notified, "unread": 0}
    return counts | ({"drifted": len(drifts)} if drifts else {})


async def look(context: ProjectContext, *, cause: Cause) -> tuple[Mapping[str, Share], Mapping[str, Decision]]:
    """Read the pending shares of others' images, and decide each; an accept that finds no vault is held.

    Raises:
        Unavailable: the cloud cannot be read now.
    """
    listed = await context.cloud.pending()
    shares = {image: share for image, share in listed.items() if share.owner != context.project_id}
    given = decisions.decide_shares(list(shares.values()), context.policy, context.clock.now())
    decided = dict(zip(shares, given, strict=True))
    needs = any(decisions.needs_vaults(decision) for decision in decided.values())
    try:
        vaults = await context.cloud.vaults() if needs else None
    except Unavailable as error:
        # Who needs none goes on; the others are notified, and wait there until the vaults can be read.
        logger().warning("vaults.unread", project_id=context.project_id, error=str(error))
        return shares, decided
    return shares, hold_without_vault(shares, decided, vaults, cause=cause)


async def _report(context: ProjectContext, plan: SweepPlan, tour: Tour, *, error: str | None = None) -> None:
    now = context.clock.now()
    names = [rule.name for rule in expired(context.policy, now.date())]
    report = partial(pending_report, context.writer, plan, cause=tour.cause, now=now, marks=tour.marks)
    await context.emit(report(error=error, expired=names))


async def _find_drift(context: ProjectContext) -> Sequence[Drift]:
    """Find what is told on every tick: drift that no decision of a person explains; none where it cannot be read."""
    if not (context.policy.tells_drift or context.policy.settles_anew):
        return ()
    try:
        return await review_drift(context)
    except Unavailable as error:
        # What waits matters more; the next tick looks again.
        logger().warning("drift.unread", project_id=context.project_id, error=str(error))
        return ()


async def review_drift(context: ProjectContext, *, most: int = MAX_DRIFTS) -> Sequence[Drift]:
    """Find the drift of one project that no decision of a person explains, and keep nothing else of what is settled.

    Raises:
        Unavailable: the cloud cannot be read now.
    """
    find = partial(find_drift, policy=context.policy, project_id=context.project_id, now=context.clock.now())

    def has_drifted(share: Share) -> bool:
        return any(not drift.is_perhaps_wanted for drift in find([share]))

    statuses: Sequence[Status] = get_args(Status)
    lists = await asyncio.gather(*(context.cloud.settled_if(each, has_drifted, most=most) for each in statuses))
    if any(len(shares) == most for shares in lists):
        logger().warning("drift.cut", project_id=context.project_id, told=most)
    return find([share for shares in lists for share in shares.values()])
