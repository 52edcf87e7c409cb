"""Decides shares: the sample policy, every reason, trials, limits, and what holds for every policy and share."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from doorman.models import MemberStatus, Reason, Share
from doorman.policy.decision import Decision, Trial, decide, hold_over_limit, lapsed, needs_vaults
from doorman.policy.policy import Policy, load
from doorman.policy.vault_choice import choose
from tests.builders import BAD, GOLDEN, POLICY, SECOND_VAULT, VAULT

IMAGE = "6596628c-42d4-4ff1-8660-8ea5ae61f243"
OTHER = "7a96628c-42d4-4ff1-8660-8ea5ae61f243"
NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)


def share(**facts: Any) -> Share:
    """Make a share of IMAGE with these facts."""
    return Share(**{"image_id": IMAGE, "project_id": "receiver", "full_ecs": None, **facts})


def write(*rules: dict[str, Any], **rest: Any) -> str:
    """Write a policy of these rules, named r0, r1 and so on."""
    named = [{"name": f"r{number}", **rule} for number, rule in enumerate(rules)]
    return to_json({"version": 1, "rules": named, **rest}).decode()


def policy(*rules: dict[str, Any], **rest: Any) -> Policy:
    """Load a policy of these rules."""
    return load(write(*rules, **rest))


def exception(decision: str, **rest: Any) -> dict[str, Any]:
    """Write an exception named e, for the owner aaa through the 5th of November 2026 unless told otherwise."""
    return {
        "name": "e",
        "owners": ["aaa"],
        "decision": decision,
        "reason": "migration",
        "by": "jane",
        "expires": "2026-11-05",
        **rest,
    }


def held(owner: str, **more: str) -> Decision:
    """Return what becomes of a share whose owner no rule names."""
    failed = f"owners: no rule that accepts names {owner} for project receiver"
    facts = {"owner": owner, **more}
    return Decision(action="hold", reason=Reason.OWNER_NOT_ALLOWED, facts=facts, failed_condition=failed)


def test_the_sample_policy_decides_by_owner() -> None:
    """The allowlisted owner is accepted, the known bad one rejected, a stranger and a nameless one held."""
    told = [decide(share(owner=owner), load(POLICY), now=NOW) for owner in (GOLDEN, BAD, "stranger", None)]
    assert told == [
        Decision(action="accept", reason=Reason.ALLOWED_OWNER, rule="golden-images", facts={"owner": GOLDEN}),
        Decision(action="reject", reason=Reason.REJECTED_BY_RULE, rule="known-bad", facts={"owner": BAD}),
        held("stranger"),
        Decision(action="hold", reason=Reason.FACT_UNKNOWN, facts={"owner": "unknown"}),
    ]


def test_vaults_of_a_plain_mapping_are_tried_in_order() -> None:
    """A full-ECS image gets its owner's vault first, then the one for everyone, then none; no list is needed."""
    server = share(owner=GOLDEN, full_ecs=True)
    decision = decide(server, load(POLICY), now=NOW)
    chosen = [
        choose(decision.vaults, server, tried=tried, vaults=None) for tried in ((), (VAULT,), (VAULT, SECOND_VAULT))
    ]
    assert (decision.action, needs_vaults(decision), chosen) == ("accept", False, [VAULT, SECOND_VAULT, None])
    assert decision.facts == {"owner": GOLDEN, "full_ecs": "true"}


@pytest.mark.parametrize("full_ecs", [False, None])
def test_an_image_that_is_not_known_to_be_full_ecs_gets_no_vault(*, full_ecs: bool | None) -> None:
    """It is accepted, and no vault is sent for it."""
    plain = share(owner=GOLDEN, full_ecs=full_ecs)
    decision = decide(plain, load(POLICY), now=NOW)
    assert (decision.action, decision.vaults) == ("accept", ())
    assert choose(decision.vaults, plain, tried=(), vaults=None) is None


def test_a_full_ecs_image_without_a_vault_mapped_is_held() -> None:
    """The rule would accept it, but there is nowhere to put its backup."""
    rules = policy({"owners": ["aaa"], "decision": "accept"}, vaults=[{"owners": ["bbb"], "vault": "v"}])
    decision = decide(share(owner="aaa", full_ecs=True), rules, now=NOW)
    facts = {"owner": "aaa", "full_ecs": "true"}
    failed = "vaults: no entry serves aaa"
    assert decision == Decision(
        action="hold", reason=Reason.VAULT_MISSING, rule="r0", facts=facts, failed_condition=failed
    )


def test_a_choice_of_vaults_needs_the_list() -> None:
    """Candidates are chosen by what the backup service says of them."""
    rules = policy({"owners": ["aaa"], "decision": "accept"}, vaults=[{"candidates": ["small", "large"]}])
    assert needs_vaults(decide(share(owner="aaa", full_ecs=True), rules, now=NOW))


@pytest.mark.parametrize(
    ("rule", "facts", "reason"),
    [
        ({"owners": ["aaa"], "decision": "accept"}, {}, Reason.ALLOWED_OWNER),
        ({"images": {"ids": [IMAGE.upper()]}, "decision": "accept"}, {}, Reason.ALLOWED_IMAGE),
        ({"decision": "reject"}, {}, Reason.REJECTED_BY_RULE),
        ({"decision": "hold"}, {}, Reason.HELD_BY_RULE),
        ({"owners": ["bbb"], "decision": "accept"}, {}, Reason.OWNER_NOT_ALLOWED),
        ({"owners": ["bbb"], "decision": "reject"}, {}, Reason.OWNER_NOT_ALLOWED),
        ({"owners": ["aaa"], "projects": ["other"], "decision": "accept"}, {}, Reason.OWNER_NOT_ALLOWED),
        ({"owners": ["aaa"], "mode": "audit", "decision": "accept", "projects": ["x"]}, {}, Reason.OWNER_NOT_ALLOWED),
        ({"owners": ["aaa"], "images": {"names": ["x"]}, "decision": "accept"}, {}, Reason.IMAGE_NOT_ALLOWED),
        (
            {"owners": ["aaa"], "images": {"names": ["x"]}, "decision": "accept"},
            {"name": None},
            Reason.IMAGE_NOT_ALLOWED,
        ),
        ({"images": {"ids": [OTHER]}, "decision": "accept"}, {}, Reason.OWNER_NOT_ALLOWED),
    ],
)
def test_the_reason_says_what_decided(rule: dict[str, Any], facts: dict[str, Any], reason: Reason) -> None:
    """One rule, one share of the owner aaa named golden: the reason told."""
    assert decide(share(**{"owner": "aaa", "name": "golden", **facts}), policy(rule), now=NOW).reason == reason


@pytest.mark.parametrize(
    ("decision", "reason"),
    [
        ("accept", Reason.ALLOWED_BY_EXCEPTION),
        ("reject", Reason.REJECTED_BY_EXCEPTION),
        ("hold", Reason.HELD_BY_EXCEPTION),
    ],
)
def test_an_exception_comes_before_the_rules(decision: str, reason: Reason) -> None:
    """It counts through its last day, whatever the rules say; why and by whom travels with the decision."""
    rules = policy({"decision": "hold"}, exceptions=[exception(decision)])
    told = decide(share(owner="aaa"), rules, now=NOW)
    assert (told.action, told.reason, told.rule) == (decision, reason, "e")
    assert told.facts == {"today": "2026-11-05", "owner": "aaa", "reason": "migration", "by": "jane"}


def test_the_day_of_an_exception_ends_in_utc() -> None:
    """At midnight in UTC it is over, whatever the clock's own zone says."""
    rules = policy(exceptions=[exception("accept")])
    last = datetime(2026, 11, 5, 23, 59, 59, tzinfo=UTC)
    zone = last.astimezone(datetime.fromisoformat("2026-01-01T00:00:00+10:00").tzinfo)
    told = [decide(share(owner="aaa"), rules, now=each).action for each in (last, zone, last + timedelta(seconds=1))]
    assert told == ["accept", "accept", "hold"]


def test_an_expired_exception_is_named_where_it_would_have_decided() -> None:
    """A person who asks why the share is held now finds the answer in the facts."""
    rules = policy(exceptions=[exception("accept", expires="2026-11-04")])
    told = [decide(share(owner=owner), rules, now=NOW) for owner in ("aaa", "bbb")]
    assert told == [held("aaa", expired_exception="e"), held("bbb")]


def test_the_exception_that_has_lapsed_for_a_share_can_be_asked_for() -> None:
    """Only where its last day is all that speaks against it, whatever a rule decides today."""
    rules = policy({"decision": "reject"}, exceptions=[exception("accept")])
    later = NOW + timedelta(days=1)
    asked = [
        lapsed(share(owner=owner), rules, now=now) for owner, now in (("aaa", later), ("aaa", NOW), ("bbb", later))
    ]
    assert asked == [rules.exceptions[0], None, None]


def test_a_default_of_reject_rejects_for_the_same_reasons() -> None:
    """What no rule matches is rejected."""
    told = decide(share(owner="aaa"), policy(default="reject"), now=NOW)
    assert told == replace(held("aaa"), action="reject")


@pytest.mark.parametrize("action", ["reject", "hold"])
def test_a_ban_that_might_match_stops_the_accept_behind_it(action: str) -> None:
    """Nobody knows whether the image is encrypted, so the rule that keeps encrypted ones out holds it for a person."""
    ban = {"images": {"encrypted": True}, "decision": action}
    rules = policy(ban, {"owners": ["aaa"], "decision": "accept"})
    told = [decide(share(owner="aaa", encrypted=known), rules, now=NOW) for known in (None, True, False)]
    facts, failed = {"encrypted": "unknown"}, "encrypted: true, is unknown"
    assert told[0] == Decision(
        action="hold", reason=Reason.FACT_UNKNOWN, rule="r0", facts=facts, failed_condition=failed
    )
    assert [each.action for each in told[1:]] == [action, "accept"]


@pytest.mark.parametrize(
    ("later", "default", "reason"),
    [
        ([], "reject", Reason.FACT_UNKNOWN),
        ([{"owners": ["aaa"], "decision": "reject"}], "hold", Reason.FACT_UNKNOWN),
        ([], "hold", Reason.IMAGE_NOT_ALLOWED),
        ([{"owners": ["aaa"], "decision": "hold"}], "reject", Reason.HELD_BY_RULE),
    ],
)
def test_an_accept_that_might_match_stops_the_reject_behind_it(
    later: list[dict[str, Any]], default: str, reason: Reason
) -> None:
    """Nobody knows the name, so nothing is settled: neither by a later rule nor by the default."""
    accept = {"owners": ["aaa"], "images": {"names": ["golden-*"]}, "decision": "accept"}
    told = decide(share(owner="aaa"), policy(accept, *later, default=default), now=NOW)
    assert (told.action, told.reason) == ("hold", reason)


def test_a_reject_that_might_match_is_no_doubt_of_another_reject() -> None:
    """Whatever the name is, the share is rejected."""
    ban = {"images": {"names": ["bad-*"]}, "decision": "reject"}
    told = decide(share(owner="aaa"), policy(ban, default="reject"), now=NOW)
    assert (told.action, told.reason) == ("reject", Reason.OWNER_NOT_ALLOWED)


@pytest.mark.parametrize(
    ("images", "facts", "text"),
    [
        ({"age_days": {"at_most": 90}}, {"created_at": NOW - timedelta(days=121)}, "age_days: at most 90, is 121"),
        ({"age_days": {"at_most": 90}}, {}, "age_days: at most 90, is unknown"),
        ({"names": ["a-*", "b"], "disk_gb": {"at_least": 9}}, {"name": "c"}, "names: one of a-*, b, is c"),
        ({"names": ["c"], "disk_gb": {"at_least": 9}}, {"name": "c", "min_disk": 8}, "disk_gb: at least 9, is 8"),
    ],
)
def test_a_held_share_says_what_it_lacks(images: dict[str, Any], facts: dict[str, Any], text: str) -> None:
    """The first condition that failed, of the first rule that would let its owner's images in."""
    rules = policy({"owners": ["aaa"], "images": images, "decision": "accept"})
    assert decide(share(owner="aaa", **facts), rules, now=NOW).failed_condition == text


@pytest.mark.parametrize("action", ["accept", "reject"])
def test_no_rule_is_asked_where_nobody_knows_the_owner(action: str) -> None:
    """The image may be our own, or a banned owner's: it is held, even where a rule names it and the default rejects."""
    rules = policy({"images": {"ids": [IMAGE]}, "decision": action}, default="reject")
    assert decide(share(), rules, now=NOW).reason is Reason.FACT_UNKNOWN


def test_rules_on_trial_are_told_beside_the_decision() -> None:
    """Each rule in audit mode that matches before an enforced one says what it would have done."""
    rules = policy(
        {"owners": ["aaa"], "mode": "audit", "decision": "reject"},
        {"images": {"encrypted": True}, "mode": "audit", "decision": "reject"},
        {"owners": ["aaa"], "mode": "audit", "decision": "accept"},
        {"owners": ["aaa"], "decision": "accept"},
        {"owners": ["aaa"], "mode": "audit", "decision": "hold"},
    )
    assert decide(share(owner="aaa"), rules, now=NOW) == Decision(
        action="accept",
        reason=Reason.ALLOWED_OWNER,
        rule="r3",
        facts={"owner": "aaa"},
        trials=(
            Trial(rule="r0", action="reject", reason=Reason.REJECTED_BY_RULE),
            Trial(rule="r2", action="accept", reason=Reason.ALLOWED_OWNER),
        ),
    )


def test_what_the_limit_holds_says_which_rule_and_limit() -> None:
    """The held share keeps its rule and facts, and gets no vault."""
    rules = policy({"owners": ["aaa"], "decision": "accept"}, vaults=[{"vault": "v"}])
    decision = decide(share(owner="aaa", full_ecs=True), rules, now=NOW)
    assert hold_over_limit(decision, 1) == Decision(
        action="hold",
        reason=Reason.LIMIT_REACHED,
        rule="r0",
        facts={"owner": "aaa", "full_ecs": "true", "accepts_per_owner": "1"},
        failed_condition="accepts_per_owner: at most 1, more wait at once",
    )


YOUNG = {"owners": ["aaa"], "images": {"age_days": {"at_most": 90}}, "decision": "accept"}
QUARANTINE = {"images": {"age_days": {"at_least": 365}}, "decision": "reject"}


@pytest.mark.parametrize(
    ("rules", "status", "days", "action"),
    [
        ([YOUNG], "accepted", 91, "accept"),
        ([YOUNG], "pending", 91, "hold"),
        ([YOUNG], "rejected", 1, "hold"),
        ([QUARANTINE, YOUNG], "accepted", 400, "accept"),
        ([QUARANTINE, YOUNG], "rejected", 1, "reject"),
        ([{"owners": ["aaa"], "decision": "reject"}, YOUNG], "accepted", 91, "reject"),
    ],
)
def test_age_counts_at_the_door_alone(rules: list[dict[str, Any]], status: str, days: int, action: str) -> None:
    """What was settled stays as it is however old it grows; a rule without an age says otherwise at any time."""
    old = share(owner="aaa", member_status=status, created_at=NOW - timedelta(days=days))
    assert decide(old, policy(*rules), now=NOW, at_door=False).action == action


@pytest.mark.parametrize(
    ("rules", "rest", "action", "rule"),
    [
        ([], {}, "accept", "e"),
        ([], {"default": "reject"}, "accept", "e"),
        ([{"owners": ["aaa"], "decision": "hold"}], {}, "accept", "e"),
        ([{"owners": ["aaa"], "decision": "reject"}], {}, "reject", "r0"),
        ([{"owners": ["aaa"], "decision": "accept"}], {}, "accept", "r0"),
    ],
)
def test_an_exception_that_ended_keeps_what_it_let_in(
    rules: list[dict[str, Any]], rest: dict[str, Any], action: str, rule: str
) -> None:
    """Only a rule that rejects revokes it."""
    young = {"age_days": {"at_most": 90}}
    ended = exception("accept", expires="2026-11-04", images=young)
    told = decide(
        share(owner="aaa", member_status="accepted", created_at=NOW - timedelta(days=99)),
        policy(*rules, exceptions=[ended], **rest),
        now=NOW,
        at_door=False,
    )
    assert (told.action, told.rule) == (action, rule)


@pytest.mark.parametrize(
    ("decision", "status"), [("reject", "accepted"), ("accept", "rejected"), ("reject", "rejected")]
)
def test_an_exception_that_ended_keeps_nothing_else(decision: str, status: str) -> None:
    """What it kept out, or a person settled otherwise, is as today's policy says."""
    rules = policy(exceptions=[exception(decision, expires="2026-11-04")])
    assert decide(share(owner="aaa", member_status=status), rules, now=NOW, at_door=False).rule is None


OWNERS = st.sampled_from(["aaa", "bbb", "ccc"])
DRAWN = {
    "ids": st.just([IMAGE]),
    "names": st.lists(st.sampled_from(["golden-*", "*", "golden-1", "?olden-[12]"]), min_size=1, max_size=2),
    "tags": st.just(["signed"]),
    "os_type": st.sampled_from(["Linux", ["Windows", "Other"]]),
    "platform": st.just("ubuntu*"),
    "os_version": st.just("* 22.04 *"),
    "architecture": st.sampled_from(["x86_64", "arm64"]),
    "kind": st.just(["data", "iso"]),
    "firmware": st.just("uefi"),
    "hash": st.just("a" * 64),
    "full_ecs": st.booleans(),
    "encrypted": st.booleans(),
    "disk_gb": st.sampled_from([{"at_most": 40}, {"at_least": 10}]),
    "memory_mb": st.just({"at_least": 1, "at_most": 4096}),
    "age_days": st.just({"at_most": 30}),
}
"""What generated rules ask under `images`, by key."""
IMAGES = st.fixed_dictionaries({}, optional=DRAWN)
CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "owners": st.lists(OWNERS, min_size=1, max_size=3),
        "projects": st.just(["receiver"]),
        "images": IMAGES.filter(bool),
    },
)
RULES = st.tuples(CONDITIONS, st.sampled_from(["accept", "reject", "hold"]), st.sampled_from(["enforce", "audit"])).map(
    lambda each: {**each[0], "decision": each[1], "mode": each[2]}
)


def _is_sound(rule: dict[str, Any]) -> bool:
    return rule["decision"] != "accept" or "owners" in rule or "ids" in rule.get("images", {})


RULE_LISTS = st.lists(RULES.filter(_is_sound), max_size=5)
VALUES: dict[str, list[Any]] = {
    "owner": ["aaa", "bbb", "stranger"],
    "name": ["golden-1", "golden-x", "xolden-2", "other", ""],
    "created_at": [NOW - timedelta(days=each) for each in (-1, 0, 29.9, 30, 30.5, 31, 400)],
    "full_ecs": [True, False],
    "kind": ["server", "data", "iso"],
    "os_type": ["Linux", "linux", "Windows", "Other"],
    "os_version": ["Ubuntu 22.04 server", "CentOS 9"],
    "platform": ["Ubuntu", "CentOS"],
    "architecture": ["x86", "aarch64", "x86_64", "sparc"],
    "min_disk": [0, 9, 10, 40, 41],
    "min_ram": [0, 1, 4096, 4097],
    "tags": [frozenset[str](), frozenset({"signed"}), frozenset({"signed", "x"})],
    "encrypted": [True, False],
    "firmware": ["bios", "UEFI"],
    "hash_value": ["a" * 64, "b" * 64],
}
"""Of each fact that a generated rule asks, values that it tells apart."""
FULLY_KNOWN = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in VALUES.items()})
SHARES = st.fixed_dictionaries({name: st.sampled_from([None, *values]) for name, values in VALUES.items()}).map(
    lambda facts: share(**facts)
)


def build_text(rules: Sequence[dict[str, Any]], **rest: Any) -> str:
    """Write a generated policy, with a vault for everyone but the owner bbb."""
    return write(*rules, **{"vaults": [{"owners": ["aaa", "ccc"], "vault": "v"}], **rest})


def build(rules: Sequence[dict[str, Any]], **rest: Any) -> Policy:
    """Load a generated policy."""
    return load(build_text(rules, **rest))


@given(RULE_LISTS, SHARES, st.sampled_from(["hold", "reject"]))
def test_decide_is_total_and_deterministic(rules: list[dict[str, Any]], facts: Share, default: str) -> None:
    """Every share gets one decision, and the same one again; a vault is offered exactly to accepted full-ECS images."""
    ruled = build(rules, default=default)
    decision = decide(facts, ruled, now=NOW)
    assert decision == decide(facts, build(rules, default=default), now=NOW)
    assert bool(decision.vaults) == (decision.action == "accept" and facts.full_ecs is True)
    assert decision.rule is None or decision.rule in {rule.name for rule in ruled.rules}


@given(RULE_LISTS, SHARES)
def test_the_first_rule_that_matches_decides(rules: list[dict[str, Any]], facts: Share) -> None:
    """The enforced rule that decides is the first of which every condition matches; none of those before it does."""
    ruled = build(rules)
    holding = [
        rule
        for rule in ruled.rules
        if not rule.audit and all(each.test(facts, NOW) is True for each in rule.conditions)
    ]
    decision = decide(facts, ruled, now=NOW)
    if decision.reason is not Reason.FACT_UNKNOWN:
        assert decision.rule == (holding[0].name if holding else None)


@given(RULE_LISTS, SHARES)
def test_audit_never_changes_what_enforce_does(rules: list[dict[str, Any]], facts: Share) -> None:
    """Without its rules on trial a policy decides the same; in audit mode as a whole, too."""
    named = [{"name": f"n{number}", **rule} for number, rule in enumerate(rules)]
    enforced = [rule for rule in named if rule["mode"] == "enforce"]
    decision = decide(facts, build(named), now=NOW)
    assert replace(decision, trials=()) == decide(facts, build(enforced), now=NOW)
    assert decide(facts, build(named, mode="audit"), now=NOW) == replace(decision, audit=True)


@given(RULE_LISTS, SHARES, RULES.filter(_is_sound))
def test_a_rule_after_the_matching_one_changes_nothing(
    rules: list[dict[str, Any]], facts: Share, late: dict[str, Any]
) -> None:
    """Where an enforced rule decided, nothing that is added behind it counts."""
    decision = decide(facts, build(rules), now=NOW)
    if decision.rule is not None:
        assert decide(facts, build([*rules, late]), now=NOW) == decision


@given(RULE_LISTS, SHARES, FULLY_KNOWN, st.sampled_from(["hold", "reject"]))
def test_nothing_is_settled_by_an_unknown_fact(
    rules: list[dict[str, Any]], facts: Share, truth: dict[str, Any], default: str
) -> None:
    """Whatever the unknown facts turn out to be, what was settled would be settled so (or lack its vault)."""
    ruled = build(rules, default=default)
    decision = decide(facts, ruled, now=NOW)
    found = {name: value for name, value in truth.items() if getattr(facts, name) is None}
    if decision.action != "hold":
        known = decide(replace(facts, **found), ruled, now=NOW)
        assert known.action == decision.action or known.reason is Reason.VAULT_MISSING


@given(RULE_LISTS, SHARES, st.sampled_from(["accepted", "rejected"]))
def test_after_the_door_every_share_still_gets_a_decision(
    rules: list[dict[str, Any]], facts: Share, status: MemberStatus
) -> None:
    """It differs from that at the door only where time may have changed it."""
    settled = replace(facts, member_status=status)
    at_door, later = (decide(settled, build(rules), now=NOW, at_door=each) for each in (True, False))
    assert later == at_door or any("age_days" in rule.get("images", {}) for rule in rules)
