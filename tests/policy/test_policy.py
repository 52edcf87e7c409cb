"""Loads policies: a broken one gives the exact lines that a person mends it by, a sound one its meaning and digest."""

import json
from datetime import date
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from doorman.policy.document.faults import BrokenFile, Fault
from doorman.policy.policy import expired, load

CATALOGUE = Path(__file__).with_name("broken_policies.txt")
CONTRACT = """
version: 1
default: hold              # what happens to shares that no rule matches: hold | reject
rules:                     # the first match wins
  - name: golden-images
    owners: [9c61004714024f9586705d090530f9fa]     # owner project IDs: the allowlist
    decision: accept       # accept | reject | hold
  - name: known-bad
    owners: [0b1c2d3e4f5061728394a5b6c7d8e9f0]
    decision: reject
vaults:                    # for full-ECS images; the first match is used, after a vault error the next one
  - owners: [9c61004714024f9586705d090530f9fa]
    vault: d14r5tef-1bc3-4c4f-823e-3e471rg65e65
  - vault: 8f0c3b52-7d0e-4b8e-9a55-0d6f0a3f3c11    # no owners: for everyone else
"""


def broken() -> list[tuple[str, str, list[str]]]:
    """Read the catalogue: title, policy, and the lines it must give."""
    entries = []
    for block in CATALOGUE.read_text(encoding="utf-8").split("=== ")[1:]:
        title, _, rest = block.partition("\n")
        policy, _, lines = rest.partition("---\n") if not rest.startswith("version: 1\n---\n") else _split_second(rest)
        entries.append((title, policy, lines.splitlines()))
    return entries


def _split_second(rest: str) -> tuple[str, str, str]:
    head, _, lines = rest.rpartition("---\n")
    return head, "---\n", lines


def faults_of(text: str) -> list[str]:
    """Load a broken policy and return its lines without the file's name."""
    with pytest.raises(BrokenFile) as caught:
        load(text, file="p.yaml")
    return [line.removeprefix("p.yaml:") for line in str(caught.value).split("\n")]


@pytest.mark.parametrize(("title", "policy", "lines"), [pytest.param(*each, id=each[0]) for each in broken()])
def test_a_broken_policy_gives_exactly_these_lines(title: str, policy: str, lines: list[str]) -> None:
    """Each fault has one line with its place, what is wrong, and what would be right."""
    assert faults_of(policy) == lines


def test_the_catalogue_is_long() -> None:
    """At least thirty broken policies are pinned, each once."""
    titles = [title for title, _, _ in broken()]
    assert len(titles) == len(set(titles)) > 60


def test_the_error_carries_its_faults_in_the_order_of_the_file() -> None:
    """Programs get line, column and message of every fault; people one text that names the file."""
    with pytest.raises(BrokenFile) as caught:
        load("version: 1\ndefualt: hold\nmode: x\n", file="some/policy.yaml")
    assert [(each.line, each.column) for each in caught.value.faults] == [(2, 1), (3, 7)]
    assert str(caught.value).startswith("some/policy.yaml:2:1: `defualt` is not a key of the policy")


DEEP = "1:21: nested deeper than 20 levels: make it flatter"
BOMB = [
    "a0: &a0 [x, x, x, x, x, x, x, x, x, x]",
    *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)),
]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("a: \x07b", "1:4: the character U+0007 is not allowed in YAML: remove it", id="control character"),
        pytest.param("a: \ud800", "1:4: the character U+D800 is not allowed in YAML: remove it", id="lone surrogate"),
        pytest.param("[" * 10_000 + "]" * 10_000, DEEP, id="nesting without end"),
        pytest.param("{" * 10_000, DEEP, id="half a minute, were it read to its end"),
        pytest.param(
            "\n".join(BOMB),
            "6:5: holds more than 500,000 values with its aliases: make it smaller",
            id="billions of values, were the aliases followed",
        ),
        pytest.param("#" * 4_000_001, "1:1: the file has more than 4,000,000 characters: make it smaller", id="unread"),
        pytest.param(
            "hunter2",
            "1:1: the file must be a mapping that begins with `version: 1`, not a text",
            id="a secret that is no policy is not quoted",
        ),
    ],
)
def test_what_cannot_be_read_is_one_fault(text: str, line: str) -> None:
    """However hostile: it is named with its place, and costs no time."""
    assert faults_of(text) == [line]


@given(st.text(alphabet=st.characters(codec="utf-8") | st.sampled_from("{}[]:,-#&*!|>'\"%@` \n\t"), max_size=60))
def test_any_text_is_loaded_or_refused_with_places(text: str) -> None:
    """Whatever the text: a policy, or faults with a line and column; never another error."""
    faults = _faults_or_none(text)
    assert all(fault.line >= 1 and fault.column >= 1 and fault.message for fault in faults)


def _faults_or_none(text: str) -> tuple[Fault, ...]:
    try:
        load(text)
    except BrokenFile as error:
        return error.faults
    return ()


def test_the_smallest_policy_holds_everything() -> None:
    """A version alone is a policy: it enforces, has no rules, and holds by default."""
    policy = load("version: 1")
    found = (policy.mode, policy.default, policy.rules, policy.vaults, policy.accepts_per_owner)
    assert found == ("enforce", "hold", (), (), None)


def test_json_is_yaml() -> None:
    """The same policy as JSON has the same digest."""
    assert load(json.dumps(yaml.safe_load(CONTRACT))).digest == load(CONTRACT).digest


def test_a_byte_order_mark_is_no_part_of_the_policy() -> None:
    """Editors that write one do no harm."""
    assert load("\ufeff" + CONTRACT).digest == load(CONTRACT).digest


BASE = """
version: 1
groups: {partners: [aaa, bbb]}
rules:
  - {name: one, owners: [ccc, "group:partners"], images: {names: [x-*, y], os_type: Linux}, decision: accept}
vaults: [{candidates: [v1, v2]}]
"""


@pytest.mark.parametrize(
    "other",
    [
        BASE.replace("version: 1", "version: 1  # a comment\ndefault: hold\nmode: enforce"),
        BASE.replace('{name: one, owners: [ccc, "group:partners"]', '{owners: [ccc, "group:partners"], name: one'),
        BASE.replace("os_type: Linux", "os_type: [Linux]"),
    ],
)
def test_the_digest_does_not_change_with_the_writing(other: str) -> None:
    """Comments, defaults written out, the order of keys: it says the same."""
    assert load(other).digest == load(BASE).digest


@pytest.mark.parametrize(
    "other",
    [
        BASE.replace("version: 1", "version: 1\ndefault: reject"),
        BASE.replace("version: 1", "version: 1\nmode: audit"),
        BASE.replace("version: 1", "version: 1\nlimits: {accepts_per_owner: 5}"),
        BASE.replace("bbb", "ddd"),
        BASE.replace("name: one", "name: two"),
        BASE.replace("x-*", "z-*"),
        BASE.replace("accept", "hold"),
        BASE.replace("v1, v2", "v2, v1"),
    ],
)
def test_the_digest_changes_with_the_meaning(other: str) -> None:
    """Whatever may decide a share differently, or is told of it, is another policy."""
    assert load(other).digest != load(BASE).digest


def test_groups_serve_projects_too() -> None:
    """Of a rule and of a vault entry."""
    policy = load("""
version: 1
groups: {prod: [p1, p2]}
rules: [{name: one, owners: [aaa], projects: ["group:prod", p3], decision: accept}]
vaults: [{projects: ["group:prod"], vault: v1}]
""")
    assert policy.rules[0].projects == frozenset({"p1", "p2", "p3"})
    assert policy.vaults[0].projects == frozenset({"p1", "p2"})


def test_aliases_are_followed() -> None:
    """An anchor's value may stand in several places."""
    policy = load("""
version: 1
rules:
  - {name: one, owners: &them [aaa], decision: accept}
  - {name: two, owners: *them, decision: reject}
""")
    assert [rule.owners for rule in policy.rules] == [frozenset({"aaa"})] * 2


def test_thirty_two_digits_are_a_project_id() -> None:
    """An ID that happens to have no letter needs no quotes."""
    policy = load(f"version: 1\nrules: [{{name: one, owners: [{'1' * 32}], decision: accept}}]")
    assert policy.rules[0].owners == frozenset({"1" * 32})


def test_expired_exceptions_are_listed() -> None:
    """An exception counts through its last day; afterwards it is listed with what the file says of it."""
    policy = load("""
version: 1
exceptions:
  - {name: a, owners: [aaa], decision: accept, reason: migration, by: jane, expires: 2026-11-04}
  - {name: b, owners: [bbb], decision: accept, reason: migration, by: jane, expires: 2026-11-05}
""")
    listed = [(rule.name, rule.note, rule.by, rule.expires) for rule in expired(policy, date(2026, 11, 5))]
    assert listed == [("a", "migration", "jane", date(2026, 11, 4))]


def test_the_sweep_tells_of_drift_and_leaves_it_unless_the_policy_says_otherwise() -> None:
    """Both can be set; written as they are without being written, they do not change the digest."""
    plain, same, strict, silent = (
        load(f"version: 1\n{more}")
        for more in ("", "reconcile: {tell: true}", "reconcile: {enforce: true}", "reconcile: {tell: false}")
    )
    found = [(each.tells_drift, each.settles_anew) for each in (plain, same, strict, silent)]
    assert found == [(True, False), (True, False), (True, True), (False, False)]
    assert plain.digest == same.digest
    assert len({plain.digest, strict.digest, silent.digest}) == 3
