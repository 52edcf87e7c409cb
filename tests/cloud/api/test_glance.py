"""What is asked of OpenStack's own image API, and how its answers read."""

import json
from typing import Any

import pytest

from doorman.cloud.api import glance
from doorman.cloud.api.base import Answer, Page, Request
from doorman.models import Share
from tests.builders import image_id

ONE, TWO = image_id(1), image_id(2)
FIRST = Request(
    method="GET", path="/v2/images", params=(("member_status", "pending"), ("visibility", "shared"), ("limit", "1000"))
)
HIDDEN = FIRST.with_param("os_hidden", "true")
SERVICE = glance.Glance()


def page(rows: list[Any], *, asked: Request = FIRST, **more: Any) -> Page:
    """Read one page."""
    body = json.dumps({"images": rows, **more}).encode()
    return SERVICE.read_page(Answer(status=200, body=body), asked)


def test_first_page() -> None:
    """As many as Glance gives, of what shows and of what its owner hides; none of whole servers are to be asked for."""
    assert SERVICE.list_shares("pending") == SERVICE.list_shares("pending", whole=True) == (FIRST, HIDDEN)
    assert (SERVICE.page, SERVICE.has_jobs, SERVICE.has_whole_images) == (1000, False, False)


def test_filters() -> None:
    """One image, in both lists."""
    one = (("member_status", "rejected"), ("visibility", "shared"), ("id", ONE), ("limit", "1000"))
    found = [asked.params for asked in SERVICE.list_shares("rejected", image_id=ONE)]
    assert found == [one, (*one, ("os_hidden", "true"))]


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


def test_next_page_of_what_is_hidden() -> None:
    """Whatever the link says, the walk stays in its list."""
    read = page([{"id": ONE}], asked=HIDDEN, next=f"/v2/images?limit=1000&marker={ONE}")
    assert read.next is not None
    assert dict(read.next.params) == {**dict(HIDDEN.params), "marker": ONE}


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
    asked = SERVICE.settle([ONE], project_id="receiver", status="accepted", vault_id="ignored")
    assert asked == Request(method="PUT", path=path, json={"status": "accepted"})


def test_one_image_at_a_time() -> None:
    """There are no jobs."""
    with pytest.raises(ValueError, match="too many"):
        SERVICE.settle([ONE, TWO], project_id="receiver", status="accepted", vault_id=None)


def test_updated_row() -> None:
    """No job; the answer echoes what was asked, so a missing image is no refusal either: its row will tell."""
    assert SERVICE.read_settled(Answer(status=200, body=b'{"status": "accepted"}')) == ""
    assert SERVICE.read_settled(Answer(status=404, body=b"{}")) == ""


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


def test_an_image_that_is_shown() -> None:
    """Its row, whatever the case of its ID; in which status it is shared with us, it does not tell."""
    answer = Answer(status=200, body=json.dumps({"id": ONE.upper(), "owner": "o", "tags": ["a"]}).encode())
    row = glance.read_image(answer, ONE, project_id="p")
    assert row is not None
    assert row.complete(full_ecs=None) == Share(
        image_id=ONE, project_id="p", owner="o", tags=frozenset({"a"}), encrypted=False, full_ecs=None
    )
