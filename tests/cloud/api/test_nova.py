"""What is asked of the compute service, and how its servers read."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorman.cloud.api import nova
from doorman.cloud.api.base import Answer, Request
from doorman.cloud.api.nova import Server
from tests.builders import image_id

IMAGE = image_id(1)
ROW = {"id": "s1", "name": "web", "image": {"id": image_id(2)}, "metadata": {"metering.image_id": IMAGE.upper()}}
NEXT = [{"rel": "next", "href": "http://elsewhere.test/?marker=x"}]


def page(rows: Any, **more: Any) -> tuple[list[Server], str | None]:
    """Read one page."""
    return nova.read_servers(Answer(status=200, body=json.dumps({"servers": rows, **more}).encode()))


def test_request() -> None:
    """All servers with their details, from a place on."""
    first = Request(method="GET", service="compute", path="/servers/detail", params=(("limit", "1000"),))
    assert nova.list_servers() == first
    assert nova.list_servers(marker="s1").params == (("limit", "1000"), ("marker", "s1"))


def test_a_server_and_its_image() -> None:
    """The metering's word before the image's own: a server that runs from a volume has no image of its own any more."""
    plain = {**ROW, "id": "s2", "name": 5, "metadata": {}}
    servers = [
        Server(server_id="s1", name="web", image_id=IMAGE),
        Server(server_id="s2", name=None, image_id=image_id(2)),
    ]
    assert page([ROW, plain]) == (servers, None)


@pytest.mark.parametrize(
    "row", [{}, {"id": "a/b", **{key: ROW[key] for key in ("image", "metadata")}}, {"id": "s", "image": ""}, 5, None]
)
def test_servers_without_an_image_are_left_out(row: Any) -> None:
    """As well as rows that cannot be read."""
    assert page([row]) == ([], None)


def test_a_next_page_begins_after_the_last_server() -> None:
    """A link says that there is one; where it leads is not trusted."""
    assert page([ROW, {"id": "s9"}], servers_links=NEXT)[1] == "s9"
    assert page([], servers_links=NEXT)[1] is None
    assert page([ROW], servers_links=[])[1] is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*ROW, "x"]), inner, max_size=4),
    max_leaves=8,
)


@given(st.lists(JSON, max_size=4), JSON)
def test_any_rows_are_read(rows: list[Any], links: Any) -> None:
    """Nothing that a compute service answers makes reading fail."""
    assert all(server.image_id for server in page(rows, servers_links=links)[0])
