"""What tests share: a clock that never waits, the local cloud with one served project, and a recording sink."""

import os
from collections.abc import Iterator

import hypothesis
import pytest
import structlog

from doorman.handlers.context import ProjectContext
from doorman.policy.policy import Policy, load
from doorman.runtime.logs import logger
from tests.builders import POLICY, RECEIVER, FakeClock, Play, RecordingSink, State

# No deadline: how long one example takes says more about the machine than about the code. The same examples each time,
# as a gate needs them; `make soak` plays others, and more.
hypothesis.settings.register_profile("doorman", deadline=None, max_examples=50, derandomize=True)
hypothesis.settings.register_profile("soak", deadline=None, max_examples=2000)
hypothesis.settings.load_profile("doorman")


def pytest_xdist_auto_num_workers() -> int:
    """Two workers more than processors: many tests wait for processes that they started."""
    return (os.cpu_count() or 1) + 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count as covered only what is reached on purpose, not what happens to be drawn."""
    for item in items:
        if item.get_closest_marker("hypothesis"):
            item.add_marker("no_cover")


@pytest.fixture(autouse=True)
def _log_anew() -> Iterator[None]:
    """Forget where a command logged to: that stream is closed when its test ends."""
    yield
    structlog.reset_defaults()
    logger.cache_clear()


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, as the functions do."""
    return "asyncio"


@pytest.fixture
def clock() -> FakeClock:
    """Time that stands still; sleeping moves it on."""
    return FakeClock()


@pytest.fixture
def state(clock: FakeClock) -> State:
    """A cloud where `doorman` with the password `secret` may do everything in the project RECEIVER; no shares yet."""
    state = State(clock=lambda: clock.now().timestamp())
    state.add_user("doorman", "secret", [RECEIVER])
    return state


@pytest.fixture
def sink() -> RecordingSink:
    """A sink that keeps what it takes in `events`."""
    return RecordingSink()


@pytest.fixture
def policy() -> Policy:
    """The policy of POLICY."""
    return load(POLICY)


@pytest.fixture
def play(state: State, clock: FakeClock, sink: RecordingSink) -> Play:
    """The cloud, the clock and the sink together."""
    return Play(state=state, clock=clock, sink=sink)


@pytest.fixture
async def context(play: Play) -> ProjectContext:
    """The context of RECEIVER with default settings."""
    return await play.context()
