"""Explains decisions: which rule matched, which condition failed with the value seen, and what was never asked."""

from datetime import UTC, datetime

from doorman.models import Share
from doorman.policy.policy import VaultRule, load
from doorman.policy.tools.explain import Finding, Step, Verdict, as_json, describe_vault, explain

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
    owner = Finding(condition="owners", wanted="aaa", seen="aaa", holds=True)
    assert explanation.steps == (
        Step(
            rule="migration",
            section="exceptions",
            decision="reject",
            mode="enforce",
            verdict=Verdict.FAILED,
            conditions=[
                Finding(condition="expires", wanted="through 2026-11-04", seen="2026-11-05", holds=False),
                owner,
            ],
        ),
        Step(
            rule="banned",
            section="rules",
            decision="reject",
            mode="enforce",
            verdict=Verdict.FAILED,
            conditions=[Finding(condition="owners", wanted="bbb", seen="aaa", holds=False)],
        ),
        Step(
            rule="encrypted",
            section="rules",
            decision="hold",
            mode="enforce",
            verdict=Verdict.UNKNOWN,
            conditions=[Finding(condition="images.encrypted", wanted="true", seen="unknown", holds=None)],
        ),
        Step(
            rule="stricter",
            section="rules",
            decision="reject",
            mode="audit",
            verdict=Verdict.TRIED,
            conditions=[owner],
        ),
        Step(
            rule="golden",
            section="rules",
            decision="accept",
            mode="enforce",
            verdict=Verdict.MATCHED,
            conditions=[
                owner,
                Finding(condition="images.names", wanted="golden-*", seen="golden-1", holds=True),
            ],
        ),
        Step(
            rule="rest",
            section="rules",
            decision="hold",
            mode="enforce",
            verdict=Verdict.NOT_REACHED,
            conditions=[],
        ),
    )


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
    assert [(rule["rule"], rule["verdict"]) for rule in rules] == [
        ("migration", "failed"),
        ("banned", "failed"),
        ("encrypted", "failed"),
        ("stricter", "tried"),
        ("golden", "matched"),
        ("rest", "not reached"),
    ]
    assert rules[4]["conditions"][1] == {
        "condition": "images.names",
        "wanted": "golden-*",
        "seen": "golden-1",
        "holds": True,
    }


def test_vault_entries_are_described() -> None:
    """One vault by its ID, a choice by what it is made among."""
    tags = frozenset({("stage", "prod"), ("purpose", "images")})
    told = [describe_vault(entry) for entry in (VaultRule(vault="v1"), VaultRule(tags=tags))]
    assert told == ["v1", "the one tagged purpose=images, stage=prod with the most room"]
