"""How far lists are walked, what a page costs that is too large, and that nothing is decided by an old list."""

import json
from collections.abc import Callable
from typing import Any, TypeVar, cast

import pytest
from structlog.testing import capture_logs

from doorman.cloud.api.base import Answer, ImageService, Request
from doorman.cloud.api.glance import Glance
from doorman.cloud.api.images import read_row
from doorman.cloud.api.ims import Ims
from doorman.cloud.client import ApiClient
from doorman.cloud.listing import RESTARTS, Listing, read
from doorman.errors import Denied, Refused, TooLarge, Unavailable
from tests.builders import image_id
from tests.chain import BAD, GOLDEN, RECEIVER, Chain

pytestmark = pytest.mark.anyio

T = TypeVar("T")
GONE = Refused("gone", code="IMG.0027", status=400)
DENIED = Refused("denied", code="IMG.0106", status=403)


def too_large(start: str = "") -> TooLarge:
    """Make the answer that was not read to its end."""
    return TooLarge("too large", start=start.encode())


def numbers(start: int, size: int = 500) -> list[int]:
    """Number the images of a page."""
    return list(range(start, start + size))


class Script:
    """A client that gives what it was told to, one thing a request; an error is raised."""

    def __init__(self, *answers: list[int] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def send(self, request: Request, reader: Callable[[Answer], T]) -> T:
        """Give the next answer; keep what was asked, as marker and limit, and the list where it is a special one."""
        params = dict(request.params)
        marker = str(int(params["marker"][-12:])) if "marker" in params else "first"
        marks = [name for name in ("os_hidden", "__whole_image", "id") if name in params]
        self.asked.append(" ".join([marker, params.get("limit", ""), *marks]))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        rows: dict[str, Any] = {"images": [{"id": image_id(number)} for number in answer]}
        return reader(Answer(status=200, body=json.dumps(rows).encode()))

    def listing(self, service: ImageService | None = None) -> Listing:
        """Make the lists of a project whose cloud answers so."""
        return Listing(project_id=RECEIVER, client=self.client(), service=service or Ims())

    def client(self) -> ApiClient:
        """Give the client that it stands in for."""
        return cast("ApiClient", self)

    async def walk(self, service: ImageService | None = None, **options: Any) -> list[int]:
        """Walk the list of what is pending: the numbers of the images that were seen."""
        walked = await self.listing(service).walk("pending", **options)
        return sorted(int(image[-12:]) for image in walked)


class TestPages:
    """Page by page, to the end."""

    async def test_everything_is_read(self) -> None:
        """Every image as its row tells it, under the status that was asked for."""
        walked = await Script([1, 2]).listing().walk("rejected")
        rows = {
            image: read_row({"id": image}, project_id=RECEIVER, status="rejected")
            for image in (image_id(1), image_id(2))
        }
        assert walked == rows

    async def test_what_is_not_wanted(self) -> None:
        """Its row is not read; the first page is a small one, and once all are found the walk ends."""
        script = Script(numbers(0, 64), numbers(64), numbers(564))
        walked = await script.listing().walk("pending", wanted=frozenset({image_id(1), image_id(501)}))
        assert set(walked) == {image_id(1), image_id(501)}
        assert script.asked == ["first 64", "63 500"]

    async def test_filters(self) -> None:
        """One image, or images of whole servers."""
        script = Script([1], [])
        await script.walk(image_id=image_id(1))
        await script.walk(whole=True)
        assert script.asked == ["first 500 id", "first 500 __whole_image"]

    async def test_a_lost_marker_starts_the_walk_again(self) -> None:
        """Where the image that a page begins after is gone: from its start, with nothing kept of the first walk."""
        script = Script(numbers(0), GONE, numbers(1), numbers(501, 3))
        assert await script.walk() == numbers(1, 503)
        assert script.asked == ["first 500", "499 500", "first 500", "500 500"]

    async def test_a_list_that_never_stands_still_is_given_up(self) -> None:
        """A marker that is lost again and again ends in a redelivery, not in half a list."""
        rounds: list[list[int] | Exception] = [numbers(0), GONE]
        script = Script(*rounds * RESTARTS)
        with pytest.raises(Unavailable, match=r"^image list: it changes faster than it can be read$"):
            await script.walk()
        assert script.answers == []

    async def test_a_list_that_goes_round_ends(self) -> None:
        """A service that gives the same page again and again is asked no further."""
        script = Script(numbers(0), numbers(0), numbers(0))
        assert (await script.walk(), len(script.answers)) == (numbers(0), 1)


class TestHidden:
    """Plain OpenStack lists what an owner hides apart from what shows."""

    async def test_both_lists(self) -> None:
        """What stands in either of them is shared with us."""
        script = Script([1], [2])
        assert await script.walk(Glance()) == [1, 2]
        assert script.asked == ["first 1000", "first 1000 os_hidden"]

    @pytest.mark.parametrize(("wanted", "lists"), [([], 0), ([1], 1), ([1, 2], 2), ([3], 2)])
    async def test_second_list(self, wanted: list[int], lists: int) -> None:
        """It is read where the first does not show all that is looked for."""
        script = Script([1], [2])
        await script.walk(Glance(), wanted=frozenset(map(image_id, wanted)))
        assert len(script.asked) == lists


class TestTooLarge:
    """A sharer may make an image so large that a page of it is read by nobody."""

    async def test_smaller_pages(self) -> None:
        """The same page is asked for in parts, what follows in ever larger ones."""
        script = Script(numbers(0), too_large(), numbers(500, 62), [])
        assert await script.walk() == numbers(0, 562)
        assert script.asked == ["first 500", "499 500", "499 62", "561 496"]

    async def test_one_image(self) -> None:
        """Of an image that is too large by itself only the ID is known, which is told; the walk goes on behind it."""
        script = Script(*[too_large(f'{{"images": [{{"id": "{image_id(7)}", "x": "')] * 4, [8])
        with capture_logs() as logs:
            walked = await script.listing().walk("pending")
        assert script.asked == ["first 500", "first 62", "first 7", "first 1", "7 8"]
        rows = [read_row({"id": image_id(number)}, project_id=RECEIVER, status="pending") for number in (7, 8)]
        assert walked == {image_id(7): rows[0], image_id(8): rows[1]}
        assert logs == [
            {"event": "image.too_large", "log_level": "warning", "project_id": RECEIVER, "image_id": image_id(7)}
        ]

    async def test_one_image_without_an_id(self) -> None:
        """The walk cannot go on behind it: better none than half a list."""
        script = Script(*[too_large('{"images": [{"name": "')] * 5)
        with pytest.raises(Unavailable, match="one image is too large to be read, and its ID cannot be found"):
            await script.walk(Glance())
        assert script.asked == ["first 1000", "first 125", "first 15", "first 1"]

    async def test_marker_that_is_lost_meanwhile(self) -> None:
        """Then the walk starts again, as with any page."""
        script = Script(numbers(0), too_large(), GONE, [1])
        assert await script.walk() == [1]
        assert script.asked == ["first 500", "499 500", "499 62", "first 500"]


@pytest.mark.parametrize(
    ("refusal", "text"),
    [
        (DENIED, r"denied the image list \(IMG.0106\): grant ims:images:list and ims:images:get in this project$"),
        (GONE, "^gone to GET /v2/cloudimages$"),
        (Denied("the login ended"), "^the login ended$"),
    ],
)
async def test_a_refused_list_is_worth_a_redelivery(refusal: Exception, text: str) -> None:
    """What a list call lacks is for people to put right, so the event comes again; the error names the right."""
    script = Script(refusal)
    with pytest.raises(Unavailable, match=text):
        await script.walk()
    assert script.asked == ["first 500"]


@pytest.mark.parametrize(
    ("service", "right"), [("cbr", "cbr:vaults:list"), ("compute", "reading servers"), ("image", "ims:images:list")]
)
async def test_another_refused_reading_names_its_right(service: Any, right: str) -> None:
    """Each service has its own."""
    request = Request(method="GET", path="/v3/p/vaults", service=service)
    with pytest.raises(Unavailable, match=rf"^the cloud denied the {service} list \(IMG.0106\): grant {right}"):
        await read(Script(DENIED).client(), request, lambda answer: answer)


class TestFreshLists:
    """Every event is decided by lists that were read for it."""

    @pytest.mark.parametrize(
        ("owner", "settled", "wanted"), [(GOLDEN, "rejected", "accepted"), (BAD, "accepted", "rejected")]
    )
    async def test_what_a_person_settled_a_moment_ago_stays(self, owner: str, settled: Any, wanted: str) -> None:
        """Also where another event read the list of pending shares just before."""
        chain = Chain()
        images = [chain.share(owner) for _ in range(4)]
        await chain.notify(*images[:2])
        chain.cloud.set_status(images[2], RECEIVER, settled)
        await chain.notify(*images[2:], event_id="notice-2")
        await chain.settle()
        assert [chain.cloud.member_status(image, RECEIVER) for image in images] == [wanted, wanted, settled, wanted]
        assert (images[2], "skipped", "settled_otherwise") in chain.told()

    async def test_no_page_further_than_needed(self) -> None:
        """Images that the first page shows cost that page alone, and one look for whole servers, every time."""
        chain = Chain()
        images = []
        for _ in range(1100):
            images.append(chain.share())
            await chain.wait(0.001)
        for number, wanted in enumerate((images[-3:-1], images[-5:-3], images[:2])):
            chain.cloud.calls.clear()
            await chain.notify(*wanted, event_id=f"notice-{number}")
            queries = [call.query for call in chain.cloud.calls if call.path == "/v2/cloudimages"]
            pages = [query for query in queries if "__whole_image" not in query]
            # the newest stand first, so the oldest two are on the last page
            assert (len(pages), len(queries) - len(pages)) == (4 if number == 2 else 1, 1)
