"""Opens the served projects for a command: environment, policy, ways to the cloud and the sink. Decides nothing."""

import os
from argparse import ArgumentParser
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, redirect_stdout
from dataclasses import dataclass
from typing import TextIO, cast

from doorman.bootstrap import connect, connect_sink, make_sink
from doorman.cloud.auth.credentials import from_settings
from doorman.cloud.auth.environ import PROJECT_IDS, PROJECT_NAMES
from doorman.entrypoints.cli.answer_sink import AnswerSink
from doorman.entrypoints.cli.output import LossyStream, SturdyStream, read_text
from doorman.errors import Misconfigured
from doorman.handlers.context import ProjectContext
from doorman.handlers.projects import Projects
from doorman.models import CloudEvent
from doorman.policy.policy import compile_policy, load_file
from doorman.runtime import logs
from doorman.runtime.clock import SystemClock
from doorman.settings import Settings
from doorman.sinks.base import NullSink, Sink


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a command works with.

    Attributes:
        names: the policy's groups by the project IDs in them.
        known: keys of what was told before, which is not shown.
        taken: what was told, decisions as well.
    """

    projects: Projects
    names: Mapping[str, str]
    known: frozenset[str]
    taken: Sequence[CloudEvent]


@asynccontextmanager
async def open_projects(
    *,
    projects: Sequence[str],
    is_telling: bool,
    as_json: bool,
    known: frozenset[str] = frozenset(),
    policy: str | None = None,
) -> AsyncIterator[Session]:
    """Open the served projects for the time of one command.

    Args:
        projects: what `--project` named.
        is_telling: outcomes go to K_SINK, where it is set.
        policy: file, where it is not that of the settings.
        as_json: all events go to stdout as well, as soon as they are told; otherwise decisions do, as rows.

    Raises:
        Misconfigured: a variable is missing or wrong.
        PolicyError: the policy file is wrong.
    """
    settings = Settings.from_environ(_serve_named(os.environ, projects), is_sink_required=False)
    _log_beside(settings)
    file = policy or settings.policy
    content, _ = load_file(read_text(file), file=file)
    names = {owner: group for group, owners in content.groups.items() for owner in owners}
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        stack.enter_context(redirect_stdout(cast("TextIO", SturdyStream())))
        client = await stack.enter_async_context(connect(settings))
        credentials = from_settings(settings.identity, client=client, clock=clock)
        sink: Sink = NullSink()
        has_sink = is_telling and bool(settings.sink)
        if has_sink:
            sink_client = await stack.enter_async_context(connect_sink(settings))
            sink = make_sink(settings, clock=clock, client=sink_client, credentials=credentials)
        shown = AnswerSink(sink, names=None if as_json else names, is_record=not has_sink, known=known)
        served = Projects(
            settings, compile_policy(content), clock=clock, client=client, credentials=credentials, sink=shown
        )
        yield Session(projects=served, names=names, known=known, taken=shown.taken)


async def find_context(session: Session, project_id: str) -> ProjectContext:
    """Find one served project.

    Raises:
        Misconfigured: it is not served.
        Unavailable: that cannot be told now.
    """
    contexts, errors = await session.projects.contexts()
    context = next((context for context in contexts if context.project_id == project_id), None)
    if context is None and errors:
        raise errors[0]
    if context is None:
        raise Misconfigured(f"--project: {project_id} is not served here: name one of OS_PROJECT_ID or OS_CLOUD")
    return context


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
        stream=cast("TextIO", LossyStream()),
    )
