"""Opens the served projects for a command: environment, policy, ways to the cloud and the sink. Decides nothing."""

import asyncio
import os
import re
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, closing, redirect_stdout, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TextIO, cast

from doorman import bootstrap
from doorman.cloud.auth.credentials import Credentials
from doorman.cloud.auth.keystone import Token
from doorman.cloud.auth.logins import GIVEN, PROJECT_IDS, PROJECT_NAMES
from doorman.entrypoints.cli.answer_sink import AnswerSink
from doorman.entrypoints.cli.output import LossyStream, SturdyStream, read_text
from doorman.entrypoints.cli.tables import Known
from doorman.errors import Misconfigured, Unavailable
from doorman.handlers.context import ProjectContext
from doorman.handlers.projects import Projects
from doorman.handlers.run import choose
from doorman.models import CloudEvent
from doorman.policy.policy import Policy, compile_policy, load_file
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


@dataclass(slots=True, kw_only=True, eq=False)
class Session:
    """What a command works with.

    Attributes:
        named: IDs of the projects that the command names; none: all.
        known: names of owners and projects.
        told: keys of what was told before, which is not shown.
        taken: what was told now, decisions as well.
    """

    projects: Projects
    named: Sequence[str]
    known: Known
    told: frozenset[str]
    taken: Sequence[CloudEvent]


@asynccontextmanager
async def open_projects(
    arguments: Namespace,
    *,
    projects: Sequence[str],
    is_telling: bool,
    as_json: bool,
    told: frozenset[str] = frozenset(),
    policy: Policy | None = None,
) -> AsyncIterator[Session]:
    """Open the served projects for the time of one command.

    Args:
        arguments: `os_cloud` and `policy`.
        projects: what `--project` named.
        is_telling: outcomes go to K_SINK, where it is set.
        as_json: all events go to stdout as well, as soon as they are told; otherwise decisions do, as rows.
        told: keys of what was told before, which is not shown.
        policy: decides in place of that of DOORMAN_POLICY.

    Raises:
        Misconfigured: a variable is missing or wrong.
        BrokenFile: the policy file is wrong.
        Unavailable: a project is named that only a login can find, and it failed.
    """
    settings = read_settings(arguments, projects)
    log_beside(settings)
    telemetry.set_up(os.environ)
    policy, known = (policy, Known()) if policy else _load(settings, arguments, projects)
    with closing(telemetry), redirect_stdout(cast("TextIO", SturdyStream())):
        async with aclosing(bootstrap.connect(settings, clock=SystemClock())) as connections:
            for note in connections.notes:
                logs.logger().warning("settings.note", text=note)
            has_sink = is_telling and bool(settings.sink)
            sink = bootstrap.make_sink(connections, connections.credentials) if has_sink else NullSink()
            shown = AnswerSink(outer=sink, known=None if as_json else known, is_record=not has_sink, told=told)
            served = bootstrap.open_projects(connections, policy, sink=shown)
            if not as_json:
                used = Counter(name for each in connections.credentials for name in each.names)
                shown.learn = partial(_learn, served, known, used)
            named = [each for word in projects for each in await _find_ids(word, connections.credentials)]
            yield Session(projects=served, named=named, known=known, told=told, taken=shown.taken)


def read_settings(arguments: Namespace, projects: Sequence[str] = ()) -> Settings:
    """Read the environment, with the arguments `os_cloud` and `policy` in it; a dry run is in audit mode.

    Args:
        projects: what `--project` named.

    Raises:
        Misconfigured: a variable is missing or wrong.
    """
    given = {"OS_CLOUD": arguments.os_cloud, "DOORMAN_POLICY": arguments.policy}
    environ = {**os.environ, **{name: value for name, value in given.items() if value}}
    settings = Settings.from_environ(_serve_named(environ, projects), is_sink_required=False)
    return replace(settings, mode="audit") if getattr(arguments, "dry_run", False) else settings


async def find_context(session: Session) -> ProjectContext:
    """Find the one served project that the command names.

    Raises:
        Misconfigured: it names several, or one that is not served.
        Unavailable: that cannot be told now.
    """
    if len(session.named) > 1:
        raise Misconfigured(f"--project: names several projects: {', '.join(session.named)}; name one of them")
    contexts, errors = await choose(session.projects, session.named)
    if not contexts:
        raise errors[0]
    return contexts[0]


def _load(settings: Settings, arguments: Namespace, projects: Sequence[str]) -> tuple[Policy, Known]:
    content, _ = load_file(read_text(settings.policy), file=settings.policy, api=settings.api)
    url = Path(settings.policy).absolute().as_uri()
    files = [("--os-cloud", arguments.os_cloud), ("--policy", arguments.policy)]
    return compile_policy(content), Known(
        names=content.names,
        policy_url=url,
        given="".join(f" {option} {quote(value)}" for option, value in files if value),
        chosen="".join(f" --project {quote(each)}" for each in projects),
    )


async def _learn(served: Projects, known: Known, used: Mapping[str, int], project_id: str) -> None:
    """Learn what a project is called: by the settings, else by its login, which has happened by now.

    Args:
        used: how many projects have a name; an entry of clouds.yaml with several of them names none.
    """
    if project_id in known.called:
        return
    credentials = (await served.context(project_id)).cloud.client.credentials
    names = sorted((name for name in credentials.names - {project_id} if used[name] == 1), key=len)
    with suppress(Unavailable):
        token = None if names else await credentials.token()
        name = names[0] if names else token.project_name if token else None
        known.called[project_id] = name if name and name != project_id else ""


async def _find_ids(word: str, credentials: Sequence[Credentials]) -> Sequence[str]:
    """Find which projects a person means: by what the settings call them, else by what Keystone does."""
    found = [each for each in credentials if word in each.names]
    if not found:
        tokens = await asyncio.gather(*(each.token() for each in credentials), return_exceptions=True)
        names = (token.project_name if isinstance(token, Token) else None for token in tokens)
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


def log_beside(settings: Settings) -> None:
    """Log to stderr, and unless asked for more only what a person should know: stdout is for the answer."""
    logs.set_up(
        level=settings.log_level if os.environ.get("LOG_LEVEL") else "warning",
        form=settings.log_format if os.environ.get("LOG_FORMAT") else "console",
        stream=cast("TextIO", LossyStream(is_short=not (os.environ.get("LOG_LEVEL") or os.environ.get("LOG_FORMAT")))),
    )
