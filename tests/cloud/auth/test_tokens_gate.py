"""How logins to one Keystone are spaced out after a failure."""

import asyncio

import httpx
import pytest

from doorman.errors import Unavailable
from tests.fake_keystone import World, fails

pytestmark = pytest.mark.anyio

REFUSED = (
    "login refused by Keystone at https://iam.test/v3/auth/tokens (401): "
    "check OS_USERNAME, OS_PASSWORD, the project and its role"
)


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (httpx.Response(503), "Keystone at {url} answered 503"),
        (httpx.Response(201, text="<html>"), "{url} answered 201, but not as Keystone does: check OS_AUTH_URL"),
        (httpx.ConnectError("refused"), "Keystone at {url} cannot be reached: iam.test:443: ConnectError"),
        (httpx.ReadTimeout("slow"), "Keystone at {url} did not answer in time"),
        (httpx.InvalidURL("odd"), "Keystone at {url} cannot be reached: iam.test:443: InvalidURL"),
    ],
)
async def test_dead_keystone_is_asked_once_a_second(
    world: World, failure: Exception | httpx.Response, message: str
) -> None:
    """Five projects, 100 events a second: one login a second for all of them, and everyone hears the same at once."""
    world.keystone.failure = failure
    sources = [world.source(f"p{number}") for number in range(5)]
    messages: set[str] = set()
    for tenth in range(30):
        world.clock.seconds = tenth / 10
        calls = (fails(source.current()) for source in sources for _ in range(2))
        messages |= set(await asyncio.gather(*calls))
    url = "https://iam.test/v3/auth/tokens"
    assert (messages, world.keystone.times) == ({message.format(url=url)}, [0.0, 1.0, 2.0])


async def test_retry_after_is_honoured_within_reason(world: World) -> None:
    """Keystone's own Retry-After is kept, up to a minute; those who come meanwhile are told the rest of it."""
    seen = []
    for wish, moment in ((5, 0.0), (3600, 5.0), (1, 65.0)):
        world.keystone.failure = httpx.Response(429, headers={"Retry-After": str(wish)})
        world.clock.seconds = moment
        with pytest.raises(Unavailable):
            await world.source().current()
        world.clock.seconds = moment + 0.25
        with pytest.raises(Unavailable) as caught:
            await world.source().current()
        seen.append((world.keystone.times[-1], caught.value.retry_after))
    assert seen == [(0.0, 4.75), (5.0, 59.75), (65.0, 0.75)]


async def test_one_refused_project_stops_no_other(world: World) -> None:
    """One project without the role is told so, nineteen work, and after the refusal logins are a second apart."""
    world.keystone.refused_projects = {"p0"}
    sources = [world.source(f"p{number}") for number in range(20)]
    answers = await asyncio.gather(*(source.current() for source in sources), return_exceptions=True)
    told = ["ok" if not isinstance(answer, BaseException) else str(answer) for answer in answers]
    assert (told, world.keystone.times) == ([REFUSED] + ["ok"] * 19, [0.0] + [1.0] * 19)


async def test_refused_project_is_tried_once_a_second(world: World) -> None:
    """The same project gets its refusal at once for a second, then one new attempt is made."""
    world.keystone.refused_projects = {"p1"}
    source = world.source()
    messages = set()
    for tenth in range(25):
        world.clock.seconds = tenth / 10
        messages.add(await fails(source.current()))
    assert (messages, world.keystone.times) == ({REFUSED}, [0.0, 1.0, 2.0])


async def test_many_refused_projects_keep_nobody_waiting_for_long(world: World) -> None:
    """With a wrong password for 30 projects all are answered within some seconds, and new ones get their turn later."""
    world.keystone.refused_projects = {f"p{number}" for number in range(30)}
    sources = [world.source(f"p{number}") for number in range(30)]
    messages = await asyncio.gather(*(fails(source.current()) for source in sources))
    waited = world.clock.seconds
    world.clock.seconds = 10.0
    first, again = await asyncio.gather(fails(sources[0].current()), fails(sources[1].current()))
    assert (first, again) == (REFUSED, REFUSED)
    good = (await world.source("good").current()).value
    assert (waited, world.keystone.times, messages[-1], good) == (
        4.0,  # the fake clock moves before the later ones have come, so they wait from then on
        [0.0, 1.0, 2.0, 3.0, 4.0, 10.0, 11.0],
        "Keystone refused other logins just now, this one waits for its turn",
        "token-7",
    )


async def test_gate_opens_for_all_after_the_first_success(world: World) -> None:
    """The first login goes alone; the others then go at the same time."""
    world.keystone.gate = asyncio.Event()
    calls = [asyncio.create_task(world.source(f"p{number}").current()) for number in range(10)]
    await asyncio.sleep(0.01)
    alone = len(world.keystone.logins)
    world.keystone.gate.set()
    await asyncio.gather(*calls)
    assert (alone, len(world.keystone.logins)) == (1, 10)
