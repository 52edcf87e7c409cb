"""Recordings: what Doorman reads stays readable, and nothing in them is anybody's."""

import json
from typing import Any

import pytest

from doorman.planning.redaction import Redactor
from tests.builders import image_id

PROJECT, OWNER = "7f2a9c4e1b6d4f0e8a3c5d7b9e1f2a4c", "9c61004714024f9586705d090530f9fa"
REDACTOR = Redactor(b"salt")
NAME = REDACTOR.name


@pytest.mark.parametrize("text", [image_id(1), PROJECT, "golden", "", "ünïcode\ud800"])
def test_a_pseudonym_has_the_form_of_its_text(text: str) -> None:
    """A UUID for a UUID, 32 hex digits for such, else a word; the same one each time, whatever the case."""
    found = NAME(text)
    assert found == NAME(text.upper() if text != "ünïcode\ud800" else text)
    assert found != Redactor(b"pepper").name(text)
    assert text not in found or not text
    assert [len(each) for each in found.split("-")] == (
        [8, 4, 4, 4, 12] if text == image_id(1) else [32] if text == PROJECT else [4, 12]
    )


def test_a_url() -> None:
    """Host, IDs and whatever is no known word are replaced; fields that nobody reads are left out of the query."""
    url = f"https://ims.eu-de.test:443/v2/images/{image_id(1)}/members/{PROJECT}?limit=1&marker={image_id(2)}&secret=x"
    host = NAME("ims.eu-de.test:443").replace("text", "host")
    path = f"/v2/images/{NAME(image_id(1))}/members/{NAME(PROJECT)}"
    assert REDACTOR.url(url) == f"https://{host}.example{path}?limit=1&marker={NAME(image_id(2))}"
    assert REDACTOR.url("/v2/images?member_status=pending&created_at=soon") == "/v2/images?member_status=pending"
    assert REDACTOR.url("http://[::") == NAME("http://[::")
    assert REDACTOR.url("/acme/v2.1") == f"/{NAME('acme')}/v2.1"


def test_an_answer() -> None:
    """Known words, times, numbers and codes stay, in their own fields only; all other text becomes another."""
    row: dict[str, Any] = {
        "id": image_id(1),
        "name": "active",
        "owner": OWNER,
        "status": "active",
        "visibility": "secret-word",
        "created_at": "2026-01-31T08:30:00Z",
        "updated_at": "when we met",
        "min_disk": 40,
        "__image_size": "1073741824",
        "min_ram": "a lot",
        "os_hidden": False,
        "tags": ["team", 7, None],
        "description": "ours",
        "__backup_id": "",
    }
    body = {"images": [row], "next": f"/v2/images?marker={image_id(1)}", "first": "/v2/images", "schema": "x"}
    found = REDACTOR.answer("GET", "/v2/images", 200, json.dumps(body).encode())
    kept = {key: value for key, value in row.items() if key != "description"}
    names = {"id": NAME(image_id(1)), "name": NAME("active"), "owner": NAME(OWNER), "visibility": NAME("secret-word")}
    others = {"updated_at": None, "min_ram": None, "tags": [NAME("team"), None, None]}
    listed = {"images": [kept | names | others], "next": f"/v2/images?marker={NAME(image_id(1))}"}
    assert found == {"method": "GET", "url": "/v2/images", "status": 200, "body": listed}


def test_other_answers() -> None:
    """Roles keep their known words, names do not; an error keeps its code alone; what is no JSON keeps nothing."""
    token = {"roles": [{"name": "member"}, {"name": "ours"}], "user": {"name": "member"}, "project": {"name": "reader"}}
    assert REDACTOR.body({"token": token})["token"] == {
        "roles": [{"name": "member"}, {"name": NAME("ours")}],
        "user": {"name": NAME("member")},
        "project": {"name": NAME("reader")},
    }
    error = {"error": {"code": "IMG.0106", "message": f"{OWNER} may not"}, "error_code": f"IMG.0106 {OWNER}"}
    assert REDACTOR.body(error) == {"error": {"code": "IMG.0106"}, "error_code": None}
    assert REDACTOR.body({"error": {"code": 401}}) == {"error": {"code": 401}}
    for text in (b"<html>secret</html>", b"[1]"):
        assert REDACTOR.answer("GET", "/", 502, text)["body"] is None
