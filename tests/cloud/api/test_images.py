"""Rows of an image list become shares; what is missing or of a strange type is unknown, never guessed."""

import json
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorman.cloud.api.base import Answer
from doorman.cloud.api.images import MAX_TEXT, ImageRow, read_first_id, read_row, read_rows
from doorman.models import MemberRow, Share
from tests.builders import image_id

ONE = image_id(1)
# a row as T Cloud Public's reference has it: many values are strings
ROW: dict[str, Any] = {
    "id": ONE,
    "name": "golden",
    "owner": "o",
    "status": "active",
    "visibility": "shared",
    "min_disk": 40,
    "min_ram": 1024,
    "tags": ["prod", "eu"],
    "created_at": "2026-01-02T03:04:05Z",
    "updated_at": "2026-01-03T03:04:05Z",
    "__os_type": "Linux",
    "__os_version": "Ubuntu 22.04 server 64bit",
    "__platform": "Ubuntu",
    "__os_bit": "64",
    "__image_size": "1073741824",
    "__support_arm": "true",
    "__backup_id": "b",
    "__system__cmkid": "k",
    "virtual_env_type": "FusionCompute",
    "hw_firmware_type": "uefi",
}
# a row as Glance has it
GLANCE_ROW: dict[str, Any] = {
    "id": ONE,
    "name": None,
    "owner": "o",
    "status": "active",
    "min_disk": 0,
    "min_ram": 0,
    "size": 5,
    "tags": [],
    "os_type": "linux",
    "os_version": "24.04",
    "os_distro": "ubuntu",
    "architecture": "x86_64",
    "os_hash_value": "abc",
    "cinder_encryption_key_id": "k",
}


def read(row: dict[str, Any]) -> Share:
    """Read one row, of which no other list says whether it is full-ECS."""
    return read_row(row, project_id="receiver", status="pending").complete(full_ecs=None)


def test_row_of_the_image_service() -> None:
    """Every fact that rules can ask for."""
    assert read(ROW) == Share(
        image_id=ONE,
        project_id="receiver",
        owner="o",
        name="golden",
        member_status="pending",
        created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        full_ecs=True,
        kind="server",
        os_type="Linux",
        os_version="Ubuntu 22.04 server 64bit",
        platform="Ubuntu",
        architecture="arm64",
        min_disk=40,
        min_ram=1024,
        size=1_073_741_824,
        tags=frozenset({"prod", "eu"}),
        encrypted=True,
        firmware="uefi",
    )


def test_row_of_glance() -> None:
    """The same facts by the names of OpenStack."""
    assert read(GLANCE_ROW) == Share(
        image_id=ONE,
        project_id="receiver",
        owner="o",
        member_status="pending",
        os_type="linux",
        os_version="24.04",
        platform="ubuntu",
        architecture="x86_64",
        min_disk=0,
        min_ram=0,
        size=5,
        tags=frozenset(),
        encrypted=True,
        hash_value="abc",
        full_ecs=None,
    )


def test_every_fact_is_read() -> None:
    """By one of both names; only the member row tells when an image was shared and settled."""
    told = [read(row) for row in (ROW, GLANCE_ROW)]
    unread = {each.name for each in fields(Share) if all(getattr(share, each.name) is None for share in told)}
    assert unread == {"shared_at", "settled_at"}


def test_empty_row() -> None:
    """Nothing is known; an encrypted image would carry the ID of its key."""
    assert read({}) == Share(
        image_id="", project_id="receiver", member_status="pending", encrypted=False, full_ecs=None
    )


@pytest.mark.parametrize(
    ("row", "whole"),
    [
        ({}, None),
        ({"__backup_id": ""}, None),
        ({"__backup_id": "b"}, True),
        ({"__backup_id": "b", "__whole_image": "false"}, True),
        ({"__whole_image": "true"}, True),
        ({"__whole_image": "True"}, True),
        ({"__whole_image": True}, True),
        ({"__whole_image": "false"}, False),
        ({"__whole_image": False}, False),
        ({"__whole_image": "yes"}, None),
        ({"__whole_image": 1}, None),
        ({"__backup_id": 5}, None),
    ],
)
def test_full_ecs(row: dict[str, Any], *, whole: bool | None) -> None:
    """Told by a backup, or by a word that only some clouds tell; else it must be asked for."""
    found = read_row(row, project_id="receiver", status="pending")
    assert found.tells_full_ecs is (whole is not None)
    assert [found.complete(told).full_ecs for told in (None, True, False)] == (
        [None, True, False] if whole is None else [whole] * 3
    )


def test_row_is_no_share_yet() -> None:
    """Only whoever says what is known of full-ECS gets one; our own member row completes it, where it was read."""
    made, settled = datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)
    row = read_row({"id": ONE, "owner": "o"}, project_id="receiver", status=None)
    share = Share(image_id=ONE, project_id="receiver", owner="o", encrypted=False, full_ecs=True)
    assert row == ImageRow(replace(share, full_ecs=False), tells_full_ecs=False)
    assert (row.owner, row.complete(full_ecs=True)) == ("o", share)
    member = MemberRow(status="rejected", created_at=made, updated_at=settled)
    assert row.complete(True, member) == replace(  # noqa: FBT003 - one fact
        share, member_status="rejected", shared_at=made, settled_at=settled
    )


@pytest.mark.parametrize(
    ("word", "kind"),
    [("FusionCompute", "server"), ("DataImage", "data"), ("isoimage", "iso"), ("Ironic", "bare_metal"), ("x", None)],
)
def test_kind(word: str, kind: str | None) -> None:
    """What an image is for."""
    assert read({"virtual_env_type": word}).kind == kind


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0, 0),
        (40, 40),
        ("40", 40),
        ("", None),
        (" 40", None),
        ("-1", None),
        (-1, None),
        (4.5, None),
        (True, None),
        (None, None),
        ([], None),
        ("\u0661", None),
        (10**18 - 1, 10**18 - 1),
        (10**18, None),
        (10**4000, None),
        ("9" * 5000, None),
    ],
)
def test_numbers(value: Any, number: int | None) -> None:
    """As numbers or as text; nothing that no image can have."""
    share = read({"min_disk": value, "min_ram": value, "__image_size": value, "size": 7})
    assert (share.min_disk, share.min_ram, share.size) == (number, number, number)


@pytest.mark.parametrize("value", [None, "", 5, True, [], {}])
def test_texts_of_other_types(value: Any) -> None:
    """They are unknown."""
    names = ("id", "owner", "name", "status", "__os_type", "os_type", "__platform", "architecture", "created_at")
    assert read(dict.fromkeys(names, value)) == read({})


@pytest.mark.parametrize("text", ["x" * (MAX_TEXT + 1), "x" * 10_000])
def test_texts_that_are_too_long(text: str) -> None:
    """They are unknown as a whole: a rule is never matched by half a text, and nobody's words fill our events."""
    assert read({"name": text, "owner": text, "tags": [text]}) == read({"tags": None})
    assert read({"name": "x" * MAX_TEXT}).name == "x" * MAX_TEXT


@pytest.mark.parametrize(
    ("tags", "read_tags"),
    [
        (["a", "b", "a"], {"a", "b"}),
        ([], set()),
        (["a", 5], None),
        (["a", None], None),
        (["a", ""], None),
        (["a", "x" * (MAX_TEXT + 1)], None),
        ("ab", None),
        ({"a": 1}, None),
        (None, None),
    ],
)
def test_tags(tags: Any, read_tags: set[str] | None) -> None:
    """A list of texts; where one of them cannot be read, they are not known."""
    assert read({"tags": tags}).tags == read_tags


@pytest.mark.parametrize(
    ("row", "is_encrypted"),
    [
        ({}, False),
        ({"__system__cmkid": ""}, False),
        ({"__system__cmkid": None, "cinder_encryption_key_id": ""}, False),
        ({"__system__cmkid": "k"}, True),
        ({"__system__cmkid": 5, "cinder_encryption_key_id": "k"}, True),
        ({"__system__cmkid": 5}, None),
        ({"cinder_encryption_key_id": "x" * (MAX_TEXT + 1)}, None),
    ],
)
def test_encrypted(row: dict[str, Any], *, is_encrypted: bool | None) -> None:
    """By the ID of a key; of one that cannot be read nobody knows what it means."""
    assert read(row).encrypted is is_encrypted


OTHER = image_id(2)


@pytest.mark.parametrize(
    ("start", "found"),
    [
        (f'{{"images": [{{"id": "{ONE.upper()}", "name": "x', ONE),
        (f'{{"images": [{{"id":   "{ONE}"}}, {{"id": "{OTHER}"', ONE),
        (f'{{"images": [{{"name": "\\"id\\": \\"{ONE}\\"", "id": "{OTHER}"', OTHER),
        (f'{{"images": [{{"__backup_id": "{ONE}", "id": "{OTHER}"', OTHER),
        (f'{{"images": [{{"name": "{{\\"id\\":\\"{ONE}\\"}}', None),
        ('{"images": [{"id": "../x"', None),
        ("", None),
    ],
)
def test_first_id(start: str, found: str | None) -> None:
    """That of the first image in the beginning of a list; a sharer's words do not look like one."""
    assert read_first_id(start.encode()) == found


def listing(images: Any, **more: Any) -> Answer:
    """Make the answer of a list."""
    return Answer(status=200, body=json.dumps({"images": images, **more}).encode())


def test_list() -> None:
    """Rows without an image ID are left out; IDs are written in lower case."""
    rows = [{"id": ONE.upper()}, {"id": "../x"}, {"id": None}, 5, None, {"id": image_id(2), "owner": "o"}]
    value, read = read_rows(listing(rows, next="/x"))
    assert value["next"] == "/x"
    assert {image: row.get("owner") for image, row in read.items()} == {ONE: None, image_id(2): "o"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*ROW, *GLANCE_ROW, "__whole_image"]), JSON))
def test_any_row_is_read(row: dict[str, Any]) -> None:
    """Whatever types a cloud sends; no text is longer than it may be."""
    share = read(row)
    texts = [value for name in Share.__dataclass_fields__ if isinstance(value := getattr(share, name), str)]
    assert all(len(text) <= MAX_TEXT for text in texts)
