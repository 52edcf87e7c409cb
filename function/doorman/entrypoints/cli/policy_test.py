"""`doorman policy test`: runs a folder of cases, one line each, and names the rules that no case reaches."""

import argparse
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from doorman.entrypoints.cli.output import read_text, say
from doorman.errors import Misconfigured
from doorman.policy.policy import load
from doorman.policy.tools.testing import Cases, Result, uncovered
from doorman.policy.tools.testing import load as load_cases
from doorman.policy.tools.testing import run as run_cases

_ENDINGS = {".yaml", ".yml", ".json"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("folder", metavar="DIR", help="folder of case files, searched to its depth")
    parser.add_argument("--policy", metavar="FILE", help="policy to test, in place of the one that the files name")
    parser.add_argument("--require-coverage", action="store_true", help="fail where a rule is reached by no case")


def run(arguments: argparse.Namespace) -> int:
    """Run every case; 1 where one fails."""
    results: dict[str, list[Result]] = {}
    for file, cases in _read(arguments.folder):
        policy = arguments.policy or _policy_of(file, cases, arguments.folder)
        for result in run_cases(cases, load(read_text(policy), file=policy), now=datetime.now(UTC)):
            _tell(file, result)
            results.setdefault(policy, []).append(result)
    bare = [f"{policy}: no case reaches `{rule}`" for policy in results for rule in _uncovered(policy, results[policy])]
    for line in bare:
        say(line, style="yellow")
    ran = [result for each in results.values() for result in each]
    failed = sum(bool(result.misses) for result in ran)
    say(f"{len(ran)} cases, {failed} failed, {len(bare)} rules without a case", style="red" if failed else "green")
    return 1 if failed or (bare and arguments.require_coverage) else 0


def _read(folder: str) -> Iterator[tuple[str, Cases]]:
    files = sorted(each for each in Path(folder).rglob("*") if each.suffix in _ENDINGS and each.is_file())
    cases = [str(each) for each in files if each != Path(folder, "policy.yaml")]
    if not cases:
        raise Misconfigured(f"{folder}: no case files here: add a `.yaml` file that begins with `cases:`")
    for file in cases:
        yield file, load_cases(read_text(file), file=file)


def _policy_of(file: str, cases: Cases, folder: str) -> str:
    """Find the policy: as the file says, else beside it in the folder, else where the functions look."""
    if cases.content.policy is not None:
        return os.path.normpath(Path(file).parent / cases.content.policy)
    beside = Path(folder, "policy.yaml")
    return str(beside) if beside.is_file() else os.environ.get("DOORMAN_POLICY") or "policy.yaml"


def _uncovered(policy: str, results: list[Result]) -> tuple[str, ...]:
    return uncovered(load(read_text(policy), file=policy), results)


def _tell(file: str, result: Result) -> None:
    if not result.misses:
        say(f"ok    {file}:{result.line}: {result.case}")
        return
    came = f"{result.decision.action}, {result.decision.reason}, rule {result.decision.rule or 'none'}"
    say(f"FAIL  {file}:{result.line}: {result.case}: {'; '.join(result.misses)} (decided: {came})", style="red")
