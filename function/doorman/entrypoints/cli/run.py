"""`doorman run`: the whole job once, without a broker; what came of each share, and an exit code for schedulers."""

import asyncio
import sys
from argparse import ArgumentParser, Namespace
from functools import partial
from signal import Signals
from uuid import uuid4

from doorman.entrypoints.cli.output import SturdyStream, say, show, visible, write_lines
from doorman.entrypoints.cli.progress import say_left, supervise
from doorman.entrypoints.cli.session import add_json, add_projects, open_projects
from doorman.handlers.run import Report, Run

DONE, FAILED = 0, 1


def configure(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_projects(parser)
    add_json(parser)
    parser.add_argument("--dry-run", action="store_true", help="decide and tell everything, change nothing")


def run(arguments: Namespace) -> int:
    """List, decide, settle, follow the jobs to their end, tell."""
    return asyncio.run(_run(arguments))


async def work(arguments: Namespace, *, is_dry: bool, is_telling: bool) -> int:
    """Do the job, or only decide it, and show what came of it.

    Args:
        arguments: `project` and `json`.
        is_telling: outcomes go to K_SINK, where it is set.
    """
    async with open_projects(projects=arguments.project, is_telling=is_telling, as_json=arguments.json) as served:
        once = Run(served, run_id=f"run-{uuid4()}", is_dry=is_dry)
        report, stop = await supervise(once, arguments.project, show=partial(show_report, as_json=arguments.json))
        return exit_code(is_done=report.is_faultless, stop=stop)


def show_report(report: Report, *, as_json: bool, nothing: str = "no shares wait") -> None:
    """Show all outcomes, those that the sink did not take as well: they happened."""
    events = [*report.told, *report.untold]
    if as_json:
        write_lines(report.untold)
    elif events or report.is_faultless:
        for line in show(events, nothing=nothing):
            say(line)
    for line in say_left(report):
        sys.stderr.write(f"doorman: {visible(line)}\n")


def exit_code(*, is_done: bool, stop: Signals | None) -> int:
    """Give the exit code: as shells do for a signal, 1 where some part failed or stdout did not take all.

    To be asked while the projects are open.
    """
    if stop is not None:
        return 128 + stop
    is_broken = isinstance(sys.stdout, SturdyStream) and sys.stdout.is_broken
    return DONE if is_done and not is_broken else FAILED


async def _run(arguments: Namespace) -> int:
    code = await work(arguments, is_dry=arguments.dry_run, is_telling=True)
    if arguments.dry_run and not arguments.json:
        say("dry run: nothing was changed")
    return code
