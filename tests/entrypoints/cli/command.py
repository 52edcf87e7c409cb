"""Runs the command in this process, as the tests of its questions do."""

from dataclasses import dataclass

import pytest
from _pytest.capture import CaptureResult

from doorman.entrypoints.cli.main import main


@dataclass(frozen=True, slots=True)
class Command:
    """The command, and what it writes."""

    capsys: pytest.CaptureFixture[str]

    def __call__(self, *words: str, code: int = 0) -> CaptureResult[str]:
        """Run it, which ends with this code; gives all that was written since the last time."""
        assert main([*words]) == code
        return self.capsys.readouterr()

    def ask(self, words: str) -> tuple[int, list[str]]:
        """Run it; gives its code and lines. Nothing may go to stderr."""
        code = main(words.split())
        out, err = self.capsys.readouterr()
        assert err == ""
        return code, out.splitlines()
