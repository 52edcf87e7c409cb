"""A cloud of its own for every test, and clients that ask it in this process."""

import pytest

from doorman.sandbox.state import Cloud
from tests.sandbox.asking import ME, OTHER, OWNER, Api, HandClock


@pytest.fixture
def clock() -> HandClock:
    """Time stands still."""
    return HandClock()


@pytest.fixture
def cloud(clock: HandClock) -> Cloud:
    """Three projects with a user each; jobs end at once."""
    cloud = Cloud(clock=clock)
    cloud.settings.job_seconds = 0
    cloud.add_user("doorman", "secret", [ME])
    cloud.add_user("sharer", "secret", [OWNER])
    cloud.add_user("onlooker", "secret", [OTHER])
    return cloud


@pytest.fixture
def anonymous(cloud: Cloud) -> Api:
    """A client without a token."""
    return Api(cloud)


@pytest.fixture
def api(cloud: Cloud) -> Api:
    """A client of the receiving project."""
    return Api(cloud).login()


@pytest.fixture
def sharer(cloud: Cloud) -> Api:
    """A client of the project that owns the images."""
    return Api(cloud).login("sharer", OWNER)
