"""A cloud of its own for every test, and clients that ask it in this process."""

import pytest

from doorman.sandbox.state import Cloud
from tests.sandbox.asking import OTHER, OWNER, Api


@pytest.fixture
def cloud(state: Cloud) -> Cloud:
    """Three projects with a user each; jobs end at once."""
    state.settings.job_seconds = 0
    state.add_user("sharer", "secret", [OWNER])
    state.add_user("onlooker", "secret", [OTHER])
    return state


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
