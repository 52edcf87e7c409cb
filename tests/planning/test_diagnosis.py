"""What `doctor` makes of what it reads: one line each, with a remedy where something must be mended."""

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from doorman.planning.diagnosis import (
    Chart,
    Check,
    Finding,
    Mark,
    judge_clock,
    judge_policy,
    judge_settling,
    judge_sink,
    ok,
)
from doorman.policy.policy import load
from doorman.sandbox.settings import Settings

NOW = datetime(2026, 1, 31, 8, 30, tzinfo=UTC)
RIGHT = "settling shares needs ims:images:share"
RULE = "version: 1\nrules:\n- name: one\n  owners: [a]\n  decision: accept\n"
ALLOWED = "the access rules of the application credential allow it"
DENIED = "the access rules of the application credential do not allow it"


@pytest.mark.parametrize(
    ("date_header", "mark", "text"),
    [
        ("Sat, 31 Jan 2026 08:30:20 GMT", Mark.OK, "20 s behind the cloud's"),
        ("Sat, 31 Jan 2026 08:28:00 GMT", Mark.MEND, "120 s ahead of the cloud's"),
        ("yesterday", Mark.UNKNOWN, "the cloud does not tell its time"),
        (None, Mark.UNKNOWN, "the cloud does not tell its time"),
    ],
)
def test_clock(date_header: str | None, mark: Mark, text: str) -> None:
    """Up to a minute is borne."""
    assert judge_clock(date_header, NOW)[:2] == (mark, text)


@pytest.mark.parametrize(
    ("roles", "rules", "api", "mark", "text"),
    [
        ([], None, "ims", Mark.UNKNOWN, f"the login does not tell its roles; {RIGHT}"),
        (["reader", "member"], None, "glance", Mark.OK, "the role member allows it"),
        (["te_admin", "op_x"], None, "ims", Mark.OK, "the role te_admin allows it"),
        (["readonly", "op_x"], None, "ims", Mark.MEND, "readonly only reads"),
        (["op_x"], None, "ims", Mark.MEND, "no role only reads"),
        (
            ["custom"],
            None,
            "ims",
            Mark.UNKNOWN,
            f"the login has the role custom; {RIGHT}, and the cloud does not say who has it",
        ),
        (["member"], [("PUT", "/v2/images/{image_id}/members/*")], "glance", Mark.OK, ALLOWED),
        ([], [("PUT", "/v2/**")], "glance", Mark.OK, ALLOWED),
        (["member"], [("GET", "/v2/**"), ("PUT", "/v2/images/*")], "glance", Mark.MEND, DENIED),
    ],
)
def test_settling(roles: list[str], rules: list[tuple[str, str]] | None, api: str, mark: Mark, text: str) -> None:
    """The token's access rules say it, else its roles, where they are known ones; nothing is tried."""
    assert judge_settling(roles, rules, api=api)[:2] == (mark, text)


@pytest.mark.parametrize(
    ("api", "rule"), [("glance", "PUT /v2/images/*/members/*"), ("ims", "PUT /v1/cloudimages/members")]
)
def test_missing_access_rule_is_named(api: str, rule: str) -> None:
    """As it stands in the recipe, for either service."""
    assert judge_settling([], [("GET", "/v2/images")], api=api).fix.endswith(f" name {rule}")


@pytest.mark.parametrize(
    ("policy", "warnings", "mark", "text"),
    [
        (RULE, [], Mark.OK, "1 rule, digest "),
        (RULE, ["line 3: odd"], Mark.NOTE, "not strict: line 3: odd"),
        (RULE, ["line 3: odd", "line 4: odder"], Mark.NOTE, "not strict: line 3: odd and 1 more"),
        (f"{RULE}mode: audit\n", [], Mark.NOTE, "in audit mode: everything is told, nothing is done"),
        ("version: 1\n", [], Mark.MEND, "can accept nothing here: none of its rules accepts"),
        (f"{RULE}  projects: [p2]\n", [], Mark.MEND, "the rules that accept are for other projects"),
        (
            f"{RULE}  mode: audit\n",
            [],
            Mark.MEND,
            "the rules that accept are for other projects, on trial (audit), or have expired",
        ),
        (
            RULE.replace("rules:", "exceptions:") + "  expires: 2026-01-30\n  reason: r\n  by: b\n",
            [],
            Mark.MEND,
            "the rules that accept are for other projects, on trial (audit), or have expired",
        ),
    ],
)
def test_policy(policy: str, warnings: list[str], mark: Mark, text: str) -> None:
    """A rule that accepts must be enforced, for this project, and not over."""
    found = judge_policy(load(policy), warnings, project_id="p1", today=date(2026, 1, 31))
    assert (found.mark, text in found.text) == (mark, True), found


def test_policy_where_only_a_name_is_known() -> None:
    """A rule for projects may be for this one."""
    found = judge_policy(load(f"{RULE}  projects: [p2]\n"), [], project_id=None, today=NOW.date())
    assert found.mark is Mark.OK


@pytest.mark.parametrize(
    ("status", "headers", "body", "seconds", "mark", "text"),
    [
        (202, [], b"", 0.1, Mark.OK, "takes events: answers 202 after 0.1 s"),
        (200, ["ce-specversion"], b"{}", 0.1, Mark.OK, "takes events: answers 200 after 0.1 s"),
        (200, [], b'{"specversion": "1.0"}', 0.1, Mark.OK, "takes events: answers 200 after 0.1 s"),
        (202, [], b" \n", 9.0, Mark.NOTE, "takes events, but late: answers 202 after 9.0 s"),
        (200, [], b"OK", 0.1, Mark.MEND, "answers 200 after 0.1 s with a body of its own, no event"),
        (200, [], b"[]", 0.1, Mark.MEND, "answers 200 after 0.1 s with a body of its own, no event"),
        (403, [], b"", 0.1, Mark.MEND, "does not take events: answers 403 after 0.1 s"),
        (500, [], b"", 0.1, Mark.MEND, "does not take events: answers 500 after 0.1 s"),
    ],
)
def test_sink(status: int, headers: list[str], body: bytes, seconds: float, mark: Mark, text: str) -> None:  # noqa: PLR0917 - a table
    """A broker answers with nothing, or an event; any other body is malformed, and late is worth a note."""
    assert judge_sink(status, headers, body, seconds=seconds)[:2] == (mark, text)


def test_what_follows() -> None:
    """It names the root, in the same project alone; what was looked at stays as it was found."""
    chart = Chart(project="p1")
    chart.add(Check.LOGIN, ok("there"))
    chart.project = "p2"

    def look() -> None:
        chart.add(Check.LOGIN, ok("there"))
        chart.block(Check.CATALOG, "gone", "find it")

    with chart.part([Check.LOGIN, Check.CATALOG, Check.LIST]):
        look()
    assert chart.findings == [
        Finding(Check.LOGIN, Mark.OK, "there", project="p1"),
        Finding(Check.LOGIN, Mark.OK, "there", project="p2"),
        Finding(Check.CATALOG, Mark.MEND, "gone", "find it", "p2"),
        Finding(Check.LIST, Mark.SKIPPED, "not looked at: needs the catalog", project="p2"),
    ]


def test_each_assumption_is_looked_at() -> None:
    """The table of docs/clouds.md names lines of `doctor` that there are, and switches that the sandbox has."""
    text = Path(__file__).parents[2].joinpath("docs/clouds.md").read_text("utf-8").partition("## What is assumed")[2]
    rows = [row.strip("| ").split(" | ") for row in re.findall(r"(?m)^\|.*$", text)[2:]]
    assert {len(row) for row in rows} == {5}
    named = [re.findall(r"`(.*?)`", row[3]) for row in rows]
    assert [each for each in named if not set(each) <= set(Check)] == []
    assert [row[3] for row, each in zip(rows, named, strict=True) if not each and "only settling" not in row[3]] == []
    switches = {switch for row in rows for switch in re.findall(r"`(.*?)`", row[4])}
    assert [switch for switch in switches if not hasattr(Settings(), switch)] == []
