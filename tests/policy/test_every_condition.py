"""Samples every key under `images`, so that none is forgotten where conditions are compared, explained or listed."""

import json
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest

from doorman.models import Share
from doorman.policy.conditions import KEYS
from doorman.policy.policy import Policy, load
from doorman.policy.schema import ImagesEntry
from doorman.policy.tools import share_file
from doorman.policy.tools.diff import compare_policies
from doorman.policy.tools.explain import explain
from doorman.policy.tools.json_schema import schema
from tests.policy.test_decision import DRAWN, VALUES

NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)
SAMPLES: dict[str, Any] = {
    "ids": ["6596628c-42d4-4ff1-8660-8ea5ae61f243"],
    "names": ["golden-*"],
    "tags": ["signed"],
    "os_type": "Linux",
    "platform": "Ubuntu*",
    "os_version": "Ubuntu 22.04*",
    "architecture": "arm64",
    "kind": "iso",
    "firmware": "uefi",
    "hash": "a" * 64,
    "full_ecs": True,
    "encrypted": True,
    "disk_gb": {"at_least": 100},
    "memory_mb": {"at_least": 4096},
    "age_days": {"at_least": 30},
}
"""A value for each key; to add a condition, add one here as well."""


def policy(images: dict[str, Any] | None) -> Policy:
    """Write a policy that accepts such images of one owner."""
    rule = {"name": "r", "owners": ["aaa"], "decision": "accept", **({"images": images} if images else {})}
    return load(json.dumps({"version": 1, "rules": [rule], "vaults": [{"vault": "v"}]}))


def test_every_key_has_a_sample_and_a_condition() -> None:
    """The schema, the conditions, generated rules and this file know the same keys; a share file lists all facts."""
    assert set(SAMPLES) == set(ImagesEntry.model_fields) == set(KEYS) == set(DRAWN)
    assert {key.fact for key in KEYS.values()} <= {*VALUES, "image_id"}
    of_the_row = {"shared_at", "settled_at"}  # no rule asks when a member row was made or changed
    assert set(share_file.Facts.model_fields) == {each.name for each in fields(Share)} - of_the_row


@pytest.mark.parametrize("key", SAMPLES)
def test_a_condition_is_known_everywhere(key: str) -> None:
    """Compared, explained, written and read again, described to editors."""
    narrow = policy({key: SAMPLES[key]})
    compared = compare_policies(policy(None), narrow, now=NOW)
    assert {(each.old.action, each.new.action) for each in compared.changes if each.is_other_end} == {
        ("accept", "hold")
    }
    for change in compared.changes:
        share = change.share
        [step] = explain(share, narrow, now=NOW).steps
        findings = {each.condition: (each.seen, each.matches) for each in step.conditions}
        assert findings[f"images.{key}"][1] is not True
        [written] = share_file.write([share])
        assert share_file.load(json.dumps([written]), file="s") == (share,)
    described = schema()["$defs"]["ImagesEntry"]["properties"][key]
    assert described["description"]
    assert set(KEYS[key].told_by) <= {"ims", "glance"}
