"""The signature, byte for byte as the vendor's SDK makes it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from hypothesis import given, settings
from hypothesis import strategies as st

from doorman.cloud.auth.accounts import Keys
from doorman.cloud.auth.signing import canonical_path, canonical_query, read_query, sign

# What URLs, headers and keys can hold; surrogates are no text.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
SEGMENT = TEXT.map(lambda text: quote(text, safe="~!@$&'()*+,;=:"))
PATH = st.lists(SEGMENT, max_size=5).map(lambda parts: "/" + "/".join(parts))
QUERY = st.lists(st.tuples(st.sampled_from(["limit", "id", "a b", "a-b", "ä", "~"]) | TEXT, TEXT), max_size=6)
MOMENT = st.datetimes(timezones=st.just(UTC), min_value=datetime(2000, 1, 1), max_value=datetime(2099, 1, 1))  # noqa: DTZ001 - bounds are naive
PROJECT = "9c61004714024f9586705d090530f9fa"
HOST = "ims.eu-de.otc.t-systems.com"


CONTENT = st.sampled_from([None, "application/json", "application/json;charset=utf8", "application/json "])
HEADERS = CONTENT.map(lambda content: {"Host": HOST} | ({"Content-Type": content} if content else {}))
DRAFT = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "PUT", "POST", "DELETE", "patch"]),
        "path": PATH,
        "query": QUERY,
        "headers": HEADERS,
        "body": st.binary(max_size=200) | TEXT.map(str.encode),
    }
)
KEYS = st.builds(Keys, access=PRINTABLE, secret=PRINTABLE | TEXT.filter(bool), token=st.none() | PRINTABLE)


def sign_as_vendor(draft: Mapping[str, Any], keys: Keys, now: datetime) -> tuple[dict[str, str], str]:
    """Sign with the vendor's SDK, by the method that all its clients call; give all headers and the URI."""
    request = SdkRequest(
        method=draft["method"],
        host=HOST,
        resource_path=draft["path"],
        query_params=list(draft["query"]),
        header_params={**draft["headers"], "X-Sdk-Date": now.strftime("%Y%m%dT%H%M%SZ"), "X-Project-Id": PROJECT},
        body=draft["body"],
    )
    credentials = BasicCredentials(keys.access, keys.secret, PROJECT)
    if keys.token:
        credentials = credentials.with_security_token(keys.token)
    signed = credentials.sign_request(request)
    return signed.header_params, signed.uri


@settings(max_examples=1000, deadline=None)
@given(draft=DRAFT, keys=KEYS, now=MOMENT)
def test_signs_as_the_vendor_does(draft: Mapping[str, Any], keys: Keys, now: datetime) -> None:
    """1,000 generated requests get the same headers, and the same query, as from the vendor's SDK."""
    theirs, uri = sign_as_vendor(draft, keys, now)
    ours = sign(**draft, keys=keys, project_id=PROJECT, now=now)
    assert ours == {name: value for name, value in theirs.items() if name not in draft["headers"]}
    assert (f"{draft['path']}?{canonical_query(draft['query'])}" if draft["query"] else draft["path"]) == uri


def test_known_signature() -> None:
    """One request is pinned with its signature, so that a change of the vendor's with ours is seen."""
    headers = {"Host": HOST, "Content-Type": "application/json"}
    request: dict[str, Any] = {"method": "PUT", "path": "/v1/cloudimages/members", "query": [], "headers": headers}
    keys = Keys(access="AK", secret="SK", token="TOKEN")
    assert sign(
        **request, body=b'{"images":[]}', keys=keys, project_id="p1", now=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    ) == {
        "X-Sdk-Date": "20260102T030405Z",
        "X-Project-Id": "p1",
        "X-Security-Token": "TOKEN",
        "Authorization": (
            "SDK-HMAC-SHA256 Access=AK, SignedHeaders=content-type;host;x-project-id;x-sdk-date;x-security-token, "
            "Signature=0700cbeccf584f15420a15a506a83d00145ef23e7c6945e81749013af37db479"
        ),
    }


def test_path_ends_in_a_slash() -> None:
    """The signed path always ends in a slash and is encoded exactly once."""
    paths = ("/", "/v2/images", "/v2/images/", "/a%20b", "/a b", "/~ä")
    found = [canonical_path(path) for path in paths]
    assert found == ["/", "/v2/images/", "/v2/images/", "/a%20b/", "/a%20b/", "/~%C3%A4/"]


def test_query_is_read_as_servers_read_it() -> None:
    """A plus is a space, an encoded plus stays one, repeats and empty values are kept."""
    pairs = [("b", "2"), ("a", "x y"), ("a", "x+y"), ("flag", ""), ("empty", "")]
    assert read_query("b=2&a=x+y&a=x%2By&flag&empty=") == pairs
