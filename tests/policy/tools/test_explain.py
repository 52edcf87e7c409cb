"""Explains decisions: which rule matched, which condition failed with the value seen, and what was never asked."""

from dataclasses import astuple
from datetime import UTC, datetime

from doorman.models import Share
from doorman.policy.policy import VaultRule, load
from doorman.policy.tools.explain import as_json, describe_vault, explain

IMAGE = "6596628c-42d4-4ff1-8660-8ea5ae61f243"
NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)
POLICY = load("""
version: 1
exceptions:
  - {name: migration, owners: [aaa], decision: reject, reason: m, by: jane, expires: 2026-11-04}
rules:
  - {name: banned, owners: [bbb], decision: reject}
  - {name: encrypted, images: {encrypted: true}, decision: hold}
  - {name: stricter, owners: [aaa], mode: audit, decision: reject}
  - {name: golden, owners: [aaa], images: {names: [golden-*]}, decision: accept}
  - {name: rest, owners: [aaa], decision: hold}
vaults: [{candidates: [v1, v2]}]
""")


def test_each_rule_is_told_until_one_decides() -> None:
    """Failed, unknown, tried, matched, and then not reached, each with what it wants and sees."""
    share = Share(image_id=IMAGE, project_id="receiver", owner="aaa", name="golden-1", full_ecs=None)
    explanation = explain(share, POLICY, now=NOW)
    told = [
        (step.rule, step.section, step.decision, step.mode, step.verdict, [astuple(each) for each in step.conditions])
        for step in explanation.steps
    ]
    owner, day = ("owners", "aaa", "aaa", True), ("expires", "through 2026-11-04", "2026-11-05", False)
    name, encrypted = ("images.names", "golden-*", "golden-1", True), ("images.encrypted", "true", "unknown", None)
    assert told == [
        ("migration", "exceptions", "reject", "enforce", "failed", [day, owner]),
        ("banned", "rules", "reject", "enforce", "failed", [("owners", "bbb", "aaa", False)]),
        ("encrypted", "rules", "hold", "enforce", "unknown", [encrypted]),
        ("stricter", "rules", "reject", "audit", "tried", [owner]),
        ("golden", "rules", "accept", "enforce", "matched", [owner, name]),
        ("rest", "rules", "hold", "enforce", "not reached", []),
    ]


def test_programs_get_everything_as_plain_values() -> None:
    """Decision, reason, facts, vaults, trials and the rules, ready for JSON."""
    share = Share(image_id=IMAGE, project_id="receiver", owner="aaa", name="golden-1", encrypted=False, full_ecs=True)
    told = as_json(explain(share, POLICY, now=NOW))
    rules = told.pop("rules")
    assert told == {
        "image_id": IMAGE,
        "project_id": "receiver",
        "name": "golden-1",
        "owner": "aaa",
        "decision": "accept",
        "reason": "allowed_owner",
        "rule": "golden",
        "audit": False,
        "facts": {"owner": "aaa", "name": "golden-1", "full_ecs": "true"},
        "vaults": ["the one of v1, v2 with the most room"],
        "needs_vault_list": True,
        "trials": [{"rule": "stricter", "decision": "reject", "reason": "rejected_by_rule"}],
    }
    assert [rule["verdict"] for rule in rules] == ["failed", "failed", "failed", "tried", "matched", "not reached"]
    found = rules[4]["conditions"][1]
    assert found == {"condition": "images.names", "wanted": "golden-*", "seen": "golden-1", "matches": True}


def test_vault_entries_are_described() -> None:
    """One vault by its ID, a choice by what it is made among."""
    tags = frozenset({("stage", "prod"), ("purpose", "images")})
    told = [describe_vault(entry) for entry in (VaultRule(vault="v1"), VaultRule(tags=tags))]
    assert told == ["v1", "the one tagged purpose=images, stage=prod with the most room"]
