"""What `doctor` makes of how an image service answers where its documentation is silent."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from doorman.cloud.api.base import Answer, Page, Request
from doorman.errors import Refused
from doorman.models import MemberRow
from doorman.planning import limits
from doorman.planning.diagnosis import Chart, Mark
from doorman.planning.limits import Listed
from tests.builders import image_id

ASKED = Request(method="GET", path="/v2/cloudimages")
NONE, ONE, TWO = Page(rows={}, next=None), (1,), (1, 2)
NOW = datetime(2026, 1, 31, tzinfo=UTC)
REFUSAL = Refused("the cloud refuses the request (400)", code="400", status=400)


def page(*numbers: int, **fields: Any) -> Page:
    """Make a page of images of another project."""
    return Page(
        rows={image_id(each): {"id": image_id(each), "owner": "other", **fields} for each in numbers}, next=None
    )


def listed(*numbers: int, has_next: bool = False, **fields: Any) -> Listed:
    """Make a list."""
    return Listed(ASKED, page(*numbers, **fields), has_next, "me")


def judged(judge: Callable[..., None], *given: Any, **named: Any) -> tuple[Mark, str]:
    """Give mark and text of the only finding."""
    chart = Chart()
    judge(chart, *given, **named)
    (found,) = chart.findings
    assert bool(found.fix) >= (found.mark is Mark.MEND)
    return found.mark, found.text


def test_member_status() -> None:
    """An image has one status; our own ones appear under any."""
    own = listed(9, owner="me")
    ignored = {"pending": listed(1, 2), "accepted": listed(1, 2), "rejected": listed(1, 2)}
    assert judged(limits.judge_member_status, ignored) == (
        Mark.MEND,
        "the filter is ignored: 2 images under several statuses",
    )
    assert judged(limits.judge_member_status, {"pending": listed(1), "accepted": listed(2)}) == (
        Mark.OK,
        "filters: 1 pending, 1 accepted",
    )
    assert judged(limits.judge_member_status, {"pending": own, "accepted": own}) == (Mark.UNKNOWN, limits.NO_SHARES)


def test_limit() -> None:
    """One image on a page of one, where there are two."""
    assert judged(limits.judge_limit, listed(*TWO), page(*TWO))[0] is Mark.MEND
    assert judged(limits.judge_limit, listed(*TWO), page(1)) == (Mark.OK, "honoured: one image on a page of one")
    assert judged(limits.judge_limit, listed(1), page(1))[0] is Mark.UNKNOWN


def test_next() -> None:
    """The page after the first shows others."""
    assert judged(limits.judge_next, listed(1, has_next=True), page(2)) == (
        Mark.OK,
        "pages follow one another by `next`",
    )
    assert judged(limits.judge_next, listed(1), page(1)) == (
        Mark.MEND,
        "a page by the last ID repeats the one before: longer lists cannot be read",
    )
    for first, second in ((listed(1), None), (listed(1), NONE), (listed(*TWO), page(3))):
        assert judged(limits.judge_next, first, second)[0] is Mark.UNKNOWN


def test_hidden() -> None:
    """Known, ignored, refused; hidden images that no list of ours shows are worth a note."""
    judge = limits.judge_hidden
    assert judged(judge, listed(1), page(2), asks=True) == (Mark.OK, "filters: 1 hidden image listed apart")
    assert judged(judge, listed(1), NONE, asks=False) == (Mark.OK, "filters: 0 hidden images listed apart")
    assert judged(judge, listed(1), page(2), asks=False)[0] is Mark.NOTE
    assert judged(judge, listed(1), page(1, 2), asks=False)[1].startswith("ignored")
    assert judged(judge, listed(), NONE, asks=True)[0] is Mark.UNKNOWN
    assert [judged(judge, listed(1), REFUSAL, asks=asks)[0] for asks in (True, False)] == [Mark.NOTE, Mark.OK]


def test_whole() -> None:
    """A filter that both of its values pass is none."""
    judge = limits.judge_whole
    assert judged(judge, listed(*TWO), page(1), page(2)) == (Mark.OK, "filters: 1 of 2; 0 rows tell it themselves")
    assert judged(judge, listed(1, __whole_image="true"), page(1), NONE) == (
        Mark.OK,
        "filters: 1 of 1; 1 rows tell it themselves",
    )
    assert judged(judge, listed(1), page(1), page(1)) == (Mark.MEND, "the filter is ignored")
    assert judged(judge, listed(1), page(1), REFUSAL)[0] is Mark.OK
    assert judged(judge, listed(1), REFUSAL, REFUSAL) == (Mark.MEND, "refused: the cloud refuses the request (400)")
    assert judged(judge, listed(), NONE, NONE)[0] is Mark.UNKNOWN


def test_member_row() -> None:
    """Both times, or what is missing."""
    judge = limits.judge_member_row
    row = MemberRow(status="pending", created_at=NOW, updated_at=NOW)
    assert judged(judge, row) == (Mark.OK, "tells created_at and updated_at, status pending")
    assert judged(judge, MemberRow(status="pending")) == (
        Mark.NOTE,
        "status pending, but no created_at and no updated_at",
    )
    assert judged(judge, None)[0] is Mark.MEND


def test_facts() -> None:
    """Which are never told, and which not always; without an owner no rule accepts."""
    rows = [{"id": image_id(1), "owner": "o", "name": "n"}, {"id": image_id(2), "owner": "o"}]
    mark, text = judged(limits.judge_facts, rows, project_id="me")
    assert (mark, text.startswith("2 rows; never: created_at, kind"), text.endswith("not always: name 1")) == (
        Mark.OK,
        True,
        True,
    )
    assert judged(limits.judge_facts, [{"id": image_id(1)}], project_id="me")[0] is Mark.MEND
    assert judged(limits.judge_facts, [], project_id="me") == (Mark.UNKNOWN, limits.NO_SHARES)


def answer(status: int, code: str | None = None) -> Answer:
    """Write an answer with an error code."""
    return Answer(status=status, body=json.dumps({"error": {"code": code}}).encode() if code else b"<html>")


@pytest.mark.parametrize(
    ("classic", "newer", "mark"),
    [
        (answer(404, "IMG.0144"), answer(400, "IMG.0144"), Mark.OK),
        (answer(404, "IMG.0144"), answer(404, "APIGW.0101"), Mark.OK),
        (answer(404, "APIGW.0101"), answer(404, "IMG.0144"), Mark.NOTE),
        (answer(404), answer(404, "APIGW.0101"), Mark.MEND),
    ],
)
def test_jobs(classic: Answer, newer: Answer, mark: Mark) -> None:
    """A query that is there answers with a code of the image service for a job that nobody has; one is enough."""
    assert judged(limits.judge_jobs, [classic, newer])[0] is mark
