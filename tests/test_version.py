"""The version stands in one place, and requests carry it."""

import re

from doorman.version import USER_AGENT, VERSION


def test_version_is_a_release_number() -> None:
    """Three numbers, as the package and the changelog write them; the user agent names the product with it."""
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)
    assert f"doorman/{VERSION}" == USER_AGENT
