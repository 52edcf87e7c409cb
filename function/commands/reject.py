"""`doorman reject`: a person rejects shares, with the person's own credentials."""

from argparse import ArgumentParser, Namespace

from . import person


def configure(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    person.configure(parser)


def run(arguments: Namespace) -> int:
    """Show, ask, reject, tell."""
    return person.settle(arguments, action="reject")
