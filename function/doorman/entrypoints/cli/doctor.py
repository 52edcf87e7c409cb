"""`doorman doctor`: one line for each thing looked at, with the remedy where one is wrong; changes nothing."""

import asyncio
import contextlib
import json
import secrets
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from pydantic_core import to_json

from doorman import bootstrap
from doorman.cloud.auth.catalog import VERSIONS
from doorman.cloud.auth.credentials import Credentials
from doorman.entrypoints.cli.output import ask, read_text, say
from doorman.entrypoints.cli.session import add_files, log_beside, read_settings
from doorman.errors import DoormanError, Misconfigured
from doorman.handlers.doctor import examine, refuse_settings
from doorman.planning.diagnosis import Finding, Mark
from doorman.planning.redaction import Answered, write_recording
from doorman.policy.policy import Policy, compile_policy, load_file
from doorman.policy.tools.lint import lint
from doorman.runtime.clock import Clock, SystemClock
from doorman.runtime.http import Exchange
from doorman.settings import Settings

_STYLES = {Mark.OK: "green", Mark.NOTE: "yellow", Mark.MEND: "red", Mark.UNKNOWN: "faint", Mark.SKIPPED: "faint"}


@dataclass(frozen=True, slots=True)
class Subject:
    """What was looked at: the kind of image service, project IDs, and base URLs by service."""

    api: str
    projects: Sequence[str]
    urls: Mapping[str, str]


def configure(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_files(parser)
    parser.add_argument(
        "--project", action="append", default=[], metavar="PROJECT", help="only this project, by ID or name"
    )
    parser.add_argument(
        "--record", type=Path, metavar="DIR", help="write down what the cloud answered, without IDs, names and hosts"
    )
    parser.add_argument("--yes", action="store_true", help="with --record: write without asking")
    parser.add_argument("--json", action="store_true", help="write one finding (JSON) a line")


def run(arguments: Namespace) -> int:
    """Look, and tell; 1 where something must be mended."""
    kept: list[Exchange] | None = [] if arguments.record else None
    return _finish(arguments, *asyncio.run(look(arguments, clock=SystemClock(), kept=kept)), kept=kept)


def _finish(
    arguments: Namespace, found: Sequence[Finding], subject: Subject | None, *, kept: list[Exchange] | None
) -> int:
    code = _show(arguments, found)
    if kept is not None and subject is not None:
        record(arguments, kept, subject, salt=secrets.token_bytes(32))
    return code


def record(arguments: Namespace, kept: Sequence[Exchange], subject: Subject, *, salt: bytes) -> None:
    """Show what is to be written, and write it where nobody minds.

    Raises:
        Misconfigured: nobody answers.
    """
    answers = [Answered(each.method, each.url, each.status, bytes(each.body)) for each in kept]
    recording = write_recording(answers, salt=salt, api=subject.api, projects=subject.projects, urls=subject.urls)
    text = json.dumps(recording, indent=1)
    sys.stderr.write(f"{text}\n")
    file = arguments.record / "recording.json"
    if arguments.yes or ask(f"write these {len(answers)} answers to {file}? IDs, names and hosts in them are made up"):
        arguments.record.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")


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


async def look(
    arguments: Namespace, *, clock: Clock, kept: list[Exchange] | None = None
) -> tuple[Sequence[Finding], Subject | None]:
    """Look at everything that the settings name; says also at what.

    Args:
        kept: where the answers of the cloud are put down.
    """
    try:
        settings = read_settings(arguments, arguments.project)
        log_beside(settings)
        connections = bootstrap.connect(settings, clock=clock, kept=kept)
    except Misconfigured as error:
        return refuse_settings(str(error)), None
    async with aclosing(connections):
        policy, warnings = _load(settings, clock)
        found = await examine(bootstrap.open_patient(connections, policy, warnings=warnings))
        return found, await _name_subject(settings, connections.credentials)


async def _name_subject(settings: Settings, credentials: Sequence[Credentials]) -> Subject:
    projects: list[str] = []
    urls: dict[str, str] = {}
    for each in credentials:
        with contextlib.suppress(DoormanError):
            projects.append(await each.project_id())
        if each.account and each.account.auth_url:
            urls["identity"] = each.account.auth_url
        for service in VERSIONS:
            with contextlib.suppress(DoormanError):
                urls[service] = await each.endpoint(service)
    return Subject(api=settings.api, projects=projects, urls=urls)


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
