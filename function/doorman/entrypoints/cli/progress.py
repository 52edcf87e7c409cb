"""Watches a run: shows its progress on a terminal, ends it cleanly on Ctrl-C, and says what was left undone."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Collection, Iterator

from doorman.entrypoints.cli.output import ERASE, is_screen
from doorman.entrypoints.cli.tables import Known
from doorman.handlers.run import Report, Run
from doorman.parsing import counted

PERIOD = 0.2
"""Seconds between two looks."""

_STOPS = (signal.SIGINT, signal.SIGTERM)


async def supervise(
    once: Run, projects: Collection[str], *, show: Callable[[Report], None]
) -> tuple[Report, signal.Signals | None]:
    """Have a run work, with its progress on stderr where that is a terminal, and show what came of it.

    A signal stops the run after the calls under way, a second one at once; none takes away what is shown at the end.

    Returns:
        The report, and the signal that stopped the run.

    Raises:
        Misconfigured: one of `projects` is not served.
    """
    work = asyncio.create_task(once.work(projects))
    watcher = asyncio.create_task(_watch(once)) if is_screen(sys.stderr) else None
    with _stopping(once, work) as stops:
        try:
            report = await work
        except asyncio.CancelledError:
            report = once.report()
        finally:
            if watcher:
                watcher.cancel()
                await asyncio.wait([watcher])
        show(report)
    return report, stops[0] if stops else None


def say_left(report: Report, known: Known) -> Iterator[str]:
    """Say what was not done, a line each."""
    for trouble in report.troubles:
        where = f"project {known.project(trouble.project_id)}: " if trouble.project_id else ""
        images = f" ({counted(len(trouble.images), 'share')})" if trouble.images else ""
        yield f"{where}{trouble.message}{images}"
    if report.untold:
        yield f"the sink did not take {counted(len(report.untold), 'outcome event')}"
    for check in report.running:
        where = known.project(check.project_id)
        yield f"project {where}: job {check.job_id} still runs ({counted(len(check.images), 'share')})"
    if report.unfinished:
        yield f"stopped with work left in {', '.join(report.unfinished)}: the next run goes on from there"


def say_progress(report: Report) -> str:
    """Say how far a run is."""
    found, told = sum(report.found), sum(len(event.data["images"]) for event in report.told)
    in_jobs = sum(len(check.images) for check in report.running)
    if not (report.found or in_jobs or told):
        return "reading ..."
    return (
        f"{len(report.found)}/{report.projects} projects read, {found} shares: "
        f"{in_jobs} in running jobs, {max(found - in_jobs - told, 0)} to be decided, {told} done"
    )


async def _watch(once: Run) -> None:
    try:
        while True:
            sys.stderr.write(ERASE + say_progress(once.report()))
            sys.stderr.flush()
            await asyncio.sleep(PERIOD)
    finally:
        sys.stderr.write(ERASE)
        sys.stderr.flush()


@contextlib.contextmanager
def _stopping(once: Run, work: "asyncio.Task[Report]") -> Iterator[list[signal.Signals]]:
    """Let signals stop the work: the first one after the calls under way, the second one at once."""
    loop = asyncio.get_running_loop()
    stops: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        stops.append(number)
        if len(stops) == 1:
            once.stop()
        else:
            work.cancel()

    for each in _STOPS:
        loop.add_signal_handler(each, stop, each)
    try:
        yield stops
    finally:
        for each in _STOPS:
            loop.remove_signal_handler(each)
