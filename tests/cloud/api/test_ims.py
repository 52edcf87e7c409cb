"""What is asked of the image service of T Cloud Public and Huawei Cloud, and how its answers read."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorman.cloud.api import ims
from doorman.cloud.api.base import Answer, Page, Request
from doorman.errors import Broken
from doorman.models import Job, JobState
from tests.builders import image_id

ONE, TWO = image_id(1), image_id(2)
FIRST = Request(
    method="GET",
    path="/v2/cloudimages",
    params=(("member_status", "pending"), ("visibility", "shared"), ("__imagetype", "shared"), ("limit", "500")),
)


SERVICE = ims.Ims()


def ok(value: Any) -> Answer:
    """Make a successful answer."""
    return Answer(status=200, body=json.dumps(value).encode())


def refused(status: int, code: str) -> Answer:
    """Make a refusal."""
    return Answer(status=status, body=json.dumps({"error": {"code": code, "message": "no"}}).encode())


def page(rows: list[Any], asked: Request = FIRST) -> Page:
    """Read one page."""
    return SERVICE.read_page(ok({"images": rows}), asked)


class TestLists:
    """What waits, page by page."""

    def test_first_page(self) -> None:
        """All shares of one status, 500 at a time."""
        assert SERVICE.list_shares("pending") == (FIRST,)
        assert (SERVICE.page, SERVICE.has_jobs, SERVICE.has_whole_images) == (500, True, True)

    def test_filters(self) -> None:
        """One image, only whole servers."""
        (asked,) = SERVICE.list_shares("accepted", image_id=ONE, whole=True)
        assert asked.params == (
            ("member_status", "accepted"),
            ("visibility", "shared"),
            ("__imagetype", "shared"),
            ("__whole_image", "true"),
            ("id", ONE),
            ("limit", "500"),
        )

    @pytest.mark.parametrize("rows", [[], [{"id": ONE}], [{"id": image_id(number)} for number in range(499)]])
    def test_short_page_is_the_last(self, rows: list[Any]) -> None:
        """An empty one as well."""
        read = page(rows)
        assert (list(read.rows), read.next) == ([row["id"] for row in rows], None)

    def test_full_page_has_a_next_one(self) -> None:
        """It begins after the last image, and asks for the same otherwise."""
        rows = [{"id": image_id(number)} for number in range(500)]
        following = page(rows).next
        assert following == Request(
            method="GET", path="/v2/cloudimages", params=(*FIRST.params, ("marker", image_id(499)))
        )
        assert page(rows, following).next == following

    def test_small_pages(self) -> None:
        """A page is full by the limit that was asked for."""
        asked = FIRST.with_param("limit", "2")
        assert page([{"id": ONE}, {"id": TWO}], asked).next == asked.after(TWO)
        assert page([{"id": ONE}], asked).next is None

    def test_short_page_with_a_next_one(self) -> None:
        """A service may give fewer than asked for; of its link nothing is taken but that there is more."""
        read = SERVICE.read_page(ok({"images": [{"id": ONE}], "next": "https://evil.test/x?limit=1"}), FIRST)
        assert read.next == Request(method="GET", path="/v2/cloudimages", params=(*FIRST.params, ("marker", ONE)))

    def test_full_page_of_nothing(self) -> None:
        """Rows that are no images lead nowhere."""
        assert page([{"id": "x"}] * 500) == Page(rows={}, next=None)

    def test_rows(self) -> None:
        """By image ID, as they came."""
        assert page([{"id": ONE, "owner": "o"}]).rows == {ONE: {"id": ONE, "owner": "o"}}


class TestMembers:
    """The one call that writes."""

    def test_call(self) -> None:
        """Images, receiver and status; a vault only where one is needed."""
        asked = SERVICE.settle([ONE, TWO], project_id="receiver", status="accepted", vault_id=None)
        body = {"images": [ONE, TWO], "project_id": "receiver", "status": "accepted"}
        assert asked == Request(method="PUT", path="/v1/cloudimages/members", json=body)
        with_vault = SERVICE.settle([ONE], project_id="receiver", status="rejected", vault_id="v")
        assert with_vault.json == {"images": [ONE], "project_id": "receiver", "status": "rejected", "vault_id": "v"}

    def test_job_id(self) -> None:
        """The job to follow."""
        job_id = "9a175ac692fa12540193005c340f321c"
        assert SERVICE.read_settled(ok({"job_id": job_id})) == job_id

    @pytest.mark.parametrize("job_id", [None, "", 5, "../x", "a b", "x" * 65])
    def test_no_job_id(self, job_id: Any) -> None:
        """Whether something was started nobody knows; an ID that could not be asked for is none."""
        with pytest.raises(Broken, match=r"^members call: the cloud's answer has no job_id$"):
            SERVICE.read_settled(ok({"job_id": job_id}))


# the reference's own sample of a members job
SAMPLE = {
    "job_id": "9a175ac692fa12540193005c340f321c",
    "job_type": "imsUpdateImageMembersJob",
    "begin_time": "2024-11-06T07:24:22.925Z",
    "end_time": "2024-11-06T07:24:23.773Z",
    "status": "SUCCESS",
    "error_code": None,
    "fail_reason": None,
    "entities": {"results": [{"image_id": "6596628c-42d4-4ff1-8660-8ea5ae61f243", "status": "success"}]},
}


class TestJobs:
    """How a job stands, whatever the spelling."""

    def test_endpoints(self) -> None:
        """The classic one first."""
        found = [request.path for request in ims.show_job("j", project_id="p")]
        assert found == ["/v1/p/jobs/j", "/v1/cloudimages/job/j"]

    def test_sample(self) -> None:
        """The reference's own."""
        assert ims.read_job(ok(SAMPLE)) == Job(
            state=JobState.SUCCESS,
            begin_time=datetime(2024, 11, 6, 7, 24, 22, 925000, tzinfo=UTC),
            images=frozenset({"6596628c-42d4-4ff1-8660-8ea5ae61f243"}),
        )

    @pytest.mark.parametrize(
        ("word", "state"),
        [
            ("INIT", JobState.RUNNING),
            ("RUNNING", JobState.RUNNING),
            ("running", JobState.RUNNING),
            ("SUCCESS", JobState.SUCCESS),
            ("Success", JobState.SUCCESS),
            ("FAIL", JobState.FAIL),
            ("failed", JobState.FAIL),
        ],
    )
    def test_states(self, word: str, state: JobState) -> None:
        """The reference's table, sample and prose spell them differently."""
        assert ims.read_job(ok({"status": word})).state is state

    @pytest.mark.parametrize("word", [None, "", "DONE", 5, []])
    def test_no_state(self, word: Any) -> None:
        """It is no answer."""
        with pytest.raises(Broken, match=r"^job: the cloud's answer has no status$"):
            ims.read_job(ok({"status": word}))

    @pytest.mark.parametrize(
        ("fields", "code", "reason"),
        [
            ({"error_code": "IMG.0182", "fail_reason": "full"}, "IMG.0182", "full"),
            ({"error_code": None, "fail_reason": "IMG.0182: full"}, "IMG.0182", "IMG.0182: full"),
            ({"error_code": "", "fail_reason": "full"}, None, "full"),
            ({"error_code": 5, "fail_reason": {"code": "IMG.0182"}}, "IMG.0182", None),
            ({"error_code": "x" * 999}, "x" * 80, None),
            ({}, None, None),
        ],
    )
    def test_error(self, fields: dict[str, Any], code: str | None, reason: str | None) -> None:
        """By its code, else by the code that the reason names; never without end."""
        assert ims.read_job(ok({"status": "FAIL", **fields})) == Job(
            state=JobState.FAIL, error_code=code, fail_reason=reason
        )

    def test_images(self) -> None:
        """All that it lists, running, failed or done, those that failed in either spelling and case; no other rows."""
        results = [
            {"image_id": ONE.upper(), "status": "FAIL"},
            {"image_id": TWO, "status": "failed"},
            {"image_id": image_id(3), "status": "SUCCESS"},
            {"image_id": image_id(4)},
            {"image_id": image_id(5), "status": "running"},
            {"image_id": "../x", "status": "FAIL"},
            {"status": "FAIL"},
            5,
        ]
        read = ims.read_job(ok({"status": "FAIL", "entities": {"results": results}}))
        assert (read.images, read.failed) == (frozenset({ONE, TWO, *map(image_id, (3, 4, 5))}), frozenset({ONE, TWO}))

    @pytest.mark.parametrize(
        "entities",
        [None, [], {}, {"results": None}, {"results": {}}, {"results": []}, {"results": [5]}, {"process_percent": 100}],
    )
    def test_no_results(self, entities: Any) -> None:
        """The second endpoint tells none: that is not the same as a job of no images."""
        read = ims.read_job(ok({"status": "FAIL", "entities": entities}))
        assert (read.images, read.failed) == (None, frozenset())

    @pytest.mark.parametrize("begin", [None, 5, "", "soon"])
    def test_no_begin(self, begin: Any) -> None:
        """When it began stays unknown."""
        assert ims.read_job(ok({"status": "INIT", "begin_time": begin})).begin_time is None

    @pytest.mark.parametrize(
        "told",
        [
            refused(404, "IMG.0144"),
            refused(400, "IMG.0144"),
            refused(400, "IMG.0001"),
            Answer(status=404, body=b""),
            Answer(status=404, body=b'{"error_code": "APIGW.0101"}'),
        ],
    )
    def test_unknown_job(self, told: Answer) -> None:
        """The cloud does not know it, or not there."""
        assert ims.read_job(told) == Job(state=JobState.UNKNOWN)


@given(st.lists(st.integers(0, 2000).map(image_id), max_size=30, unique=True))
def test_rows_are_all_read(images: list[str]) -> None:
    """In their order, none lost and none invented."""
    assert list(page([{"id": image} for image in images]).rows) == images
