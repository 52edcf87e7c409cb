"""Foreign JSON and timestamps are read strictly, and nothing that a stranger sends makes the reader crash."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorman.errors import Rejected
from doorman.parsing import as_utf8, parse_json, parse_time, read_retry_after, visible, write_time


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'{"a": [1, 2.5, true, null, "\\u00e4"]}', {"a": [1, 2.5, True, None, "ä"]}),
        ('{"a": "ä"}', {"a": "ä"}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        pytest.param(b"1" * 4300, int("1" * 4300), id="longest number"),
        (b'"\\ud83d\\ude00"', "😀"),
    ],
)
def test_json_is_read(text: bytes | str, value: Any) -> None:
    """Bytes or text; of a key that comes twice the last counts, as nearly all readers have it."""
    assert parse_json(text, "body") == value


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"{",
        b"{}x",
        b"NaN",
        b"-Infinity",
        b"01",
        b"[1,]",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b'"\\ud800"',
        b'"a\nb"',
        pytest.param(b"[" * 5000, id="deep"),
        pytest.param(b"[" * 5000 + b"]" * 5000, id="deep and closed"),
        pytest.param(b'{"a":' * 5000, id="deep objects"),
        pytest.param(b"1" * 4301, id="long number"),
        pytest.param(b"1" * 100_000, id="very long number"),
        '"\ud800"',
    ],
)
def test_anything_else_is_refused(text: bytes | str) -> None:
    """No NaN, no lone surrogates, no byte order mark, no number or nesting that hurts; the text names the field."""
    with pytest.raises(Rejected, match=r"^payload: not JSON \(.{1,120}\)$"):
        parse_json(text, "payload")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T08:30:00Z", datetime(2026, 1, 31, 8, 30, tzinfo=UTC)),
        ("2026-01-31t08:30:00z", datetime(2026, 1, 31, 8, 30, tzinfo=UTC)),
        ("2026-01-31T08:30:00.5+02:00", datetime(2026, 1, 31, 6, 30, 0, 500_000, tzinfo=UTC)),
        ("2026-01-31T08:30:00.123456789Z", datetime(2026, 1, 31, 8, 30, 0, 123_456, tzinfo=UTC)),
        ("2026-01-31T08:30:00-00:00", datetime(2026, 1, 31, 8, 30, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2017-01-01t00:59:60.5+01:00", datetime(2017, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)),
        ("0001-01-01T00:00:00+23:59", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=23, minutes=59)))),
    ],
)
def test_time_is_read(text: str, moment: datetime) -> None:
    """RFC 3339 in either case, any fraction and offset, leap seconds; what is finer than a microsecond is cut off."""
    assert parse_time(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-31",
        "2026-01-31T08:30:00",
        "2026-01-31 08:30:00Z",
        "2026-01-31T08:30Z",
        "2026-01-31T08:30:00+0200",
        "2026-02-30T08:30:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T08:30:60Z",
        "2016-12-31T23:59:60+01:00",
        "2016-12-31T23:59:61Z",
        "9999-12-31T23:59:60Z",
        "0001-01-01T00:00:60+23:59",
        "2026-01-31T08:30:00+24:00",
        "2026-01-31T08:30:00+23:60",
        "2026-01-31T08:60:00Z",
        "0000-01-01T00:00:00Z",
        "2026-01-31T08:30:00Z\n",
        "\u0662026-01-31T08:30:00Z",
        "1769848200",
        "2026-W05-6T08:30:00Z",
    ],
)
def test_other_spellings_are_no_time(text: str) -> None:
    """A date alone, a missing offset, an impossible day, a line end, other digits: None, not a guess."""
    assert parse_time(text) is None


OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=OFFSETS))
def test_time_reads_as_it_was_written(moment: datetime) -> None:
    """Every time with an offset of whole minutes comes back as it was."""
    assert parse_time(moment.isoformat()) == moment


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


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_text_of_windows_is_utf8(encoding: str) -> None:
    """With a mark or in UTF-16, as PowerShell writes; what is broken stays as it is."""
    assert as_utf8('{"a": "ä😀"}'.encode(encoding)) == '{"a": "ä😀"}'.encode()
    assert as_utf8(b"\xfe\xff\x00a") == b"a"
    assert as_utf8(b"\xff\xfea") == b"\xff\xfea"


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (None, None),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 1, tzinfo=UTC), "2026-01-02T03:04:05.000001Z"),
    ],
)
def test_moments(moment: datetime | None, text: str | None) -> None:
    """RFC 3339 in UTC."""
    assert write_time(moment) == text


DATE = "Fri, 02 Jan 2026 03:04:05 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after": "86399"}, 86_399.0),
        ({"retry-after": "9" * 400}, 86_400.0),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "\u0661"}, None),
        ({"retry-after": "Fri, 02 Jan 2026 03:04:35 GMT", "date": DATE}, 30.0),
        ({"retry-after": "Fri, 02 Jan 2026 03:04:00 GMT", "date": DATE}, 0.0),
        ({"retry-after": "Fri, 02 Jan 2099 03:04:00 GMT", "date": DATE}, 86_400.0),
        ({"retry-after": "Fri, 02 Jan 2026 03:04:35 GMT"}, None),
        ({"retry-after": "Fri, 02 Jan 2026 03:04:35", "date": DATE}, None),
        ({"retry-after": "Fri, 02 Jan 99999999999999999999 03:04:35 GMT", "date": DATE}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, or a date that counts from the answer's own; anything else says nothing."""
    assert read_retry_after(headers) == seconds
