"""`doorman approve`: a person accepts shares, with the person's own credentials."""

from argparse import ArgumentParser, Namespace

from doorman.entrypoints.cli import settle


def configure(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    settle.configure(parser)
    parser.add_argument("--vault", metavar="ID", help="for full-ECS images: this vault before those of the policy")


def run(arguments: Namespace) -> int:
    """Show, ask, accept, tell."""
    return settle.settle(arguments, action="accept", vault_id=arguments.vault)
