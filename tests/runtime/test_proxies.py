"""The proxies of the environment: which URL goes by which, and which variables stop the start."""

import httpx
import pytest

from doorman.errors import Misconfigured
from doorman.runtime.proxies import Proxies

PROXY = "http://proxy.test:3128"


@pytest.mark.parametrize(
    ("named", "url", "proxy"),
    [
        ({}, "https://cloud.test", None),
        ({"no": "10.0.0.0/8"}, "https://cloud.test", None),
        ({"https": PROXY}, "https://cloud.test", PROXY),
        ({"https": PROXY}, "http://sink.test", None),
        ({"all": PROXY}, "http://sink.test", PROXY),
        ({"all": PROXY, "https": "other.test:1"}, "https://cloud.test", "http://other.test:1"),
        ({"all": "socks5://x.test:1", "http": PROXY, "https": PROXY}, "https://cloud.test", PROXY),
        ({"all": "socks5://x.test:1", "no": "cloud.test, *"}, "https://other.test", None),
    ],
)
def test_which_proxy(named: dict[str, str], url: str, proxy: str | None) -> None:
    """That of the scheme, else that for all; what is not used is not looked at."""
    assert Proxies(named).find(httpx.URL(url)) == proxy


@pytest.mark.parametrize(
    ("spared", "urls"),
    [
        ("cloud.test", ["https://cloud.test", "https://ims.cloud.test:8443"]),
        (".cloud.test", ["https://ims.cloud.test"]),
        ("*.Cloud.test", ["https://ims.cloud.test"]),
        ("https://cloud.test", ["https://cloud.test"]),
        ("cloud.test:443", ["https://cloud.test"]),
        ("10.0.0.0/8", ["https://10.1.2.3", "http://10.0.0.0:8080"]),
        ("10.1.2.3", ["https://10.1.2.3"]),
        ("10.1.2.3:8443", ["https://10.1.2.3:8443"]),
        ("::1", ["https://[::1]:5000"]),
        ("[::1]", ["https://[::1]:5000"]),
        ("[::1]:5000", ["https://[::1]:5000"]),
        ("fd00::/8", ["https://[fd12::1]"]),
        ("[fd00::]/8", ["https://[fd12::1]"]),
    ],
)
def test_what_goes_straight(spared: str, urls: list[str]) -> None:
    """Names with what lies below them, addresses, networks of both kinds, and ports."""
    proxies = Proxies({"all": PROXY, "no": f"localhost,{spared},"})
    names = ["https://other.test", "https://nocloud.test", "https://xn--a.test"]
    others = [*names, "https://11.1.2.3", "https://[ff::1]", "http://cloud.test:81"]
    assert [url for url in urls if proxies.find(httpx.URL(url))] == []
    far = [url for url in others if not (spared == "cloud.test" and "//cloud.test" in url) and "://" not in spared]
    assert [url for url in far if not proxies.find(httpx.URL(url))] == []


@pytest.mark.parametrize(
    ("named", "text"),
    [
        ({"all": "socks5://s3cret@proxy.test:1"}, "ALL_PROXY: no proxy that can be used"),
        ({"https": "ftp://proxy.test"}, "HTTPS_PROXY: no proxy that can be used"),
        ({"http": "http://proxy.test:port"}, "HTTP_PROXY: no proxy that can be used"),
        ({"http": "http://u:s3cret@proxy.test:99999"}, "HTTP_PROXY: no proxy that can be used"),
        ({"http": "http://"}, "HTTP_PROXY: no proxy that can be used"),
        ({"http": PROXY, "no": "10.0.0.0/64"}, "NO_PROXY: '10.0.0.0/64' is no host, address or network"),
        ({"http": PROXY, "no": "a:b:c"}, "NO_PROXY: 'a:b:c' is no host, address or network"),
        ({"http": PROXY, "no": "cloud.test:https"}, "NO_PROXY: 'cloud.test:https' ends with no port"),
    ],
)
def test_wrong_variables(named: dict[str, str], text: str) -> None:
    """One message that names the variable, without what may be a secret."""
    with pytest.raises(Misconfigured) as caught:
        Proxies(named)
    assert str(caught.value).startswith(text)
    assert "s3cret" not in str(caught.value)


def test_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read by their usual names."""
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", "10.0.0.0/8")
    proxies = Proxies.of_environment()
    found = [proxies.find(httpx.URL(url)) for url in ("https://cloud.test", "https://10.9.9.9")]
    assert found == [PROXY, None]
