"""Keeps a person company while a run works: progress on a terminal, a clean end on Ctrl-C, and what was left undone."""

import asyncio
import contextlib
import signal
from collections.abc import Collection, Iterator
from typing import TextIO

from doorman.handlers.run import Progress, Report, Run

PERIOD = 0.2
"""Seconds between two looks."""

_ERASE = "\r\x1b[K"
_STOPS = (signal.SIGINT, signal.SIGTERM)


async def supervise(once: Run, projects: Collection[str], *, stream: TextIO) -> tuple[Report, bool]:
    """Have a run work, with its progress shown where `stream` is a terminal.

    Returns:
        The report, and whether a signal stopped the run.

    Raises:
        Misconfigured: one of `projects` is not served.
    """
    work = asyncio.create_task(once.work(projects))
    watcher = asyncio.create_task(_watch(once, stream)) if stream.isatty() else None
    with _stopping(work):
        try:
            return await work, False
        except asyncio.CancelledError:
            return once.report(), True
        finally:
            if watcher:
                watcher.cancel()
                await asyncio.wait([watcher])


def say_left(report: Report) -> Iterator[str]:
    """Say what was not done, a line each."""
    for trouble in report.troubles:
        where = f"project {trouble.project_id}: " if trouble.project_id else ""
        images = f" ({_count(len(trouble.images), 'share')})" if trouble.images else ""
        yield f"{where}{trouble.message}{images}"
    if report.untold:
        yield f"the sink did not take {_count(len(report.untold), 'outcome event')}"
    for check in report.running:
        yield f"project {check.project_id}: job {check.job_id} still runs ({_count(len(check.images), 'share')})"
    if report.unfinished:
        yield f"stopped with work left in {', '.join(report.unfinished)}: the next run goes on from there"


def say_progress(progress: Progress) -> str:
    """Say how far a run is."""
    return (
        f"{progress.looked_at}/{progress.projects} projects read, {progress.found} shares found, "
        f"{progress.in_jobs} in running jobs, {progress.told} done"
    )


async def _watch(once: Run, stream: TextIO) -> None:
    try:
        while True:
            stream.write(_ERASE + say_progress(once.progress()))
            stream.flush()
            await asyncio.sleep(PERIOD)
    finally:
        stream.write(_ERASE)
        stream.flush()


@contextlib.contextmanager
def _stopping(work: "asyncio.Task[Report]") -> Iterator[None]:
    """Let signals cancel the work; where the platform's loop cannot, Python's own Ctrl-C ends the process."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError):
        for each in _STOPS:
            loop.add_signal_handler(each, work.cancel)
    try:
        yield
    finally:
        with contextlib.suppress(NotImplementedError):
            for each in _STOPS:
                loop.remove_signal_handler(each)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
