"""What one project asks of its cloud: whole lists however they are paged, rows, jobs and vaults."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from doorman.cloud.api.base import ImageService
from doorman.cloud.api.glance import Glance
from doorman.cloud.api.ims import Ims
from doorman.cloud.client import counting
from doorman.cloud.project import FEW, Cloud
from doorman.errors import Refused, Unavailable
from doorman.handlers.context import ProjectContext
from doorman.models import Job, JobState, MemberRow, Share
from tests.builders import GOLDEN, RECEIVER, START, FakeClock, Play, Script, State, image_id

pytestmark = pytest.mark.anyio

UNKNOWN = image_id(999_999)
FORBIDDEN = httpx.Response(403, json={"error": {"code": "IMG.0106", "message": "no"}})


@pytest.fixture
def cloud(context: ProjectContext) -> Cloud:
    """The receiver's view of the local cloud."""
    return context.cloud


@pytest.fixture
async def native(play: Play) -> Cloud:
    """The same cloud through OpenStack's own API."""
    return (await play.context(DOORMAN_API="glance")).cloud


def scripted(clock: FakeClock, *answers: Any, service: ImageService | None = None) -> tuple[Cloud, Script]:
    """Make the view of a cloud that answers like this."""
    script = Script(answers)
    return Cloud(project_id=RECEIVER, client=script.client(clock), service=service or Ims()), script


def page(*numbers: int, **more: Any) -> dict[str, Any]:
    """Make a page of a list; with `backup`, the images are those of whole servers."""
    backup = {"__backup_id": "b"} if more.pop("backup", False) else {}
    return {"images": [{"id": image_id(number), "owner": GOLDEN, **backup} for number in numbers], **more}


FULL = page(*range(500), backup=True)


def markers(script: Script) -> list[str | None]:
    """Give the markers that were asked for."""
    return [request.url.params.get("marker") for request in script.requests]


class TestPending:
    """What waits for a decision."""

    async def test_whole_servers(self, state: State, cloud: Cloud) -> None:
        """They are told by a filter, which is asked for only where an image does not say itself."""
        plain, whole = (state.add_share(GOLDEN, RECEIVER, full_ecs=kind) for kind in (False, True))
        state.image_store.images[whole].backup_id = None
        found = await cloud.pending()
        assert {image: share.full_ecs for image, share in found.items()} == {plain: False, whole: True}

    async def test_kind_is_asked_every_time(self, state: State, cloud: Cloud) -> None:
        """Nothing is remembered: what is decided of a share rests on what was just read."""
        image = state.add_share(GOLDEN, RECEIVER)
        for calls in (2, 2):
            with counting() as tally:
                assert (await cloud.pending())[image].full_ecs is False
            assert tally.calls == calls

    async def test_one_image(self, state: State, cloud: Cloud) -> None:
        """Only this one, and whether it is a whole server's."""
        state.add_share(GOLDEN, RECEIVER)
        image = state.add_share(GOLDEN, RECEIVER, full_ecs=True)
        found = await cloud.pending([image])
        assert {key: share.full_ecs for key, share in found.items()} == {image: True}
        assert await cloud.pending([UNKNOWN]) == {}

    async def test_own_images(self, state: State, cloud: Cloud) -> None:
        """They are among it, and for them alone nobody asks which images are of whole servers."""
        own = state.add_image(RECEIVER).id
        with counting() as tally:
            found = await cloud.pending()
        assert (found[own].owner, tally.calls) == (RECEIVER, 1)

    async def test_hidden_images(self, state: State, native: Cloud) -> None:
        """Their owner takes them out of ordinary lists; they wait for a decision all the same."""
        shown, hidden = state.add_share(GOLDEN, RECEIVER), state.add_share(GOLDEN, RECEIVER)
        state.hide(hidden)
        assert (await native.pending()).keys() == {shown, hidden}
        assert (await native.find("pending", [hidden])).keys() == {hidden}
        assert ((await native.image(hidden)).owner, await native.is_visible(hidden)) == (GOLDEN, True)


class TestWalk:
    """Lists, page by page."""

    @pytest.mark.parametrize("count", [499, 500, 501, 1001])
    async def test_all_pages(self, state: State, cloud: Cloud, count: int) -> None:
        """However many there are."""
        images = {state.add_share(GOLDEN, RECEIVER) for _ in range(count)}
        assert (await cloud.pending()).keys() == images

    async def test_all_native_pages(self, state: State, native: Cloud) -> None:
        """By the links of OpenStack, the last of which leads to an empty page; and one list of what is hidden."""
        images = {state.add_share(GOLDEN, RECEIVER) for _ in range(2000)}
        with counting() as tally:
            assert (await native.pending()).keys() == images
        assert tally.calls == 4

    @pytest.mark.parametrize("api", ["ims", "glance"])
    @pytest.mark.parametrize("act", ["unshare", "delete"])
    async def test_marker_that_vanishes(self, play: Play, api: str, act: str) -> None:
        """The walk starts again, and misses nobody."""
        size = 500 if api == "ims" else 1000
        state, cloud = play.state, (await play.context(DOORMAN_API=api)).cloud
        images = {state.add_share(GOLDEN, RECEIVER) for _ in range(size + 5)}
        lost: list[str] = []

        def vanish(request: httpx.Request) -> None:
            marker = request.url.params.get("marker")
            if marker and not lost:
                lost.append(marker)
                if act == "unshare":
                    state.unshare(marker, RECEIVER)
                else:
                    state.delete_image(marker)

        play.hooks.append(vanish)
        assert (await cloud.find("pending", images)).keys() == images - set(lost)
        assert len(lost) == 1

    async def test_link_that_leads_back(self, clock: FakeClock) -> None:
        """Nor one whose pages lead in a circle."""
        first, second = (page(number, next=f"/v2/images?marker={image_id(number)}") for number in (1, 2))
        cloud, script = scripted(clock, first, second, first, page(), service=Glance())
        assert (await cloud.pending()).keys() == {image_id(1), image_id(2)}
        assert markers(script) == [None, image_id(1), image_id(2), None]


class TestFind:
    """Images in the list of one status."""

    async def test_few_are_asked_for_one_by_one(self, state: State, cloud: Cloud) -> None:
        """Each by its ID, and where it does not say by another call whether it is of a whole server."""
        images = [state.add_share(GOLDEN, RECEIVER, status="accepted", name="n") for _ in range(FEW)]
        with counting() as tally:
            found = await cloud.find("accepted", [*images[:-1], UNKNOWN])
        assert {image: (share.name, share.member_status) for image, share in found.items()} == dict.fromkeys(
            images[:-1], ("n", "accepted")
        )
        assert tally.calls == 2 * (FEW - 1) + 1

    async def test_nothing_looked_for(self, state: State, cloud: Cloud) -> None:
        """No call."""
        assert await cloud.find("accepted", []) == {}
        assert not state.calls

    async def test_other_image_in_the_answer(self, clock: FakeClock) -> None:
        """A service that ignores the filter tells us of others: they are not the one."""
        cloud, _ = scripted(clock, page(1, 2))
        assert (await cloud.find("accepted", [image_id(2)])).keys() == {image_id(2)}


class TestImage:
    """One image by itself, where no list shows it."""

    async def test_what_it_tells(self, state: State, cloud: Cloud) -> None:
        """All but how it stands and whether it is of a whole server; the member row says how it stands."""
        image = state.add_share(GOLDEN, RECEIVER, name="golden", status="accepted")
        share = await cloud.image(image)
        assert (share.owner, share.name, share.member_status, share.full_ecs) == (GOLDEN, "golden", None, None)
        assert await cloud.image(image, await cloud.member(image)) == replace(
            share, member_status="accepted", shared_at=START, settled_at=START
        )

    async def test_image_that_is_not_shown(self, cloud: Cloud, native: Cloud) -> None:
        """Nothing is known of it; on plain OpenStack it is no whole server."""
        nothing = Share(image_id=UNKNOWN, project_id=RECEIVER, full_ecs=None)
        assert await cloud.image(UNKNOWN) == nothing
        assert await native.image(UNKNOWN, MemberRow(status="rejected")) == replace(
            nothing, full_ecs=False, member_status="rejected"
        )

    async def test_image_that_the_login_may_not_read(self, clock: FakeClock) -> None:
        """An application credential may be kept to some calls: the event goes on, and the log says what to allow."""
        cloud, _ = scripted(clock, 401)
        with capture_logs() as logs:
            found = await cloud.image(UNKNOWN, MemberRow(status="pending"))
        assert found == Share(image_id=UNKNOWN, project_id=RECEIVER, member_status="pending", full_ecs=None)
        assert logs == [
            {
                "event": "image.denied",
                "log_level": "warning",
                "project_id": RECEIVER,
                "image_id": UNKNOWN,
                "fix": "let the access rules name GET /v2/images/{image_id}",
            }
        ]


class TestRows:
    """Our own member row of an image."""

    async def test_no_share(self, state: State, cloud: Cloud) -> None:
        """Unknown, unshared, somebody else's and our own image look the same."""
        unshared = state.add_share(GOLDEN, RECEIVER)
        state.unshare(unshared, RECEIVER)
        for image in (UNKNOWN, unshared, state.add_share(GOLDEN, "another"), state.add_image(RECEIVER).id):
            assert await cloud.member(image) is None

    async def test_right_that_is_missing(self, clock: FakeClock) -> None:
        """It is named, and says nothing about the share."""
        cloud, _ = scripted(clock, FORBIDDEN)
        with pytest.raises(Unavailable) as caught:
            await cloud.member(UNKNOWN)
        assert str(caught.value) == (
            "the cloud denied the image list (IMG.0106): grant ims:images:list and ims:images:get in this project"
        )


async def test_refused_at_once(clock: FakeClock) -> None:
    """A missing right is told as a refusal; of an image that is gone the row will tell."""
    cloud, _ = scripted(clock, 403, 404, service=Glance())
    with pytest.raises(Refused):
        await cloud.settle([UNKNOWN], status="accepted")
    assert await cloud.settle([UNKNOWN], status="accepted") == ""


class TestJobs:
    """How a job stands."""

    @pytest.mark.parametrize("endpoints", ["both", "classic", "new"])
    async def test_either_endpoint(self, play: Play, cloud: Cloud, endpoints: Any) -> None:
        """The newer one is asked where the classic one does not know the job."""
        play.state.settings.job_endpoints = endpoints
        image = play.state.add_share(GOLDEN, RECEIVER)
        job_id = await cloud.settle([image], status="accepted")
        assert await cloud.job(job_id) == Job(state=JobState.RUNNING, begin_time=START)
        play.clock.seconds += 1
        images = None if endpoints == "new" else frozenset({image})
        assert await cloud.job(job_id) == Job(state=JobState.SUCCESS, begin_time=START, images=images)

    async def test_unknown_job(self, cloud: Cloud) -> None:
        """Neither knows it."""
        with counting() as tally:
            assert await cloud.job("no-such-job") == Job(state=JobState.UNKNOWN)
        assert tally.calls == 2

    async def test_job_of_another_project(self, state: State, cloud: Cloud) -> None:
        """It is as good as unknown: a forged check learns nothing of it."""
        job = state.queue.submit("another", "accepted", [], None)
        assert await cloud.job(job.id) == Job(state=JobState.UNKNOWN)


class TestVaults:
    """Where backups can go."""

    async def test_page_with_unreadable_rows(self, clock: FakeClock) -> None:
        """The next page is asked for by rows, not by what could be read of them."""
        billing = {"size": 1}
        rows: list[Any] = [{"id": f"v{number}", "billing": billing} for number in range(999)]
        cloud, script = scripted(clock, {"vaults": [*rows, 5]}, {"vaults": [{"id": "last", "billing": billing}]})
        assert len(await cloud.vaults()) == 1000
        assert [request.url.params["offset"] for request in script.requests] == ["0", "1000"]

    async def test_page_that_comes_again(self, clock: FakeClock) -> None:
        """A service that ignores the offset does not keep us for ever."""
        rows = [{"id": f"v{number}", "billing": {"size": 1}} for number in range(1000)]
        cloud, script = scripted(clock, {"vaults": rows})
        assert (len(await cloud.vaults()), len(script.requests)) == (1000, 2)


class TestUsage:
    """Which servers run from shares, and whether an image is still to be seen."""

    async def test_servers(self, state: State, cloud: Cloud) -> None:
        """Those of this project."""
        image = state.add_share(GOLDEN, RECEIVER)
        server = state.add_server(RECEIVER, image)
        state.add_server("another", image)
        assert [(each.server_id, each.image_id) for each in await cloud.servers()] == [(server.id, image)]

    async def test_all_pages(self, clock: FakeClock) -> None:
        """As long as a next one is announced; a service whose markers go round does not keep us for ever."""
        pages = [
            {"servers": [{"id": f"s{number}", "image": {"id": UNKNOWN}}], "servers_links": [{"rel": "next"}]}
            for number in range(3)
        ]
        cloud, script = scripted(clock, *pages, pages[1])
        found = await cloud.servers()
        assert [server.server_id for server in found] == ["s0", "s1", "s2"]
        assert markers(script) == [None, "s0", "s1", "s2"]

    async def test_visible_image(self, state: State, cloud: Cloud) -> None:
        """As long as it is shared, whatever its status; an image that is taken back looks like none."""
        image = state.add_share(GOLDEN, RECEIVER, status="rejected")
        assert await cloud.is_visible(image)
        state.unshare(image, RECEIVER)
        assert not await cloud.is_visible(image)
