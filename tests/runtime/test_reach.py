"""Whether a host can be reached, and what a URL's host is."""

import httpx
import pytest

from doorman.runtime.reach import origin, reach
from tests.fake_keystone import FakeClock


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://user:pass@iam.test/v3?x=y", "https://iam.test:443"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("http://host:99999/", ""),
        ("http://[::1", ""),
        ("nonsense", ""),
    ],
)
def test_origin(url: str, base: str) -> None:
    """Scheme, host and port alone."""
    assert origin(url) == base


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("url", "trouble"),
    [
        *((url, "no URL of a host (http or https)") for url in ("x", "http://host:99999/", "http://:80", "ftp://host")),
        ("https://a..b/v3", "a..b: unknown name ("),
    ],
)
async def test_no_url(url: str, trouble: str, clock: FakeClock) -> None:
    """It is told, and nobody is asked."""
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(500)))
    found = await reach(url, client=client, clock=clock)
    assert found.fault == "name"
    assert found.trouble.startswith(trouble)
