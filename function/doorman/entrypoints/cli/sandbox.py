"""`doorman sandbox`: hands over to the local cloud, broker and functions, which the product itself never imports."""

import argparse
import os
import sys


def run(arguments: argparse.Namespace) -> int:
    """Become the sandbox, with all words that follow: its exit code is ours."""
    os.execv(sys.executable, [sys.executable, "-P", "-m", "doorman.sandbox", *arguments.words])  # noqa: S606 - our own module
