"""What is asked of OpenStack's own image API, and how its answers read."""

import json
from typing import Any

import pytest

from doorman.cloud.api import glance
from doorman.cloud.api.base import Answer, Page, Request
from doorman.errors import Refused
from tests.builders import image_id

ONE, TWO = image_id(1), image_id(2)
FIRST = Request(
    method="GET",
    path="/v2/images",
    params=(("member_status", "pending"), ("visibility", "shared"), ("limit", "1000")),
)


def page(rows: list[Any], **more: Any) -> Page:
    """Read one page."""
    body = json.dumps({"images": rows, **more}).encode()
    return glance.read_page(Answer(status=200, body=body), FIRST)


def test_first_page() -> None:
    """As many as Glance gives; there are no images of whole servers to ask for."""
    assert glance.list_shares("pending") == glance.list_shares("pending", full_ecs=True) == FIRST


def test_filters() -> None:
    """One image, after a marker."""
    assert glance.list_shares("rejected", image_id=ONE, marker=TWO).params == (
        ("member_status", "rejected"),
        ("visibility", "shared"),
        ("id", ONE),
        ("limit", "1000"),
        ("marker", TWO),
    )


def following(link: str) -> dict[str, str]:
    """Give what is asked for next where a page links there."""
    read = page([{"id": ONE}], next=link)
    assert read.next is not None
    assert (read.next.method, read.next.path, read.next.json) == ("GET", "/v2/images", None)
    return dict(read.next.params)


def test_next_page() -> None:
    """The link is relative to the host's root."""
    link = f"/v2/images?member_status=pending&visibility=shared&limit=1000&marker={ONE}"
    assert following(link) == {**dict(FIRST.params), "marker": ONE}


@pytest.mark.parametrize(
    "link",
    [
        "http://evil.test/v2/images?marker=x",
        "//evil.test/?marker=x",
        "/../../v3?marker=x",
        "/v2/images?marker=x&member_status=accepted&limit=1",
    ],
)
def test_link_leads_nowhere_else(link: str) -> None:
    """Not to another host, path or list: a token goes with the request, and who waits is asked for."""
    assert following(link) == {**dict(FIRST.params), "marker": "x"}


@pytest.mark.parametrize("link", ["http://[", "", "\x00", "?", "?marker"])
def test_strange_links(link: str) -> None:
    """They lead to the same page again, where the walk ends."""
    assert following(link) == dict(FIRST.params)


@pytest.mark.parametrize("more", [{}, {"next": None}, {"next": 5}, {"next": ["/v2/images"]}])
def test_last_page(more: dict[str, Any]) -> None:
    """Without a link the list has ended."""
    read = page([{"id": ONE}], **more)
    assert (list(read.rows), read.next) == ([ONE], None)


def test_empty_last_page() -> None:
    """A link that leads to an empty page, and that one again to itself, ends there."""
    assert page([], next="/v2/images?marker=x") == Page(rows={}, next=None)


def test_member() -> None:
    """Our own row of an image, to read and to set."""
    path = f"/v2/images/{ONE}/members/receiver"
    assert glance.show_member(ONE, project_id="receiver") == Request(method="GET", path=path)
    asked = glance.update_member(ONE, project_id="receiver", status="accepted")
    assert asked == Request(method="PUT", path=path, json={"status": "accepted"})


def test_updated_row() -> None:
    """The answer echoes what was asked; a missing image is no status, a missing right is a refusal."""
    assert glance.read_updated(Answer(status=200, body=b'{"status": "accepted"}')) == "accepted"
    assert glance.read_updated(Answer(status=404, body=b"{}")) is None
    with pytest.raises(Refused):
        glance.read_updated(Answer(status=403, body=b"{}"))


@pytest.mark.parametrize(("status", "is_visible"), [(200, True), (404, False)])
def test_an_image_is_visible_or_not(status: int, is_visible: bool) -> None:  # noqa: FBT001 - a parameter
    """Whoever owns it; why it cannot be seen, nobody says."""
    assert glance.show_image(ONE) == Request(method="GET", path=f"/v2/images/{ONE}")
    assert glance.read_visible(Answer(status=status, body=b"{}")) is is_visible


@pytest.mark.parametrize(("status", "found"), [(200, TWO), (200, ""), (403, ONE), (404, ONE), (405, ONE)])
def test_an_image_that_is_not_shown(status: int, found: str) -> None:
    """Nothing is known of it, whatever the refusal: it was asked for only to know more."""
    answer = Answer(status=status, body=json.dumps({"id": found, "owner": "o"}).encode())
    assert glance.read_image(answer, ONE, project_id="p") is None


def test_a_refused_look_at_an_image_is_none() -> None:
    """A missing right does not mean that the image is gone."""
    with pytest.raises(Refused):
        glance.read_visible(Answer(status=403, body=b"{}"))
