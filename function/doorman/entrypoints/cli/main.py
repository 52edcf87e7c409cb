"""The command for people: finds the module of the command that was asked for, and turns errors into one clear line.

Does none of the work: each command is a module beside this one with `configure(parser)` and `run(arguments)`. argparse,
because it comes with Python and is imported in a quarter of the time that click takes.
"""

import argparse
import io
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final, NoReturn

from doorman.entrypoints.cli.help_texts import write_below
from doorman.errors import DoormanError, Misconfigured
from doorman.parsing import visible
from doorman.policy.document.faults import BrokenFile
from doorman.version import VERSION

DONE: Final = 0
NO: Final = 1
WRONG_USAGE: Final = 2
_INTERRUPTED: Final = 130

# command: what it does. To add one: a module of that name beside this one, and a line here
COMMANDS: Final[Mapping[str, str]] = {
    "doctor": "look whether cloud, login, sink and policy are as they should be; change nothing",
    "run": "do the whole job once: list, decide, settle, follow the jobs, tell",
    "pending": "list the shares that wait and what the policy would do; change nothing",
    "approve": "accept shares by hand, with a reason that is told",
    "reject": "reject shares by hand, with a reason that is told",
    "reconcile": "compare what was settled with today's policy, and settle it anew if told to",
    "report": "show what archived events say: a page, a table, or the story of one image",
    "notify": "send one message to each channel of DOORMAN_CHANNELS",
    "replay": "show why events died, and send them again; or collect them",
    "policy": "check and test a policy, compare two, print its JSON Schema",
    "explain": "show what would be decided for event files or images, and why",
    "send": "post event files as CloudEvents",
    "sandbox": "run a local cloud, broker and the functions, until Ctrl-C",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 done, 1 the answer is no, 2 wrong usage or configuration.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] == "help":
        words = [*words[1:], "--help"]
    asked = next((word for word in words if not word.startswith("-")), "")
    command = import_module(f"{__package__}.{asked}") if asked in COMMANDS else None  # the others cost nothing
    arguments = _parser(asked, command).parse_args(words)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    return _run(command, arguments) if command else WRONG_USAGE


def _parser(asked: str, command: ModuleType | None) -> argparse.ArgumentParser:
    about = "Accepts or rejects shared machine images by policy."
    parser = argparse.ArgumentParser(prog="doorman", description=about, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"doorman {VERSION}")
    parser.add_argument(
        "--print-completion",
        choices=("bash", "zsh", "fish"),
        action=_PrintCompletion,
        help="write what makes this shell complete commands and options",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, help_ in COMMANDS.items():
        entry = commands.add_parser(name, help=help_, description=help_, allow_abbrev=False)
        if name == asked and command is not None:
            entry.epilog, entry.formatter_class = write_below(name), argparse.RawDescriptionHelpFormatter
            command.configure(entry)
    return parser


class _PrintCompletion(argparse.Action):
    """Writes the script that was made of the parsers at build time, and ends."""

    def __call__(self, parser: argparse.ArgumentParser, _: object, shell: object, __: str | None = None) -> NoReturn:
        try:
            sys.stdout.write((Path(__file__).parent / "completions" / f"doorman.{shell}").read_text("utf-8"))
            sys.stdout.flush()
        except OSError as error:
            parser.exit(_give_up(error))
        parser.exit()


def _run(command: ModuleType, arguments: argparse.Namespace) -> int:
    try:
        code: int = command.run(arguments)
        sys.stdout.flush()
    except BrokenFile as error:
        _complain(str(error))
        return WRONG_USAGE
    except DoormanError as error:
        _complain(f"doorman: {error}")
        return WRONG_USAGE if isinstance(error, Misconfigured) else NO
    except OSError as error:
        return _give_up(error)
    except KeyboardInterrupt:
        return _INTERRUPTED
    return code


def _give_up(error: OSError) -> int:
    """End where the reader closed the pipe (`| head`), or the disk is full."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not isinstance(error, BrokenPipeError):
        sys.stderr.write(f"doorman: {error.strerror or error}\n")
    return NO


def _complain(text: str) -> None:
    """Write to stderr; what files and clouds said may be quoted in it."""
    sys.stderr.write("".join(f"{visible(line)}\n" for line in text.split("\n")))
