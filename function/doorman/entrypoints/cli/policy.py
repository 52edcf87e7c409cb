"""`doorman policy`: checks, tests and suggests policies, and prints their schema; two are compared beside this."""

import argparse
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from doorman.entrypoints.cli import policy_compare
from doorman.entrypoints.cli.help_texts import write_below
from doorman.entrypoints.cli.output import read_text, say, say_lines
from doorman.entrypoints.cli.policy_live import Seen, compare_with, look, served_api
from doorman.errors import Misconfigured
from doorman.parsing import visible
from doorman.policy.document.faults import BrokenFile, Fault
from doorman.policy.document.yaml_reader import Node
from doorman.policy.policy import Policy, compile_policy, load, load_file
from doorman.policy.tools import reports, share_file, testing
from doorman.policy.tools.json_schema import schema
from doorman.policy.tools.lint import lint
from doorman.policy.tools.reports import Found
from doorman.policy.tools.suggest import cases as write_cases
from doorman.policy.tools.suggest import suggest

_ENDINGS = {".yaml", ".yml", ".json"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the questions."""
    questions = parser.add_subparsers(title="questions", metavar="QUESTION", required=True)

    def ask(name: str, help_: str, answer: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        question = questions.add_parser(name, help=help_, description=help_, allow_abbrev=False)
        question.epilog, question.formatter_class = write_below(f"policy {name}"), argparse.RawDescriptionHelpFormatter
        question.set_defaults(answer=answer)
        return question

    check = ask("check", "find every fault of policy files, with line and column", _check_files)
    check.add_argument("files", nargs="+", metavar="FILE", help="policy files")
    check.add_argument("--strict", action="store_true", help="let warnings fail the check too")
    check.add_argument(
        "--live", action="store_true", help="ask the cloud whether it knows the owners, projects and vaults"
    )
    test = ask("test", "run the policy's own test cases", _test)
    test.add_argument("folder", metavar="DIR", help="folder of case files, searched to its depth")
    test.add_argument("--policy", metavar="FILE", help="policy to test, in place of the one that the files name")
    test.add_argument("--require-coverage", action="store_true", help="fail where a rule is reached by no case")
    for question in (check, test):
        question.add_argument(
            "--output", choices=reports.FORMATS, default="text", help="form of the answer (default: text)"
        )
    first = ask("suggest", "write a first policy, in audit mode, that accepts what is accepted today", _suggest)
    first.add_argument(
        "--shares", metavar="FILE", help="shares with their `member_status`, in place of the served ones"
    )
    first.add_argument(
        "--out", metavar="DIR", help="write DIR/policy.yaml, and test cases beside it, in place of stdout"
    )
    policy_compare.configure(ask("diff", "show which shares a new policy would decide differently", policy_compare.run))
    ask("schema", "print the JSON Schema of the policy file, for editors", _print_schema)


def run(arguments: argparse.Namespace) -> int:
    """Answer the question that was asked."""
    code: int = arguments.answer(arguments)
    return code


def _check_files(arguments: argparse.Namespace) -> int:
    """Find what is wrong with each file; 1 where one has a fault."""
    seen = look() if arguments.live else None
    found = [each for file in arguments.files for each in _check(file, seen)]
    if arguments.output == "text":
        failed = {each.file for each in found if _fails(each, arguments)}
        for each in found:
            _say_found(each, is_failed=each.file in failed)
    return _answer(found, arguments)


def _check(file: str, seen: Seen | None) -> Iterator[Found]:
    try:
        content, root = load_file(read_text(file), file=file, api=served_api())
    except BrokenFile as error:
        yield from (_found(file, fault, "error") for fault in error.faults)
        return
    lints = lint(content, root, today=datetime.now(UTC).date(), api=served_api())
    told = [_found(file, each.fault, "error" if each.is_error else "warning") for each in lints]
    told += [_found(file, fault, "warning") for fault in (compare_with(content, root, seen) if seen else ())]
    yield from told
    policy = compile_policy(content)
    counts = f"rules: {len(content.rules)}, exceptions: {len(content.exceptions)}, vault entries: {len(content.vaults)}"
    warned = f", warnings: {len(told)}" if told else ""
    text = f"no faults{warned} ({counts}, mode: {policy.mode}, digest: {policy.digest})"
    yield _found(file, Fault(1, 1, text), "pass")


def _found(file: str, fault: Fault, level: reports.Level) -> Found:
    return Found(file=file, line=fault.line, column=fault.column, level=level, name="policy", message=fault.message)


def _say_found(found: Found, *, is_failed: bool) -> None:
    if found.level == "pass":
        if not is_failed:
            say(f"{found.file}: {found.message}", style="green")
        return
    kind = "warning: " if found.level == "warning" else ""
    say(f"{found.file}:{found.line}:{found.column}: {kind}{found.message}")


def _fails(found: Found, arguments: argparse.Namespace) -> bool:
    return found.level == "error" or (found.level == "warning" and arguments.strict)


def _answer(found: Sequence[Found], arguments: argparse.Namespace) -> int:
    if arguments.output != "text":
        wanted = [replace(each, message=visible(each.message)) for each in found]
        say_lines(reports.write(wanted, arguments.output, is_strict=arguments.strict))
    return 1 if any(_fails(each, arguments) for each in found) else 0


def _test(arguments: argparse.Namespace) -> int:
    """Run every case; 1 where one fails."""
    arguments.strict = arguments.require_coverage
    policies: dict[str, Policy] = {}
    results: dict[str, list[testing.Result]] = defaultdict(list)
    found: list[Found] = []
    for file, content, root in _read(arguments.folder):
        path = arguments.policy or _policy_of(file, content, arguments.folder)
        if path not in policies:
            policies[path] = load(read_text(path), file=path, api=served_api())
        for result in testing.run(content, root, policies[path], now=datetime.now(UTC)):
            found.append(_ran(file, result))
            results[path].append(result)
    bare = [
        Found(file=path, line=1, column=1, level="warning", name="coverage", message=f"no case reaches `{rule}`")
        for path, cases in results.items()
        for rule in testing.uncovered(policies[path], cases)
    ]
    if arguments.output == "text":
        _say_tests(found, bare)
    return _answer([*found, *bare], arguments)


def _ran(file: str, result: testing.Result) -> Found:
    came = f"{result.decision.action}, {result.decision.reason}, rule {result.decision.rule or 'none'}"
    text = f"{result.case}: {'; '.join(result.misses)} (decided: {came})" if result.misses else result.case
    level: reports.Level = "error" if result.misses else "pass"
    return Found(file=file, line=result.line, column=1, level=level, name=result.case, message=text)


def _say_tests(found: Sequence[Found], bare: Sequence[Found]) -> None:
    for each in found:
        is_failed = each.level == "error"
        word, style = ("FAIL", "red") if is_failed else ("ok  ", None)
        say(f"{word}  {each.file}:{each.line}: {each.message}", style=style)
    for each in bare:
        say(f"{each.file}: {each.message}", style="yellow")
    failed = sum(each.level == "error" for each in found)
    say(f"{len(found)} cases, {failed} failed, {len(bare)} rules without a case", style="red" if failed else "green")


def _suggest(arguments: argparse.Namespace) -> int:
    """Write a first policy from the shares of a file, or of the served projects."""
    if not arguments.shares:
        return _write_first(arguments.out, look())
    shares = share_file.load(read_text(arguments.shares), file=arguments.shares)
    return _write_first(arguments.out, Seen(shares=shares, vaults=None, projects=frozenset()))


def _write_first(out: str | None, seen: Seen) -> int:
    text = suggest(seen.shares, vaults=[each.vault_id for each in seen.vaults or ()], today=datetime.now(UTC).date())
    if not out:
        say_lines(text.rstrip("\n"))
        return 0
    folder = Path(out)
    if (folder / "policy.yaml").exists():
        raise Misconfigured(f"{folder / 'policy.yaml'}: is there already, and is not overwritten: name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("policy.yaml", text), ("cases.yaml", write_cases(seen.shares))):
        (folder / name).write_text(content, encoding="utf-8")
        say(f"{folder / name}: written")
    return 0


def _read(folder: str) -> Iterator[tuple[str, testing.CaseFile, Node]]:
    files = sorted(each for each in Path(folder).rglob("*") if each.suffix in _ENDINGS and each.is_file())
    cases = [str(each) for each in files if each != Path(folder, "policy.yaml")]
    if not cases:
        raise Misconfigured(f"{folder}: no case files here: add a `.yaml` file that begins with `cases:`")
    for file in cases:
        yield file, *testing.load(read_text(file), file=file)


def _policy_of(file: str, content: testing.CaseFile, folder: str) -> str:
    """Find the policy: as the file says, else beside it in the folder, else where the functions look."""
    if content.policy is not None:
        return os.path.normpath(Path(file).parent / content.policy)
    beside = Path(folder, "policy.yaml")
    return str(beside) if beside.is_file() else os.environ.get("DOORMAN_POLICY") or "policy.yaml"


def _print_schema(_: argparse.Namespace) -> int:
    say_lines(json.dumps(schema(), indent=2, ensure_ascii=False))
    return 0
