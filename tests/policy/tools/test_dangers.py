"""Finds what a policy says and hardly means; each row is a break that once passed in silence."""

from datetime import date

import pytest

from doorman.policy.policy import PolicyError, load, load_file
from doorman.policy.schema import Api
from doorman.policy.tools.dangers import find_dangers

TODAY = date(2026, 11, 5)
OWNER, VAULT = "9c61004714024f9586705d090530f9fa", "8f0c3b52-7d0e-4b8e-9a55-0d6f0a3f3c11"
ACCEPT = f"{{name: golden, owners: [{OWNER}], decision: accept}}"


def lines_of(text: str, *, api: Api = "ims") -> list[str]:
    """Return what is said of a policy, with its line, and `!` before what is a fault."""
    content, root = load_file(f"version: 1\n{text}")
    found = find_dangers(content, root, today=TODAY, api=api)
    return [f"{'!' if each.is_error else ''}{each.fault.line}: {each.fault.message}" for each in found]


def rules(*written: str) -> str:
    """Write rules, one a line, from line 3 on."""
    return "rules:\n" + "\n".join(f"  - {rule}" for rule in written)


GLANCE = "3: plain OpenStack (Glance)"
AUDIT = "the whole policy is in audit mode: everything is told, nothing is done; remove `mode` when it is right"
SYSTEM = "without a wildcard, no system calls itself exactly so"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (rules(ACCEPT), []),
        (rules(ACCEPT.replace(OWNER, OWNER.upper())), []),
        (
            rules(f"{{name: kill, owners: [{OWNER[:-1]}], decision: reject}}"),
            [
                f"3: `{OWNER[:-1]}` is no project ID, it has 31 hex digits: an ID is 32 hex digits, or a UUID",
            ],
        ),
        (
            "groups: {prod: [eu-de_prod]}\n" + rules(ACCEPT.replace("decision", "projects: [group:prod], decision")),
            ["2: `eu-de_prod` looks like a name: write the project's ID, 32 hex digits, or a UUID"],
        ),
        (
            f"vaults:\n  - vault: recovery-vault\n  - candidates: [{VAULT}, {VAULT[:-1]}]",
            [
                f"4: `{VAULT[:-1]}` is no vault ID, it has 31 hex digits: an ID is a UUID",
                "3: `recovery-vault` looks like a name: write the vault's ID, a UUID",
            ],
        ),
        (
            rules(
                "{name: old, images: {os_version: [CentOS 7, C 7.9 64bit, C 6*], platform: EulerOS}, decision: reject}"
            ),
            [f"3: `CentOS 7` {SYSTEM}: `CentOS 7*`?", f"3: `EulerOS` {SYSTEM}: `EulerOS*`?"],
        ),
        (
            rules("{name: old, images: {os_version: '/CentOS [67].*/'}, decision: reject}"),
            ["!3: `/CentOS [67].*/` is no regular expression but a pattern: `CentOS [67]*`?"],
        ),
        (
            rules(r"{name: old, images: {names: ['^golden-\d+$', golden.*, 'v1.*', '/']}, decision: reject}"),
            [
                r"3: `^golden-\d+$` looks like a regular expression, but is read as a pattern: `golden-*`?",
                "3: `golden.*` looks like a regular expression, but is read as a pattern: `golden*`?",
            ],
        ),
        (
            rules("{name: old, images: {names: ['!golden-*', 'group:g']}, decision: reject}"),
            [
                f'3: `{each}` is a pattern like any other: there is no "not", and a group is none of images'
                for each in ("!golden-*", "group:g")
            ],
        ),
        (
            rules("{name: all, decision: reject}"),
            ["3: `all` has no condition: it rejects everything that comes to it; `default` is for what is left"],
        ),
        (
            rules(f"{{name: kill, owners: [{OWNER}], decision: reject, mode: audit}}"),
            ["3: `kill` is on trial and changes nothing: remove `mode: audit` to keep these owners out"],
        ),
        (rules(f"{{name: trial, owners: [{OWNER}], images: {{encrypted: true}}, decision: reject, mode: audit}}"), []),
        (
            "mode: audit",
            [f"2: {AUDIT}"],
        ),
        (
            "exceptions:\n"
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
    assert lines_of(text) == lines


@pytest.mark.parametrize(
    ("api", "images", "lines"),
    [
        ("ims", "hash: " + "a" * 64, ["3: the IMS does not tell `hash`: `golden` never accepts anything there"]),
        (
            "glance",
            "kind: server",
            [f"{GLANCE} does not tell `kind`: `golden` never accepts anything there"],
        ),
        (
            "glance",
            "full_ecs: true",
            [f"{GLANCE} has no full-ECS images: `golden` never accepts anything there"],
        ),
        ("ims", "kind: server, full_ecs: true", []),
        ("glance", "full_ecs: false", []),
    ],
)
def test_what_a_cloud_does_not_tell_is_said(api: Api, images: str, lines: list[str]) -> None:
    """A condition that is never known never lets anything in; where that goes for all rules, the policy is a fault."""
    rule = ACCEPT.replace("decision", f"images: {{{images}}}, decision")
    assert lines_of(rules(rule, ACCEPT.replace("golden", "other")), api=api) == lines
    assert [line[0] for line in lines_of(rules(rule), api=api)] == (["3", "!"] if lines else [])


def test_a_ban_on_what_a_cloud_does_not_tell_holds_everything() -> None:
    """It might match each share."""
    ban = "{name: ban, images: {kind: iso}, decision: reject}"
    [line] = lines_of(rules(ban, ACCEPT), api="glance")
    assert line == f"{GLANCE} does not tell `kind`: `ban` holds what it might match"


def test_on_plain_openstack_an_image_id_alone_is_no_proof() -> None:
    """An image may be made there with an ID of one's choice, so an owner must be named."""
    text = "version: 1\n" + rules("{name: one, images: {ids: [" + VAULT + "]}, decision: accept}")
    assert load(text, api="ims").rules[0].name == "one"
    with pytest.raises(PolicyError, match="3:82: a rule that accepts: add `owners`: on plain OpenStack the sharer may"):
        load(text, api="glance")
    assert load(text.replace("accept", "hold"), api="glance").rules[0].name == "one"
