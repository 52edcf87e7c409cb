"""Hands over to the sandbox: the process becomes it, with the same interpreter and the same arguments."""

import os
import sys

import pytest

from doorman.entrypoints.cli.main import main

BEFORE = [sys.executable, "-P", "-m", "doorman.sandbox"]
USUAL = ["--port=0", "--profile=kafka", "--log-level=warning"]


class Became(Exception):
    """The process is another one now."""


@pytest.mark.parametrize(
    ("given", "passed_on"),
    [
        ("", USUAL),
        ("--demo --policy p.yaml", ["--demo", "--policy=p.yaml", *USUAL]),
        ("--port 8400 --profile mt --log-level debug", ["--port=8400", "--profile=mt", "--log-level=debug"]),
    ],
)
def test_the_process_becomes_the_sandbox(given: str, passed_on: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its arguments are passed on, and `-P` keeps the working folder out of the search for modules."""

    def become(path: str, words: list[str]) -> None:
        raise Became(path, words)

    monkeypatch.setattr(os, "execv", become)
    with pytest.raises(Became) as ended:
        main(["sandbox", *given.split()])
    assert ended.value.args == (sys.executable, [*BEFORE, *passed_on])


def test_an_installation_without_the_sandbox_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The functions' image leaves it out."""
    monkeypatch.setitem(sys.modules, "doorman.sandbox", None)
    assert (main(["sandbox"]), capsys.readouterr()) == (
        2,
        ("", "doorman: sandbox: not part of the functions' image; install Doorman from its wheel or checkout\n"),
    )
