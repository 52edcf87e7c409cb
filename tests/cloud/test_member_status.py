"""How shares stand is read from the cloud, by rows or by lists, and no share is taken for gone that is not."""

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from doorman.cloud.member_status import read_back, read_current
from doorman.cloud.project import Cloud
from doorman.handlers.context import ProjectContext
from doorman.models import FEW_ROWS, MemberStatus, Share
from tests.builders import GOLDEN, RECEIVER, START, Play, State, image_id

pytestmark = pytest.mark.anyio

UNKNOWN = image_id(999_999)


@pytest.fixture
def cloud(context: ProjectContext) -> Cloud:
    """The receiver's view of the cloud."""
    return context.cloud


class LaggingCloud(Cloud):
    """A cloud whose lists show nothing yet."""

    async def find(self, status: MemberStatus, images: Collection[str]) -> dict[str, Share]:
        """Find nothing."""
        return {}


def seed(state: State, count: int = 1) -> dict[str, str]:
    """Share `count` images in each status; gives the status of each."""
    return {
        state.add_share(GOLDEN, RECEIVER, status=status, name=status): status
        for status in ("pending", "accepted", "rejected")
        for _ in range(count)
    }


def statuses(found: dict[str, Share | None]) -> dict[str, str | None]:
    """Give each image's status."""
    return {image: share.member_status if share else None for image, share in found.items()}


@pytest.mark.parametrize("count", [1, FEW_ROWS])
async def test_every_status(state: State, cloud: Cloud, count: int) -> None:
    """By their own rows or by lists: each share with what is known of it, None for what is not shared."""
    wanted: dict[str, str | None] = {**seed(state, count), UNKNOWN: None}
    found = await read_current(cloud, list(wanted))
    assert statuses(found) == wanted
    assert list(found) == list(wanted)
    told = {(share.name, share.owner) for share in found.values() if share}
    assert told == {("pending", GOLDEN), ("accepted", GOLDEN), ("rejected", GOLDEN)}


async def test_few_are_read_by_rows_and_many_by_lists(state: State, cloud: Cloud) -> None:
    """Twenty-one rows would be more calls than some lists; one more says which are of whole servers."""
    images = [state.add_share(GOLDEN, RECEIVER, status="accepted") for _ in range(FEW_ROWS + 1)]
    await read_current(cloud, images[:-1])
    rows = [call for call in state.calls if "/members/" in call.path]
    assert len(rows) == FEW_ROWS
    state.calls.clear()
    await read_current(cloud, images)
    assert [call.path for call in state.calls] == ["/v2/cloudimages"] * 3


@pytest.mark.parametrize("api", ["ims", "glance"])
async def test_rows_tell_when(play: Play, api: str) -> None:
    """When it was shared and when it was settled, as lists do not; and whether it is full-ECS."""
    state, cloud = play.state, (await play.context(DOORMAN_API=api)).cloud
    image = state.add_share(GOLDEN, RECEIVER)
    play.clock.seconds += 60
    state.set_status(image, RECEIVER, "rejected")
    play.clock.seconds += 60
    share = (await read_current(cloud, [image]))[image]
    (listed,) = (await cloud.listed("rejected")).values()
    assert share == replace(listed, shared_at=START, settled_at=START + timedelta(seconds=60))
    assert (listed.settled_at, listed.full_ecs) == (None, False)


@pytest.mark.parametrize("is_denied", [False, True])
async def test_plain_openstack_is_read_without_lists(play: Play, *, is_denied: bool) -> None:
    """Two calls an image; a login that may not read it by itself costs what is known of it, not how it stands."""
    cloud = (await play.context(DOORMAN_API="glance")).cloud
    image = play.state.add_share(GOLDEN, RECEIVER, status="accepted", name="golden")
    if is_denied:
        play.state.faults.add("status", path=f"/v2/images/{image}$", status=401)
    found = await read_current(cloud, [image, UNKNOWN])
    (known, unknown) = found.values()
    assert known is not None
    assert (known.member_status, known.full_ecs, unknown) == ("accepted", False, None)
    assert (known.name, known.owner) == ((None, None) if is_denied else ("golden", GOLDEN))
    assert not [call for call in play.state.calls if call.path == "/v2/images"]


async def test_row_that_no_list_shows(play: Play, state: State, cloud: Cloud) -> None:
    """The row is the truth of the status, and where a list lags behind, the image itself says whose it is."""
    image = state.add_share(GOLDEN, RECEIVER, status="pending", name="golden")

    def lag(request: httpx.Request) -> None:
        # between the row and the list, somebody else settles the share
        if request.url.params.get("member_status") == "pending":
            state.set_status(image, RECEIVER, "accepted")

    play.hooks.append(lag)
    share = (await read_current(cloud, [image]))[image]
    assert share is not None
    assert (share.image_id, share.owner, share.name, share.member_status) == (image, GOLDEN, "golden", "pending")


async def test_row_that_nothing_else_shows(play: Play, state: State, cloud: Cloud) -> None:
    """What is not known of a share stays unknown; that costs the name, not the outcome."""
    image = state.add_share(GOLDEN, RECEIVER, status="pending")

    def hide(request: httpx.Request) -> None:
        # between the row and the list, its owner takes the share back
        if request.url.params.get("member_status") == "pending":
            state.unshare(image, RECEIVER)

    play.hooks.append(hide)
    assert await read_current(cloud, [image]) == {
        image: Share(
            image_id=image,
            project_id=RECEIVER,
            member_status="pending",
            full_ecs=None,
            shared_at=START,
            settled_at=START,
        )
    }


async def test_share_that_is_settled_while_lists_are_read(play: Play, state: State, cloud: Cloud) -> None:
    """It is found in a later list: an image that is shared all the time is never told as gone."""
    images = [state.add_share(GOLDEN, RECEIVER) for _ in range(FEW_ROWS + 5)]

    def settle(request: httpx.Request) -> None:
        # before the second list is read, half of the shares have left the first
        if len([call for call in state.calls if call.path == "/v2/cloudimages"]) == 1:
            for image in images[::2]:
                state.set_status(image, RECEIVER, "accepted")

    state.set_status(images[0], RECEIVER, "accepted")
    play.hooks.append(settle)
    assert None not in statuses(await read_current(cloud, images)).values()


class TestReadingBack:
    """After a job, most should stand as it was to settle them."""

    async def test_all_settled(self, state: State, cloud: Cloud) -> None:
        """One list is enough, and one that says which are of whole servers."""
        images = [state.add_share(GOLDEN, RECEIVER, status="accepted") for _ in range(5)]
        found = await read_back(cloud, images, status="accepted")
        assert statuses(found) == dict.fromkeys(images, "accepted")
        assert [call.path for call in state.calls if "cloudimages" in call.path] == ["/v2/cloudimages"] * 2

    async def test_some_are_not(self, state: State, cloud: Cloud) -> None:
        """The rest is asked for by itself."""
        wanted: dict[str, str | None] = {**seed(state, 2), UNKNOWN: None}
        assert statuses(await read_back(cloud, list(wanted), status="accepted")) == wanted

    @pytest.mark.parametrize("count", [1, FEW_ROWS - 1])
    async def test_lists_that_lag(self, state: State, cloud: Cloud, count: int) -> None:
        """Only its own row says that a share is gone; the image itself says whose it was."""
        images = [state.add_share(GOLDEN, RECEIVER, status="accepted") for _ in range(count)]
        lagging = LaggingCloud(project_id=RECEIVER, client=cloud.client, service=cloud.service)
        found = await read_back(lagging, [*images, UNKNOWN], status="accepted")
        assert statuses(found) == {**dict.fromkeys(images, "accepted"), UNKNOWN: None}
        assert {share.owner for share in found.values() if share} == {GOLDEN}

    async def test_few_that_many_lists_do_not_show(self, play: Play, state: State, cloud: Cloud) -> None:
        """Of many that are not settled, the few that no list shows are asked for by their own rows."""
        images = [state.add_share(GOLDEN, RECEIVER) for _ in range(FEW_ROWS + 5)]

        def settle(request: httpx.Request) -> None:
            # after the list of accepted ones was read, and after that of pending ones, one more is settled
            if request.url.params.get("member_status") == "rejected":
                state.set_status(images[0], RECEIVER, "accepted")

        play.hooks.append(settle)
        found = await read_back(cloud, [*images, UNKNOWN], status="accepted")
        assert statuses(found) == {**dict.fromkeys(images, "pending"), UNKNOWN: None}
        assert [call.path for call in state.calls if "/members/" in call.path] == [
            f"/v2/images/{UNKNOWN}/members/{RECEIVER}"
        ]

    async def test_many_that_no_list_shows(self, state: State, cloud: Cloud) -> None:
        """Only their rows say that they are gone; where a stranger may name any, so many rows are not worth it."""
        gone = [image_id(number) for number in range(FEW_ROWS + 1)]
        for max_rows, rows in ((FEW_ROWS, 0), (1000, len(gone))):
            state.calls.clear()
            found = await read_back(cloud, gone, status="accepted", max_rows=max_rows)
            assert statuses(found) == dict.fromkeys(gone)
            assert len([call for call in state.calls if "/members/" in call.path]) == rows
