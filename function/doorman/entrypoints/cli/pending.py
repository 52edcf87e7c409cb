"""`doorman pending`: what waits, and what the policy would do with it. Looks like `run`, and changes nothing."""

import asyncio
from argparse import ArgumentParser, Namespace

from doorman.entrypoints.cli.run import work
from doorman.entrypoints.cli.session import add_json, add_projects


def configure(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_projects(parser)
    add_json(parser)


def run(arguments: Namespace) -> int:
    """List and decide; tell nobody but the one who asked."""
    return asyncio.run(work(arguments, is_dry=True, is_telling=False))
