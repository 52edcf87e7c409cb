"""`doorman pending`: what waits, and what the policy would do with it. Looks like `run`, and changes nothing."""

import asyncio
from argparse import ArgumentParser, Namespace

from doorman.entrypoints.cli.run import configure_look, work


def configure(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    configure_look(parser)


def run(arguments: Namespace) -> int:
    """List and decide; tell nobody but the one who asked."""
    return asyncio.run(work(arguments, is_dry=True, is_telling=False))
