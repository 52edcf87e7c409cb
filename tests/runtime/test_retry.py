"""The one loop of attempts: what passes is tried again after each pause, all else is raised at once."""

import gc
import weakref

import pytest

from doorman.errors import Busy, DoormanError, Rejected
from doorman.runtime.retry import persist

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("answers", "came", "waited"),
    [
        ([1], 1, []),
        ([Busy("1"), Busy("2"), 3], 3, [0.5, 2.0]),
        ([Busy("1"), Busy("2"), Busy("3")], "3", [0.5, 2.0]),
        ([Busy("1"), Rejected("2")], "2", [0.5]),
    ],
)
async def test_attempts(answers: list[int | DoormanError], came: int | str, waited: list[float]) -> None:
    """Each attempt but the last is followed by its pause; what the last one raises is what comes of it."""
    left, pauses = list(answers), []

    async def attempt() -> int:
        answer = left.pop(0)
        if isinstance(answer, DoormanError):
            raise answer
        return answer

    async def wait(error: DoormanError, pause: float) -> bool:
        pauses.extend([pause] if isinstance(error, Busy) else [])
        return isinstance(error, Busy)

    try:
        result: int | str = await persist(attempt, pauses=(0.5, 2.0), wait=wait)
    except DoormanError as error:
        result = str(error)
    assert (result, pauses, left) == (came, waited, [])


async def test_a_failure_keeps_nothing_alive() -> None:
    """What an attempt held, a large answer perhaps, goes with its error, without the collector, which seldom runs."""

    class Held(Rejected):
        """An error that can be watched."""

    async def attempt() -> None:
        raise Held("2")

    async def wait(error: DoormanError, _: float) -> bool:
        return not isinstance(error, Rejected)

    gc.disable()
    try:
        try:
            await persist(attempt, pauses=(0.5,), wait=wait)
        except Held as error:
            watched = weakref.ref(error)
        assert watched() is None
    finally:
        gc.enable()
