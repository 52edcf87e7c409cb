"""One JSON object a line, whatever is in it; an exception is told by what and where, never by its text."""

import io
import json
import logging
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog

from doorman.runtime.logs import Format, Level, logger, set_up


class Terminal(io.StringIO):
    """A stream that people look at."""

    def isatty(self) -> bool:
        """Say that it is."""
        return True


def start(level: Level = "info", form: Format = "json") -> io.StringIO:
    """Set logging up, and give the stream that it writes to."""
    stream = io.StringIO()
    set_up(level=level, form=form, stream=stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """Read what was logged."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_one_object_a_line() -> None:
    """With level and time, in UTC, beside the fields."""
    stream = start()
    logger().info("event.handled", event_id="1", accepted=2, error=None)
    (line,) = lines(stream)
    time = datetime.fromisoformat(line.pop("timestamp"))
    assert time.utcoffset() == timedelta()
    assert line == {"event": "event.handled", "level": "info", "event_id": "1", "accepted": 2, "error": None}


@pytest.mark.parametrize("text", ["a\nb", "\r", "\u2028", "\x85", "\x00", "ä😀", "\udcff", '"', "\x1b[31m"])
def test_no_text_breaks_the_line(text: str) -> None:
    """Line separators, control characters, quotes and lone surrogates come back as they were, from plain ASCII."""
    stream = start()
    logger().info("told", name=text)
    assert stream.getvalue().isascii()
    assert stream.getvalue()[:-1].isprintable()
    assert lines(stream)[0]["name"] == text


@pytest.mark.parametrize(
    ("level", "told"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_level(level: Level, told: list[str]) -> None:
    """What is less is not told."""
    stream = start(level)
    for each in ("debug", "info", "warning", "error"):
        logger().log(logging.getLevelNamesMapping()[each.upper()], each)
    assert [line["event"] for line in lines(stream)] == told


def fail() -> None:
    """Fail with a text that quotes a secret."""
    raise ValueError("Illegal header value b's3cret'")


@pytest.mark.parametrize("form", ["json", "console"])
def test_exception(form: Format) -> None:
    """Its type and where it happened; its text may quote a header."""
    stream = start(form=form)
    try:
        fail()
    except ValueError:
        logger().exception("event.crashed", event_ids=["1"])
    text = stream.getvalue()
    assert "s3cret" not in text
    assert "ValueError" in text
    assert "fail" in text
    if form == "json":
        (line,) = lines(stream)
        assert line["exception"] == "ValueError"
        assert [place.partition(":")[0] for place in line["trace"]] == ["test_logs.py", "test_logs.py"]
        assert [place.partition(" ")[2] for place in line["trace"]] == ["test_exception", "fail"]


def test_exception_as_a_value() -> None:
    """As when it is told after the fact; without one there is nothing to tell."""
    stream = start()
    logger().error("event.crashed", exc_info=KeyError("s3cret"))
    logger().error("event.crashed", exc_info=True)
    logger().error("event.crashed", exc_info=False)
    told = [{name: line[name] for name in line if name in {"exception", "trace", "exc_info"}} for line in lines(stream)]
    assert told == [{"exception": "KeyError", "trace": []}, {}, {}]


def test_console() -> None:
    """Lines for people, in colour on a terminal only."""
    plain, terminal = io.StringIO(), Terminal()
    for stream in (plain, terminal):
        structlog.reset_defaults()
        set_up(level="info", form="console", stream=stream)
        structlog.get_logger().info("event.handled", event_id="1", text="a\x1b[2Jb\n")
    assert "text=a\\x1b[2Jb\\n" in plain.getvalue()
    assert "\x1b[2J" not in terminal.getvalue()
    assert "event.handled" in plain.getvalue()
    assert "event_id=1" in plain.getvalue()
    assert ["\x1b[" in stream.getvalue() for stream in (plain, terminal)] == [False, True]


def test_stdout_unless_told_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    """Where containers look for it."""
    set_up(level="info", form="json")
    logger().info("started")
    out, err = capsys.readouterr()
    assert (json.loads(out)["event"], err) == ("started", "")
