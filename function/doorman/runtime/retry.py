"""Makes an attempt again where the last one failed in passing: the one loop for calls, events, and a run's steps.

Which failures pass, and how a pause is sat out, is its callers' concern.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from doorman.errors import DoormanError

T = TypeVar("T")


async def persist(
    attempt: Callable[[], Awaitable[T]],
    *,
    pauses: Sequence[float],
    wait: Callable[[DoormanError, float], Awaitable[bool]],
) -> T:
    """Make an attempt, and another one after each pause.

    Args:
        attempt: what is done; may raise.
        pauses: seconds before each further attempt.
        wait: sits a pause out, a longer one where the error asks for it; False where no attempt would help. It does not
            raise the error itself: its frame would hold the error, which holds its frame, and with it a whole answer.
    """
    for pause in pauses:
        try:
            return await attempt()
        except DoormanError as error:
            if not await wait(error, pause):
                raise
    return await attempt()
