"""Keeps the JSON Schema for editors of one mind with the loader."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings

from doorman.policy.document.yaml_reader import SyntaxFault, read
from doorman.policy.policy import load
from doorman.policy.tools.json_schema import schema
from tests.builders import POLICY
from tests.policy.test_decision import RULE_LISTS, build_text
from tests.policy.test_policy import broken


def plain(text: str) -> object:
    """Read YAML 1.2 as editors do; what is no YAML is no policy either."""
    try:
        root, _ = read(text)
    except SyntaxFault:
        return "no YAML"
    return root.value


ROOT = Path(__file__).parents[3]
VALIDATOR = jsonschema.Draft202012Validator(schema())
# references and doubles, which no JSON Schema can see
BEYOND = {
    "a duplicate key",
    "a merge key",
    "a tag",
    "two documents",
    "two rules of one name",
    "an exception with the name of a rule",
    "an unknown group",
    "a group where there are none",
    "an unknown group of projects",
    "a group named as if it were a project",
    "bounds that exclude each other",
    "a day that does not exist",
}


def test_the_schema_is_a_schema() -> None:
    """By the meta-schema of its own dialect."""
    jsonschema.Draft202012Validator.check_schema(schema())


def test_the_sample_policy_names_the_schema_in_its_first_line() -> None:
    """So that editors complete and check it; the path leads to the committed copy."""
    sample = ROOT / "examples/policy.yaml"
    first = sample.read_text(encoding="utf-8").split("\n")[0]
    assert first == "# yaml-language-server: $schema=../docs/policy.schema.json"
    assert (sample.parent / first.partition("=")[2]).resolve() == ROOT / "docs/policy.schema.json"


@pytest.mark.parametrize("text", [POLICY, (ROOT / "examples/policy.yaml").read_text(encoding="utf-8")])
def test_sound_policies_are_sound_to_editors(text: str) -> None:
    """What the loader takes, the schema takes."""
    load(text)
    VALIDATOR.validate(plain(text))


@settings(max_examples=100)
@given(RULE_LISTS)
def test_generated_policies_are_sound_to_editors(rules: list[dict[str, Any]]) -> None:
    """Whatever the rules."""
    text = build_text(rules)
    load(text)
    VALIDATOR.validate(json.loads(text))


@pytest.mark.parametrize(("title", "text"), [pytest.param(title, text, id=title) for title, text, _ in broken()])
def test_editors_see_what_is_broken(title: str, text: str) -> None:
    """The schema refuses the broken policies of the catalogue, but for what no schema can see."""
    assert VALIDATOR.is_valid(plain(text)) is (title in BEYOND)
