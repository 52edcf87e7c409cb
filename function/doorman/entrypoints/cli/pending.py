"""`doorman pending`: what waits, and what the policy would do with it. Looks like `run`, and changes nothing."""

import asyncio
from argparse import ArgumentParser, Namespace

from doorman.entrypoints.cli.explain_live import write_facts
from doorman.entrypoints.cli.run import configure_look, work


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
        return asyncio.run(write_facts(arguments))
    return asyncio.run(work(arguments, is_telling=False))
