"""Members calls and jobs of the image service: what is refused at once, what fails in the job, what the job tells."""

from typing import Any

import httpx
import pytest

from doorman.sandbox.state import Cloud
from tests.builders import FakeClock
from tests.sandbox.asking import ME, OTHER, OWNER, Api

VAULT = "vault-1"


def put(api: Api, images: list[str], status: str = "accepted", **rest: Any) -> httpx.Response:
    """Ask for an update of members."""
    return api("PUT", "/v1/cloudimages/members", json={"images": images, "project_id": ME, "status": status, **rest})


def job_of(api: Api, answer: httpx.Response) -> dict[str, Any]:
    """Read the job that an update gave."""
    told = api("GET", f"/v1/{ME}/jobs/{answer.json()['job_id']}").json()
    assert isinstance(told, dict)
    return told


def error_of(answer: httpx.Response) -> tuple[int, str]:
    """Read status and code of a refusal."""
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (None, (400, "IMG.0007")),
        ({}, (400, "IMG.0007")),
        ({"images": []}, (400, "IMG.0001")),
        ({"images": "x"}, (400, "IMG.0001")),
        ({"images": [1]}, (400, "IMG.0001")),
        ({"images": ["x"], "project_id": ME, "status": "pending"}, (400, "IMG.0001")),
        ({"images": ["x"], "project_id": ME, "status": "ACCEPTED"}, (400, "IMG.0001")),
        ({"images": ["x"], "project_id": ME, "status": "accepted", "vault_id": 1}, (400, "IMG.0001")),
        ({"images": ["x"], "project_id": OTHER, "status": "accepted"}, (403, "IMG.0047")),
        ({"images": ["x"], "project_id": ME, "status": "accepted"}, (400, "IMG.0027")),
    ],
)
def test_refused_at_once(api: Api, body: dict[str, Any] | None, expected: tuple[int, str]) -> None:
    """What is wrong with the request as such is told with a code, almost always in a 400."""
    assert error_of(api("PUT", "/v1/cloudimages/members", json=body)) == expected


def test_who_may_settle(api: Api, sharer: Api, cloud: Cloud) -> None:
    """Neither a reader, nor the owner, nor a project that it is not shared with settles a share."""
    share = cloud.add_share(OWNER, ME)
    cloud.add_user("reader", "secret", [ME], role="reader")
    reader, onlooker = Api(cloud).login("reader"), Api(cloud).login("onlooker", OTHER)
    assert error_of(put(reader, [share])) == (403, "IMG.0106")
    assert error_of(put(sharer, [share], project_id=OWNER)) == (403, "IMG.0047")
    assert error_of(put(onlooker, [share], project_id=OTHER)) == (400, "IMG.0027")
    assert cloud.member_status(share, ME) == "pending"


@pytest.mark.parametrize(("partial", "whole"), [("FAIL", False), ("SUCCESS", False), ("FAIL", True)])
def test_image_that_fails_in_the_job(api: Api, cloud: Cloud, partial: Any, whole: bool) -> None:  # noqa: FBT001 - a case
    """One image can fail in a job, alone or with the whole job, and the job's state need not show it."""
    cloud.settings.partial_job = partial
    good, bad = cloud.add_share(OWNER, ME), cloud.add_share(OWNER, ME)
    cloud.fail_image(bad, "IMG.0064", times=1, whole=whole)
    job = job_of(api, put(api, [good, bad]))
    assert (job["status"], job["error_code"]) == (partial, "IMG.0064")
    assert [r["status"] for r in job["entities"]["results"]] == ["failed" if whole else "success", "failed"]
    assert cloud.member_status(good, ME) == ("pending" if whole else "accepted")
    assert job_of(api, put(api, [good, bad]))["status"] == "SUCCESS"


@pytest.mark.parametrize(
    ("vault", "code"),
    [
        ({"size": 100, "used": 0.0}, None),
        ({"size": 100, "used": 60 * 1024.0}, None),
        ({"size": 100, "used": 60 * 1024.0 + 1}, "IMG.0182"),
        ({"size": 39}, "IMG.0182"),
        ({"object_type": "disk"}, "IMG.0193"),
        ({"protect_type": "replication"}, "IMG.0193"),
        ({"status": "lock"}, "IMG.0188"),
        ({"project": OTHER}, "IMG.0184"),
        (None, "IMG.0184"),
    ],
)
@pytest.mark.parametrize("check", ["job", "submit"])
def test_vaults(api: Api, cloud: Cloud, vault: dict[str, Any] | None, code: str | None, check: Any) -> None:
    """A full-ECS image of 40 GB goes into a server backup vault of ours with 40 GB free, and into no other."""
    cloud.settings.vault_check = check
    if vault is not None:
        fields = dict(vault)
        cloud.add_vault(fields.pop("project", ME), VAULT, **fields)
    share = cloud.add_share(OWNER, ME, full_ecs=True, size_gb=40)
    answer = put(api, [share], vault_id=VAULT)
    if code is not None and check == "submit":
        assert error_of(answer) == (400, code)
    else:
        assert job_of(api, answer)["error_code"] == code
    assert cloud.member_status(share, ME) == ("pending" if code else "accepted")


def test_full_ecs_needs_a_vault_to_be_accepted_only(api: Api, cloud: Cloud) -> None:
    """Accepting without a vault is refused, rejecting is not; other images ignore a vault."""
    whole, plain = cloud.add_share(OWNER, ME, full_ecs=True), cloud.add_share(OWNER, ME)
    assert error_of(put(api, [whole])) == (400, "IMG.0067")
    assert job_of(api, put(api, [whole], "rejected"))["status"] == "SUCCESS"
    assert job_of(api, put(api, [plain], vault_id="no-such-vault"))["status"] == "SUCCESS"


def test_flow_control(api: Api, cloud: Cloud) -> None:
    """More running jobs than allowed, or more images in a call, are refused."""
    cloud.settings.job_seconds, cloud.settings.max_running_jobs, cloud.settings.max_images_per_call = None, 1, 2
    shares = [cloud.add_share(OWNER, ME) for _ in range(3)]
    assert error_of(put(api, shares)) == (400, "IMG.0067")
    assert put(api, shares[:1]).status_code == 200
    assert error_of(put(api, shares[1:])) == (400, "IMG.0060")


@pytest.mark.parametrize(("spelling", "words"), [("lower", ("running", "success")), ("upper", ("RUNNING", "SUCCESS"))])
def test_what_a_job_lists(api: Api, cloud: Cloud, spelling: Any, words: tuple[str, str]) -> None:
    """Its images once it has ended, or from its start on, or never, in small letters or capitals, as it is set."""
    cloud.settings.job_seconds, cloud.settings.job_spelling = None, spelling
    image = cloud.add_share(OWNER, ME)
    answer = put(api, [image])
    assert job_of(api, answer)["entities"] == {}
    cloud.settings.job_results_early = True
    running = job_of(api, answer)["entities"]["results"]
    cloud.finish_job(answer.json()["job_id"])
    ended = job_of(api, answer)["entities"]["results"]
    assert (running, ended) == tuple([{"image_id": image, "project_id": ME, "status": word}] for word in words)
    cloud.settings.job_results = False
    assert job_of(api, answer)["entities"] == {}


@pytest.mark.parametrize(("counts", "moved"), [(False, 0.0), (True, 10.0)])
def test_settling_as_it_is(cloud: Cloud, clock: FakeClock, counts: bool, moved: float) -> None:  # noqa: FBT001 - a table
    """It leaves the row as it was, as on Glance; or counts as a change, which nobody rules out for the IMS."""
    cloud.settings.settling_again_counts = counts
    image = cloud.add_share(OWNER, ME)
    cloud.set_status(image, ME, "accepted")
    before = cloud.image_store.members[image][ME].updated_at
    clock.seconds += 10
    cloud.set_status(image, ME, "accepted")
    assert cloud.image_store.members[image][ME].updated_at - before == moved
