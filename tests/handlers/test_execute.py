"""What the cloud refuses is split, moved on, repeated or told, and never told of the wrong image."""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import pytest

from doorman.errors import Broken, Unavailable
from doorman.events.writing import read_notice
from doorman.handlers.context import ProjectContext
from doorman.handlers.results import REPEATED, SUBMITTED
from doorman.handlers.triage import triage
from doorman.models import MAX_TRIED_VAULTS, MAX_TRIES, Notice
from tests.builders import BAD, CAUSE, GOLDEN, RECEIVER, SECOND_VAULT, VAULT, MakeContext, Play, RecordingSink, State

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
    """Give fate, reason and error code of each image that was told."""
    return {
        entry["image_id"]: (event.type.split(".")[-2], entry["reason"], entry["error_code"])
        for event in sink.events
        for entry in event.data["images"]
        if isinstance(entry, dict)
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
        assert ended == {**dict.fromkeys(images, SUBMITTED), images[5]: told[0]}
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
        assert {type(error) for error in ended.values()} == {Broken}
        assert (sink.events, len(state.writes)) == ([], 1)


class TestVaults:
    """A vault that cannot be used."""

    async def test_next_vault(self, context: ProjectContext, state: State, sink: RecordingSink) -> None:
        """The next one of the mapping, at once."""
        for vault in (VAULT, SECOND_VAULT):
            state.add_vault(RECEIVER, vault)
        state.fail_vault(VAULT, "IMG.0184", at="submit")
        images = share(state, 3, full_ecs=True)
        assert await settle(context, *images) == dict.fromkeys(images, SUBMITTED)
        assert [job.vault_id for job in state.jobs.values()] == [SECOND_VAULT]
        assert sink.events[0].data["tried_vaults"] == [VAULT]
        assert len(state.writes) == 2

    async def test_no_vault_left(self, context: ProjectContext, state: State, sink: RecordingSink) -> None:
        """Held, with what the last one said."""
        for vault in (VAULT, SECOND_VAULT):
            state.fail_vault(vault, "IMG.0188", at="submit")
        images = share(state, 2, full_ecs=True)
        assert await settle(context, *images) == dict.fromkeys(images, "held")
        assert set(entries(sink).values()) == {("held", "vault_failed", "IMG.0188")}

    async def test_room_for_some(self, context: ProjectContext, state: State, sink: RecordingSink) -> None:
        """A vault that is too small for all may do for one: the batch is split."""
        state.settings.vault_check = "submit"
        state.add_vault(RECEIVER, VAULT, size=2)
        state.add_vault(RECEIVER, SECOND_VAULT, size=1000)
        images = share(state, 4, full_ecs=True, size_gb=2)
        assert await settle(context, *images) == dict.fromkeys(images, SUBMITTED)
        assert {job.vault_id for job in state.jobs.values()} == {VAULT}
        assert {len(job.images) for job in state.jobs.values()} == {1}

    async def test_too_many_tries(self, context: ProjectContext, state: State, sink: RecordingSink) -> None:
        """However many vaults an event says it tried, the chain ends."""
        state.fail_vault(VAULT, "IMG.0184", at="submit")
        (image,) = share(state, full_ecs=True)
        tried = [f"v{number}" for number in range(MAX_TRIED_VAULTS - 1)]
        assert await settle(context, image, tried=tried) == {image: "held"}

    async def test_vault_error_without_a_vault(
        self, context: ProjectContext, state: State, sink: RecordingSink
    ) -> None:
        """Nothing to move on to."""
        (image,) = share(state)
        state.fail_image(image, "IMG.0182", at="submit")
        assert await settle(context, image) == {image: "held"}


class TestPassing:
    """Refusals that may pass."""

    async def test_notified_again(self, context: ProjectContext, state: State, sink: RecordingSink) -> None:
        """The image comes again with one try more; the others do not wait for it."""
        images = share(state, 2)
        state.fail_image(images[1], "IMG.0064", at="submit")
        assert await settle(context, *images) == {images[0]: SUBMITTED, images[1]: REPEATED}
        (again,) = [event for event in sink.events if event.type.endswith("notified.v1")]
        assert (read_notice(again).images, read_notice(again).tries) == ((images[1],), 2)

    async def test_last_try(self, context: ProjectContext, state: State, sink: RecordingSink) -> None:
        """Then it is told as failed."""
        (image,) = share(state)
        state.fail_image(image, "IMG.0064", at="submit")
        assert await settle(context, image, tries=MAX_TRIES) == {image: "failed"}
        assert entries(sink) == {image: ("failed", "request_refused", "IMG.0064")}

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
        self, context: ProjectContext, state: State, sink: RecordingSink
    ) -> None:
        """Nothing is said of it: it is asked for again."""
        (image,) = share(state)
        state.fail_image(image, "IMG.0067", at="submit")
        state.faults.add("status", path="/members/", status=500)
        ended = await settle(context, image)
        assert isinstance(ended[image], Unavailable)
        assert sink.events == []


class TestAtOnce:
    """Plain OpenStack: no jobs."""

    @pytest.fixture
    async def native(self, make_context: MakeContext) -> ProjectContext:
        """The desk of a project on plain OpenStack."""
        return await make_context(DOORMAN_API="glance")

    async def test_settled(self, native: ProjectContext, state: State, sink: RecordingSink) -> None:
        """Each image by itself, told after it was read back."""
        golden, bad = state.add_share(GOLDEN, RECEIVER), state.add_share(BAD, RECEIVER)
        assert await settle(native, golden, bad) == {golden: "accepted", bad: "rejected"}
        assert entries(sink) == {
            golden: ("accepted", "allowed_owner", None),
            bad: ("rejected", "rejected_by_rule", None),
        }

    async def test_refused(self, native: ProjectContext, state: State, sink: RecordingSink) -> None:
        """One by one; the others are settled."""
        state.directory.named("doorman", "Default").roles[RECEIVER] = {"reader"}  # type: ignore[union-attr]
        images = share(state, 3)
        assert await settle(native, *images) == dict.fromkeys(images, "failed")
        assert set(entries(sink).values()) == {("failed", "permission_denied", "403")}

    async def test_cloud_that_fails(self, native: ProjectContext, state: State, sink: RecordingSink) -> None:
        """For one image: it alone is asked for again."""
        images = share(state, 3)
        state.faults.add("status", method="PUT", path=images[1], status=500)
        ended = await settle(native, *images)
        assert isinstance(ended[images[1]], Unavailable)
        assert [ended[image] for image in images[::2]] == ["accepted", "accepted"]

    async def test_result_that_cannot_be_read(self, play: Play, native: ProjectContext, sink: RecordingSink) -> None:
        """What the answer echoes proves nothing: without reading back nothing is told."""
        (image,) = share(play.state)

        def fail(request: httpx.Request) -> None:
            if request.method == "PUT":
                play.state.faults.add("status", method="GET", status=500)

        play.hooks.append(fail)
        ended = await settle(native, image)
        assert isinstance(ended[image], Unavailable)
        assert (sink.events, play.state.member_status(image, RECEIVER)) == ([], "accepted")

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


async def test_share_that_is_not_visible_yet(context: ProjectContext, play: Play, sink: RecordingSink) -> None:
    """It is asked for again in a while; the others have ended."""
    image = share(play.state)[0]
    young = Notice(project_id=RECEIVER, images=(image, "0" * 8), cause=CAUSE, sent_at=play.now())
    ended = await triage(context, [young])
    assert ended[image] == SUBMITTED
    waiting = ended["0" * 8]
    assert isinstance(waiting, Unavailable)
    assert (str(waiting), waiting.retry_after) == ("the share is not visible yet", 5.0)


async def test_policy_that_forbids_writing(make_context: MakeContext, state: State, sink: RecordingSink) -> None:
    """In audit mode the plan has no calls."""
    (image,) = share(state)
    assert await settle(await make_context(DOORMAN_MODE="audit"), image) == {image: "audited"}
    assert not state.writes
