"""Writes for people: nothing foreign reaches the terminal unescaped, styles only there, tables without cuts."""

import sys

import pytest

from doorman.entrypoints.cli.output import say, table, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain äöü 漢字 🙂", "plain äöü 漢字 🙂"),
        ("two\nlines", "two\\nlines"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\rb\tc\x07", "a\\rb\\tc\\x07"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("zero\u200bwidth\u2028", "zero\\u200bwidth\\u2028"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_would_fool_a_reader_is_escaped(text: str, shown: str) -> None:
    """Control characters, direction marks and invisible ones; letters of any script stay."""
    assert visible(text) == shown


def test_a_style_is_for_terminals(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Piped, the line is plain."""
    say("held", style="yellow")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    say("held", style="yellow")
    say("plain")
    say()
    assert capsys.readouterr().out == "held\n\x1b[33mheld\x1b[0m\nplain\n\n"


def test_a_name_makes_no_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """What looks like a row of a table is one: a sharer cannot write another."""
    assert table([["name"], ["evil\nrow"]]) == ["name", "evil\\nrow"]
    say("name evil\nrow")
    assert capsys.readouterr().out == "name evil\\nrow\n"


def test_a_table_cuts_nothing() -> None:
    """Columns are as wide as their widest cell, without blanks at the end; names are escaped first."""
    assert table([["image", "owner"], ["a\x07", "a-very-long-owner"], ["golden", ""]]) == [
        "image   owner",
        "a\\x07   a-very-long-owner",
        "golden",
    ]
