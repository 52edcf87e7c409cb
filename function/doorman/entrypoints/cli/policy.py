"""`doorman policy`: its four questions, each answered in a module of its own."""

import argparse
import json

from doorman.entrypoints.cli import output, policy_check, policy_compare, policy_test
from doorman.policy.tools.json_schema import schema


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the four questions."""
    questions = parser.add_subparsers(title="questions", metavar="QUESTION", required=True)
    for name, help_, module in (
        ("check", "find every fault of policy files, with line and column", policy_check),
        ("test", "run the policy's own test cases", policy_test),
        ("diff", "show which shares a new policy would decide differently", policy_compare),
    ):
        question = questions.add_parser(name, help=help_, description=help_, allow_abbrev=False)
        module.configure(question)
        question.set_defaults(answer=module.run)
    help_ = "print the JSON Schema of the policy file, for editors"
    questions.add_parser("schema", help=help_, description=help_).set_defaults(answer=_print_schema)


def run(arguments: argparse.Namespace) -> int:
    """Answer the question that was asked."""
    code: int = arguments.answer(arguments)
    return code


def _print_schema(_: argparse.Namespace) -> int:
    output.say_lines(json.dumps(schema(), indent=2, ensure_ascii=False))
    return 0
