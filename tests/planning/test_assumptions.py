"""What `doctor` makes of how an image service answers where its documentation is silent."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from doorman.cloud.api.base import Answer, Page, Request
from doorman.errors import Refused
from doorman.models import MemberRow
from doorman.planning import assumptions
from doorman.planning.assumptions import Listed
from doorman.planning.diagnosis import Mark, mend, ok
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


def test_member_status() -> None:
    """An image has one status; our own ones appear under any."""
    own = listed(9, owner="me")
    ignored = assumptions.judge_member_status(
        {"pending": listed(1, 2), "accepted": listed(1, 2), "rejected": listed(1, 2)}
    )
    assert ignored == mend("the filter is ignored: 2 images under several statuses", assumptions.REPORT)
    apart = assumptions.judge_member_status({"pending": listed(1), "accepted": listed(2)})
    assert apart == ok("filters: 1 pending, 1 accepted")
    assert assumptions.judge_member_status({"pending": own, "accepted": own}) == assumptions.NO_SHARES


def test_limit() -> None:
    """One image on a page of one, where there are two."""
    assert assumptions.judge_limit(listed(*TWO), page(*TWO)).mark is Mark.MEND
    assert assumptions.judge_limit(listed(*TWO), page(1)) == ok("honoured: one image on a page of one")
    assert assumptions.judge_limit(listed(1), page(1)).mark is Mark.UNKNOWN


def test_next() -> None:
    """The page after the first shows others."""
    assert assumptions.judge_next(listed(1, has_next=True), page(2)) == ok("pages follow one another by `next`")
    again = "a page by the last ID repeats the one before: longer lists cannot be read"
    assert assumptions.judge_next(listed(1), page(1)) == mend(again, assumptions.REPORT)
    for first, second in ((listed(1), None), (listed(1), NONE), (listed(*TWO), page(3))):
        assert assumptions.judge_next(first, second).mark is Mark.UNKNOWN


def test_hidden() -> None:
    """Known, ignored, refused; hidden images that no list of ours shows are worth a note."""
    judge = assumptions.judge_hidden
    assert judge(listed(1), page(2), asks=True) == ok("filters: 1 hidden image listed apart")
    assert judge(listed(1), NONE, asks=False) == ok("filters: 0 hidden images listed apart")
    assert judge(listed(1), page(2), asks=False).mark is Mark.NOTE
    assert judge(listed(1), page(1, 2), asks=False).text.startswith("ignored")
    assert judge(listed(), NONE, asks=True) == assumptions.NO_SHARES
    assert [judge(listed(1), REFUSAL, asks=asks).mark for asks in (True, False)] == [Mark.NOTE, Mark.OK]


def test_whole() -> None:
    """A filter that both of its values pass is none."""
    judge = assumptions.judge_whole
    assert judge(listed(*TWO), page(1), page(2)) == ok("filters: 1 of 2; 0 rows tell it themselves")
    told = listed(1, __whole_image="true")
    assert judge(told, page(1), NONE) == ok("filters: 1 of 1; 1 rows tell it themselves")
    assert judge(listed(1), page(1), page(1))[:2] == (Mark.MEND, "the filter is ignored")
    assert judge(listed(1), page(1), REFUSAL).mark is Mark.OK
    refused = "refused: the cloud refuses the request (400)"
    assert judge(listed(1), REFUSAL, REFUSAL)[:2] == (Mark.MEND, refused)
    assert judge(listed(), NONE, NONE) == assumptions.NO_SHARES


def test_member_row() -> None:
    """Both times, or what is missing."""
    row = MemberRow(status="pending", created_at=NOW, updated_at=NOW)
    assert assumptions.judge_member_row(row) == ok("tells created_at and updated_at, status pending")
    found = assumptions.judge_member_row(MemberRow(status="pending"))
    assert found[:2] == (Mark.NOTE, "status pending, but no created_at and no updated_at")
    assert assumptions.judge_member_row(None).mark is Mark.MEND


def test_facts() -> None:
    """Which are never told, and which not always; without an owner no rule accepts."""
    rows = [{"id": image_id(1), "owner": "o", "name": "n"}, {"id": image_id(2), "owner": "o"}]
    found = assumptions.judge_facts(rows, project_id="me")
    assert found.mark is Mark.OK
    assert re.fullmatch(r"2 rows; never: created_at, kind, .*; not always: name 1", found.text)
    assert assumptions.judge_facts([{"id": image_id(1)}], project_id="me").mark is Mark.MEND
    assert assumptions.judge_facts([], project_id="me") == assumptions.NO_SHARES


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
    assert assumptions.judge_jobs(classic, newer).mark is mark
