"""Runs a policy's own tests: what passes, what fails and how that is told, and which rules nobody tested."""

from datetime import UTC, datetime

import pytest

from doorman.policy.document.faults import BrokenFile
from doorman.policy.policy import load as load_policy
from doorman.policy.tools.testing import load, run, uncovered

OWNER = "9c61004714024f9586705d090530f9fa"
NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)
POLICY = load_policy("""
version: 1
exceptions:
  - {name: migration, owners: [ccc], decision: accept, reason: r, by: b, expires: 2026-11-04}
rules:
  - {name: trial, owners: [aaa], mode: audit, decision: reject}
  - {name: golden, owners: [aaa], decision: accept}
  - {name: banned, owners: [bbb], decision: reject}
vaults: [{vault: v1}, {vault: v2}]
""")


def test_cases_are_run_in_order_with_their_lines() -> None:
    """What is expected is compared; what is left out is not. A rule or reason that there is not is told as such."""
    cases = load(
        """
cases:
  - case: golden servers go into the first vault
    share: {owner: aaa, full_ecs: true}
    expect: {decision: accept, rule: golden, reason: allowed_owner, vault: v1, tried: [trial]}
  - case: strangers are let in
    share: {owner: stranger}
    expect: {decision: accept, rule: golden, vault: v1, tried: [trial]}
  - case: golden images are held
    share: {owner: aaa}
    expect: {decision: hold, tried: [other]}
  - case: banned images are held
    share: {owner: bbb}
    expect: {decision: reject, rule: band, reason: anything}
""",
        file="cases.yaml",
    )
    assert [(each.case, each.line, each.misses) for each in run(*cases, POLICY, now=NOW)] == [
        ("golden servers go into the first vault", 3, ()),
        (
            "strangers are let in",
            6,
            (
                "decision is hold, expected accept",
                "rule is none, expected golden",
                "vault is none, expected v1",
                "tried is none, expected trial",
            ),
        ),
        (
            "golden images are held",
            9,
            ("decision is accept, expected hold", "tried is trial, expected other, but there is no `other`"),
        ),
        (
            "banned images are held",
            12,
            (
                "rule is banned, expected band, but there is no `band`, did you mean `banned`?",
                "reason is rejected_by_rule, expected anything, but there is no `anything`",
            ),
        ),
    ]


def test_the_time_is_the_cases_the_files_or_the_clocks() -> None:
    """The nearest one counts: an exception that has expired today still counted the day before."""
    text = """
now: 2026-11-03T00:00:00Z
cases:
  - {case: by the file, share: {owner: ccc}, expect: {decision: accept}}
  - {case: by the case, share: {owner: ccc}, expect: {decision: hold}, now: "2026-11-05T00:00:00Z"}
"""
    told = [each.decision.action for each in run(*load(text, file="c"), POLICY, now=NOW)]
    without = load(text.replace("now: 2026-11-03T00:00:00Z\n", ""), file="c")
    assert told == ["accept", "hold"]
    assert [each.decision.action for each in run(*without, POLICY, now=NOW)] == ["hold", "hold"]


def test_rules_that_no_case_reaches_are_listed() -> None:
    """A rule on trial counts as reached where it was tried."""
    text = "cases: [{case: one, share: {owner: aaa}, expect: {decision: accept}}]"
    assert uncovered(POLICY, run(*load(text, file="c"), POLICY, now=NOW)) == ("migration", "banned")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", ["1:1: the file must be a mapping that begins with `cases:`, not nothing"]),
        ("cases: []", ["1:8: `cases` must be a list of cases, each beginning with `- case:`, not an empty list"]),
        (
            "cases:\n  - case: one\n    shares: {owner: aaa}\n    expect: {decison: hold, vault: 5}\n    now: today\n",
            [
                f"2:5: a case needs `share`: add `share:` with a mapping of facts, such as `owner: {OWNER}`",
                "3:5: `shares` is not a key of a case: did you mean `share`?",
                "4:13: `expect` needs `decision`: add `decision:` with `accept`, `reject` or `hold`",
                "4:14: `decison` is not a key of `expect`: did you mean `decision`?",
                '4:36: `vault` must be a text, not the number 5: put it in quotes, "5"',
                '5:10: `now` must be the time of the decisions, such as `2026-11-05T12:00:00Z`, not the text "today"',
            ],
        ),
    ],
)
def test_a_broken_file_of_cases_is_refused_with_places(text: str, lines: list[str]) -> None:
    """The same strictness and the same manner of speaking as for policies."""
    with pytest.raises(BrokenFile) as caught:
        load(text, file="c.yaml")
    assert str(caught.value).split("\n") == [f"c.yaml:{line}" for line in lines]
