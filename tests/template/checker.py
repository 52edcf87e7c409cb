"""Reads the template strictly, first each document by its kind's model, then all of them against each other."""

import re
from collections.abc import Hashable
from typing import Any

import yaml
from pydantic import ValidationError

from tests.template import rules
from tests.template.shapes import KINDS
from tests.template.whole import Template


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, as the API server does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002  # PyYAML's own signature
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.MarkedYAMLError(problem=f"the key {key!r} stands twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def check(text: str) -> list[str]:
    """Give every fault as `Kind/name: path: what is wrong`; nothing where the template is right.

    Rules between documents are looked at only where every document is right by itself.
    """
    faults: list[str] = []
    models: list[Any] = []
    for number, document in enumerate(re.split(r"(?m)^---\n", text), start=1):
        try:
            models.append(read(yaml.load(document, _Loader), number))
        except yaml.MarkedYAMLError as error:
            faults.append(f"document {number}: {error.problem}")
        except Faulty as faulty:
            faults += faulty.faults
    return faults or [fault for rule in rules.RULES for fault in rule(Template(models))]


class Faulty(Exception):
    """What is wrong with a document."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(faults)
        self.faults = faults


def read(document: Any, number: int = 1) -> Any:
    """Read one document by its kind's model.

    Raises:
        Faulty: with all that is wrong with it.
    """
    if not isinstance(document, dict):
        raise Faulty([f"document {number}: no object"])
    kind, version = document.get("kind"), document.get("apiVersion")
    metadata = document.get("metadata")
    name = f"{kind}/{metadata.get('name') if isinstance(metadata, dict) else None}"
    known = KINDS.get((str(version), str(kind)))
    if known is None:
        raise Faulty([f"{name}: no such kind in {version}"])
    try:
        return known.validate_python(document)
    except ValidationError as error:
        raise Faulty([f"{name}: {_spell(fault)}" for fault in error.errors()]) from error


def _spell(fault: Any) -> str:
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in fault["loc"]).removeprefix(".")
    message = fault["msg"].removeprefix("Value error, ")
    return f"{path}: {message}" if path else message
