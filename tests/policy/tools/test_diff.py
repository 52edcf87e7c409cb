"""Compares policies: which shares would end differently, and in what the made-up ones differ from any other."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doorman.models import Share
from doorman.policy.decision import Decision, decide
from doorman.policy.policy import Policy, load
from doorman.policy.tools.diff import Change, compare, compare_policies
from tests.policy.test_decision import IMAGE, NOW, RULE_LISTS, VALUES, build_text

DAY = datetime(2026, 11, 5, 12, tzinfo=UTC)
BASE = """
version: 1
rules:
  - {name: golden, owners: [aaa, bbb], images: {names: [golden-*, base], os_type: Linux}, decision: accept}
  - {name: rest, owners: [aaa], decision: reject}
vaults: [{vault: v1}]
"""


def changes(old: str, new: str) -> tuple[Change, ...]:
    """Compare by made-up shares."""
    compared = compare_policies(load(old), load(new), now=DAY)
    assert compared.is_whole
    return compared.changes


def told(old: str, new: str) -> list[tuple[str, str]]:
    """Compare, and say of each that ends differently what it is and how: `accept -> hold`."""
    return [
        (change.label, f"{change.old.action} -> {change.new.action}")
        for change in changes(old, new)
        if change.is_other_end
    ]


def test_the_same_policy_decides_the_same() -> None:
    """Nothing differs."""
    assert changes(BASE, BASE) == ()


def test_each_value_of_a_rule_is_shown_for_each_owner() -> None:
    """A pattern that is gone shows as the images that it let in, by what they must be besides."""
    servers = [f"owner {each}, name base, os_type Linux" for each in ("aaa", "bbb")]
    gone = told(BASE, BASE.replace("golden-*, base", "golden-*"))
    unknown = ("owner aaa, name base, os_type unknown", "hold -> reject")
    assert set(gone) == {(servers[0], "accept -> reject"), (servers[1], "accept -> hold"), unknown}


def test_a_gutted_deny_list_shows_what_it_opens() -> None:
    """For every accepted owner the value that made the difference, and how the share ends now."""
    deny = BASE.replace(", base", "").replace(
        "rules:", "rules:\n  - {name: no, images: {os_version: [CentOS 6*, CentOS 7*]}, decision: reject}"
    )
    opened = told(deny, deny.replace("CentOS 6*, CentOS 7*", "CentOS 66*"))
    accepted = {label for label, how in opened if how == "reject -> accept"}
    assert accepted == {
        f"owner {owner}, name golden-x, os_type Linux, os_version {version}"
        for owner in ("aaa", "bbb")
        for version in ("CentOS 6x", "CentOS 7x")
    }


def test_another_vault_is_another_end() -> None:
    """Only full-ECS images end elsewhere."""
    shown = told(BASE, BASE.replace("v1", "v2"))
    labels = {
        f"owner {owner}, name {name}, full_ecs true, os_type Linux"
        for owner in ("aaa", "bbb")
        for name in ("golden-x", "base")
    }
    assert set(shown) == {(label, "accept -> accept") for label in labels}


@pytest.mark.parametrize(
    ("new", "differs"), [("{candidates: [v1]}", False), ("{tags: {a: b}}", True), ("{vault: v1}, {vault: v2}", True)]
)
def test_another_way_to_choose_a_vault_shows(new: str, *, differs: bool) -> None:
    """A choice is compared by what it chooses among; a single candidate is the same vault."""
    assert bool(told(BASE, BASE.replace("{vault: v1}", new))) is differs


def test_another_name_of_a_rule_is_no_other_end() -> None:
    """It is told, since outcomes will name it, but nothing ends differently."""
    found = changes(BASE, BASE.replace("name: rest", "name: others"))
    assert [(each.label, each.is_other_end) for each in found][:1] == [("owner aaa", False)]
    assert {(each.old.rule, each.new.rule) for each in found} == {("rest", "others")}


@pytest.mark.parametrize(("last", "differs"), [("2026-11-04", False), ("2026-11-05", True)])
def test_an_exception_that_has_ended_changes_nothing(last: str, *, differs: bool) -> None:
    """It counts through its last day."""
    entry = f"{{name: e, owners: [ccc], decision: accept, reason: r, by: b, expires: {last}}}"
    assert bool(told(BASE, f"{BASE}exceptions: [{entry}]")) is differs


def test_audit_is_another_end() -> None:
    """What is only told from now on ends differently."""
    assert {each.is_other_end for each in changes(BASE, BASE.replace("version: 1", "version: 1\nmode: audit"))} == {
        True
    }


def test_no_rule_at_all_still_has_samples() -> None:
    """A change of the default shows by a stranger's image."""
    assert told("version: 1", "version: 1\ndefault: reject") == [("owner any-other-owner", "hold -> reject")]


def count_decisions(monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> tuple[int, int]:
    """Compare, and say how many shares were decided for that and how many changes were found."""
    calls = []

    def counting(share: Share, policy: Policy, *, now: datetime) -> Decision:
        calls.append(share)
        return decide(share, policy, now=now)

    monkeypatch.setattr("doorman.policy.tools.diff.decide", counting)
    found = changes(old, new)
    return len(calls), len(found)


def many(rules: int, owners: int, *, of_each: int) -> str:
    """Write a policy of many rules, of which each names some owners and a name pattern."""
    lines = ["version: 1", "rules:"]
    for rule in range(rules):
        named = ", ".join(f"o{(rule * of_each + number) % owners}" for number in range(of_each))
        lines.append(f"  - {{name: r{rule}, owners: [{named}], images: {{names: [t{rule}-*]}}, decision: accept}}")
    return "\n".join(lines)


def test_owners_who_are_treated_alike_cost_as_much_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is told all the same."""
    few, lots = (many(20, owners, of_each=owners) for owners in (2, 1000))
    (cost, told), (more, all_told) = (
        count_decisions(monkeypatch, each, each.replace("1\n", "1\ndefault: reject\n", 1)) for each in (few, lots)
    )
    assert (more, all_told) == (cost, 1 + (told - 1) * 500)


def test_owners_whose_rules_are_as_they_were_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of two hundred rules is changed; a thousand owners are named."""
    old = many(200, 1000, of_each=5)
    cost, told = count_decisions(monkeypatch, old, old.replace("t7-*", "t7x-*"))
    assert (told > 4, cost < 100) == (True, True)


def test_what_was_found_before_the_steps_ran_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where all of it is about one owner."""
    monkeypatch.setattr("doorman.policy.tools.diff.MAX_STEPS", 100)
    old = many(20, 1, of_each=1)
    compared = compare_policies(load(old), load(old.replace("accept", "hold")), now=DAY)
    assert (len(compared.changes) > 0, compared.is_whole) == (True, False)


@pytest.mark.parametrize(("named", "other"), [("encrypted: false", "encrypted true"), ("kind: server", "kind data")])
def test_values_that_no_rule_names_are_looked_at(named: str, other: str) -> None:
    """Also of a fact that has only a few, of which the usual one is named."""
    base = BASE.replace(", os_type: Linux", "")
    shown = told(base, base.replace("base]", f"base], {named}"))
    assert (f"owner bbb, name base, {other}", "accept -> hold") in shown


def test_real_shares_are_compared_as_they_are() -> None:
    """Each is known by its image."""
    real = Share(image_id=IMAGE, project_id="p", owner="aaa", full_ecs=None)
    old, new = ([decide(real, load(each), now=DAY)] for each in (BASE, BASE.replace("reject", "hold")))
    assert compare([real], old, old) == []
    assert [(each.share, each.label) for each in compare([real], old, new)] == [(real, f"image {IMAGE}")]


def _make_shares(count: int) -> Iterable[Share]:
    draw = random.Random(20)
    others = {"project_id": ["receiver", "other"], "image_id": [IMAGE, IMAGE[:-1] + "4"]}
    values = {fact: [None, *each] for fact, each in VALUES.items()} | {"owner": VALUES["owner"]} | others
    for _ in range(count):
        yield Share(**{fact: draw.choice(each) for fact, each in values.items()})


SHARES = list(_make_shares(10_000))


def _mark(owner: str | None, old: Decision, new: Decision) -> tuple[object, ...]:
    is_moved = old.action == new.action == "accept"
    return (owner, *((each.action, each.rule, each.reason, is_moved and each.vaults) for each in (old, new)))


@settings(max_examples=15, deadline=None)
@given(RULE_LISTS, RULE_LISTS, st.sampled_from([("hold", "hold"), ("hold", "reject")]))
def test_every_change_that_any_share_shows_is_named(
    old_rules: list[dict[str, Any]], new_rules: list[dict[str, Any]], defaults: tuple[str, str]
) -> None:
    """Of 10,000 shares, each pair of decisions that differs is among those of the made-up ones, by owner."""
    policies = [
        load(build_text(rules, default=default))
        for rules, default in zip((old_rules, new_rules), defaults, strict=True)
    ]
    found = [(each.share.owner, each.old, each.new) for each in compare_policies(*policies, now=NOW).changes]
    shown = {_mark(*each) for each in found}
    for share in SHARES:
        before, after = (decide(share, policy, now=NOW) for policy in policies)
        if (before.action, before.vaults) != (after.action, after.vaults):
            assert {_mark(owner, before, after) for owner in (share.owner, "any-other-owner")} & shown
