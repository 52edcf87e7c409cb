"""What an outcome says can be believed, whatever is claimed, lost or poisoned on the way; and each share is told."""

import json
from collections.abc import Sequence
from uuid import uuid4

import pytest

from doorman.events.messages import OUTCOMES, EventType
from doorman.models import MAX_TRIES
from tests.chain import BAD, GOLDEN, RECEIVER, SECOND_VAULT, STRANGER, VAULT, Chain, structured

pytestmark = pytest.mark.anyio


def decided_before(chain: Chain) -> bool:
    """Say whether each members call came after the evidence that names all of its images, status and vault."""
    recorded = {
        (image["image_id"], event.data["status"], event.data["vault_id"])
        for event in chain.of(EventType.DECIDED)
        for image in event.data["images"]
    }
    return all(
        (image, job.status, job.vault_id) in recorded for job in chain.cloud.jobs.values() for image in job.images
    )


class TestPoison:
    """One image at which calls or jobs fail as a whole."""

    @pytest.mark.parametrize("code", ["IMG.0064", "IMG.0067", "IMG.0106"])
    async def test_a_job_that_fails_as_a_whole(self, code: str) -> None:
        """The innocent are settled and never told as failed; the culprit fails for itself."""
        chain = Chain()
        images = [chain.share() for _ in range(10)]
        chain.cloud.fail_image(images[6], code, at="job", whole=True)
        await chain.notify(*images)
        await chain.settle()
        assert chain.told() == sorted(
            (image, "failed", "job_failed") if image == images[6] else (image, "accepted", "allowed_owner")
            for image in images
        )
        alone = [job for job in chain.cloud.jobs.values() if job.images == [images[6]]]
        assert alone
        assert decided_before(chain)

    async def test_the_last_try_is_alone(self) -> None:
        """A suspect fails only after a failure of a call or job of its own, however often it is told to be tried."""
        chain = Chain()
        images = [chain.share() for _ in range(4)]
        chain.cloud.fail_image(images[0], "IMG.0067", at="job", whole=True)
        await chain.notify(*images, tries=MAX_TRIES)
        await chain.settle()
        assert chain.told() == sorted(
            [(images[0], "failed", "job_failed")] + [(image, "accepted", "allowed_owner") for image in images[1:]]
        )


class TestClaims:
    """Claims choose when we stop, never what we say."""

    async def test_an_old_submission_makes_no_time_out(self) -> None:
        """The job's own record says since when it runs."""
        chain = Chain(DOORMAN_CHECK_BUDGET="0")
        chain.cloud.settings.job_seconds = None
        image = chain.share()
        await chain.notify(image)
        (job,) = chain.cloud.jobs
        await chain.check(image, age=10**6, job_id=job)
        assert chain.told() == []

    async def test_another_jobs_failure_fails_nobody(self) -> None:
        """A job that failed names its images: no other is told by it, at whatever try."""
        chain = Chain()
        failed, other = chain.share(), chain.share()
        chain.cloud.fail_image(failed, "IMG.0067")
        await chain.notify(failed)
        await chain.settle()
        (job,) = chain.cloud.jobs
        told = chain.told()
        await chain.check(other, job_id=job, tries=3)
        assert chain.told() == told

    async def test_the_wrong_status_is_no_failure(self) -> None:
        """What is wanted is what today's policy decides."""
        chain = Chain()
        image = chain.share()
        await chain.notify(image)
        await chain.wait(2)
        (job,) = chain.cloud.jobs
        await chain.check(image, job_id=job, status="rejected", vault_id="invented")
        assert chain.told() == [(image, "accepted", "allowed_owner")]
        (event,) = chain.outcomes()
        assert event.data["images"][0]["vault_id"] is None

    @pytest.mark.parametrize("count", [3, 1000])
    async def test_a_check_of_random_images_is_cheap_and_tells_nothing(self, count: int) -> None:
        """Nobody knows the job: a few lists are read, no row of images that nothing supports."""
        chain = Chain()
        await chain.check(*(str(uuid4()) for _ in range(count)))
        assert chain.told() == []
        assert len(chain.cloud.calls) <= 60

    async def test_vaults_that_are_said_to_be_tried(self) -> None:
        """The first one is tried all the same."""
        chain = Chain()
        image = chain.share(full_ecs=True)
        await chain.notify(image, tried_vaults=[VAULT, SECOND_VAULT])
        await chain.settle()
        assert chain.told() == [(image, "accepted", "allowed_owner")]

    async def test_a_forged_try_beside_a_genuine_event(self) -> None:
        """The lowest number of tries counts: a passing error is a try, not a failure."""
        chain = Chain()
        image, other = chain.share(), chain.share()
        chain.cloud.fail_image(image, "IMG.0064", at="submit", times=3)
        data = {"project_id": RECEIVER, "images": [image, other]}
        batch = [structured(EventType.NOTIFIED, {**data, "tries": tries}, id=f"n{tries}") for tries in (3, 1)]
        await chain.post(EventType.NOTIFIED, batch)
        await chain.settle()
        assert {(each, outcome) for each, outcome, _ in chain.told()} == {(image, "accepted"), (other, "accepted")}


class TestIds:
    """Two events with one id never say different things."""

    async def test_a_smaller_telling_swallows_no_larger_one(self) -> None:
        """A forged check for one image of a job is told under another id than the genuine one for all."""
        chain = Chain()
        images = [chain.share() for _ in range(3)]
        await chain.notify(*images)
        await chain.wait(2)
        (job,) = chain.cloud.jobs
        await chain.check(images[0], job_id=job)
        await chain.settle()
        assert {image for image, *_ in chain.told()} == set(images)
        by_id: dict[str, set[str]] = {}
        for event in chain.tray.events:
            by_id.setdefault(event.id, set()).add(json.dumps([event.type, event.data], default=str, sort_keys=True))
        assert {len(said) for said in by_id.values()} == {1}

    async def test_keys_are_the_same_however_batches_fall(self) -> None:
        """The same of the same image, in one event or in two, today or tomorrow."""

        async def hold(groups: Sequence[Sequence[int]]) -> set[str]:
            chain = Chain()
            images = [
                chain.cloud.add_share(STRANGER, RECEIVER, image_id=f"{'0' * 7}{n}-0000-4000-8000-{'0' * 12}")
                for n in range(2)
            ]
            for place, group in enumerate(groups):
                await chain.notify(*(images[number] for number in group), event_id=f"n{place}")
            return {entry["key"] for event in chain.outcomes() for entry in event.data["images"]}

        assert await hold([[0, 1]]) == await hold([[1], [0], [0, 1]])


class TestUntold:
    """Whatever is lost on the way, what was settled for an event is told as such."""

    @pytest.mark.parametrize("api", ["ims", "glance"])
    async def test_a_lost_answer(self, api: str) -> None:
        """It is read back at once, or found by the redelivery."""
        chain = Chain(DOORMAN_API=api)
        image = chain.share()
        chain.cloud.faults.add("reset", method="PUT", performed=True, times=1)
        first = await chain.notify(image, age=1)
        await chain.wait(5)
        if first.status == 503:
            assert (await chain.notify(image, age=6)).status == 204
        await chain.settle()
        assert chain.told() == [(image, "accepted", "already_settled")]

    async def test_every_call_has_its_evidence_first(self) -> None:
        """For every image, status and vault."""
        chain = Chain()
        images = [chain.share(), chain.share(BAD), chain.share(full_ecs=True), chain.share(GOLDEN)]
        chain.cloud.fail_vault(VAULT, "IMG.0188", at="submit")
        await chain.notify(*images)
        await chain.settle()
        assert decided_before(chain)
        assert {event.type for event in chain.outcomes()} <= OUTCOMES
