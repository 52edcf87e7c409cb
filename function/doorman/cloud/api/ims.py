"""The image service of T Cloud Public and Huawei Cloud, sans I/O: batch members, jobs and lists.

See https://docs.otc.t-systems.com/image-management-service/api-ref/
"""

from collections.abc import Sequence
from typing import Any

from doorman.cloud.api.base import Answer, Failure, Page, Request, classify, find_code, read_object, read_time
from doorman.cloud.api.images import read_rows
from doorman.errors import Broken, Refused
from doorman.models import Job, JobState, MemberStatus, Status, is_image_id, is_plain_id

PAGE = 500
"""Images a page: the service's default and, as far as documented, its most."""

MAX_CODE = 80
"""Characters of a job's error code that are told."""

_STATES = {
    "init": JobState.RUNNING,
    "running": JobState.RUNNING,
    "success": JobState.SUCCESS,
    "fail": JobState.FAIL,
    "failed": JobState.FAIL,
}
_FAILED = frozenset({"fail", "failed"})


class Ims:
    """The image service, as `ImageService`."""

    page = PAGE
    has_jobs = True
    has_whole_images = True

    def list_shares(
        self, status: MemberStatus, *, image_id: str | None = None, whole: bool = False
    ) -> tuple[Request, ...]:
        """Ask for the images shared with us under this member status."""
        params = {
            "member_status": status,
            "visibility": "shared",
            "__imagetype": "shared",
            **({"__whole_image": "true"} if whole else {}),
            **({"id": image_id} if image_id else {}),
            "limit": str(PAGE),
        }
        return (Request(method="GET", path="/v2/cloudimages", params=tuple(params.items())),)

    def read_page(self, answer: Answer, asked: Request) -> Page:
        """Read one page; an empty one is the last, and a short one unless it names a `next`.

        Raises:
            Unavailable, Refused: see `base.read_object`.
        """
        value, rows = read_rows(answer)
        limit = int(dict(asked.params)["limit"])
        is_short = len(value["images"]) < limit and not isinstance(value.get("next"), str)
        if is_short or not rows:
            return Page(rows=rows, next=None)
        return Page(rows=rows, next=asked.after(next(reversed(rows))))

    def settle(self, images: Sequence[str], *, project_id: str, status: Status, vault_id: str | None) -> Request:
        """Ask to accept or reject these images for this project, in one job."""
        body: dict[str, Any] = {"images": list(images), "project_id": project_id, "status": status}
        if vault_id is not None:
            body["vault_id"] = vault_id
        return Request(method="PUT", path="/v1/cloudimages/members", json=body)

    def read_settled(self, answer: Answer) -> str:
        """Read the ID of the job that a members call started.

        Raises:
            Unavailable, Refused: see `base.read_object`.
        """
        job_id = read_object(answer, "members call").get("job_id")
        if not isinstance(job_id, str) or not is_plain_id(job_id):
            raise Broken("members call: the cloud's answer has no job_id")
        return job_id


def show_job(job_id: str, *, project_id: str) -> tuple[Request, Request]:
    """Ask for a job: the classic endpoint first, the newer one where that is not found."""
    return (
        Request(method="GET", path=f"/v1/{project_id}/jobs/{job_id}"),
        Request(method="GET", path=f"/v1/cloudimages/job/{job_id}"),
    )


def read_job(answer: Answer) -> Job:
    """Read a job, whatever the spelling of its states; a job that the cloud does not know is UNKNOWN.

    Raises:
        Unavailable, Refused: see `base.read_object`.
    """
    try:
        value = read_object(answer, "job")
    except Refused as error:
        if classify(code=error.code, status=error.status) in {Failure.GONE, Failure.BAD_REQUEST}:
            return Job(state=JobState.UNKNOWN)
        raise
    state = _STATES.get(str(value.get("status")).lower())
    if state is None:
        raise Broken("job: the cloud's answer has no status")
    reason = value.get("fail_reason")
    code = value.get("error_code")
    results = _read_results(value.get("entities"))
    return Job(
        state=state,
        begin_time=read_time(value, "begin_time"),
        images=frozenset(results) or None,
        error_code=(code[:MAX_CODE] if isinstance(code, str) and code else None) or find_code(str(reason)),
        fail_reason=reason if isinstance(reason, str) else None,
        failed=frozenset(image for image, word in results.items() if word in _FAILED),
    )


def _read_results(entities: Any) -> dict[str, str]:
    """Read what a job lists: by image ID, how it went, in lower case."""
    results = entities.get("results") if isinstance(entities, dict) else None
    return {
        image_id: str(result.get("status")).lower()
        for result in (results if isinstance(results, list) else [])
        if isinstance(result, dict) and is_image_id(image_id := str(result.get("image_id")).lower())
    }
