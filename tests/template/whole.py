"""The template as a whole: its documents by kind and name, and what they point to."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from tests.template.shapes import Ref


class Template:
    """All documents, each already right by itself."""

    def __init__(self, documents: list[Any]) -> None:
        self.documents = documents

    def all(self, kind: str) -> list[Any]:
        """Give the documents of one kind."""
        return [each for each in self.documents if each.kind == kind]

    def named(self, kind: str, name: str) -> Any:
        """Give the document of this kind and name, None where there is none."""
        return next((each for each in self.all(kind) if each.metadata.name == name), None)

    def has(self, ref: Any) -> bool:
        """Say whether the file holds what `ref` points to."""
        found = {(each.api_version, label(each)) for each in self.documents}
        return (ref.api_version, f"{ref.kind}/{ref.name}") in found


def label(document: Any) -> str:
    """Name a document as faults do: `Kind/name`."""
    return f"{document.kind}/{document.metadata.name}"


def refs(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Give every reference below `value` with its path."""
    if isinstance(value, Ref):
        yield path.removeprefix("."), value
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield from refs(getattr(value, name), f"{path}.{field.alias}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from refs(item, f"{path}[{number}]")


def environment(service: Any) -> dict[str, str]:
    """Give the variables that stand in a Service by value."""
    env = service.spec.template.spec.containers[0].env
    return {each.name: each.value for each in env if each.value is not None}


def target(service: Any) -> str:
    """Give the function that a Service starts."""
    arguments = service.spec.template.spec.containers[0].args
    place = arguments.index("--target") + 1 if "--target" in arguments else len(arguments)
    return arguments[place] if place < len(arguments) else ""
