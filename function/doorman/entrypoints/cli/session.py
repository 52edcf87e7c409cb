"""Opens the office for a command: environment, policy, the way to the cloud and to the sink. Decides nothing."""

import asyncio
import os
import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

from doorman import bootstrap
from doorman.cloud.auth.credentials import Credentials
from doorman.cloud.auth.logins import GIVEN, PROJECT_IDS, PROJECT_NAMES
from doorman.entrypoints.cli.output import JsonLines, read_text
from doorman.handlers.projects import Projects
from doorman.policy.policy import Policy, load
from doorman.runtime import logs, telemetry
from doorman.runtime.clock import SystemClock
from doorman.settings import Settings
from doorman.sinks.base import NullSink

_ID = re.compile(r"[0-9a-f]{32}")  # as Keystone makes them; without a login, only an ID will do


def add_projects(parser: ArgumentParser) -> None:
    """Declare `--project`."""
    parser.add_argument(
        "--project",
        action="append",
        default=[],
        metavar="PROJECT",
        help="only this one of the served projects, by ID, name or entry of clouds.yaml; may be given several times",
    )
    add_files(parser)


def add_files(parser: ArgumentParser) -> None:
    """Declare where login and policy stand."""
    parser.add_argument("--os-cloud", metavar="ENTRY", help="entry of clouds.yaml to log in with (default: OS_CLOUD)")
    parser.add_argument("--policy", metavar="FILE", help="policy file (default: DOORMAN_POLICY, else policy.yaml)")


def add_json(parser: ArgumentParser) -> None:
    """Declare `--json`."""
    parser.add_argument("--json", action="store_true", help="write one outcome event (CloudEvent) a line")


@asynccontextmanager
async def open_projects(
    arguments: Namespace, *, projects: Sequence[str], is_telling: bool, as_json: bool, policy: Policy | None = None
) -> AsyncIterator[tuple[Projects, Sequence[str]]]:
    """Open the served projects for the time of one command; gives the IDs of those that it names, too.

    Args:
        arguments: `os_cloud` and `policy`.
        projects: what `--project` named.
        is_telling: outcomes go to K_SINK, where it is set.
        as_json: outcomes go to stdout as well, as soon as they are told.
        policy: decides in place of that of DOORMAN_POLICY.

    Raises:
        Misconfigured: a variable is missing or wrong.
        PolicyError: the policy file is wrong.
        Unavailable: a project is named that only a login can find, and it failed.
    """
    given = {"OS_CLOUD": arguments.os_cloud, "DOORMAN_POLICY": arguments.policy}
    environ = {**os.environ, **{name: value for name, value in given.items() if value}}
    settings = Settings.from_environ(_serve_named(environ, projects), is_sink_required=False)
    _log_beside(settings)
    telemetry.set_up(os.environ)
    policy = policy or load(read_text(settings.policy), file=settings.policy, api=settings.api)
    async with AsyncExitStack() as stack:
        stack.callback(telemetry.close)
        connections = await stack.enter_async_context(aclosing(bootstrap.connect(settings, clock=SystemClock())))
        for note in connections.notes:
            logs.logger().warning("settings.note", text=note)
        is_sunk = is_telling and settings.sink
        sink = bootstrap.make_sink(connections, connections.credentials) if is_sunk else NullSink()
        served = bootstrap.open_projects(connections, policy, sink=JsonLines(sink, sys.stdout) if as_json else sink)
        yield served, [each for word in projects for each in await _find_ids(word, connections.credentials)]


async def _find_ids(word: str, credentials: Sequence[Credentials]) -> Sequence[str]:
    """Find which projects a person means: by what the settings call them, else by what Keystone does."""
    found = [each for each in credentials if word in each.names]
    if not found:
        names = await asyncio.gather(*(each.project_name() for each in credentials), return_exceptions=True)
        found = [each for each, name in zip(credentials, names, strict=True) if name == word]
    return [await each.project_id() for each in found] or [word]


def _serve_named(environ: Mapping[str, str], projects: Sequence[str]) -> Mapping[str, str]:
    """Serve the projects that the command names, where the environment names none."""
    if not projects or any(environ.get(name) for name in ("OS_CLOUD", *PROJECT_IDS, *PROJECT_NAMES)):
        return environ
    is_named = any(environ.get(name) for name in GIVEN["password"]) and not all(map(_ID.fullmatch, projects))
    return {
        **environ,
        **({"OS_PROJECT_NAME": "\n".join(projects)} if is_named else {"OS_PROJECT_ID": ",".join(projects)}),
    }


def _log_beside(settings: Settings) -> None:
    """Log to stderr, and unless asked for more only what a person should know: stdout is for the answer."""
    logs.set_up(
        level=settings.log_level if os.environ.get("LOG_LEVEL") else "warning",
        form=settings.log_format if os.environ.get("LOG_FORMAT") else "console",
        stream=sys.stderr,
    )
