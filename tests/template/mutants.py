"""Spoils the filled-in template in one place, as `mutants.yaml` says."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from deploy.fill_in import fill

HERE = Path(__file__).parent
TEMPLATE = HERE.parent.parent / "template.yaml"
IMAGE = f"registry.example.com/doorman@sha256:{'1' * 64}"
POLICY = "version: 1\ndefault: hold\nrules: []\n"


@cache
def filled_in() -> str:
    """Give the template with made-up values and without its comments, which mutants must not depend on."""
    text = fill(TEMPLATE.read_text("utf-8"), namespace="doorman", image=IMAGE, kafka="kafka.kafka:9092", policy=POLICY)
    return re.sub(r"(?m) +#.*$", "", re.sub(r"(?m)^ *#.*\n", "", text))


def mutants() -> list[dict[str, Any]]:
    """Read the defects."""
    loaded: list[dict[str, Any]] = yaml.safe_load((HERE / "mutants.yaml").read_text("utf-8"))
    return loaded


def mutate(text: str, mutant: dict[str, Any]) -> str:
    """Put one defect into the document that it names.

    Raises:
        LookupError: the document or the text to replace is not there.
    """
    kind, name = mutant["in"].split("/")
    documents = re.split(r"(?m)^---\n", text)
    for place, document in enumerate(documents):
        if f"kind: {kind}\nmetadata:\n  name: {name}" in document:
            if mutant["old"] not in document:
                raise LookupError(f"{mutant['defect']}: no {mutant['old']!r} in {mutant['in']}")
            documents[place] = document.replace(mutant["old"], mutant["new"], 1)
            return "---\n".join(documents)
    raise LookupError(f"{mutant['defect']}: no {mutant['in']}")
