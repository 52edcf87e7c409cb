"""`doorman approve`: a person accepts shares, with the person's own credentials."""

from argparse import ArgumentParser, Namespace

from . import person


def configure(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    person.configure(parser)
    parser.add_argument("--vault", metavar="ID", help="for full-ECS images: this vault before those of the policy")


def run(arguments: Namespace) -> int:
    """Show, ask, accept, tell."""
    return person.settle(arguments, action="accept", vault_id=arguments.vault)
