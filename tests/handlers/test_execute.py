"""What the cloud refuses is split, moved on, repeated or told, and never told of the wrong image."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import httpx
import pytest

from doorman.errors import Broken, Busy, Failed, Late, TimedOut, Unavailable
from doorman.events.messages import OUTCOMES, EventType
from doorman.events.writing import read_notice
from doorman.handlers.context import ProjectContext
from doorman.handlers.triage import triage
from doorman.models import MAX_TRIED_VAULTS, MAX_TRIES, CloudEvent, Notice, Onward
from doorman.planning.plan import max_extra_calls
from tests.builders import CAUSE, GOLDEN, POLICY, RECEIVER, SECOND_VAULT, VAULT, Play, RecordingSink, State

pytestmark = pytest.mark.anyio


async def settle(context: ProjectContext, *images: str, tries: int = 1, tried: Sequence[str] = ()) -> Mapping[str, Any]:
    """Have these images settled."""
    notice = Notice(
        project_id=RECEIVER, images=images, cause=CAUSE, sent_at=None, tries=tries, tried_vaults=tuple(tried)
    )
    return await triage(context, [notice])


def share(state: State, count: int = 1, **fields: Any) -> list[str]:
    """Share images of GOLDEN."""
    return [state.add_share(GOLDEN, RECEIVER, **fields) for _ in range(count)]


def entries(sink: RecordingSink) -> dict[str, tuple[str, str, str | None]]:
    """Give outcome, reason and error code of each image that was told."""
    return {
        entry["image_id"]: (event.type.split(".")[-2], entry["reason"], entry["error_code"])
        for event in sink.events
        for entry in event.data["images"]
        if event.type in OUTCOMES
    }


class TestSplitting:
    """A batch that fails because of one image."""

    @pytest.mark.parametrize(
        ("code", "told"),
        [
            ("IMG.0067", ("failed", "request_refused", "IMG.0067")),
            ("IMG.0046", ("skipped", "not_usable", "IMG.0046")),
            ("IMG.0106", ("failed", "permission_denied", "IMG.0106")),
            ("IMG.0027", ("failed", "still_pending", "IMG.0027")),
            ("IMG.9999", ("failed", "request_refused", "IMG.9999")),
        ],
    )
    async def test_culprit(
        self, context: ProjectContext, state: State, sink: RecordingSink, code: str, told: Any
    ) -> None:
        """It is found and told; the others are settled, in few calls."""
        images = share(state, 8)
        state.fail_image(images[5], code, at="submit")
        ended = await settle(context, *images)
        assert ended == {**dict.fromkeys(images, Onward.SUBMITTED), images[5]: told[0]}
        assert entries(sink) == {images[5]: told}
        assert sorted(image for job in state.jobs.values() for image in job.images) == sorted({*images} - {images[5]})

    async def test_missing_right(self, context: ProjectContext, state: State, sink: RecordingSink) -> None:
        """It is not asked for image by image: after a few the rest is taken for denied as well."""
        state.directory.named("doorman", "Default").roles[RECEIVER] = {"reader"}  # type: ignore[union-attr]
        images = share(state, 40)
        assert await settle(context, *images) == dict.fromkeys(images, "failed")
        assert set(entries(sink).values()) == {("failed", "permission_denied", "IMG.0106")}
        assert len(state.writes) < 20

    async def test_cloud_that_fails_on_the_way(
        self, context: ProjectContext, state: State, sink: RecordingSink
    ) -> None:
        """What was not asked yet is asked again; nothing is told of it."""
        images = share(state, 4)
        state.faults.add("status", method="PUT", status=500)
        ended = await settle(context, *images)
        assert {type(error) for error in ended.values()} == {Failed}
        assert (entries(sink), len(state.writes)) == ({}, 7)

    async def test_poison(self, context: ProjectContext, state: State, sink: RecordingSink) -> None:
        """The service fails whenever one image is in the call: it comes again alone, the others are settled."""
        images = share(state, 10)
        state.fail_image(images[4], "500", at="submit")
        ended = await settle(context, *images)
        assert ended == {**dict.fromkeys(images, Onward.SUBMITTED), images[4]: Onward.REPEATED}
        assert len(state.writes) <= 1 + max_extra_calls(10)

    async def test_many_culprits(self, context: ProjectContext, state: State, sink: RecordingSink) -> None:
        """The calls beyond the batch's own have a bound; who is not looked at comes again in smaller groups."""
        images = share(state, 64)
        for image in images:
            state.fail_image(image, "IMG.0067", at="submit")
        ended = await settle(context, *images)
        assert len(state.writes) <= 1 + max_extra_calls(64)
        again = [event for event in sink.events if event.type == EventType.NOTIFIED]
        assert sum(len(event.data["images"]) for event in again) == list(ended.values()).count(Onward.REPEATED)
        assert set(ended.values()) == {"failed", Onward.REPEATED}

    async def test_call_that_times_out(self, play: Play, state: State) -> None:
        """The next one takes half as many images, down to one; once they are taken they grow again, to the setting."""
        context = await play.context(DOORMAN_MAX_IMAGES_PER_CALL="8")
        images = share(state, 19)
        sizes: list[int] = []
        slow_above = 2

        def be_slow(request: httpx.Request) -> None:
            if request.method == "PUT":
                sizes.append(len(json.loads(request.content)["images"]))
                if sizes[-1] > slow_above:
                    raise httpx.ReadTimeout("too much at once")

        play.hooks.append(be_slow)
        for _ in range(2):
            assert isinstance((await settle(context, *images[:8]))[images[0]], TimedOut)
        assert set((await settle(context, *images[:8])).values()) == {Onward.SUBMITTED}
        assert sizes == [8, 4, 4, 2, 2, 2, 2]
        slow_above = 99
        await settle(context, *images[8:])
        await settle(context, *share(state, 20))
        await settle(context, *share(state, 20))
        assert sizes[7:] == [4, 4, 3, 8, 8, 4, 8, 8, 4]
        recorded = (len(event.data["images"]) for event in play.sink.events if event.type == EventType.DECIDED)
        assert [*recorded] == [8, 8, 8, 11, 20, 20]  # once for all calls that settle alike

    async def test_read_back(self, play: Play, state: State) -> None:
        """What was settled without jobs is read back call by call: of more than 1,000 no member row would be read."""
        native = await play.context(DOORMAN_API="glance", DOORMAN_MAX_IMAGES_PER_CALL="8")
        images = share(state, 16)
        assert await settle(native, *images) == dict.fromkeys(images, "accepted")
        assert len([call for call in state.calls if "member_status=accepted" in call.query]) == 2

    async def test_answer_that_got_lost(self, context: ProjectContext, state: State, sink: RecordingSink) -> None:
        """It is read back at once: what the call settled is told, what it did not waits for the redelivery."""
        state.settings.job_seconds = 0
        images = share(state, 3)
        state.fail_image(images[2], "IMG.0061", at="silent")
        state.faults.add("reset", method="PUT", performed=True, times=1)
        notice = Notice(project_id=RECEIVER, images=tuple(images), cause=CAUSE, sent_at=context.clock.now())
        ended = await triage(context, [notice])
        assert [ended[image] for image in images[:2]] == ["accepted", "accepted"]
        assert isinstance(ended[images[2]], Broken)
        assert entries(sink) == dict.fromkeys(images[:2], ("accepted", "already_settled", None))


class TestVaults:
    """A vault that cannot be used."""

    async def test_next_vault(self, context: ProjectContext, state: State, sink: RecordingSink) -> None:
        """The next one of the mapping, at once."""
        for vault in (VAULT, SECOND_VAULT):
            state.add_vault(RECEIVER, vault)
        state.fail_vault(VAULT, "IMG.0184", at="submit")
        images = share(state, 3, full_ecs=True)
        assert await settle(context, *images) == dict.fromkeys(images, Onward.SUBMITTED)
        assert [job.vault_id for job in state.jobs.values()] == [SECOND_VAULT]
        (check,) = [event for event in sink.events if event.type == EventType.CHECK]
        assert check.data["tried_vaults"] == [VAULT]
        decided = [event.data["vault_id"] for event in sink.events if event.type == EventType.DECIDED]
        assert decided == [VAULT, SECOND_VAULT]
        assert len(state.writes) == 2

    async def test_room_for_some(self, context: ProjectContext, state: State, sink: RecordingSink) -> None:
        """A vault that is too small for all may do for one: the batch is split."""
        state.settings.vault_check = "submit"
        state.add_vault(RECEIVER, VAULT, size=2)
        state.add_vault(RECEIVER, SECOND_VAULT, size=1000)
        images = share(state, 4, full_ecs=True, size_gb=2)
        assert await settle(context, *images) == dict.fromkeys(images, Onward.SUBMITTED)
        assert {job.vault_id for job in state.jobs.values()} == {VAULT}
        assert {len(job.images) for job in state.jobs.values()} == {1}

    async def test_too_many_tries(self, context: ProjectContext, state: State, sink: RecordingSink) -> None:
        """However many vaults an event says it tried, the chain ends with what was seen to fail here."""
        for vault in (VAULT, SECOND_VAULT):
            state.fail_vault(vault, "IMG.0184", at="submit")
        (image,) = share(state, full_ecs=True)
        tried = [f"v{number}" for number in range(MAX_TRIED_VAULTS - 1)]
        assert await settle(context, image, tried=tried) == {image: "held"}


class TestPassing:
    """Refusals that may pass."""

    async def test_notified_again(self, context: ProjectContext, state: State, sink: RecordingSink) -> None:
        """The image comes again with one try more; the others do not wait for it."""
        images = share(state, 2)
        state.fail_image(images[1], "IMG.0064", at="submit")
        assert await settle(context, *images) == {images[0]: Onward.SUBMITTED, images[1]: Onward.REPEATED}
        (again,) = [event for event in sink.events if event.type.endswith("notified.v1")]
        assert (read_notice(again).images, read_notice(again).tries) == ((images[1],), 2)

    async def test_settled_by_somebody_else(self, play: Play, context: ProjectContext, sink: RecordingSink) -> None:
        """What was refused is looked at before anything is said of it."""
        accepted, rejected, gone = share(play.state, 3)
        for image in (accepted, rejected, gone):
            play.state.fail_image(image, "IMG.0067", at="submit")

        def meddle(request: httpx.Request) -> None:
            if request.method == "PUT":
                play.state.set_status(accepted, RECEIVER, "accepted")
                play.state.set_status(rejected, RECEIVER, "rejected")
                play.state.unshare(gone, RECEIVER)

        play.hooks.append(meddle)
        await settle(context, accepted, rejected, gone)
        assert entries(sink) == {
            accepted: ("skipped", "already_settled", None),
            rejected: ("skipped", "settled_otherwise", None),
            gone: ("skipped", "not_shared", None),
        }

    async def test_refused_image_that_cannot_be_read(
        self, play: Play, context: ProjectContext, state: State, sink: RecordingSink
    ) -> None:
        """Nothing is said of it: it is asked for again."""
        (image,) = share(state)
        state.fail_image(image, "IMG.0067", at="submit")
        state.faults.add("status", method="PUT", status=400, code="IMG.0067", times=1)
        state.faults.add("status", path="/members/", status=500)
        play.hooks.append(lambda request: hide() if request.method == "PUT" else None)

        def hide() -> None:
            state.faults.add("status", method="GET", status=500)

        ended = await settle(context, image)
        assert isinstance(ended[image], Unavailable)
        assert entries(sink) == {}


class TestAtOnce:
    """Plain OpenStack: no jobs."""

    @pytest.fixture
    async def native(self, play: Play) -> ProjectContext:
        """A project on plain OpenStack."""
        return await play.context(DOORMAN_API="glance")

    async def test_refused(self, native: ProjectContext, state: State, sink: RecordingSink) -> None:
        """One by one; the others are settled."""
        state.directory.named("doorman", "Default").roles[RECEIVER] = {"reader"}  # type: ignore[union-attr]
        images = share(state, 3)
        assert await settle(native, *images) == dict.fromkeys(images, "failed")
        assert set(entries(sink).values()) == {("failed", "permission_denied", "403")}

    async def test_cloud_that_fails(self, native: ProjectContext, state: State, sink: RecordingSink) -> None:
        """For one image: it alone comes again; where it fails for all, that is no image's fault."""
        images = share(state, 3)
        state.faults.add("status", method="PUT", path=images[1], status=500)
        found = await settle(native, *images)
        assert found == {images[0]: "accepted", images[1]: Onward.REPEATED, images[2]: "accepted"}
        assert isinstance((await settle(native, images[1], tries=MAX_TRIES))[images[1]], Failed)

    async def test_cloud_that_is_busy(self, native: ProjectContext, state: State, sink: RecordingSink) -> None:
        """The call is made again after a fresh look, a few times; then the image is asked for again."""
        busy, hopeless = share(state, 2)
        state.faults.add("status", method="PUT", path=busy, status=503, retry_after=1, times=2)
        state.faults.add("status", method="PUT", path=hopeless, status=503)
        ended = await settle(native, busy, hopeless)
        assert (ended[busy], type(ended[hopeless])) == ("accepted", Busy)
        assert len([call for call in state.calls if call.method == "PUT" and hopeless in call.path]) == 3

    async def test_login_that_ends(self, native: ProjectContext, state: State, sink: RecordingSink) -> None:
        """Nothing is said of the image: it is asked for again."""
        (image,) = share(state)
        state.faults.add("status", method="PUT", status=401)
        assert isinstance((await settle(native, image))[image], Unavailable)
        assert entries(sink) == {}

    async def test_result_that_cannot_be_read(self, play: Play, native: ProjectContext, sink: RecordingSink) -> None:
        """What the answer echoes proves nothing: without reading back nothing is told."""
        (image,) = share(play.state)

        def fail(request: httpx.Request) -> None:
            if request.method == "PUT":
                play.state.faults.add("status", method="GET", status=500)

        play.hooks.append(fail)
        ended = await settle(native, image)
        assert isinstance(ended[image], Unavailable)
        assert (entries(sink), play.state.member_status(image, RECEIVER)) == ({}, "accepted")

    async def test_meddling(self, play: Play, native: ProjectContext, sink: RecordingSink) -> None:
        """Two racing calls both answer 200: what stands afterwards is told."""
        other, gone, back = share(play.state, 3)

        def meddle(request: httpx.Request) -> None:
            if request.method == "GET" and "/members/" not in request.url.path and play.state.writes:
                play.state.set_status(other, RECEIVER, "rejected")
                play.state.set_status(back, RECEIVER, "pending")
                if play.state.member_status(gone, RECEIVER):
                    play.state.unshare(gone, RECEIVER)

        play.hooks.append(meddle)
        await settle(native, other, gone, back)
        assert entries(sink) == {
            other: ("failed", "settled_otherwise", None),
            gone: ("skipped", "not_shared", None),
            back: ("failed", "still_pending", None),
        }


class TestBetween:
    """Somebody settles a share while we are at it: that is never overwritten."""

    @pytest.mark.parametrize("api", ["ims", "glance"])
    async def test_busy_cloud(self, play: Play, state: State, sink: RecordingSink, api: str) -> None:
        """A person rejects the share while the call waits to be made again."""
        context = await play.context(DOORMAN_API=api)
        (image,) = share(state)
        state.faults.add("status", method="PUT", status=503, retry_after=2, times=1)

        def meddle(request: httpx.Request) -> None:
            if request.method == "PUT":
                state.set_status(image, RECEIVER, "rejected")

        play.hooks.append(meddle)
        assert await settle(context, image) == {image: "skipped"}
        assert entries(sink) == {image: ("skipped", "settled_otherwise", None)}
        assert (state.member_status(image, RECEIVER), len(state.writes)) == ("rejected", 1)

    async def test_divided_batch(self, play: Play, context: ProjectContext, state: State, sink: RecordingSink) -> None:
        """A person rejects a share between the halves of a divided batch."""
        images = share(state, 4)
        state.fail_image(images[0], "IMG.0067", at="submit")

        def meddle(request: httpx.Request) -> None:
            if request.method == "PUT":
                state.set_status(images[3], RECEIVER, "rejected")

        play.hooks.append(meddle)
        ended = await settle(context, *images)
        assert [ended[image] for image in images] == ["failed", *[Onward.SUBMITTED] * 2, "skipped"]
        assert state.member_status(images[3], RECEIVER) == "rejected"

    @pytest.mark.parametrize("api", ["ims", "glance"])
    @pytest.mark.parametrize("slow", ["look", "sink", "cloud"])
    async def test_slow_world(self, play: Play, state: State, api: str, slow: str) -> None:
        """A person rejects the share after a slow look, while the sink takes the evidence, or while the call waits."""
        context = await play.context(DOORMAN_API=api)
        (image,) = share(state)

        def look(request: httpx.Request) -> None:
            play.clock.seconds += 1.5 * (slow == "look" and request.method == "GET")

        play.hooks.append(look)

        class Slow(RecordingSink):
            async def emit(self, event: CloudEvent) -> None:
                if event.type == EventType.DECIDED:
                    play.clock.seconds += 1.5 * (slow == "sink")
                    context.cloud.client.throttle.hold(1.5 * (slow == "cloud"))
                    state.set_status(image, RECEIVER, "rejected")

        assert await settle(replace(context, sink=Slow()), image) == {image: "skipped"}
        assert (state.member_status(image, RECEIVER), state.writes) == ("rejected", [])

    async def test_call_that_is_always_late(self, play: Play, context: ProjectContext, state: State) -> None:
        """It is looked after a few times, and made at none of them: the broker brings it again."""
        (image,) = share(state)
        play.hooks.append(lambda _: context.cloud.client.throttle.hold(1.5))
        assert (type((await settle(context, image))[image]), state.writes) == (Late, [])

    async def test_one_by_one(self, play: Play, state: State) -> None:
        """Where images are settled one by one, the look may be old before the last of them has its turn."""
        native = await play.context(DOORMAN_API="glance")
        images = share(state, 20)

        def meddle(request: httpx.Request) -> None:
            if request.method == "PUT":
                play.clock.seconds += 0.6
                state.set_status(images[-1], RECEIVER, "rejected")

        play.hooks.append(meddle)
        assert await settle(native, *images) == {**dict.fromkeys(images, "accepted"), images[-1]: "skipped"}
        assert state.member_status(images[-1], RECEIVER) == "rejected"


@pytest.mark.parametrize("failing", ["cbr", "vaults"])
async def test_plain_images_need_no_vaults(play: Play, state: State, failing: str) -> None:
    """A backup service that refuses leaves nobody waiting but the image that needs a vault."""
    policy = POLICY.partition("vaults:")[0] + "vaults: [{candidates: [v]}]\n"
    context = await play.context(policy=policy)
    plain, whole = *share(state), *share(state, full_ecs=True)
    state.faults.add("status", path="vaults", status=403 if failing == "cbr" else 503)
    ended = await settle(context, plain, whole)
    assert ended[plain] == Onward.SUBMITTED
    assert isinstance(ended[whole], Unavailable)
