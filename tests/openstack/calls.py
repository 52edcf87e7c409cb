"""Every call that Doorman makes to Keystone and Glance, and every way in which it may go wrong, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from doorman.cloud.api import glance
from doorman.cloud.api.base import Request
from doorman.cloud.api.glance import Glance
from doorman.models import MemberStatus, Status
from tests.openstack.worlds import OWNERS, RECEIVER, SECRET, USERS, World, login_body

GLANCE = Glance()
CLIENT = httpx.Client(timeout=60)
STATUSES: Mapping[str, int] = yaml.safe_load(Path(__file__).with_name("statuses.yaml").read_text("utf-8"))
MISSING = "00000000-0000-4000-8000-000000000000"
STANDINGS: tuple[MemberStatus, ...] = ("pending", "accepted", "rejected")


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as one user; `{names}` in its path stand for images and projects of the world.

    Attributes:
        user: whose token is sent; None: no token, `garbled`: one that nobody gave.
        url: `image` or `auth`, whose base URL comes before the path.
        accept: the `Accept` header.
    """

    method: str
    path: str
    user: str | None = "doorman"
    params: tuple[tuple[str, str], ...] = ()
    json: Any = None
    url: str = "image"
    accept: str = "application/json"


def ours(request: Request, **more: Any) -> Call:
    """Make a call of a request that the product itself builds."""
    return Call(request.method, request.path, params=tuple(request.params), json=request.json, **more)


def calls() -> dict[str, Call]:
    """Name every call."""
    return {**list_calls(), **member_calls(), **login_calls()}


def list_calls() -> dict[str, Call]:
    """Name the calls for lists: as the product makes them, page by page, and with wrong words."""
    first, hidden = GLANCE.list_shares("pending")
    found = {f"list {status}": ours(GLANCE.list_shares(status)[0]) for status in STANDINGS}
    found |= {
        "list one": ours(GLANCE.list_shares("pending", image_id="{pending}")[0]),
        "list one that is settled": ours(GLANCE.list_shares("pending", image_id="{accepted}")[0]),
        "list one that is missing": ours(GLANCE.list_shares("pending", image_id=MISSING)[0]),
        "list after one": ours(first.after("{pending}")),
        "list after a missing one": ours(first.after(MISSING)),
        "list after a deleted one": ours(first.after("{deleted}")),
        "list after an unshared one": ours(first.after("{unshared}")),
        "list without token": ours(first, user=None),
        "list with a garbled token": ours(first, user="garbled"),
        "list what is hidden": ours(hidden),
        "list what is hidden one by one": ours(hidden.with_param("limit", "1")),
        "list as HTML": ours(first, accept="text/html", user=None),
        "list as reader": ours(first, user="reader"),
    }
    words = {
        "a page": {"member_status": "pending", "visibility": "shared", "limit": "1"},
        "all": {"member_status": "all", "visibility": "shared"},
        "a wrong status": {"member_status": "PENDING", "visibility": "shared"},
        "a wrong visibility": {"member_status": "pending", "visibility": "nobody"},
        "a wrong limit": {"member_status": "pending", "limit": "many"},
        "a negative limit": {"member_status": "pending", "limit": "-1"},
        "no page at all": {"member_status": "pending", "visibility": "shared", "limit": "0"},
        "by owner": {"member_status": "pending", "visibility": "shared", "owner": "{owner-a}"},
    }
    for name, each in words.items():
        found[f"list {name}"] = Call("GET", "/v2/images", params=tuple(each.items()))
    return found


def member_calls() -> dict[str, Call]:
    """Name the calls for members: reading and settling, in every state of a share, right and wrong."""
    images = ("pending", "accepted", "rejected", "own", "private", "unshared", "deleted", "missing")
    found = {f"show {name}": show(name) for name in images}
    found |= {f"accept {name}": settle(name) for name in images if name != "pending"}
    found |= {
        "show of another project": ours(glance.show_member("{pending}", project_id="{owner-b}")),
        "show without token": show("pending", user=None),
        "show as owner": show("pending", user=OWNERS[0]),
        "show as the other owner": show("pending", user=OWNERS[1]),
        "list members": Call("GET", "/v2/images/{pending}/members"),
        "accept": settle("to-accept"),
        "accept again": settle("to-accept"),
        "reject": settle("to-reject", "rejected"),
        "reject again": settle("to-reject", "rejected"),
        "accept what was rejected": settle("to-reject"),
        "set pending": Call("PUT", "/v2/images/{to-accept}/members/{receiver}", json={"status": "pending"}),
        "accept as reader": settle("pending", user="reader"),
        "accept as owner": settle("pending", user=OWNERS[0]),
        "accept without token": settle("pending", user=None),
        "accept for another": settle("pending", member="owner-b"),
    }
    for name, body in {
        "upper case": {"status": "ACCEPTED"},
        "null": {"status": None},
        "a number": {"status": 1},
        "nothing": {},
        "a list": [],
        "a vault": {"status": "accepted", "vault_id": "v1"},
    }.items():
        found[f"accept with {name}"] = Call("PUT", "/v2/images/{to-spoil}/members/{receiver}", json=body)
    return found


def show(image: str, **more: Any) -> Call:
    """Read our member row of an image."""
    return ours(glance.show_member(f"{{{image}}}", project_id=f"{{{RECEIVER}}}"), **more)


def settle(image: str, status: Status = "accepted", member: str = RECEIVER, **more: Any) -> Call:
    """Settle an image."""
    request = GLANCE.settle([f"{{{image}}}"], project_id=f"{{{member}}}", status=status, vault_id=None)
    return ours(request, **more)


def login_calls() -> dict[str, Call]:
    """Name the logins: right ones, and every way to be refused."""
    default = {"name": "Default"}
    by_id, by_name = {"id": "{receiver}"}, {"name": RECEIVER, "domain": default}
    bodies: dict[str, Any] = {
        "log in": login_body("doorman", by_id),
        "log in by name": login_body("doorman", by_name),
        "log in with a wrong password": login_body("doorman", by_id, password="wrong"),
        "log in as nobody": login_body("nobody", by_id),
        "log in to no project": login_body("doorman", {"id": MISSING}),
        "log in to a project by a wrong name": login_body("doorman", {"name": "nothing", "domain": default}),
        "log in without the role": login_body("stranger", by_id),
        "log in to another's project": login_body("doorman", {"id": "{owner-a}"}),
        "log in from a wrong domain": login_body("doorman", {"name": RECEIVER, "domain": {"name": "nowhere"}}),
        "log in with a wrong method": {"auth": {"identity": {"methods": ["magic"], "magic": {}}}},
        "log in with half a body": {"auth": {"identity": {"methods": ["password"]}}},
        "log in with nothing": {},
        "log in with a wrong application credential": {
            "auth": {
                "identity": {
                    "methods": ["application_credential"],
                    "application_credential": {"id": MISSING.replace("-", ""), "secret": SECRET},
                }
            }
        },
    }
    return {name: Call("POST", "/auth/tokens", user=None, json=body, url="auth") for name, body in bodies.items()}


def fill(value: Any, names: Mapping[str, str]) -> Any:
    """Put the world's IDs where a call names them."""
    if isinstance(value, str):
        for name, identifier in names.items():
            value = value.replace(f"{{{name}}}", identifier)
        return value
    if isinstance(value, dict):
        return {key: fill(each, names) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(fill(each, names) for each in value)
    return value


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two worlds, with its images and everybody's token."""

    world: World
    names: dict[str, str]
    tokens: dict[str, str]

    def send(self, call: Call) -> httpx.Response:
        """Send one call."""
        base = self.world.auth_url if call.url == "auth" else self.world.image_url
        headers = {"Accept": call.accept}
        if call.user:
            headers["X-Auth-Token"] = self.tokens.get(call.user, "garbled")
        return CLIENT.request(
            call.method,
            base + fill(call.path, self.names),
            params=fill(call.params, self.names) or None,
            json=fill(call.json, self.names),
            headers=headers,
        )


def furnish(world: World) -> Side:
    """Make images in every state that calls name, and log everybody in."""
    owner = OWNERS[0]
    shared = (*STANDINGS, "to-accept", "to-reject", "to-spoil", "unshared", "deleted")
    names = {name: world.add_image(owner, name) for name in shared}
    for image_id in names.values():
        world.share(image_id, owner)
    for status in ("accepted", "rejected"):
        world.settle(names[status], status)
    world.unshare(names["unshared"], owner)
    world.delete(names["deleted"], owner)
    names["private"] = world.add_image(owner, "private")
    names["own"] = world.add_image(RECEIVER, "own")
    tokens = {}
    for user, (_, project) in USERS.items():
        body = login_body(user, world.projects[project])
        answer = CLIENT.post(f"{world.auth_url}/auth/tokens", json=body)
        tokens[user] = answer.raise_for_status().headers["X-Subject-Token"]
    return Side(world, {**names, "missing": MISSING, **world.projects}, tokens)
