"""`doorman reject`: a person rejects shares, with the person's own credentials."""

from argparse import ArgumentParser, Namespace

from doorman.entrypoints.cli import approve


def configure(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    approve.configure_settling(parser)


def run(arguments: Namespace) -> int:
    """Show, ask, reject, tell."""
    return approve.settle(arguments, action="reject")
