"""Hands over to the sandbox: the process becomes it, with the same interpreter and all further words."""

import os
import sys

import pytest

from doorman.entrypoints.cli.main import main


class Became(Exception):
    """The process is another one now."""


def test_the_process_becomes_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows the command's name is passed on, a question for help too."""

    def become(path: str, words: list[str]) -> None:
        raise Became(path, words)

    monkeypatch.setattr(os, "execv", become)
    with pytest.raises(Became) as ended:
        main(["sandbox", "--demo", "--help"])
    assert ended.value.args == (sys.executable, [sys.executable, "-P", "-m", "doorman.sandbox", "--demo", "--help"])
