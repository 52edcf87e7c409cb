"""`doorman run`: the whole job once, without a broker; what came of each share, and an exit code for schedulers."""

import asyncio
import sys
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from signal import Signals
from uuid import uuid4

from doorman.entrypoints.cli import notify, tables
from doorman.entrypoints.cli.output import SturdyStream, complain, is_screen, say, write_lines
from doorman.entrypoints.cli.progress import say_left, supervise
from doorman.entrypoints.cli.report import read_events
from doorman.entrypoints.cli.report_page import try_page, write_page
from doorman.entrypoints.cli.session import Session, add_json, add_projects, open_projects
from doorman.entrypoints.cli.state_file import keys_of, keys_of_people, only_new, read_keys, write_keys
from doorman.errors import Misconfigured
from doorman.handlers.run import Report, Run
from doorman.runtime import telemetry

DONE, FAILED = 0, 1


def configure(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    configure_look(parser)
    parser.add_argument("--dry-run", action="store_true", help="decide and tell everything, change nothing")
    parser.add_argument("--report", metavar="FILE", help="write a page of what became of each share")
    parser.add_argument(
        "--notify", action="store_true", help="tell people what is new, by DOORMAN_CHANNELS and --state"
    )


def configure_look(parser: ArgumentParser) -> None:
    """Declare the arguments of all commands that show outcomes."""
    parser.set_defaults(report=None)
    add_projects(parser)
    add_json(parser)
    parser.add_argument("--state", metavar="FILE", help="remember in this file what was told")
    parser.add_argument("--new", action="store_true", help="show only what --state does not remember")
    parser.add_argument(
        "--fail-on",
        action="append",
        default=[],
        choices=("held", "failed", "drifted"),
        help="exit with 1 where something shown ended so; may be given several times",
    )


def run(arguments: Namespace) -> int:
    """List, decide, settle, follow the jobs to their end, tell."""
    if arguments.report:
        try_page(arguments.report)
    code = asyncio.run(work(arguments, is_telling=True))
    if arguments.dry_run and not arguments.json:
        say("dry run: nothing was changed")
    return code


async def work(arguments: Namespace, *, is_telling: bool) -> int:
    """Do the job, or only decide it, and show what came of it.

    Args:
        arguments: those of `configure_look`.
        is_telling: outcomes go to K_SINK, where it is set.
    """
    channels = notify.open_for_run(arguments)
    async with open_look(arguments, is_telling=is_telling) as session:
        once = Run(session.projects, run_id=f"run-{uuid4()}")
        report, stop = await supervise(once, session.named, show=partial(show_report, arguments, session))
        if arguments.report:
            write_page(read_events([*session.taken, *report.untold]), arguments.report, session.known.owner)
        is_done = report.is_faultless and not is_failed(arguments, session, report)
        if channels:
            names = {**session.known.called, **session.known.names}
            is_done &= await notify.tell(
                report.events, channels, names=names, state=arguments.state, is_whole=report.is_whole
            )
        code = exit_code(is_done=is_done, stop=stop)
        _count(report, command="run" if is_telling else "pending", code=code)
        return code


def _count(report: Report, *, command: str, code: int) -> None:
    images = Counter(event.type.split(".")[-2] for event in report.events for _ in event.data["images"])
    telemetry.count_run(command, code=code, images=images)
    for trouble in report.troubles:
        if not trouble.images:
            telemetry.note(trouble.project_id, {"unread": 1})


def open_look(arguments: Namespace, *, is_telling: bool) -> AbstractAsyncContextManager[Session]:
    """Open the projects for a command with the arguments of `configure_look`.

    Raises:
        Misconfigured: an argument or a variable is wrong.
    """
    if arguments.new and not arguments.state:
        raise Misconfigured("--new: needs --state FILE, which remembers what was told")
    before = read_keys(arguments.state)
    if arguments.state:
        write_keys(arguments.state, before)  # what cannot be written is told before the work
    told = before if arguments.new else frozenset()
    return open_projects(
        arguments, projects=arguments.project, is_telling=is_telling, as_json=arguments.json, told=told
    )


def show_report(arguments: Namespace, session: Session, report: Report, *, nothing: str = "no shares wait") -> None:
    """Show all outcomes, those that the sink did not take as well: they happened."""
    found = tables.lines(report.events, told=session.told)
    if arguments.json:
        write_lines(only_new(report.untold, session.told))
    elif found or report.is_faultless:
        _show(found, replace(session.known, shares=report.shares, now=datetime.now(UTC)), nothing=nothing)
    complain(*say_left(report, session.known))
    if getattr(arguments, "state", None):
        # What was not looked at this time is not forgotten.
        before = read_keys(arguments.state)
        kept = keys_of_people(before) if report.is_whole else before
        write_keys(arguments.state, keys_of(report.events) | kept)


def exit_code(*, is_done: bool, stop: Signals | None) -> int:
    """Give the exit code: as shells do for a signal, 1 where some part failed or stdout did not take all.

    To be asked while the projects are open.
    """
    if stop is not None:
        return 128 + stop
    is_broken = isinstance(sys.stdout, SturdyStream) and sys.stdout.is_broken
    return DONE if is_done and not is_broken else FAILED


def is_failed(arguments: Namespace, session: Session, report: Report) -> bool:
    """Say whether something ended in a way that `--fail-on` names."""
    found = tables.lines(report.told, told=session.told)
    return any(line.outcome.removeprefix("would be ") in arguments.fail_on for line in found)


def _show(found: Sequence[tables.Line], known: tables.Known, *, nothing: str) -> None:
    """Show groups on a terminal, where rich is there; else a row a share."""
    show = tables.show
    if is_screen(sys.stdout):
        with suppress(ImportError):  # the function's image has no rich
            from doorman.entrypoints.cli.screen import show  # noqa: PLC0415
    show(found, known, nothing=nothing)
