"""Keeps the budgets: how large the package, the tests and the documents may be, and README's picture of the layers."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from doorman.entrypoints.cli.main import COMMANDS
from doorman.settings import VARIABLES
from tests.container.tree import ignored

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "function" / "doorman"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PRODUCT = [path for path in PACKAGE.rglob("*.py") if "sandbox" not in path.relative_to(PACKAGE).parts]
PAGES = sorted((ROOT / "docs").glob("*.md"))

PACKAGE_FILES, PACKAGE_LINES = 147, 19_142
FILE_LINES, TEST_LINES = 300, 30_792
MEDIAN_LENGTH, TALL_LENGTH = 6, 15
LOOSE_MODULES, PACKAGES = 8, 9
DOORMAN_SETTINGS, TOP_COMMANDS = 12, 15
README_LINES, README_BYTES = 160, 9 * 1024
DOC_PAGES, DOC_LINES = 13, 1500
"""The budgets. What goes over one pays by deleting something else."""

TAKEN_UNASKED = {"httptools"}
"""Dependencies that others look for by themselves, and do worse without."""

MAY_BE_MISSING = {"uvicorn_worker"}
"""What the package imports where it is there: a part of the framework's server."""


def lines(paths: Iterable[Path]) -> dict[str, int]:
    """Count the lines of each file."""
    return {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in paths}


def over(counts: tuple[int, ...], budget: tuple[int, ...]) -> list[tuple[int, int]]:
    """Give each count that is above its budget, with it."""
    return [(count, most) for count, most in zip(counts, budget, strict=True) if count > most]


def test_the_package_stays_small() -> None:
    """The sandbox does not count: the functions' image does not carry it."""
    assert ignored(str(PACKAGE), ["sandbox"]) == ["sandbox"]
    sizes = lines(PRODUCT)
    assert over((len(sizes), sum(sizes.values())), (PACKAGE_FILES, PACKAGE_LINES)) == []


@pytest.mark.parametrize("folder", ["function", "bench", "deploy", "docs"])
def test_no_file_is_long(folder: str) -> None:
    """A reader holds one file in mind."""
    sizes = lines((ROOT / folder).rglob("*.py"))
    assert {name: size for name, size in sizes.items() if size > FILE_LINES} == {}


def test_functions_stay_short() -> None:
    """Half of them fit a glance and nine of ten a look, without their docstrings."""
    nodes = [node for path in PRODUCT for node in ast.walk(ast.parse(path.read_text("utf-8")))]
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = sorted(map(length, functions))
    found = (lengths[len(lengths) // 2], lengths[len(lengths) * 9 // 10])
    assert over(found, (MEDIAN_LENGTH, TALL_LENGTH)) == []


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of a function, its docstring left out."""
    first = function.body[0] if ast.get_docstring(function) else None
    counted = [(function, 1), *([(first, -1)] if first else [])]
    return sum(sign * ((node.end_lineno or 0) - node.lineno + 1) for node, sign in counted)


def test_the_tests_stay_lean() -> None:
    """All of them together."""
    assert over((sum(lines((ROOT / "tests").rglob("*.py")).values()),), (TEST_LINES,)) == []


def test_the_house_has_few_doors() -> None:
    """What a stranger sees first: modules beside the packages, packages, settings, commands."""
    packages = [path for path in PACKAGE.iterdir() if (path / "__init__.py").exists()]
    counts = (
        len(list(PACKAGE.glob("*.py"))),
        len(packages),
        len([name for name in VARIABLES if name.startswith("DOORMAN_")]),
        len(COMMANDS),
    )
    budget = (LOOSE_MODULES, PACKAGES, DOORMAN_SETTINGS, TOP_COMMANDS)
    assert over(counts, budget) == []


def test_the_documents_stay_readable() -> None:
    """A README of one sitting, and pages that somebody keeps true."""
    readme = (ROOT / "README.md").read_bytes()
    sizes = lines(PAGES)
    counts = (len(readme.splitlines()), len(readme), len(sizes), sum(sizes.values()))
    budget = (README_LINES, README_BYTES, DOC_PAGES, DOC_LINES)
    assert over(counts, budget) == []


def test_the_readme_shows_the_layers_as_they_are() -> None:
    """The picture has one box for each layer of the contract, with its modules, from the top down."""
    contract = next(each for each in PROJECT["tool"]["importlinter"]["contracts"] if each["type"] == "layers")
    (picture,) = re.findall(r"(?s)```mermaid\n(flowchart TB\n.*?)```", (ROOT / "README.md").read_text("utf-8"))
    boxes = dict(re.findall(r'(?m)^    (\w+)\["(.*?)<br/>', picture))
    assert list(boxes.values()) == contract["layers"]
    assert picture.splitlines()[-1].strip().split(" --> ") == list(boxes)


def test_every_import_is_declared() -> None:
    """What the package imports is a dependency or an extra of its own, and no dependency is unused."""
    nodes = [node for path in PACKAGE.rglob("*.py") for node in ast.walk(ast.parse(path.read_text("utf-8")))]
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    found |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    foreign = {name.partition(".")[0] for name in found} - sys.stdlib_module_names - {"doorman", *MAY_BE_MISSING}
    owners = packages_distributions()
    homes = {name: {canonicalize_name(owner) for owner in owners.get(name, ())} for name in foreign}
    project = PROJECT["project"]
    needed = {canonicalize_name(Requirement(text).name) for text in project["dependencies"]}
    extra = {
        canonicalize_name(Requirement(text).name) for all_ in project["optional-dependencies"].values() for text in all_
    }
    assert [name for name, home in homes.items() if not home & (needed | extra)] == []
    assert needed - set().union(*homes.values()) == TAKEN_UNASKED
