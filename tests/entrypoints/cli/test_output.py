"""Writes for people: nothing foreign reaches the terminal unescaped, styles only there, tables without cuts."""

import sys

import pytest

from doorman.entrypoints.cli.output import bare, say, table


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://host:8443/a?b", "https://host:8443/a?b"),
        ("https://user:word@host/a", "https://***@host/a"),
        ("https://us@er:wo/rd?#@host/a", "https://***@host/a"),
        ("user:word@host", "***@host"),
        ("https:user:word@host", "***@host"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    """However wrong it is written."""
    assert bare(url) == shown


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
    found = table([["image", "owner"], ["a\x07", "a-very-long-owner"], ["golden", ""]])
    assert found == ["image   owner", "a\\x07   a-very-long-owner", "golden"]
