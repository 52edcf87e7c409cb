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
    Rights,
    judge_clock,
    judge_policy,
    judge_settling,
    judge_sink,
)
from doorman.policy.policy import load
from doorman.sandbox.settings import Settings

NOW = datetime(2026, 1, 31, 8, 30, tzinfo=UTC)
RIGHT = "ims:images:share"
RULE = "version: 1\nrules:\n- name: one\n  owners: [a]\n  decision: accept\n"


def only(chart: Chart) -> tuple[Mark, str]:
    """Give mark and text of the only finding."""
    (found,) = chart.findings
    assert bool(found.fix) >= (found.mark is Mark.MEND)
    return found.mark, found.text


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
    chart = Chart()
    assert judge_clock(chart, date_header, NOW) is (mark is not Mark.MEND)
    assert only(chart) == (mark, text)


@pytest.mark.parametrize(
    ("rights", "api", "mark", "text"),
    [
        (Rights(), "ims", Mark.UNKNOWN, "the login does not tell its roles; settling shares needs ims:images:share"),
        (Rights(roles=["reader", "member"]), "glance", Mark.OK, "the role member allows it"),
        (Rights(roles=["te_admin", "op_x"]), "ims", Mark.OK, "the role te_admin allows it"),
        (Rights(roles=["readonly", "op_x"]), "ims", Mark.MEND, "readonly only reads"),
        (Rights(roles=["op_x"]), "ims", Mark.MEND, "no role only reads"),
        (
            Rights(roles=["custom"]),
            "ims",
            Mark.UNKNOWN,
            f"the login has the role custom; settling shares needs {RIGHT}, and the cloud does not say who has it",
        ),
        (
            Rights(roles=["member"], rules=[("PUT", "/v2/images/{image_id}/members/*")]),
            "glance",
            Mark.OK,
            "the access rules of the application credential allow it",
        ),
        (
            Rights(rules=[("PUT", "/v2/**")]),
            "glance",
            Mark.OK,
            "the access rules of the application credential allow it",
        ),
        (
            Rights(roles=["member"], rules=[("GET", "/v2/**"), ("PUT", "/v2/images/*")]),
            "glance",
            Mark.MEND,
            "the access rules of the application credential do not allow it",
        ),
    ],
)
def test_settling(rights: Rights, api: str, mark: Mark, text: str) -> None:
    """The token's access rules say it, else its roles, where they are known ones; nothing is tried."""
    chart = Chart()
    judge_settling(chart, rights, api=api)
    assert only(chart) == (mark, text)


def test_missing_access_rule_is_named() -> None:
    """As it stands in the recipe, for either service."""
    found = []
    for api in ("glance", "ims"):
        chart = Chart()
        judge_settling(chart, Rights(rules=[("GET", "/v2/images")]), api=api)
        found.append(chart.findings[0].fix.rpartition(" name ")[2])
    assert found == ["PUT /v2/images/*/members/*", "PUT /v1/cloudimages/members"]


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
    chart = Chart()
    judge_policy(chart, load(policy), warnings, project_id="p1", today=date(2026, 1, 31))
    found = only(chart)
    assert (found[0], text in found[1]) == (mark, True), found


def test_policy_where_only_a_name_is_known() -> None:
    """A rule for projects may be for this one."""
    chart = Chart()
    judge_policy(chart, load(f"{RULE}  projects: [p2]\n"), [], project_id=None, today=NOW.date())
    assert only(chart)[0] is Mark.OK


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
    chart = Chart()
    judge_sink(chart, status=status, headers=headers, body=body, seconds=seconds)
    assert only(chart) == (mark, text)


def test_what_follows() -> None:
    """It names the root; what turns out otherwise later can be taken back, for one project alone."""
    chart = Chart(project="p1")
    chart.add(Check.CATALOG, Mark.OK, "there")
    chart.project = "p2"
    chart.add(Check.CATALOG, Mark.OK, "there")
    chart.drop(Check.CATALOG)
    chart.skip([Check.LIST], Check.CATALOG)
    assert chart.findings == [
        Finding(check=Check.CATALOG, mark=Mark.OK, text="there", project="p1"),
        Finding(check=Check.LIST, mark=Mark.SKIPPED, text="not looked at: needs the catalog", project="p2"),
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
