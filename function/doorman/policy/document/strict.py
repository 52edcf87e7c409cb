"""Reads a file that a person wrote into a strict model, or says everything that is wrong with it at once.

Shared by the policy, its tests and lists of shares. The words for a key stand at the key: the description of its field.
"""

from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, ClassVar, Final, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from doorman.policy.document.faults import BrokenFile, Fault
from doorman.policy.document.yaml_reader import Node, Path, SyntaxFault, read

M = TypeVar("M")
Sense = Callable[[Node], Iterable[Fault]]
Advise = Callable[[Path, Node | None], str | None]

_QUOTED: Final = 80


class Strict(BaseModel):
    """An entry of a file; None stands for an absent key, which a person cannot write: an empty key is refused.

    Attributes:
        called: what people call such an entry: `a rule`; by default it is called by its key.
        form: what must stand in its place.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)
    called: ClassVar[str] = ""
    form: ClassVar[str] = ""


def load(
    text: str,
    model: type[M],
    *,
    file: str,
    sense: Sense = lambda _: (),
    advise: Advise = lambda _, __: None,
) -> tuple[M, Node]:
    """Load a file.

    Args:
        text: its content.
        model: what it must hold: a `Strict`, or a list of them.
        file: its name, for the error's lines.
        sense: yields what the model cannot see, from whatever could be read.
        advise: says better what is wrong with a value, or, given None, with the key itself; None where it cannot.

    Returns:
        Its content, and where everything stands.

    Raises:
        BrokenFile: something is wrong; with every fault at once.
    """
    try:
        root, faults = read(text)
    except SyntaxFault as fault:
        raise BrokenFile(file, [fault.fault]) from fault
    unread = {(fault.line, fault.column) for fault in faults}
    faults += [*_blanks(root, model), *sense(root)]
    if isinstance(model, type) and issubclass(model, Strict):
        model.model_rebuild()  # an adapter would build one for itself, and whoever writes the model a second one
    try:
        content = TypeAdapter(model).validate_python(root.value)
    except ValidationError as wrong:
        form = (each for each in _form(root, model, wrong, advise) if (each.line, each.column) not in unread)
        raise BrokenFile(file, [*faults, *form]) from wrong
    if faults:
        raise BrokenFile(file, faults)
    return content, root


def about_value(model: object, path: Path, node: Node) -> str:
    """Say what the value at `path` must be instead, and which of the words that it may be is meant."""
    # a wrong file may hold a secret: what it is as a whole is said without its words
    what = _seen(node) if path else _kind(node.value)
    kind, words = _find(model, path)
    text = f"{_subject(path)} must be {words}, not {what}"
    single, _ = unwrap(get_args(kind)[0]) if get_origin(kind) is list else (kind, "")
    choices = get_args(single) if get_origin(single) is Literal else ()
    guess = closest(node.value, choices) if isinstance(node.value, str) else None
    return f"{text}; did you mean `{guess}`?" if guess else text


def closest(word: str, words: Iterable[str]) -> str | None:
    """Return the one of `words` that `word` was probably meant to be."""
    lowered = {each.lower(): each for each in words}
    found = get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else None


def _form(root: Node, model: object, error: ValidationError, advise: Advise) -> Iterator[Fault]:
    """Turn the model's errors into sentences at their places."""
    for each in error.errors(include_url=False):
        path = _written(root, tuple(each["loc"]))
        value = each["input"]
        match each["type"]:
            case _ if value is None:
                continue  # an empty key, told already
            case "extra_forbidden":
                yield root.fault(path, advise(path, None) or _about_unknown_key(model, path), at_key=True)
            case "missing":
                above, words = _call(model, path[:-1]), _find(model, path)[1]
                yield root.fault(path[:-1], f"{above} needs `{path[-1]}`: add `{path[-1]}:` with {words}")
            case "string_pattern_mismatch" if path[-1] == "[key]":
                yield root.fault(path[:-1], f"`{path[-2]}` is no name: use 1 to 64 of `A-Z a-z 0-9 _ -`", at_key=True)
            case _ if (better := advise(path, root.find(path))) is not None:
                yield root.fault(path, better)
            case "string_type" if isinstance(value, bool | int | float):
                node = root.find(path)
                text = f'must be a text, not {_seen(node)}: put it in quotes, "{node.text}"'
                yield root.fault(path, f"{_subject(path)} {text}")
            case _:
                yield root.fault(path, about_value(model, path, root.find(path)))


def _about_unknown_key(model: object, path: Path) -> str:
    keys = list(getattr(_find(model, path[:-1])[0], "model_fields", ()))
    guess = closest(str(path[-1]), keys)
    right = f"did you mean `{guess}`?" if guess else f"the keys are {', '.join(f'`{each}`' for each in keys)}"
    return f"`{path[-1]}` is not a key of {_call(model, path[:-1])}: {right}"


def _blanks(node: Node, model: object, path: Path = ()) -> Iterator[Fault]:
    """Yield the keys without a value: they could mean nothing or everything, so they must say."""
    if not path and node.value is None:
        yield node.fault((), about_value(model, (), node))
    for step, child in node.children.items():
        if child.value is None:
            yield node.fault((step,), about_value(model, (*path, step), child), at_key=True)
        yield from _blanks(child, model, (*path, step))


def _written(root: Node, path: Path) -> Path:
    """Leave out the index that the model gave to a single value, where a list of them may stand."""
    is_single = bool(path) and isinstance(path[-1], int) and not isinstance(root.find(path[:-1]).value, list)
    return path[:-1] if is_single else path


def _find(model: object, path: Path) -> tuple[object, str]:
    """Return the type of what stands at `path`, and what must stand there; a list may describe its entries."""
    kind, words = unwrap(model)
    for step in path:
        field = getattr(kind, "model_fields", {}).get(step)
        inner = get_args(kind)[-1] if get_origin(kind) in {list, dict} else field and field.annotation
        kind, own = unwrap(inner)
        words = (field and field.description) or own or words
    return kind, words


def unwrap(annotation: object) -> tuple[object, str]:
    """Return the bare type of an annotation, and the description that it carries."""
    words = ""
    while (origin := get_origin(annotation)) in {Annotated, Union, UnionType}:
        inner, *metadata = get_args(annotation)
        if origin is Annotated:
            told = [each.description for each in metadata if isinstance(each, FieldInfo) and each.description]
            words = words or next(reversed(told), "")
        annotation = inner
    return annotation, words or getattr(annotation, "form", "")


def _subject(path: Path) -> str:
    if not path:
        return "the file"
    name = next((f"`{each}`" for each in reversed(path) if isinstance(each, str)), "the list")
    return f"an entry of {name}" if isinstance(path[-1], int) else name


def _call(model: object, path: Path) -> str:
    return getattr(_find(model, path)[0], "called", "") or f"`{path[-1]}`"


def _seen(node: Node) -> str:
    """Describe a wrong value as a person would: `the text "x"`, `the number 5`, `a list`."""
    match node.value:
        case bool():
            return f"`{node.text}`"
        case int() | float():
            return f"the number {node.text}"
        case str() as text:
            return f'the text "{text if len(text) <= _QUOTED else text[:_QUOTED] + "..."}"'
        case list() | dict() as several if not several:
            return _kind(several).replace("a ", "an empty ")
        case value:
            return _kind(value)


def _kind(value: object) -> str:
    kinds = {str: "a text", list: "a list", dict: "a mapping", bool: "a yes or no", type(None): "nothing"}
    return kinds.get(type(value), "a number")
