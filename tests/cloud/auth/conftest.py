"""What tests of logins share."""

import pytest

from tests.fake_keystone import World


@pytest.fixture
def world() -> World:
    """A Keystone in memory, a clock that stands still, and a token source for each project asked for."""
    return World()
