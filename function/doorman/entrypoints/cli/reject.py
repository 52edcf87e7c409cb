"""`doorman reject`: a person rejects shares as `approve` accepts them, with the person's own credentials."""

from argparse import ArgumentParser

from doorman.entrypoints.cli.approve import configure_settling, run

__all__ = ["configure", "run"]


def configure(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    configure_settling(parser, action="reject")
