"""Opens the office for a command: environment, policy, the way to the cloud and to the sink. Decides nothing."""

import os
import sys
from argparse import ArgumentParser
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

from doorman import bootstrap
from doorman.cloud.auth.environ import PROJECT_IDS, PROJECT_NAMES
from doorman.entrypoints.cli.output import JsonLines, read_text
from doorman.handlers.projects import Projects
from doorman.policy.policy import Policy, load
from doorman.runtime import logs, telemetry
from doorman.runtime.clock import SystemClock
from doorman.settings import Settings
from doorman.sinks.base import NullSink


def add_projects(parser: ArgumentParser) -> None:
    """Declare `--project`."""
    parser.add_argument(
        "--project",
        action="append",
        default=[],
        metavar="ID",
        help="only this one of the served projects; may be given several times",
    )


def add_json(parser: ArgumentParser) -> None:
    """Declare `--json`."""
    parser.add_argument("--json", action="store_true", help="write one outcome event (CloudEvent) a line")


@asynccontextmanager
async def open_projects(
    *, projects: Sequence[str], is_telling: bool, as_json: bool, policy: Policy | None = None
) -> AsyncIterator[Projects]:
    """Open the office for the time of one command.

    Args:
        projects: what `--project` named.
        is_telling: outcomes go to K_SINK, where it is set.
        as_json: outcomes go to stdout as well, as soon as they are told.
        policy: decides in place of that of DOORMAN_POLICY.

    Raises:
        Misconfigured: a variable is missing or wrong.
        PolicyError: the policy file is wrong.
    """
    settings = Settings.from_environ(_serve_named(os.environ, projects), is_sink_required=False)
    _log_beside(settings)
    telemetry.set_up(os.environ)
    policy = policy or load(read_text(settings.policy), file=settings.policy, api=settings.api)
    async with AsyncExitStack() as stack:
        stack.callback(telemetry.close)
        connections = await stack.enter_async_context(aclosing(bootstrap.connect(settings, clock=SystemClock())))
        is_sunk = is_telling and settings.sink
        sink = bootstrap.make_sink(connections, connections.credentials) if is_sunk else NullSink()
        yield bootstrap.open_projects(connections, policy, sink=JsonLines(sink, sys.stdout) if as_json else sink)


def _serve_named(environ: Mapping[str, str], projects: Sequence[str]) -> Mapping[str, str]:
    """Serve the projects that the command names, where the environment names none."""
    if not projects or any(environ.get(name) for name in ("OS_CLOUD", *PROJECT_IDS, *PROJECT_NAMES)):
        return environ
    return {**environ, "OS_PROJECT_ID": ",".join(projects)}


def _log_beside(settings: Settings) -> None:
    """Log to stderr, and unless asked for more only what a person should know: stdout is for the answer."""
    logs.set_up(
        level=settings.log_level if os.environ.get("LOG_LEVEL") else "warning",
        form=settings.log_format if os.environ.get("LOG_FORMAT") else "console",
        stream=sys.stderr,
    )
