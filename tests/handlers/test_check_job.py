"""Following jobs against the sandbox cloud: what is told is what the cloud says, whatever the job promised."""

from collections.abc import Collection
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from doorman.cloud.project import Cloud
from doorman.events.cloudevents import to_structured
from doorman.events.messages import EventType
from doorman.models import MemberStatus, Share
from tests.chain import BAD, GOLDEN, POLICY, SECOND_VAULT, STRANGER, VAULT, Chain

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "settings",
    [
        {"job_results": False},
        {"job_endpoints": "new"},
        {"job_endpoints": "classic"},
        {"job_spelling": "upper"},
        {"partial_job": "SUCCESS"},
    ],
)
async def test_every_shape_of_a_job_leads_to_the_truth(settings: dict[str, Any]) -> None:
    """Missing results, the other endpoint, another spelling: the outcome is read from the shares."""
    chain = Chain()
    for name, value in settings.items():
        setattr(chain.cloud.settings, name, value)
    image = chain.share()
    await chain.notify(image)
    await chain.settle()
    assert chain.told() == [(image, "accepted", "allowed_owner")]


async def test_a_job_that_outlives_the_budget_is_handed_over() -> None:
    """A longer job is checked again by a later event, which counts the attempts."""
    chain = Chain(DOORMAN_CHECK_BUDGET="5")
    chain.cloud.settings.job_seconds = 12
    image = chain.share()
    await chain.notify(image)
    await chain.settle()
    checks = chain.of(EventType.CHECK)
    assert [event.data for event in checks] == [checks[0].data | {"attempt": attempt} for attempt in (1, 2, 3)]
    assert chain.told() == [(image, "accepted", "allowed_owner")]


async def test_what_is_handed_over_grows_no_larger() -> None:
    """A stranger's check may leave out what would be many times as long when it is filled in."""
    chain = Chain(DOORMAN_CHECK_BUDGET="5")
    chain.cloud.settings.job_seconds = 12
    await chain.notify(chain.share())
    (check,) = (event.data for event in chain.of(EventType.CHECK))
    forged = check | {"shares": {str(uuid4()): {} for _ in range(9)}}
    await chain.check(**forged)
    assert chain.of(EventType.CHECK)[-1].data == forged | {"attempt": 2}


async def test_a_job_past_its_deadline_has_timed_out() -> None:
    """A job that never ends is given up; where its record names no images, they are told as still waiting."""
    chain = Chain(DOORMAN_CHECK_BUDGET="20", DOORMAN_JOB_DEADLINE="60")
    chain.cloud.settings.job_seconds = None
    image = chain.share()
    await chain.notify(image)
    await chain.settle()
    assert chain.told() == [(image, "failed", "still_pending")]
    assert len(chain.of(EventType.CHECK)) <= 4


@pytest.mark.parametrize("budget", ["0", "20"])
async def test_a_job_that_nobody_knows_is_read_back_after_a_few_tries(budget: str) -> None:
    """The cloud forgets jobs; what they did stays, and is told."""
    chain = Chain(DOORMAN_CHECK_BUDGET=budget)
    image = chain.share()
    await chain.notify(image)
    await chain.wait(1)
    assert chain.cloud.member_status(image, "receiver") == "accepted"
    chain.cloud.forget_job(next(iter(chain.cloud.jobs)))
    await chain.settle()
    assert chain.told() == [(image, "accepted", "allowed_owner")]


async def test_a_forged_check_makes_no_untrue_outcome() -> None:
    """A check that names a real job of other images tells nothing: the job's record does not name them."""
    chain = Chain()
    mine = chain.share()
    await chain.notify(mine)
    (job,) = chain.cloud.jobs
    pending, settled = chain.share(STRANGER, name="theirs"), chain.share(STRANGER, status="accepted")
    refused, gone = chain.share(BAD, status="rejected"), str(uuid4())
    own = chain.cloud.add_share("receiver", "elsewhere")
    claim = {"name": "invented", "owner": GOLDEN, "rule": "golden-images", "cause": "invented"}
    images = [pending, settled, refused, gone, own]
    before = len(chain.cloud.writes)
    reply = await chain.check(*images, job_id=job, vault_id="invented", shares=dict.fromkeys(images, claim))
    assert reply.status == 204
    assert (chain.outcomes(), len(chain.cloud.writes)) == ([], before)


async def test_a_forged_check_of_many_images_is_read_by_lists() -> None:
    """A job that nobody knows ties no image to it: what stands as the policy would have it is all that is told."""
    chain = Chain()
    pending = [chain.share(STRANGER) for _ in range(12)]
    refused = [chain.share(BAD, status="rejected") for _ in range(12)]
    await chain.check(*pending, *refused)
    assert chain.told() == sorted((image, "rejected", "rejected_by_rule") for image in refused)


async def test_the_outcome_of_a_job_has_the_same_id_however_often_it_is_told() -> None:
    """A check that is delivered twice tells the same outcome under the same id, from the same cause."""
    chain = Chain()
    image = chain.share(full_ecs=True)
    await chain.notify(image)
    (event,) = chain.of(EventType.CHECK)
    for _ in range(2):
        await chain.post(EventType.CHECK, to_structured(event))
    first, second = chain.outcomes()
    assert (first.id, first.data) == (second.id, second.data)
    assert (first.extensions["causationid"], first.extensions["correlationid"]) == (event.id, "notice-1")
    assert first.data["images"][0]["cause"] == "notice-1"
    assert first.data["images"][0]["vault_id"] == VAULT


async def test_while_the_cloud_cannot_be_read_a_check_is_a_503() -> None:
    """What cannot be read back is not told."""
    chain = Chain()
    image = chain.share()
    await chain.notify(image)
    chain.cloud.faults.add("status", status=500, path="cloudimages")
    await chain.settle()
    assert chain.replies[-1].status == 503
    assert chain.told() == []


async def test_without_the_vaults_a_failed_one_is_followed_by_the_next_of_the_mapping() -> None:
    """Vaults that cannot be listed for the moment end no share."""
    chain = Chain(policy=POLICY[: POLICY.index("vaults:")] + f"vaults: [{{candidates: [{VAULT}, {SECOND_VAULT}]}}]\n")
    chain.cloud.fail_vault(VAULT, "IMG.0182", at="job")
    image = chain.share(full_ecs=True)
    await chain.notify(image)
    chain.cloud.faults.add("status", status=503, path="vaults", times=4)
    await chain.settle()
    assert chain.told() == [(image, "accepted", "allowed_owner")]
    assert chain.members_calls() == [200, 200]


async def test_what_no_list_shows_yet_is_looked_at_again() -> None:
    """Only a list tells whether an image is full-ECS: a fresh outcome waits for it, an old one does not."""

    class Unlisted(Cloud):
        """A cloud whose lists of settled shares lag behind."""

        async def find(self, status: MemberStatus, images: Collection[str]) -> dict[str, Share]:
            return {} if status == "accepted" else await Cloud.find(self, status, images)

    chain = Chain()
    image = chain.share()
    await chain.notify(image)
    (event,) = chain.of(EventType.CHECK)
    await chain.swap(Unlisted)
    assert (await chain.check(**event.data)).status == 503
    assert chain.told() == []
    await chain.wait(700)
    assert (await chain.check(**event.data)).status == 204
    assert chain.told() == [(image, "accepted", "allowed_owner")]


async def test_a_long_job_that_is_unknown_for_a_moment_is_looked_at_again() -> None:
    """One answer that knows no job, after many hand-overs, is no reason to give it up."""
    chain = Chain()
    chain.cloud.settings.job_seconds = 1
    image = chain.share()
    await chain.notify(image)
    (event,) = chain.of(EventType.CHECK)
    chain.cloud.faults.add("status", status=404, path="job", times=2)
    await chain.check(**event.data | {"attempt": 9})
    assert chain.told() == [(image, "accepted", "allowed_owner")]


async def test_what_the_cloud_says_of_a_failed_job_stands_in_the_log() -> None:
    """Events carry the code, the log the words."""
    chain = Chain()
    image = chain.share()
    chain.cloud.fail_image(image, "IMG.0007", at="job")
    await chain.notify(image)
    with capture_logs() as log:
        await chain.settle()
    (line,) = (line for line in log if line["event"] == "job.failed")
    assert (line["error_code"], line["project_id"]) == ("IMG.0007", "receiver")
    assert line["fail_reason"]
