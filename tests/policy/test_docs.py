"""Keeps `docs/policy.md` true: every key, word and reason of the policy stands in it, and the sample as it is."""

import re
from pathlib import Path

import pytest

from doorman.models import Reason
from doorman.policy.policy import load_file
from doorman.policy.schema import (
    Bounds,
    ExceptionEntry,
    ImagesEntry,
    LimitsEntry,
    PolicyFile,
    ReconcileEntry,
    RuleEntry,
    VaultEntry,
)
from doorman.policy.tools.lint import lint
from tests.policy.tools.test_lint import TODAY

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/policy.md").read_text(encoding="utf-8")
TABLES = "\n".join(line for line in TEXT.splitlines() if line.startswith("|"))
MODELS = [PolicyFile, RuleEntry, ExceptionEntry, ImagesEntry, VaultEntry, Bounds, LimitsEntry, ReconcileEntry]


@pytest.mark.parametrize("model", MODELS)
def test_every_key_stands_in_the_tables(model: type) -> None:
    """The tables are the whole language."""
    keys = model.model_fields  # type: ignore[attr-defined]  # all of them are models
    assert [key for key in keys if not re.search(rf"`{key}\b", TABLES)] == []


def test_the_sample_is_shown_as_it_is() -> None:
    """About forty lines, without a fault or a warning."""
    sample = (ROOT / "examples/policy.yaml").read_text(encoding="utf-8")
    assert f"```yaml\n{sample}```" in TEXT
    assert len(sample.splitlines()) == 40
    assert lint(*load_file(sample), today=TODAY) == []


def test_every_reason_is_described() -> None:
    """Whoever reads an outcome finds its reason on the page of the policy."""
    assert [reason.value for reason in Reason if f"`{reason.value}`" not in TEXT] == []
