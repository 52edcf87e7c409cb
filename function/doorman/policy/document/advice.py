"""Words for people about files that they write: a sentence for each way to get a key or a value wrong.

Knows no file of its own: what is right stands in the `Vocabulary` of each kind of file.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final, TypeVar

from doorman.policy.document.marks import Path

V = TypeVar("V")

_QUOTED: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What is right in one kind of file.

    Places are written as `rules.[].owners`: `[]` is any entry of a list, `*` a name that the person chooses. The
    end of a place is enough where it says it all: `owners`.

    Attributes:
        whole: what the file is: `the policy`.
        expected: place to what must stand there.
        places: place of a mapping to what it is called: `a rule`.
        keys: place of a mapping to the keys that it takes; the whole file's is the empty text, here and in `expected`.
        named: places of mappings whose keys are free names.
    """

    whole: str
    expected: Mapping[str, str]
    keys: Mapping[str, Sequence[str]]
    places: Mapping[str, str] = field(default_factory=dict)
    named: frozenset[str] = frozenset()

    def about_unknown_key(self, path: Path) -> str:
        """Say that the last step of `path` is no key of its place, and which one was meant."""
        keys = _lookup(self.keys, self._pattern(path[:-1]))
        guess = closest(str(path[-1]), keys)
        right = f"did you mean `{guess}`?" if guess else f"the keys are {', '.join(f'`{each}`' for each in keys)}"
        return f"`{path[-1]}` is not a key of {self._place(path[:-1])}: {right}"

    def about_missing_key(self, path: Path) -> str:
        """Say that the last step of `path` is missing from its place."""
        return f"{self._place(path[:-1])} needs `{path[-1]}`: add `{path[-1]}:` with {self._expected(path)}"

    def about_value(self, path: Path, value: object, *, choices: Sequence[str] = ()) -> str:
        """Say what the value at `path` must be instead; `choices` are the words that it may be."""
        # a wrong file may hold a secret: what it is as a whole is said without its words
        what = seen(value) if path else _kind(value)
        text = f"{self._subject(path)} must be {self._expected(path)}, not {what}"
        guess = closest(value, choices) if isinstance(value, str) else None
        return f"{text}; did you mean `{guess}`?" if guess else text

    def about_unquoted(self, path: Path, value: object) -> str:
        """Say that a text must stand in quotes, since without them it reads as something else."""
        return f'{self._subject(path)} must be a text, not {seen(value)}: put it in quotes, "{_plain(value)}"'

    def _subject(self, path: Path) -> str:
        if not path:
            return "the file"
        name = next((f"`{each}`" for each in reversed(path) if isinstance(each, str)), "the list")
        return f"an entry of {name}" if isinstance(path[-1], int) else name

    def _expected(self, path: Path) -> str:
        return _lookup(self.expected, self._pattern(path))

    def _place(self, path: Path) -> str:
        if not path:
            return self.whole
        return self.places.get(".".join(self._pattern(path)), f"`{path[-1]}`")

    def _pattern(self, path: Path) -> list[str]:
        steps: list[str] = []
        for step in path:
            steps.append("[]" if isinstance(step, int) else "*" if ".".join(steps) in self.named else step)
        return steps


def seen(value: object) -> str:
    """Describe a wrong value as a person would: `the text "x"`, `the number 5`, `a list`."""
    match value:
        case bool():
            return f"`{_plain(value)}`"
        case int() | float():
            return f"the number {value}"
        case str():
            return f'the text "{value if len(value) <= _QUOTED else value[:_QUOTED] + "..."}"'
        case list() | dict() if not value:
            return _kind(value).replace("a ", "an empty ")
        case _:
            return _kind(value)


def _kind(value: object) -> str:
    kinds = {str: "a text", list: "a list", dict: "a mapping", bool: "a yes or no", type(None): "nothing"}
    return kinds.get(type(value), "a number")


def closest(word: str, words: Iterable[str]) -> str | None:
    """Return the one of `words` that `word` was probably meant to be."""
    lowered = {each.lower(): each for each in words}
    found = get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else None


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _lookup(table: Mapping[str, V], steps: Sequence[str]) -> V:
    """Find the longest end of the place that the table knows; an entry may be described by its list."""
    ends = (".".join(steps[start:]) for start in range(max(len(steps), 1)))
    found = next((end for end in ends if end in table), None)
    return _lookup(table, steps[:-1]) if found is None else table[found]
