"""Finds what in a policy has no effect: rules never reached, doubles, vaults and groups for nobody, old exceptions."""

import re
from datetime import date

import pytest
from hypothesis import given, settings

from doorman.models import Share
from doorman.policy.decision import decide
from doorman.policy.policy import compile_policy, load_file
from doorman.policy.tools.lint import lint
from tests.policy.test_decision import NOW, RULE_LISTS, SHARES, build_text

TODAY = date(2026, 11, 5)


def lines_of(text: str) -> list[str]:
    """Lint a policy without faults and return its lines, but for those on the short rules that tests use."""
    content, root = load_file(text)
    return [
        f"{each.fault.line}:{each.fault.column}: {'' if each.is_error else 'warning: '}{each.fault.message}"
        for each in lint(content, root, today=TODAY)
        if not re.search("looks like a name|has no condition", each.fault.message)
    ]


def rules(*written: str) -> str:
    """Write a policy of rules, one a line, from line 3 on."""
    return "version: 1\nrules:\n" + "\n".join(f"  - {{{rule}}}" for rule in written)


A = "name: a, owners: [aaa, bbb], decision: accept"
B = A.replace("name: a", "name: b")
C = A.replace("name: a", "name: c")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param(rules(A, "name: b, owners: [ccc], decision: reject"), [], id="others"),
        pytest.param(
            rules(A, "name: b, owners: [aaa], decision: reject"),
            ["4:12: `b` can never match, the rule `a` in line 3 takes all its shares: move it up, or remove it"],
            id="a ban behind the accept",
        ),
        pytest.param(
            rules(
                "name: all, decision: hold",
                A,
                "name: b, decision: reject",
            ),
            [
                "4:12: `a` can never match, the rule `all` in line 3 takes all its shares: move it up, or remove it",
                "5:12: `b` can never match, the rule `all` in line 3 takes all its shares: move it up, or remove it",
            ],
            id="behind a rule for everything",
        ),
        pytest.param(
            rules(A, "name: b, owners: [bbb, ccc], decision: reject"),
            ["4:23: warning: bbb: never comes here, the rule `a` in line 3 takes it: remove it from one of the two"],
            id="one of two owners",
        ),
        pytest.param(
            rules(
                "name: a, owners: [aaa], decision: accept",
                "name: b, owners: [bbb], decision: accept",
                C,
            ),
            [
                "5:12: `c` can never match, the rule `b` in line 4 takes all its shares: move it up, or remove it",
                "5:23: warning: aaa: never comes here, the rule `a` in line 3 takes it: remove it from one of the two",
            ],
            id="one owner each",
        ),
        pytest.param(rules(A, "name: b, decision: reject"), [], id="a rest for everybody"),
        pytest.param(
            rules(A.replace("decision", "mode: audit, decision"), B),
            [],
            id="a trial first",
        ),
        pytest.param(
            rules(A.replace("decision", "projects: [p], decision"), B),
            [],
            id="one project",
        ),
        pytest.param(
            rules(
                A.replace("decision", "projects: [p, q], decision"),
                B.replace("decision", "projects: [p], decision"),
            ),
            ["4:12: `b` can never match, the rule `a` in line 3 takes all its shares: move it up, or remove it"],
            id="a project of several",
        ),
        pytest.param(
            rules(
                "name: a, owners: [aaa, aaa], decision: hold",
            ),
            ["3:29: warning: aaa stands in this list already: remove one of the two"],
            id="an owner twice",
        ),
        pytest.param(
            "version: 1\ngroups: {us: [aaa, bbb, aaa], them: [ccc]}\nrules:\n"
            '  - {name: a, owners: [bbb, "group:us"], decision: hold}',
            [
                "2:25: warning: aaa stands in this list already: remove one of the two",
                "2:31: warning: nothing uses the group `them`: remove it, or name it as `group:them`",
                "4:29: warning: bbb (in `group:us`) stands in this list already: remove one of the two",
            ],
            id="groups",
        ),
        pytest.param(
            rules(A) + "\nvaults:\n  - {owners: [ccc], vault: v}\n  - {vault: w}",
            ["5:5: warning: nothing uses this vault entry, no rule accepts full-ECS images of its owners: remove it"],
            id="a vault for nobody",
        ),
        pytest.param(
            rules("name: a, owners: [aaa], images: {full_ecs: false}, decision: accept") + "\nvaults:\n  - {vault: w}",
            ["5:5: warning: nothing uses this vault entry, no rule accepts full-ECS images of its owners: remove it"],
            id="a vault where servers stay out",
        ),
        pytest.param(
            rules("name: a, owners: [aaa], images: {full_ecs: true}, decision: accept") + "\nvaults: []",
            ["3:49: warning: `a` holds every image, no vault is mapped for its owners: add an entry to `vaults`"],
            id="servers without a vault",
        ),
        pytest.param(
            rules("name: a, owners: [aaa], images: {full_ecs: true}, decision: accept") + "\nvaults: [{vault: v}]",
            [],
            id="servers with a vault",
        ),
        pytest.param(
            "version: 1\nexceptions:\n"
            "  - {name: e, owners: [aaa], decision: hold, reason: r, by: b, expires: 2026-11-04}\n"
            "  - {name: f, owners: [aaa], decision: hold, reason: r, by: b, expires: 2026-11-05}\n",
            ["3:73: warning: the exception `e` no longer counts: remove it, or set a later day"],
            id="an expired exception",
        ),
        pytest.param(
            "version: 1\nexceptions:\n"
            "  - {name: e, owners: [aaa], decision: hold, reason: r, by: b, expires: 2027-01-01}\n"
            "  - {name: f, owners: [aaa], decision: accept, reason: r, by: b, expires: 2026-12-31}\n"
            "rules:\n  - {name: g, owners: [aaa], decision: accept}",
            ["4:12: `f` can never match, the exception `e` in line 3 takes all its shares: move it up, or remove it"],
            id="an exception behind a longer one",
        ),
    ],
)
def test_what_is_said_in_vain_is_found(text: str, lines: list[str]) -> None:
    """Rules that never match are errors, the rest are warnings, each with its place and a way out."""
    assert lines_of(text) == lines


@pytest.mark.parametrize(
    ("early", "late", "shadowed"),
    [
        ("{names: [golden-*]}", "{names: [golden-1, golden-2*]}", True),
        ("{names: [golden-*]}", "{names: [golden-1, base]}", False),
        ("{names: [golden-?]}", "{names: [golden-1]}", True),
        ("{names: [golden-?]}", "{names: ['golden-?']}", True),
        ("{names: [golden-?]}", "{names: ['golden-*']}", False),
        ("{names: [golden-*]}", "{os_type: Linux}", False),
        ("{os_type: [Linux, Other]}", "{os_type: Linux, encrypted: true}", True),
        ("{os_type: Linux}", "{os_type: [Linux, Other]}", False),
        ("{encrypted: true}", "{encrypted: true}", True),
        ("{encrypted: true}", "{encrypted: false}", False),
        ("{disk_gb: {at_most: 40}}", "{disk_gb: {at_least: 10, at_most: 40}}", True),
        ("{disk_gb: {at_most: 40}}", "{disk_gb: {at_least: 10}}", False),
        ("{disk_gb: {at_least: 10}}", "{disk_gb: {at_least: 20}}", True),
        ("{disk_gb: {at_least: 10}}", "{disk_gb: {at_most: 20}}", False),
    ],
)
def test_a_narrower_condition_is_shadowed_by_a_wider_one(early: str, late: str, *, shadowed: bool) -> None:
    """A rule behind another never matches where each of its conditions is within the other's."""
    text = rules(*(f"name: {name}, images: {images}, decision: hold" for name, images in (("a", early), ("b", late))))
    assert bool(lines_of(text)) is shadowed


@settings(max_examples=200)
@given(RULE_LISTS, SHARES)
def test_a_rule_that_is_said_never_to_match_never_does(generated: list[dict[str, object]], share: Share) -> None:
    """No share is decided or tried by a rule that the lint calls unreachable."""
    content, root = load_file(build_text(generated))
    decision = decide(share, compile_policy(content), now=NOW)
    met = {decision.rule, *(trial.rule for trial in decision.trials)}
    dead = {
        each.fault.message.split("`")[1]
        for each in lint(content, root, today=TODAY)
        if "never match" in each.fault.message
    }
    assert not (met & dead) or decision.reason == "fact_unknown"
