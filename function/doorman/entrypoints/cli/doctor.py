"""`doorman doctor`: one line for each thing looked at, with the remedy where one is wrong; changes nothing."""

import asyncio
import json
import secrets
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from shutil import get_terminal_size
from textwrap import wrap

from pydantic_core import to_json

from doorman.bootstrap import connect, open_examination
from doorman.cloud.auth.credentials import Credentials
from doorman.entrypoints.cli.output import ask, read_text, say, say_lines
from doorman.entrypoints.cli.session import add_files, log_beside, read_settings
from doorman.errors import Misconfigured
from doorman.handlers.doctor import refuse_settings
from doorman.handlers.run import name_served
from doorman.parsing import visible
from doorman.planning.diagnosis import Finding, Mark
from doorman.planning.redaction import Redactor
from doorman.policy.policy import Policy, compile_policy, load_file
from doorman.policy.tools.lint import lint
from doorman.runtime.clock import Clock, SystemClock
from doorman.runtime.http import Exchange
from doorman.settings import Settings

_STYLES = {Mark.OK: "green", Mark.NOTE: "yellow", Mark.MEND: "red", Mark.UNKNOWN: "faint", Mark.SKIPPED: "faint"}


def configure(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_files(parser)
    parser.add_argument(
        "--project", action="append", default=[], metavar="PROJECT", help="only this one of the served projects"
    )
    parser.add_argument(
        "--record", type=Path, metavar="DIR", help="write down what the cloud answered, without IDs, names and hosts"
    )
    parser.add_argument("--yes", action="store_true", help="with --record: write without asking")
    parser.add_argument("--json", action="store_true", help="write one finding (JSON) a line")


def run(arguments: Namespace) -> int:
    """Look, and tell; 1 where something must be mended."""
    kept: list[Exchange] | None = [] if arguments.record else None
    found = asyncio.run(look(arguments, clock=SystemClock(), kept=kept))
    if arguments.json:
        say_lines("\n".join(to_json(asdict(finding)).decode() for finding in found))
    else:
        _show(found)
    if kept:
        record(arguments, kept, salt=secrets.token_bytes(32))
    elif kept is not None:
        sys.stderr.write("doorman: nothing was answered, so nothing is written\n")
    return int(any(finding.mark is Mark.MEND for finding in found))


def record(arguments: Namespace, kept: Sequence[Exchange], *, salt: bytes) -> None:
    """Show what is to be written, and write it where the person agrees.

    Raises:
        Misconfigured: nobody answers.
    """
    redactor = Redactor(salt)
    answers = [redactor.answer(each.method, each.url, each.status, bytes(each.body)) for each in kept]
    text = json.dumps({"version": 1, "answers": answers}, indent=1)
    sys.stderr.write(f"{text}\n")
    file = arguments.record / "recording.json"
    if arguments.yes or ask(f"write these {len(answers)} answers to {file}? IDs, names and hosts in them are made up"):
        arguments.record.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")


def _show(found: Sequence[Finding]) -> None:
    for project, some in groupby(found, key=lambda finding: finding.project):
        if project:
            say(f"project {project}", style="bold")
        _tell(list(some))
    first = next((finding.check for finding in found if finding.mark is Mark.MEND), None)
    unknown = ", ".join(dict.fromkeys(finding.check for finding in found if finding.mark is Mark.UNKNOWN))
    well = f"nothing to mend; not known: {unknown}" if unknown else "nothing to mend"
    say(f"mend first: {first}" if first else well, style="bold")


async def look(arguments: Namespace, *, clock: Clock, kept: list[Exchange] | None = None) -> Sequence[Finding]:
    """Look at everything that the settings name.

    Args:
        kept: where the answers of the cloud are put down.
    """
    try:
        settings = read_settings(arguments, arguments.project)
        log_beside(settings)
        connections = connect(settings, clock=clock, kept=kept)
        chosen = _choose(connections.credentials, set(arguments.project))
    except Misconfigured as error:
        return refuse_settings(str(error))
    async with aclosing(connections):
        policy, warnings = _load(settings, clock)
        return await open_examination(connections, policy, credentials=chosen, warnings=warnings).look()


def _choose(credentials: Sequence[Credentials], named: AbstractSet[str]) -> Sequence[Credentials]:
    chosen = [each for each in credentials if not named or each.names & named]
    if not chosen:
        right = name_served(credentials)
        raise Misconfigured(f"--project: {', '.join(sorted(named))} is not served by these settings: name {right}")
    return chosen


def _load(settings: Settings, clock: Clock) -> tuple[Policy | str, Sequence[str]]:
    """Load the policy, or say why not; and what a strict check warns of."""
    try:
        content, root = load_file(read_text(settings.policy), file=settings.policy, api=settings.api)
    except Misconfigured as error:
        return "; ".join(str(error).split("\n")), ()
    found = lint(content, root, today=clock.now().date(), api=settings.api)
    return compile_policy(content), [f"line {each.fault.line}: {each.fault.message}" for each in found]


def _tell(findings: Sequence[Finding]) -> None:
    """Write a line for each, and one for all that only follows from the same fault, where the first of it would be."""
    follows: dict[str, list[str]] = {}
    for finding in findings:
        follows.setdefault(finding.root, []).append(finding.check)
    for finding in findings:
        if not finding.root:
            _write(f"{finding.mark:8}{finding.check:14}", finding.text, style=_STYLES[finding.mark])
            if finding.fix:
                _write(f"{'':22}-> ", finding.fix)
        elif checks := follows.pop(finding.root, None):
            text = f"not looked at, since they need the {finding.root}: {', '.join(checks)}"
            _write(f"{finding.mark:8}", text, style=_STYLES[finding.mark])


def _write(head: str, text: str, *, style: str | None = None) -> None:
    """Write one line; on a terminal as many as its width asks for, below one another."""
    lines = [head + text]
    if sys.stdout.isatty():
        below, width = " " * len(head), max(get_terminal_size().columns, 40)
        lines = wrap(visible(head + text), width, subsequent_indent=below, break_on_hyphens=False)
    for line in lines:
        say(line, style=style)
