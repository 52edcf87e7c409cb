"""The pipelines and bots of whoever hosts a copy: sound by their own schemas, and true to what the Makefile offers."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.test_house import PROJECT

ROOT = Path(__file__).parents[1]
GITHUB = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))["jobs"]["make"]
GITLAB = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text("utf-8"))["make"]
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"][0]["hooks"]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ("github-workflows", ".github/workflows/ci.yml examples/github/doorman.yml examples/github/policy.yml"),
        ("gitlab-ci", "--data-transform gitlab-ci .gitlab-ci.yml examples/gitlab/gitlab-ci.yml"),
        ("renovate", ".github/renovate.json"),
    ],
)
def test_they_fit_their_schemas(schema: str, words: str) -> None:
    """As the services themselves publish them; so do the samples."""
    command = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *words.split())
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def as_list(value: str | list[str]) -> list[str]:
    """Give a list, also of one."""
    return value if isinstance(value, list) else [value]


def test_they_run_what_there_is_on_every_python() -> None:
    """Each target exists; all tests run on each version that the classifiers name."""
    github = {(each["python"], each["make"]) for each in GITHUB["strategy"]["matrix"]["include"]}
    gitlab = {
        (python, make)
        for each in GITLAB["parallel"]["matrix"]
        for python in as_list(each["PYTHON"])
        for make in as_list(each["MAKE"])
    }
    hooks = {hook["entry"].removeprefix("make ") for hook in HOOKS}
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8")))
    assert {make for _, make in github | gitlab} | hooks <= targets
    versions = {each.split(" :: ")[-1] for each in PROJECT["project"]["classifiers"] if re.search(r":: 3\.\d+$", each)}
    assert [{python for python, make in runs if make == "test"} for runs in (github, gitlab)] == [versions] * 2


def test_actions_are_pinned() -> None:
    """By a whole commit, with the version beside it for people and for Renovate."""
    used = re.findall(r"uses: (.*)", (ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    assert [each for each in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)] == []
    assert len(used) == 4
