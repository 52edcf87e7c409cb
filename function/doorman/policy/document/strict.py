"""Reads a file that a person wrote into a strict model, or says everything that is wrong with it at once.

Shared by the policy, its tests and lists of shares. What the models cannot see, each kind of file checks for itself.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from doorman.policy.document.advice import Vocabulary
from doorman.policy.document.faults import BrokenFile, Fault
from doorman.policy.document.marks import Node, Path, read
from doorman.policy.document.yaml_syntax import SyntaxFault

M = TypeVar("M")
Sense = Callable[[Node], Iterable[Fault]]


class Strict(BaseModel):
    """An entry of a file; None stands for an absent key, which a person cannot write: an empty key is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


def load(
    text: str,
    validate: Callable[[Any], M],
    words: Vocabulary,
    *,
    file: str,
    sense: Sense = lambda _: (),
    error: type[BrokenFile] = BrokenFile,
) -> tuple[M, Node]:
    """Load a file.

    Args:
        text: its content.
        validate: reads what it must hold into a model.
        words: to tell people what is wrong.
        file: its name, for the error's lines.
        sense: yields what the model cannot see, from whatever could be read.
        error: raised where something is wrong.

    Returns:
        Its content, and where everything stands.
    """
    try:
        root, faults = read(text)
    except SyntaxFault as fault:
        raise error(file, [fault.fault]) from fault
    unread = {(fault.line, fault.column) for fault in faults}
    faults += [*_blanks(root, words), *sense(root)]
    try:
        content = validate(root.value)
    except ValidationError as wrong:
        form = (each for each in _form(root, words, wrong) if (each.line, each.column) not in unread)
        raise error(file, [*faults, *form]) from wrong
    if faults:
        raise error(file, faults)
    return content, root


def _form(root: Node, words: Vocabulary, error: ValidationError) -> Iterator[Fault]:
    """Turn the model's errors into sentences at their places."""
    for each in error.errors(include_url=False):
        path = _written(root, tuple(each["loc"]))
        value = each["input"]
        match each["type"]:
            case _ if value is None:
                continue  # an empty key, told already
            case "extra_forbidden":
                yield root.fault(path, words.about_unknown_key(path), at_key=True)
            case "missing":
                yield root.fault(path[:-1], words.about_missing_key(path))
            case "string_pattern_mismatch" if path[-1] == "[key]":
                yield root.fault(path[:-1], f"`{path[-2]}` is no name: use 1 to 64 of `A-Z a-z 0-9 _ -`", at_key=True)
            case "string_type" if isinstance(value, bool | int | float):
                yield root.fault(path, words.about_unquoted(path, value))
            case _:
                yield root.fault(path, words.about_value(path, value, choices=_choices(each)))


def _written(root: Node, path: Path) -> Path:
    """Leave out the index that the model gave to a single value, where a list of them may stand."""
    is_single = bool(path) and isinstance(path[-1], int) and not isinstance(root.find(path[:-1]).value, list)
    return path[:-1] if is_single else path


def _choices(error: Mapping[str, Any]) -> list[str]:
    """Read the words that a value may be from the model's error: `'accept', 'reject' or 'hold'`."""
    expected = error.get("ctx", {}).get("expected", "")
    return [each.strip("'") for each in expected.replace(" or ", ", ").split(", ")]


def _blanks(node: Node, words: Vocabulary, path: Path = ()) -> Iterator[Fault]:
    """Yield the keys without a value: they could mean nothing or everything, so they must say."""
    if not path and node.value is None:
        yield node.fault((), words.about_value((), None))
    for step, child in node.children.items():
        if child.value is None:
            yield node.fault((step,), words.about_value((*path, step), None), at_key=True)
        yield from _blanks(child, words, (*path, step))
