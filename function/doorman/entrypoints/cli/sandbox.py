"""`doorman sandbox`: becomes the local cloud, broker and functions, which the product itself never imports."""

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from doorman.errors import Misconfigured

_VALUES = ("replay", "policy", "port", "profile", "log-level")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; the sandbox reads its own by the same words."""
    add = parser.add_argument
    add("--demo", action="store_true", help="send all sample events, tell what became of them, and end")
    add("--open", action="store_true", help="open the page in the browser")
    add("--port", type=int, default=0, help="the cloud's port, the others follow; 0: free ones (default)")
    add("--replay", type=Path, metavar="DIR", help="play back what `doorman doctor --record` wrote, and nothing else")
    add("--policy", type=Path, metavar="FILE", help="the policy of the functions (default: the demo's)")
    add("--profile", choices=("kafka", "mt"), default="kafka", help="whose delivery rules to keep (default: kafka)")
    levels = ("debug", "info", "warning", "error")
    add("--log-level", choices=levels, default="warning", help="of the functions (default: warning)")


def run(arguments: argparse.Namespace) -> int:
    """Become the sandbox: its exit code is ours.

    Raises:
        Misconfigured: this installation has no sandbox, as in the functions' image.
    """
    if find_spec("doorman.sandbox") is None:
        raise Misconfigured("sandbox: not part of the functions' image; install Doorman from its wheel or checkout")
    flags = [f"--{name}" for name in ("demo", "open") if getattr(arguments, name)]
    given = {name: getattr(arguments, name.replace("-", "_")) for name in _VALUES}
    words = [*flags, *(f"--{name}={value}" for name, value in given.items() if value is not None)]
    # -P: a folder `doorman` in the working folder is not ours
    os.execv(sys.executable, [sys.executable, "-P", "-m", "doorman.sandbox", *words])  # noqa: S606 - our own module
