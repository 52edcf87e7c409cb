"""`doorman doctor`: one line for each thing looked at, with the remedy where one is wrong; changes nothing."""

import asyncio
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict
from itertools import groupby

from pydantic_core import to_json

from doorman import bootstrap
from doorman.entrypoints.cli.output import read_text, say
from doorman.entrypoints.cli.session import add_files, log_beside, read_settings
from doorman.errors import Misconfigured
from doorman.handlers.doctor import examine, refuse_settings
from doorman.planning.diagnosis import Finding, Mark
from doorman.policy.policy import Policy, compile_policy, load_file
from doorman.policy.tools.lint import lint
from doorman.runtime.clock import Clock, SystemClock
from doorman.settings import Settings

_STYLES = {Mark.OK: "green", Mark.NOTE: "yellow", Mark.MEND: "red", Mark.UNKNOWN: "faint", Mark.SKIPPED: "faint"}


def configure(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_files(parser)
    parser.add_argument(
        "--project", action="append", default=[], metavar="PROJECT", help="only this project, by ID or name"
    )
    parser.add_argument("--json", action="store_true", help="write one finding (JSON) a line")


def run(arguments: Namespace) -> int:
    """Look, and tell; 1 where something must be mended."""
    return _show(arguments, asyncio.run(look(arguments, clock=SystemClock())))


def _show(arguments: Namespace, found: Sequence[Finding]) -> int:
    for project, some in groupby(found, key=lambda finding: finding.project):
        if project and not arguments.json:
            say(f"project {project}", style="bold")
        for finding in some:
            _tell(finding, as_json=arguments.json)
    broken = [finding for finding in found if finding.mark is Mark.MEND]
    if not arguments.json:
        say(f"mend first: {broken[0].check}" if broken else "nothing to mend", style="bold")
    return 1 if broken else 0


async def look(arguments: Namespace, *, clock: Clock) -> Sequence[Finding]:
    """Look at everything that the settings name."""
    try:
        settings = read_settings(arguments, arguments.project)
        log_beside(settings)
        connections = bootstrap.connect(settings, clock=clock)
    except Misconfigured as error:
        return refuse_settings(str(error))
    async with aclosing(connections):
        policy, warnings = _load(settings, clock)
        return await examine(bootstrap.open_patient(connections, policy, warnings=warnings))


def _load(settings: Settings, clock: Clock) -> tuple[Policy | str, Sequence[str]]:
    """Load the policy, or say why not; and what a strict check minds of it."""
    try:
        content, root = load_file(read_text(settings.policy), file=settings.policy, api=settings.api)
    except Misconfigured as error:
        return str(error), ()
    found = lint(content, root, today=clock.now().date(), api=settings.api)
    return compile_policy(content), [f"line {each.fault.line}: {each.fault.message}" for each in found]


def _tell(finding: Finding, *, as_json: bool) -> None:
    if as_json:
        say(to_json(asdict(finding)).decode())
        return
    say(f"{finding.mark:8}{finding.check:14}{finding.text}", style=_STYLES[finding.mark])
    if finding.fix:
        say(f"{'':22}-> {finding.fix}")
