"""The whole job in one process: every served project is looked at, triaged and followed until nothing is left to do.

Works with the handlers that stand behind a broker, and a sink that loops their events back. Prints nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from doorman.cloud.auth.credentials import Credentials
from doorman.errors import Misconfigured, Unavailable
from doorman.events.messages import CheckData, EventType
from doorman.handlers.context import ProjectContext
from doorman.handlers.project_run import ProjectRun, Trouble
from doorman.handlers.projects import Projects
from doorman.models import Cause, CloudEvent, Share
from doorman.runtime import telemetry

PROJECTS_AT_ONCE = 8
CHECKS_AT_ONCE = 64
"""A check waits far more than it asks; a job longer than the check budget gives its place to others in between."""

FEW = 8
"""Up to so many served projects are named where a person named none of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of a run.

    Attributes:
        told: the outcome events that the sink took.
        untold: those that it did not take; what they say is true all the same.
        troubles: what was given up.
        running: jobs that nobody followed to their end.
        unfinished: projects with work left, where the run was stopped.
        shares: what was listed, by image.
        projects: how many are looked at. found: shares in each of which the lists were read.
    """

    told: tuple[CloudEvent, ...] = ()
    untold: tuple[CloudEvent, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    running: tuple[CheckData, ...] = ()
    unfinished: tuple[str, ...] = ()
    shares: Mapping[str, Share] = field(default_factory=dict, compare=False)
    projects: int = field(default=0, compare=False)
    found: tuple[int, ...] = field(default=(), compare=False)

    @property
    def events(self) -> Sequence[CloudEvent]:
        """All outcomes: those that the sink did not take happened as well."""
        return (*self.told, *self.untold)

    @property
    def is_faultless(self) -> bool:
        """Whether every share ended settled, held or skipped, and all of it was told."""
        has_failed = any(event.type == EventType.FAILED for event in self.told)
        return self.is_whole and not (has_failed or self.untold)

    @property
    def is_whole(self) -> bool:
        """Whether every share was looked at to its end."""
        return not (self.troubles or self.running or self.unfinished)


@dataclass(slots=True, eq=False)
class Run:
    """One run; `report` may be asked at any time, also after it was cancelled.

    Attributes:
        run_id: the cause that all outcomes name, unique to this run.
        task: what is begun for each project.
    """

    served: Projects
    run_id: str
    task: Callable[[ProjectRun], Awaitable[None]] = ProjectRun.look
    _troubles: list[Trouble] = field(default_factory=list)
    _projects: list[ProjectRun] = field(default_factory=list)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def work(self, projects: Collection[str] = ()) -> Report:
        """Do the whole job.

        Args:
            projects: only these of the served projects; none: all.

        Raises:
            Misconfigured: one of `projects` is not served.
        """
        with telemetry.span("doorman run", {"doorman.run_id": self.run_id}) as traceparent:
            return await self._work(projects, Cause(id=self.run_id, correlation=self.run_id, traceparent=traceparent))

    async def _work(self, projects: Collection[str], cause: Cause) -> Report:
        contexts = await self._choose(projects)
        places = asyncio.Semaphore(PROJECTS_AT_ONCE)
        checks = asyncio.Semaphore(CHECKS_AT_ONCE)

        async def begin(project_run: ProjectRun) -> None:
            async with places:
                await self.task(project_run)

        async with asyncio.TaskGroup() as tasks:
            make = partial(ProjectRun, cause=cause, tasks=tasks, places=checks)
            self._projects = [make(context=context) for context in contexts]
            for project_run in self._projects:
                project_run.begin(partial(begin, project_run))
        return self.report()

    def stop(self) -> None:
        """Have it end after the calls under way; no job is followed on."""
        self._stop.set()

    def report(self) -> Report:
        """Say what came of it so far."""
        runs = self._projects
        return Report(
            told=tuple(event for each in runs for event in each.loopback.told.values()),
            untold=tuple(event for each in runs for event in each.loopback.untold.values()),
            troubles=(*self._troubles, *(trouble for each in runs for trouble in each.troubles)),
            running=tuple(check for each in runs for check in each.running.values()),
            shares={image: share for each in runs for image, share in each.shares.items()},
            unfinished=tuple(each.project_id for each in runs if each.open or each.is_stopped),
            projects=len(runs),
            found=tuple(each.found for each in runs if each.found is not None),
        )

    async def _choose(self, projects: Collection[str]) -> Sequence[ProjectContext]:
        contexts, errors = await choose(self.served, projects)
        self._troubles += [Trouble(project_id=None, message=str(error)) for error in errors]
        return [replace(context, stop=self._stop) for context in contexts]


async def choose(served: Projects, projects: Collection[str]) -> tuple[Sequence[ProjectContext], Sequence[Unavailable]]:
    """Choose those of the served projects that a person named (none: all), and say why one could not be found.

    Raises:
        Misconfigured: one is named that is not served.
    """
    contexts, errors = await served.contexts()
    strange = sorted(set(projects) - {context.project_id for context in contexts})
    if strange and not errors:
        right = name_served([context.cloud.client.credentials for context in contexts])
        raise Misconfigured(f"--project: {strange[0]} is not served here: name {right}")
    chosen = [context for context in contexts if not projects or context.project_id in projects]
    return chosen, errors if strange or not projects else ()


def name_served(served: Sequence[Credentials]) -> str:
    """Name what `--project` may be: each project by its shortest name; where there are many, the variables."""
    names = dict.fromkeys(min(sorted(each.names), key=len) for each in served if each.names)
    return f"one of {', '.join(names)}" if 0 < len(names) <= FEW else "one of OS_PROJECT_ID or OS_CLOUD"
