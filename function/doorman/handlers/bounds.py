"""Bounds what the checks of one request may cause together: anybody may send checks, of jobs that nobody started."""

import asyncio
from collections.abc import Awaitable, Callable

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
        self._turn = asyncio.Semaphore(MAX_DOUBTFUL)
        self._jobs: set[str] = set()
        self._doubtful = 0

    def watch(self, context: ProjectContext, job_id: str) -> Callable[[], Awaitable[Job]]:
        """Give what looks at a job for one check; known or doubtful, once the check was admitted it stays so.

        The look raises Unavailable: there are too many doubtful checks, or the cloud cannot be read now.
        """
        is_copy, is_admitted, is_doubtful = job_id in self._jobs, False, False
        self._jobs.add(job_id)

        async def look() -> Job:
            nonlocal is_admitted, is_doubtful
            async with self._turn:
                if not is_admitted:
                    self._find_room()
                job = await context.cloud.job(job_id)
            if not is_doubtful and (is_copy or job.state is JobState.UNKNOWN):
                self._find_room()
                self._doubtful += 1
                is_doubtful = True
            is_admitted = True
            return job

        return look

    def _find_room(self) -> None:
        if self._doubtful >= MAX_DOUBTFUL:
            raise Unavailable("checks of too many jobs that the cloud does not know: send them one by one")
