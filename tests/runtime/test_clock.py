"""The machine's clock, as the product sees it."""

from datetime import UTC, datetime

import pytest

from doorman.runtime.clock import Clock, SystemClock

pytestmark = pytest.mark.anyio


async def test_system_clock_tells_the_time() -> None:
    """The time of day is aware and in UTC; sleeping takes time by the clock that never goes back."""
    clock: Clock = SystemClock()
    before = datetime.now(UTC)
    now = clock.now()
    assert now.tzinfo is UTC
    assert before <= now <= datetime.now(UTC)
    start = clock.monotonic()
    await clock.sleep(0.001)
    assert clock.monotonic() - start >= 0.0009
