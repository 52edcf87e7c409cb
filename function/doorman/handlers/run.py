"""The whole job in one process: every served project is looked at, triaged and followed until nothing is left to do.

The rooms are those behind the broker, with an outbox in the broker's place. Takes no events and prints nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial

from doorman.errors import Misconfigured
from doorman.events.messages import CheckData, EventType
from doorman.handlers.context import Desk
from doorman.handlers.project_run import Errands, Trouble
from doorman.handlers.projects import Office
from doorman.models import Cause, CloudEvent

PROJECTS_AT_ONCE = 8
CHECKS_AT_ONCE = 64
"""A check waits far more than it asks; a job longer than the check budget gives its place to others in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is: projects in all and looked at; shares found, told of, and in jobs that still run."""

    projects: int = 0
    looked_at: int = 0
    found: int = 0
    told: int = 0
    in_jobs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of a run.

    Attributes:
        told: the outcome events that the sink took.
        untold: those that it did not take; what they say is true all the same.
        troubles: what was given up.
        running: jobs that nobody followed to their end.
        unfinished: projects with work left, where the run was stopped.
    """

    told: tuple[CloudEvent, ...] = ()
    untold: tuple[CloudEvent, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    running: tuple[CheckData, ...] = ()
    unfinished: tuple[str, ...] = ()

    @property
    def is_faultless(self) -> bool:
        """Whether every share ended settled, held or skipped, and all of it was told."""
        has_failed = any(event.type == EventType.FAILED for event in self.told)
        return not (has_failed or self.untold or self.troubles or self.running or self.unfinished)


class Once:
    """One run; `progress` and `report` may be asked at any time, also after it was cancelled.

    Args:
        run_id: the cause that all outcomes name, unique to this run.
        is_dry: decide and tell everything, write nothing.
        errand: what is begun for each project.
        prepare: changes a project's desk before.
    """

    def __init__(
        self,
        office: Office,
        *,
        run_id: str,
        is_dry: bool = False,
        errand: Callable[[Errands], Awaitable[None]] = Errands.look,
        prepare: Callable[[Desk], Desk] | None = None,
    ) -> None:
        self._office = office
        self._cause = Cause(id=run_id, correlation=run_id)
        self._is_dry = is_dry
        self._errand = errand
        self._prepare = prepare
        self._troubles: list[Trouble] = []
        self._projects: list[Errands] = []

    async def work(self, projects: Collection[str] = ()) -> Report:
        """Do the whole job.

        Args:
            projects: only these of the served projects; none: all.

        Raises:
            Misconfigured: one of `projects` is not served.
        """
        desks = await self._choose(projects)
        places = asyncio.Semaphore(PROJECTS_AT_ONCE)
        checks = asyncio.Semaphore(CHECKS_AT_ONCE)

        async def begin(errands: Errands) -> None:
            async with places:
                await self._errand(errands)

        async with asyncio.TaskGroup() as tasks:
            self._projects = [Errands(desk, cause=self._cause, tasks=tasks, places=checks) for desk in desks]
            for errands in self._projects:
                errands.begin(partial(begin, errands))
        return self.report()

    def progress(self) -> Progress:
        """Say how far it is."""
        found = [errands.found for errands in self._projects if errands.found is not None]
        return Progress(
            projects=len(self._projects),
            looked_at=len(found),
            found=sum(found),
            told=sum(len(event.data["images"]) for errands in self._projects for event in errands.outbox.told),
            in_jobs=sum(len(check.images) for errands in self._projects for check in errands.running.values()),
        )

    def report(self) -> Report:
        """Say what came of it so far."""
        return Report(
            told=tuple(event for errands in self._projects for event in errands.outbox.told),
            untold=tuple(event for errands in self._projects for event in errands.outbox.untold),
            troubles=(*self._troubles, *(trouble for errands in self._projects for trouble in errands.troubles)),
            running=tuple(check for errands in self._projects for check in errands.running.values()),
            unfinished=tuple(errands.project_id for errands in self._projects if errands.open),
        )

    async def _choose(self, projects: Collection[str]) -> Sequence[Desk]:
        desks, errors = await self._office.desks()
        self._troubles += [Trouble(project_id=None, message=str(error)) for error in errors]
        strange = sorted(set(projects) - {desk.project_id for desk in desks})
        if strange and not errors:
            raise Misconfigured(f"--project: {strange[0]} is not served here: name one of OS_PROJECT_ID or OS_CLOUD")
        chosen = [desk for desk in desks if not projects or desk.project_id in projects]
        if self._prepare is not None:
            chosen = [self._prepare(desk) for desk in chosen]
        return [_dry(desk) for desk in chosen] if self._is_dry else chosen


async def run_once(office: Office, *, run_id: str, projects: Collection[str] = (), is_dry: bool = False) -> Report:
    """Do the whole job once: list, decide, settle, follow the jobs to their end, tell the office's sink.

    Args:
        run_id: the cause that all outcomes name, unique to this run.
        projects: only these of the served projects; none: all.
        is_dry: decide and tell everything, write nothing.

    Raises:
        Misconfigured: one of `projects` is not served.
    """
    return await Once(office, run_id=run_id, is_dry=is_dry).work(projects)


def _dry(desk: Desk) -> Desk:
    return replace(desk, settings=replace(desk.settings, mode="audit"))
