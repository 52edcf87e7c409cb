"""`doorman policy`: checks policy files, runs their test cases, prints their schema; two are compared beside this."""

import argparse
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from doorman.entrypoints.cli import policy_compare
from doorman.entrypoints.cli.output import read_text, say, say_lines
from doorman.errors import Misconfigured
from doorman.policy.document.faults import BrokenFile
from doorman.policy.policy import compile_policy, load, load_file
from doorman.policy.tools import testing
from doorman.policy.tools.json_schema import schema
from doorman.policy.tools.lint import lint

_ENDINGS = {".yaml", ".yml", ".json"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the questions."""
    questions = parser.add_subparsers(title="questions", metavar="QUESTION", required=True)

    def ask(name: str, help_: str, answer: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        question = questions.add_parser(name, help=help_, description=help_, allow_abbrev=False)
        question.set_defaults(answer=answer)
        return question

    check = ask("check", "find every fault of policy files, with line and column", _check_files)
    check.add_argument("files", nargs="+", metavar="FILE", help="policy files")
    check.add_argument("--strict", action="store_true", help="let warnings fail the check too")
    test = ask("test", "run the policy's own test cases", _test)
    test.add_argument("folder", metavar="DIR", help="folder of case files, searched to its depth")
    test.add_argument("--policy", metavar="FILE", help="policy to test, in place of the one that the files name")
    test.add_argument("--require-coverage", action="store_true", help="fail where a rule is reached by no case")
    policy_compare.configure(ask("diff", "show which shares a new policy would decide differently", policy_compare.run))
    ask("schema", "print the JSON Schema of the policy file, for editors", _print_schema)


def run(arguments: argparse.Namespace) -> int:
    """Answer the question that was asked."""
    code: int = arguments.answer(arguments)
    return code


def _check_files(arguments: argparse.Namespace) -> int:
    """Find what is wrong with each file; 1 where one has a fault."""
    return max([_check(file, is_strict=arguments.strict) for file in arguments.files])


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


def _test(arguments: argparse.Namespace) -> int:
    """Run every case; 1 where one fails."""
    results: dict[str, list[testing.Result]] = {}
    for file, cases in _read(arguments.folder):
        policy = arguments.policy or _policy_of(file, cases, arguments.folder)
        for result in testing.run(cases, load(read_text(policy), file=policy), now=datetime.now(UTC)):
            _tell(file, result)
            results.setdefault(policy, []).append(result)
    bare = [f"{policy}: no case reaches `{rule}`" for policy in results for rule in _uncovered(policy, results[policy])]
    for line in bare:
        say(line, style="yellow")
    ran = [result for each in results.values() for result in each]
    failed = sum(bool(result.misses) for result in ran)
    say(f"{len(ran)} cases, {failed} failed, {len(bare)} rules without a case", style="red" if failed else "green")
    return 1 if failed or (bare and arguments.require_coverage) else 0


def _read(folder: str) -> Iterator[tuple[str, testing.Cases]]:
    files = sorted(each for each in Path(folder).rglob("*") if each.suffix in _ENDINGS and each.is_file())
    cases = [str(each) for each in files if each != Path(folder, "policy.yaml")]
    if not cases:
        raise Misconfigured(f"{folder}: no case files here: add a `.yaml` file that begins with `cases:`")
    for file in cases:
        yield file, testing.load(read_text(file), file=file)


def _policy_of(file: str, cases: testing.Cases, folder: str) -> str:
    """Find the policy: as the file says, else beside it in the folder, else where the functions look."""
    if cases.content.policy is not None:
        return os.path.normpath(Path(file).parent / cases.content.policy)
    beside = Path(folder, "policy.yaml")
    return str(beside) if beside.is_file() else os.environ.get("DOORMAN_POLICY") or "policy.yaml"


def _uncovered(policy: str, results: list[testing.Result]) -> tuple[str, ...]:
    return testing.uncovered(load(read_text(policy), file=policy), results)


def _tell(file: str, result: testing.Result) -> None:
    if not result.misses:
        say(f"ok    {file}:{result.line}: {result.case}")
        return
    came = f"{result.decision.action}, {result.decision.reason}, rule {result.decision.rule or 'none'}"
    say(f"FAIL  {file}:{result.line}: {result.case}: {'; '.join(result.misses)} (decided: {came})", style="red")


def _print_schema(_: argparse.Namespace) -> int:
    say_lines(json.dumps(schema(), indent=2, ensure_ascii=False))
    return 0
