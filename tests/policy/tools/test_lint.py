"""Finds what a policy says and probably does not mean: what has no effect, and breaks that once passed in silence."""

import re
from datetime import date

import pytest
from hypothesis import given, settings

from doorman.models import Api, Share
from doorman.policy.decision import decide
from doorman.policy.document.faults import BrokenFile
from doorman.policy.policy import compile_policy, load, load_file
from doorman.policy.tools.lint import lint
from tests.policy.test_decision import NOW, RULE_LISTS, SHARES, build_text

TODAY = date(2026, 11, 5)
OWNER, VAULT = "9c61004714024f9586705d090530f9fa", "8f0c3b52-7d0e-4b8e-9a55-0d6f0a3f3c11"
ACCEPT = f"name: golden, owners: [{OWNER}], decision: accept"


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


def briefly(text: str, *, api: Api = "ims") -> list[str]:
    """Return what is said of a policy, with its line, and `!` before what is a fault."""
    content, root = load_file(text)
    found = lint(content, root, today=TODAY, api=api)
    return [f"{'!' if each.is_error else ''}{each.fault.line}: {each.fault.message}" for each in found]


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
            rules("name: all, decision: hold", A, "name: b, decision: reject"),
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
            rules("name: a, owners: [aaa], decision: accept", "name: b, owners: [bbb], decision: accept", C),
            [
                "5:12: `c` can never match, the rule `b` in line 4 takes all its shares: move it up, or remove it",
                "5:23: warning: aaa: never comes here, the rule `a` in line 3 takes it: remove it from one of the two",
            ],
            id="one owner each",
        ),
        pytest.param(rules(A, "name: b, decision: reject"), [], id="a rest for everybody"),
        pytest.param(rules(A.replace("decision", "mode: audit, decision"), B), [], id="a trial first"),
        pytest.param(rules(A.replace("decision", "projects: [p], decision"), B), [], id="one project"),
        pytest.param(
            rules(
                A.replace("decision", "projects: [p, q], decision"), B.replace("decision", "projects: [p], decision")
            ),
            ["4:12: `b` can never match, the rule `a` in line 3 takes all its shares: move it up, or remove it"],
            id="a project of several",
        ),
        pytest.param(
            rules("name: a, owners: [aaa, aaa], decision: hold"),
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


GLANCE = "3: plain OpenStack (Glance)"
AUDIT = "the whole policy is in audit mode: everything is told, nothing is done; remove `mode` when it is right"
REST = "it rejects everything that comes to it; `default` is for what is left"
SYSTEM = "without a wildcard, no system calls itself exactly so"
COMPARES = "compares nothing, it is a pattern: list one for each version, such as"
BEGINS = "a system begins with its name, the cloud writes `CentOS 7.9 64bit`"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (rules(ACCEPT), []),
        (
            rules(ACCEPT.replace(OWNER, OWNER.upper())),
            [f"3: `{OWNER.upper()}` is in capitals, and IDs are compared as they stand: `{OWNER}`?"],
        ),
        (
            rules("name: old, images: {names: ['g-{1,2}', 'g-[0-9', 'g-[]x]', \"g\u200b\u00a0-*\"]}, decision: reject"),
            [
                *(
                    f"3: `{each}`: braces, and a `[` without its `]`, stand for themselves: list a pattern for each"
                    for each in ("g-{1,2}", "g-[0-9")
                ),
                r"3: 'g\u200b\xa0-*' holds a character that nobody sees: type it anew",
            ],
        ),
        (
            rules(f"name: kill, owners: [{OWNER[:-1]}], decision: reject"),
            [f"3: `{OWNER[:-1]}` is no project ID, it has 31 hex digits: an ID is 32 hex digits, or a UUID"],
        ),
        (
            rules(ACCEPT.replace("decision", "projects: ['group:prod'], decision")) + "\ngroups: {prod: [eu-de_prod]}",
            ["4: `eu-de_prod` looks like a name: write the project's ID, 32 hex digits, or a UUID"],
        ),
        (
            rules(ACCEPT) + f"\nvaults: [vault: recovery-vault, candidates: [{VAULT}, {VAULT[:-1]}]]",
            [
                "4: `recovery-vault` looks like a name: write the vault's ID, a UUID",
                f"4: `{VAULT[:-1]}` is no vault ID, it has 31 hex digits: an ID is a UUID",
            ],
        ),
        (
            rules(
                "name: old, images: {os_version: [CentOS 7, C 7.9 64bit, C 6*], platform: EulerOS}, decision: reject"
            ),
            [f"3: `CentOS 7` {SYSTEM}: `CentOS 7*`?", f"3: `EulerOS` {SYSTEM}: `EulerOS*`?"],
        ),
        (
            rules("name: old, images: {os_version: ['>=22.04', 'Ubuntu 24+', '7*', '2 of*']}, decision: reject"),
            [
                f"3: `>=22.04` {COMPARES} `* 22.04*`",
                f"3: `Ubuntu 24+` {COMPARES} `Ubuntu 24*`",
                f"3: `7*`: {BEGINS}: `* 7*`?",
                f"3: `2 of*`: {BEGINS}: `* 2 of*`?",
            ],
        ),
        (
            rules("name: old, images: {os_version: '/CentOS [67].*/'}, decision: reject"),
            ["!3: `/CentOS [67].*/` is no regular expression but a pattern: `CentOS [67]*`?"],
        ),
        (
            rules(r"name: old, images: {names: ['^golden-\d+$', golden.*, 'v1.*', '/']}, decision: reject"),
            [
                r"3: `^golden-\d+$` looks like a regular expression, but is read as a pattern: `golden-*`?",
                "3: `golden.*` looks like a regular expression, but is read as a pattern: `golden*`?",
            ],
        ),
        (
            rules("name: old, images: {names: ['!golden-*', 'group:g']}, decision: reject"),
            [
                f'3: `{each}` is a pattern like any other: there is no "not", and a group is none of images'
                for each in ("!golden-*", "group:g")
            ],
        ),
        (rules("name: all, decision: reject"), [f"3: `all` has no condition: {REST}"]),
        (rules("name: all, images: {names: ['*']}, decision: reject"), [f"3: `all` has no condition but `*`: {REST}"]),
        (
            rules(f"name: kill, owners: [{OWNER}], decision: reject, mode: audit"),
            ["3: `kill` is on trial and changes nothing: remove `mode: audit` to keep these owners out"],
        ),
        (rules(f"name: trial, owners: [{OWNER}], images: {{encrypted: true}}, decision: reject, mode: audit"), []),
        ("version: 1\nmode: audit", [f"2: {AUDIT}"]),
        (
            "version: 1\nexceptions:\n"
            + "\n".join(
                f"  - {{name: {name}, owners: [{OWNER}], decision: accept, reason: r, by: b, expires: {day}}}"
                for name, day in (("long", "2028-11-05"), ("ever", "2099-12-31"))
            ),
            ["4: the exception `ever` in effect never ends: set a day within two years, or make it a rule"],
        ),
    ],
)
def test_nothing_dangerous_passes_in_silence(text: str, lines: list[str]) -> None:
    """Each is said at its place, with a way out; only what cannot work at all is a fault."""
    assert briefly(text) == lines


@pytest.mark.parametrize(
    ("api", "images", "lines"),
    [
        ("ims", "hash: " + "a" * 64, ["3: the IMS does not tell `hash`: `golden` never accepts anything there"]),
        ("glance", "kind: server", [f"{GLANCE} does not tell `kind`: `golden` never accepts anything there"]),
        ("glance", "full_ecs: true", [f"{GLANCE} has no full-ECS images: `golden` never accepts anything there"]),
        ("ims", "kind: server, full_ecs: true", []),
        ("glance", "full_ecs: false", []),
    ],
)
def test_what_a_cloud_does_not_tell_is_said(api: Api, images: str, lines: list[str]) -> None:
    """A condition that is never known never lets anything in; where that goes for all rules, the policy is a fault."""
    rule = ACCEPT.replace("decision", f"images: {{{images}}}, decision")
    vaults = f"\nvaults: [{{vault: {VAULT}}}]"
    assert briefly(rules(rule, ACCEPT.replace("golden", "other")) + vaults, api=api) == lines
    assert any(line.startswith("!") for line in briefly(rules(rule) + vaults, api=api)) is bool(lines)


def test_on_plain_openstack_a_version_stands_alone() -> None:
    """There `22.04` is all that is told, and may be named so."""
    old = rules("name: old, images: {os_version: ['22.04', '>=22.04'], platform: ubuntu}, decision: reject")
    assert [line for line in briefly(old, api="glance") if "22.04" in line] == [f"3: `>=22.04` {COMPARES} `22.04*`"]


def test_a_ban_on_what_a_cloud_does_not_tell_holds_everything() -> None:
    """It might match each share."""
    ban = "name: ban, images: {kind: iso}, decision: reject"
    [line] = briefly(rules(ban, ACCEPT), api="glance")
    assert line == f"{GLANCE} does not tell `kind`: `ban` holds what it might match"


def test_on_plain_openstack_an_image_id_alone_is_no_proof() -> None:
    """An image may be made there with an ID of one's choice, so an owner must be named."""
    text = rules("name: one, images: {ids: [" + VAULT + "]}, decision: accept")
    assert load(text, api="ims").rules[0].name == "one"
    with pytest.raises(BrokenFile, match="3:82: a rule that accepts: add `owners`: on plain OpenStack the sharer may"):
        load(text, api="glance")
    assert load(text.replace("accept", "hold"), api="glance").rules[0].name == "one"
