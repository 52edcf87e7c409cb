"""Members and jobs of the image service's own API (IMS): the calls by which shares are made, settled and followed.

https://docs.otc.t-systems.com/image-management-service/api-ref/
"""

from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from doorman.sandbox.access import authenticate, read_object
from doorman.sandbox.problems import gateway, ims
from doorman.sandbox.records import Caller, Job, MemberStatus, new_id, zulu
from doorman.sandbox.state import Cloud

MAX_SHARES, MAX_FULL_ECS_SHARES = 256, 10


def routes(cloud: Cloud) -> list[BaseRoute]:
    """Name the endpoints."""

    async def update_members(request: Request) -> Response:
        caller = await authenticate(request, cloud)
        body = await read_object(request)
        _require_right(caller)
        return JSONResponse({"job_id": _update(cloud, caller, body).id})

    async def change_shares(request: Request) -> Response:
        caller = await authenticate(request, cloud)
        body = await read_object(request)
        _require_right(caller)
        return JSONResponse({"job_id": _change(cloud, caller, body, is_removal=request.method == "DELETE").id})

    async def show_job(request: Request) -> Response:
        foreign = ims("IMG.0047", "The token is not of this project.", 403)
        caller = await authenticate(request, cloud, foreign=foreign)
        return JSONResponse(_describe(cloud, _find(cloud, caller, request.path_params["job_id"], "new")))

    async def show_progress(request: Request) -> Response:
        caller = await authenticate(request, cloud)
        job = _find(cloud, caller, request.path_params["job_id"], "classic")
        percent = 100.0 if job.has_ended else 50.0
        return JSONResponse(_tell(job, {"process_percent": percent, "current_task": job.kind}))

    return [
        Route("/v1/cloudimages/members", update_members, methods=["PUT"]),
        Route("/v1/cloudimages/members", change_shares, methods=["POST", "DELETE"]),
        Route("/v1/cloudimages/job/{job_id}", show_progress),
        Route("/v1/{project_id}/jobs/{job_id}", show_job),
    ]


def _require_right(caller: Caller) -> None:
    if not caller.may_write:
        raise ims("IMG.0106", "Policy doesn't allow ims:images:share to be performed.", 403)


def _texts(body: dict[str, Any] | None, field: str) -> list[str]:
    value = (body or {}).get(field)
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise ims("IMG.0007" if not body else "IMG.0001", f"The parameter {field} must be a list of IDs.")
    return value


def _update(cloud: Cloud, caller: Caller, body: dict[str, Any] | None) -> Job:
    """Take in an update of members, the call this sandbox is all about."""
    images = _texts(body, "images")
    asked = body or {}
    status, vault_id = asked.get("status"), asked.get("vault_id")
    if status not in {"accepted", "rejected"}:
        raise ims("IMG.0001", "The status must be accepted or rejected.")
    if vault_id is not None and not isinstance(vault_id, str):
        raise ims("IMG.0001", "The vault_id must be a text.")
    if asked.get("project_id") != caller.project_id:
        raise ims("IMG.0047", "The project_id is not the project of the token.", 403)
    return cloud.queue.submit(caller.project_id, cast("MemberStatus", status), images, vault_id)


def _change(cloud: Cloud, caller: Caller, body: dict[str, Any] | None, *, is_removal: bool) -> Job:
    """Share images with projects, or take shares back, as their owner; done at once, told as a job."""
    images, projects = _texts(body, "images"), _texts(body, "projects")
    for image_id in images:
        image = cloud.image_store.images.get(image_id)
        if image is None or image.owner != caller.project_id:
            raise ims("IMG.0027", f"The image {image_id} does not exist.")
        most = MAX_FULL_ECS_SHARES if image.full_ecs else MAX_SHARES
        if not is_removal and len({*cloud.image_store.members[image_id], *projects}) > most:
            raise ims("IMG.0067", f"The image can be shared with at most {most} projects.")
    now = cloud.clock()
    job = Job(
        id=new_id(), project_id=caller.project_id, status="pending", images=images, vault_id=None, submitted_at=now,
        due_at=now, ended_at=now, state="SUCCESS", results=dict.fromkeys(images, True),
        kind="imsDeleteImageMembersJob" if is_removal else "imsAddImageMembersJob",
    )  # fmt: skip
    for image_id in images:
        for project_id in projects:
            if is_removal:
                cloud.unshare(image_id, project_id)
            elif cloud.image_store.members[image_id].get(project_id) is None:
                cloud.share(image_id, project_id)
    cloud.queue.jobs[job.id] = job
    name = "deleteMemeber" if is_removal else "addMember"  # as its documentation spells them
    cloud.engine.audit(caller.project_id, name, {"images": images, "projects": projects}, {"job_id": job.id})
    return job


def _find(cloud: Cloud, caller: Caller, job_id: str, other_endpoint: str) -> Job:
    if cloud.settings.job_endpoints == other_endpoint:
        raise gateway(404, "APIGW.0101", "The API does not exist or has not been published in the environment")
    job = cloud.jobs.get(job_id)
    if job is None or job.project_id != caller.project_id:
        raise ims("IMG.0144", f"The job {job_id} does not exist.", 404)
    if job.state == "INIT" and cloud.clock() > job.submitted_at:
        job.state = "RUNNING"
    return job


def _describe(cloud: Cloud, job: Job) -> dict[str, Any]:
    if cloud.settings.job_results and (job.has_ended or cloud.settings.job_results_early):
        words = {True: "success", False: "failed", None: "running"}
        if cloud.settings.job_spelling == "upper":
            words = {True: "SUCCESS", False: "FAIL", None: "RUNNING"}
        results = [{"image_id": i, "status": words[job.results.get(i)]} for i in job.images]
        return _tell(job, {"results": [result | {"project_id": job.project_id} for result in results]})
    return _tell(job, {})


def _tell(job: Job, entities: dict[str, Any]) -> dict[str, Any]:
    return {
        "job_id": job.id,
        "job_type": job.kind,
        "begin_time": zulu(job.submitted_at, milliseconds=True),
        "end_time": None if job.ended_at is None else zulu(job.ended_at, milliseconds=True),
        "status": job.state,
        "error_code": job.error_code,
        "fail_reason": job.fail_reason,
        "entities": entities,
    }
