"""`doorman pending`: what waits, and what the policy would do with it. Looks like `run`, and changes nothing."""

import asyncio
import json
from argparse import ArgumentParser, Namespace

from doorman.entrypoints.cli.output import complain, say_lines
from doorman.entrypoints.cli.run import configure_look, work
from doorman.entrypoints.cli.session import open_projects
from doorman.errors import Unavailable
from doorman.handlers.context import ProjectContext
from doorman.models import Share
from doorman.policy.tools import share_file


def configure(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    configure_look(parser)
    parser.set_defaults(dry_run=True)
    parser.add_argument(
        "--facts", action="store_true", help="write the shares with all facts, as `--shares` takes them"
    )


def run(arguments: Namespace) -> int:
    """List and decide; tell nobody but the one who asked."""
    if arguments.facts:
        return asyncio.run(_write_facts(arguments))
    return asyncio.run(work(arguments, is_telling=False))


async def _write_facts(arguments: Namespace) -> int:
    """Write the pending shares with all facts, as the file that `--shares` takes; 1 where a project cannot be read."""
    async with open_projects(arguments, projects=arguments.project, is_telling=False, as_json=True) as session:
        contexts, errors = await session.projects.contexts()
        chosen = [each for each in contexts if not session.named or each.project_id in session.named]
        answers = await asyncio.gather(*map(_read_pending, chosen))
    failed = [*errors, *(each for each in answers if isinstance(each, Unavailable))]
    complain(*map(str, failed))
    shares = [share for each in answers if not isinstance(each, Unavailable) for share in each]
    say_lines(json.dumps(share_file.write(shares), indent=2))
    return 1 if failed else 0


async def _read_pending(context: ProjectContext) -> list[Share] | Unavailable:
    try:
        listed = await context.cloud.pending()
    except Unavailable as error:
        return error
    return [share for _, share in sorted(listed.items()) if share.owner != context.project_id]
