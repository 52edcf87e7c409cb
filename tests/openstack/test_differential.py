"""The sandbox answers as a real Keystone and Glance do: same status, same shape, for every call and its errors."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from doorman.sandbox.cloud import create_app
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud as Sandbox
from tests.openstack.calls import STATUSES, Side, calls, furnish
from tests.openstack.worlds import OWNERS, RealWorld, SandboxWorld

CALLS = calls()
STORES = "Glance tells in which of its stores an image lies when it has several; nobody needs it"
METHODS = "Keystone lists the login methods that it knows; nobody reads that"
DIFFERENCES = {
    **{
        f"list {name}": STORES
        for name in ("pending", "accepted", "rejected", "one", "as reader", "a page", "all", "by owner")
    },
    "log in with a wrong method": METHODS,
}
"""Every call whose answers differ, with the reason why that may stay so."""


def describe(answer: httpx.Response) -> tuple[Any, ...]:
    """Give status, media type, the error's words and the body's shape."""
    media = answer.headers.get("Content-Type", "").partition(";")[0]
    if media != "application/json":
        return answer.status_code, media
    body = answer.json()
    error = body.get("error", body)
    return answer.status_code, media, error.get("code"), error.get("title"), shape(body)


def shape(value: Any) -> Any:
    """Give the names and types of a JSON value; lists are as long as they have different items."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in sorted(value.items())}
    if isinstance(value, list):
        shapes: list[Any] = []
        shapes.extend(each for each in map(shape, value) if each not in shapes)
        return shapes
    return type(value).__name__


@pytest.fixture(scope="module")
def sides(world: RealWorld) -> Iterator[tuple[Side, Side]]:
    """The real world and the sandbox's, with the same images; the real ones are deleted afterwards."""
    sandbox = Sandbox()
    with serve(create_app(sandbox)) as url:
        other = SandboxWorld(sandbox, url)
        real = furnish(world)
        yield real, furnish(other)
    for name, owner in [(name, OWNERS[0]) for name in real.names if name not in {"own", "deleted", "missing"}]:
        if name not in world.projects:
            world.delete(real.names[name], owner)


@pytest.mark.parametrize("name", CALLS)
def test_sandbox_answers_as_the_real_thing(sides: tuple[Side, Side], name: str) -> None:
    """The answers are alike, or their difference is written down; one that is gone must be struck out."""
    real, sandbox = (describe(side.send(CALLS[name])) for side in sides)
    assert real[0] == STATUSES[name]
    if name in DIFFERENCES:
        assert real[:4] == sandbox[:4]
        assert real != sandbox
    else:
        assert real == sandbox


@pytest.mark.parametrize("name", ["list a page", "list no page at all"])
def test_next_page_is_relative_to_the_root(sides: tuple[Side, Side], name: str) -> None:
    """Both name the next page by a path without a host, with the same query but for the marker's ID."""

    def follow(side: Side) -> tuple[str, list[str]] | None:
        link = side.send(CALLS[name]).json().get("next")
        return link and (httpx.URL(link).path, sorted(httpx.URL(link).params))

    real, sandbox = (follow(side) for side in sides)
    assert real == sandbox
