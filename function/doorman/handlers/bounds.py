"""Bounds what the checks of one request may cause together: anybody may send checks, of jobs that nobody started."""

import asyncio

from doorman.errors import Unavailable
from doorman.handlers.context import ProjectContext
from doorman.models import FEW_ROWS, Job, JobState

MAX_DOUBTFUL = 4
"""Checks of one request whose job the cloud does not know, or another check follows: each costs calls for nothing."""


class Bounds:
    """What the checks of one request may cause together.

    Jobs that the cloud knows are followed without a bound, each by one check; of doubtful checks few are.

    Args:
        checks: how many they are.
    """

    def __init__(self, checks: int = 1) -> None:
        self.rows = FEW_ROWS // max(checks, 1)
        self.turn = asyncio.Semaphore(MAX_DOUBTFUL)
        self._jobs: set[str] = set()
        self._doubtful = 0

    def watch(self, job_id: str) -> "Watch":
        """Begin to watch a job for one check."""
        is_copy = job_id in self._jobs
        self._jobs.add(job_id)
        return Watch(self, job_id, is_copy=is_copy)

    def admit(self, *, is_doubtful: bool) -> None:
        """Let one more check go on.

        Raises:
            Unavailable: there are too many doubtful ones.
        """
        if self._doubtful >= MAX_DOUBTFUL:
            raise Unavailable("checks of too many jobs that the cloud does not know: send them one by one")
        self._doubtful += is_doubtful


class Watch:
    """Looks at one job; known or doubtful, once it was admitted it stays so."""

    def __init__(self, bounds: Bounds, job_id: str, *, is_copy: bool) -> None:
        self._bounds = bounds
        self._job_id = job_id
        self._is_copy = is_copy
        self._is_admitted = self._is_doubtful = False

    async def look(self, context: ProjectContext) -> Job:
        """Look at the job.

        Raises:
            Unavailable: the request has too many doubtful checks, or the cloud cannot be read now.
        """
        async with self._bounds.turn:
            if not self._is_admitted:
                self._bounds.admit(is_doubtful=False)
            job = await context.cloud.job(self._job_id)
        if not self._is_doubtful and (self._is_copy or job.state is JobState.UNKNOWN):
            self._bounds.admit(is_doubtful=True)
            self._is_doubtful = True
        self._is_admitted = True
        return job
