"""`doorman policy check`: every fault of a policy at once, one line each, and what it says in vain."""

import argparse
from datetime import UTC, datetime

from doorman.entrypoints.cli.output import read_text, say, say_lines
from doorman.policy.document.faults import BrokenFile
from doorman.policy.policy import compile_policy, load_file
from doorman.policy.tools.lint import lint


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="policy files")
    parser.add_argument("--strict", action="store_true", help="let warnings fail the check too")


def run(arguments: argparse.Namespace) -> int:
    """Check each file; 1 where one has a fault."""
    codes = [_check(file, is_strict=arguments.strict) for file in arguments.files]
    return max(codes)


def _check(file: str, *, is_strict: bool) -> int:
    try:
        text = read_text(file)
        content, root = load_file(text, file=file)
    except BrokenFile as error:
        say_lines(str(error))
        return 1
    lints = lint(content, root, today=datetime.now(UTC).date())
    for each in lints:
        kind = "" if each.is_error else "warning: "
        say(f"{file}:{each.fault.line}:{each.fault.column}: {kind}{each.fault.message}")
    if any(each.is_error or is_strict for each in lints):
        return 1
    policy = compile_policy(content)
    counts = f"rules: {len(content.rules)}, exceptions: {len(content.exceptions)}, vault entries: {len(content.vaults)}"
    say(f"{file}: no faults ({counts}, mode: {policy.mode}, digest: {policy.digest})", style="green")
    return 0
