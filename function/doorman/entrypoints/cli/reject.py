"""`doorman reject`: a person rejects shares, with the person's own credentials."""

from argparse import ArgumentParser, Namespace

from doorman.entrypoints.cli import settle


def configure(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    settle.configure(parser)


def run(arguments: Namespace) -> int:
    """Show, ask, reject, tell."""
    return settle.settle(arguments, action="reject")
