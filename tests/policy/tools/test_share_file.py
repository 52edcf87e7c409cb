"""Reads lists of shares as people write them, each fault at its place, and writes them so that they can be read."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from doorman.models import Share
from doorman.policy.document.faults import BrokenFile
from doorman.policy.tools.share_file import load, write

OWNER = "9c61004714024f9586705d090530f9fa"
IMAGE = "6596628c-42d4-4ff1-8660-8ea5ae61f243"


def test_facts_become_shares() -> None:
    """What is written is known, what is left out is not."""
    text = f"""
- image_id: {IMAGE}
  project_id: receiver
  owner: aaa
  name: golden-1
  created_at: 2026-01-31T08:30:00Z
  full_ecs: true
  kind: server
  min_disk: 40
  tags: [signed, golden]
- image_id: 7a96628c-42d4-4ff1-8660-8ea5ae61f243
"""
    assert load(text, file="shares.yaml") == (
        Share(
            image_id=IMAGE,
            project_id="receiver",
            owner="aaa",
            name="golden-1",
            created_at=datetime(2026, 1, 31, 8, 30, tzinfo=UTC),
            full_ecs=True,
            kind="server",
            min_disk=40,
            tags=frozenset({"signed", "golden"}),
        ),
        Share(image_id="7a96628c-42d4-4ff1-8660-8ea5ae61f243", project_id="unknown", full_ecs=None),
    )


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", ["1:1: the file must be a list of shares, each beginning with `- image_id:`, not nothing"]),
        ("true", ["1:1: the file must be a list of shares, each beginning with `- image_id:`, not a yes or no"]),
        ("5", ["1:1: the file must be a list of shares, each beginning with `- image_id:`, not a number"]),
        (
            "- owner: aaa",
            [f"1:3: a share needs `image_id`: add `image_id:` with an image ID: a UUID such as `{IMAGE}`"],
        ),
        (f"- image_id: {IMAGE}\n  ownr: aaa", ["2:3: `ownr` is not a key of a share: did you mean `owner`?"]),
        (
            f"- image_id: {IMAGE}\n  created_at: yesterday\n  min_disk: 1.5",
            [
                '2:15: `created_at` must be a time such as `2026-01-31T08:30:00Z`, not the text "yesterday"',
                "3:13: `min_disk` must be a whole number of GB, not the number 1.5",
            ],
        ),
        (
            f"- image_id: {IMAGE}\n- image_id: {IMAGE.upper()}",
            ["2:13: this image stands in line 1 already: keep one of them"],
        ),
        (
            "- gold",
            [f'1:3: an entry of the list must be a mapping of facts, such as `owner: {OWNER}`, not the text "gold"'],
        ),
    ],
)
def test_a_broken_list_is_refused_with_places(text: str, lines: list[str]) -> None:
    """The same strictness and the same manner of speaking as for policies."""
    with pytest.raises(BrokenFile) as caught:
        load(text, file="s.yaml")
    assert str(caught.value).split("\n") == [f"s.yaml:{line}" for line in lines]


@given(
    st.builds(
        Share,
        image_id=st.uuids().map(str),
        project_id=st.sampled_from(["receiver", "other"]),
        owner=st.none() | st.just("aaa"),
        name=st.none() | st.text(),
        created_at=st.none() | st.datetimes(timezones=st.just(UTC)),
        full_ecs=st.none() | st.booleans(),
        tags=st.none() | st.frozensets(st.text(max_size=5)),
        min_disk=st.none() | st.integers(0, 10**6),
        encrypted=st.none() | st.booleans(),
    )
)
def test_what_was_written_is_read_again(share: Share) -> None:
    """A list that one command writes, another one takes, whatever the names are, and however JSON spells them."""
    written = write([share])
    assert load(to_json(written).decode(), file="s.json") == (share,)
    assert load(json.dumps(written), file="s.json") == (share,)
