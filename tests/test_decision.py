"""Decides shares by the contract's sample policy: the first landing's facts."""

from datetime import UTC, datetime

from function.decision import choose_vault, decide, decide_all, needs_vaults
from function.policy import load
from function.shares import Reason, Share

GOLDEN = "9c61004714024f9586705d090530f9fa"
BAD = "0b1c2d3e4f5061728394a5b6c7d8e9f0"
IMAGE = "6596628c-42d4-4ff1-8660-8ea5ae61f243"
NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)
SAMPLE = f"""
version: 1
default: hold
rules:
  - name: golden-images
    owners: [{GOLDEN}]
    decision: accept
  - name: known-bad
    owners: [{BAD}]
    decision: reject
vaults:
  - owners: [{GOLDEN}]
    vault: d14r5tef-1bc3-4c4f-823e-3e471rg65e65
  - vault: 8f0c3b52-7d0e-4b8e-9a55-0d6f0a3f3c11
"""


def test_the_sample_policy_decides_by_owner() -> None:
    """The allowlisted owner is accepted, the known bad one rejected, a stranger held."""
    policy = load(SAMPLE)
    told = [
        (decision.action, decision.reason, decision.rule)
        for owner in (GOLDEN, BAD, "stranger", None)
        for decision in [decide(Share(image_id=IMAGE, project_id="p", owner=owner), policy, now=NOW)]
    ]
    assert told == [
        ("accept", Reason.ALLOWED_OWNER, "golden-images"),
        ("reject", Reason.REJECTED_BY_RULE, "known-bad"),
        ("hold", Reason.OWNER_NOT_ALLOWED, None),
        ("hold", Reason.OWNER_NOT_ALLOWED, None),
    ]


def test_vaults_of_a_plain_mapping_are_tried_in_order() -> None:
    """A full-ECS image gets its owner's vault first, then the one for everyone, then none; no list is needed."""
    share = Share(image_id=IMAGE, project_id="p", owner=GOLDEN, full_ecs=True)
    decision = decide_all([share], load(SAMPLE), now=NOW)[IMAGE]
    first, second = "d14r5tef-1bc3-4c4f-823e-3e471rg65e65", "8f0c3b52-7d0e-4b8e-9a55-0d6f0a3f3c11"
    chosen = [choose_vault(decision, share, tried=tried, vaults=None) for tried in ((), (first,), (first, second))]
    assert (needs_vaults(decision), chosen) == (False, [first, second, None])
