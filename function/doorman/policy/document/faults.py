"""What is wrong with a file that a person wrote, and where: for messages that name line and column."""

from collections.abc import Sequence
from dataclasses import dataclass

from doorman.errors import Misconfigured


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is wrong in a file, at `line` and `column` (both from 1), with what would be right."""

    line: int
    column: int
    message: str


class BrokenFile(Misconfigured):
    """A file cannot be used; the text has one line `FILE:LINE:COLUMN: message` for every fault.

    Attributes:
        file: its name as the person gave it.
        faults: all of them, in the order of the file.
    """

    def __init__(self, file: str, faults: Sequence[Fault]) -> None:
        self.file = file
        self.faults = tuple(sorted(set(faults)))
        super().__init__("\n".join(f"{file}:{each.line}:{each.column}: {each.message}" for each in self.faults))
