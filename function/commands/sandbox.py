"""`doorman sandbox`: hands over to the local cloud, broker and functions, which the product itself never imports."""

import argparse
import os
import sys


def configure(parser: argparse.ArgumentParser) -> None:
    """Take whatever the sandbox takes."""
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="passed on to the sandbox")


def run(arguments: argparse.Namespace) -> int:
    """Become the sandbox: its exit code is ours."""
    os.execv(sys.executable, [sys.executable, "-m", "sandbox", *arguments.arguments])  # noqa: S606 - our own module
