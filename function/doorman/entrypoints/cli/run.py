"""`doorman run`: the whole job once, without a broker; what came of each share, and an exit code for schedulers."""

import asyncio
import sys
from argparse import ArgumentParser, Namespace
from collections import Counter
from uuid import uuid4

from doorman.entrypoints.cli.output import say, show, write_lines
from doorman.entrypoints.cli.progress import say_left, supervise
from doorman.entrypoints.cli.session import add_json, add_projects, open_projects
from doorman.handlers.run import Report, Run
from doorman.parsing import visible
from doorman.runtime import telemetry

DONE, FAILED, INTERRUPTED = 0, 1, 130


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
        arguments: `project`, `os_cloud`, `policy` and `json`.
        is_telling: outcomes go to K_SINK, where it is set.
    """
    chosen = open_projects(arguments, projects=arguments.project, is_telling=is_telling, as_json=arguments.json)
    async with chosen as (served, projects):
        once = Run(served, run_id=f"run-{uuid4()}", is_dry=is_dry)
        report, was_stopped = await supervise(once, projects, stream=sys.stderr)
        code = exit_code(is_done=report.is_faultless, was_stopped=was_stopped)
        _count(report, command="run" if is_telling else "pending", code=code)
    show_report(report, as_json=arguments.json)
    return code


def _count(report: Report, *, command: str, code: int) -> None:
    events = [*report.told, *report.untold]
    images = Counter(event.type.split(".")[-2] for event in events for _ in event.data["images"])
    telemetry.count_run(command, code=code, images=images)
    for trouble in report.troubles:
        if not trouble.images:
            telemetry.note(trouble.project_id, {"unread": 1})


def show_report(report: Report, *, as_json: bool, nothing: str = "no shares wait") -> None:
    """Show all outcomes, those that the sink did not take as well: they happened."""
    events = [*report.told, *report.untold]
    if as_json:
        write_lines(report.untold, sys.stdout)
    elif events or report.is_faultless:
        for line in show(events, nothing=nothing):
            say(line)
    for line in say_left(report):
        sys.stderr.write(f"doorman: {visible(line)}\n")


def exit_code(*, is_done: bool, was_stopped: bool) -> int:
    """Give the exit code of a command that was done, failed in some part, or was stopped by a signal."""
    return INTERRUPTED if was_stopped else DONE if is_done else FAILED


async def _run(arguments: Namespace) -> int:
    code = await work(arguments, is_dry=arguments.dry_run, is_telling=True)
    if arguments.dry_run and not arguments.json:
        say("dry run: nothing was changed")
    return code
