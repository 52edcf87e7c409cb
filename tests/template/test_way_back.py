"""The recipes of the runbook stop and roll back what they say, and the next plain apply always wins."""

import re
from copy import deepcopy

import pytest

from tests.template.kubectl import Refused, Terminal
from tests.template.mutants import TEMPLATE, filled_in

ROOT = TEMPLATE.parent
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text("utf-8")
WALK = (ROOT / "docs" / "knative.md").read_text("utf-8")
STOP, ROLLBACK = map(str, re.findall(r"(?m)^    (kubectl -n doorman patch ksvc [^']*'[^']*')", RUNBOOK))
(REPAIR,) = re.findall(r"(?m)^    (kubectl apply --server-side .*)$", RUNBOOK)
(AUDIT,) = re.findall(r"(?m)^    (sed .*)$", RUNBOOK)
(ENFORCE,) = re.findall(r"(?m)^    (sed .*)$", WALK)
(APPLY,) = re.findall(r"(?m)^    (kubectl apply -f doorman\.yaml)$", WALK)
FUNCTIONS = ("triage", "check-job", "sweep")


def everywhere(served: str) -> dict[str, str]:
    """All functions serve the same Revision and mode."""
    return dict.fromkeys(FUNCTIONS, served)


def rollback(name: str) -> str:
    """Fill the function and its first Revision into the recipe."""
    return ROLLBACK.replace("triage-00007", f"{name}-00001").replace("ksvc triage", f"ksvc {name}")


def started() -> Terminal:
    """All functions enforce, in their first Revision."""
    terminal = Terminal(filled_in())
    terminal.run(ENFORCE)
    return terminal


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_recipe_does_what_it_says_and_the_next_apply_wins(name: str) -> None:
    """After each step this Revision serves in this mode, whatever came before it."""
    terminal = Terminal(filled_in())
    steps = [
        (APPLY, everywhere("1 audit")),
        (ENFORCE, everywhere("2 enforce")),
        (STOP, everywhere("3 audit")),
        (APPLY, everywhere("4 enforce")),  # the file still says enforce
        (rollback(name), {**everywhere("4 enforce"), name: "1 audit"}),
        (APPLY, everywhere("4 enforce")),
        (AUDIT, everywhere("5 audit")),
        (rollback(name), {**everywhere("5 audit"), name: "1 audit"}),
        (ENFORCE, everywhere("6 enforce")),
    ]
    for recipe, served in steps:
        terminal.run(recipe)
        assert terminal.served() == served


def test_the_runbook_says_what_serves_after_each_step() -> None:
    """Its table, step by step, as the model has it."""
    terminal = Terminal(filled_in())
    rows = re.findall(r"(?m)^\| ([^|]+) \| (\d), (\w+) \| (\d), (\w+) \|$", RUNBOOK)
    recipes = (APPLY, ENFORCE, STOP, APPLY, rollback("triage"), APPLY, AUDIT)
    for recipe, (_, mine, my_mode, others, mode) in zip(recipes, rows, strict=True):
        terminal.run(recipe)
        terminal.run(recipe)
        assert terminal.served() == {**everywhere(f"{others} {mode}"), "triage": f"{mine} {my_mode}"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_stop_reaches_a_function_that_was_rolled_back(name: str) -> None:
    """A pinned Revision that enforces ends with it; a rollback after it brings back the old mode."""
    terminal = started()
    audit, pinned = everywhere("2 audit"), {**everywhere("2 audit"), name: "1 enforce"}
    for recipe, served in ((AUDIT, audit), (rollback(name), pinned), (STOP, audit), (rollback(name), pinned)):
        terminal.run(recipe)
        assert terminal.served() == served


@pytest.mark.parametrize("recipe", [APPLY, STOP, AUDIT, ENFORCE, REPAIR, rollback("triage")])
@pytest.mark.parametrize("before", [APPLY, STOP, AUDIT, rollback("triage")])
def test_a_recipe_typed_twice_does_it_once(before: str, recipe: str) -> None:
    """Nobody needs to know whether a colleague was faster."""
    terminal = started()
    terminal.run(before)
    terminal.run(recipe)
    once = deepcopy(vars(terminal))
    terminal.run(recipe)
    assert vars(terminal) == once


def test_the_stop_changes_nothing_where_the_mode_stands_elsewhere() -> None:
    """A file with another order of variables loses none of them; the command says so."""
    terminal = Terminal(filled_in().replace("name: DOORMAN_MODE", "name: OTHER"))
    terminal.run(APPLY)
    before = deepcopy(vars(terminal))
    with pytest.raises(Refused, match="env/0/name failed"):
        terminal.run(STOP)
    assert vars(terminal) == before


def test_the_repair_makes_apply_work_again() -> None:
    """After `kubectl replace` of what was read, no apply works any more, until the repair."""
    terminal = started()
    terminal.replace("triage")
    with pytest.raises(Refused, match=r"metadata\.resourceVersion: Invalid value: 0"):
        terminal.run(AUDIT)
    terminal.run(REPAIR)
    assert terminal.served() == everywhere("2 audit")
    terminal.run(ENFORCE)
    assert terminal.served() == everywhere("3 enforce")


def test_a_file_without_traffic_leaves_what_is_pinned() -> None:
    """Why it stands in the template: the next Revision is made, and serves nobody."""
    terminal = started()
    terminal.file = re.sub(r"(?m)^  traffic:\n    .*\n      .*\n", "", terminal.file)
    for recipe in (APPLY, rollback("triage"), AUDIT):
        terminal.run(recipe)
    assert terminal.served() == {**everywhere("2 audit"), "triage": "1 enforce"}


def test_no_text_of_ours_uses_another_command_that_changes_a_cluster() -> None:
    """`replace` and `edit` leave what apply knows nothing of; the runbook only warns of it."""
    folders = ("docs", "examples", "deploy")
    files = [TEMPLATE, *ROOT.glob("*.md"), *(each for name in folders for each in (ROOT / name).rglob("*.[my]*"))]
    words = " ".join(each.read_text("utf-8") for each in files)
    verbs = set(re.findall(r"kubectl (?:-n \S+ )?([a-z-]+)", words.replace("`kubectl replace`", "")))
    found = verbs - {"get", "logs", "describe", "diff", "kustomize", "port-forward"}
    assert found == {"apply", "create", "delete", "patch"}
