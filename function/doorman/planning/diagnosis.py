"""What `doctor` finds: the checks, their marks, and the judgement of what was read, but for the image lists' limits.

`handlers.doctor` reads, this decides. A finding that needs no reading is written where it arises.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

from doorman.errors import Rejected
from doorman.parsing import counted, parse_json
from doorman.policy.policy import Policy, Rule

MAX_SKEW: Final = 60.0
"""Seconds that our clock may differ: events from further in the future count as old, and signatures end."""

SLOW: Final = 5.0
"""Seconds after which a sink is late: some brokers answer only once all subscribers have."""

_NEEDS: Final = "not looked at: needs the "


class Check(StrEnum):
    """What is looked at, one line each; docs/clouds.md names these words."""

    SETTINGS = "settings"
    POLICY = "policy"
    NAME = "name"
    PROXY = "proxy"
    CONNECTION = "connection"
    CLOCK = "clock"
    LOGIN = "login"
    CATALOG = "catalog"
    LIST = "list"
    READ = "read"
    SETTLE = "settle"
    MEMBER_STATUS = "member-status"
    LIMIT = "limit"
    NEXT = "next"
    HIDDEN = "os-hidden"
    WHOLE = "whole-image"
    MEMBER_ROW = "member-row"
    FACTS = "facts"
    JOBS = "jobs"
    WAITING = "waiting"
    VAULTS = "vaults"
    SERVERS = "servers"
    SINK = "sink"


class Mark(StrEnum):
    """How it was found: `mend` must be put right, `note` works but is worth knowing, `unknown` cannot be told."""

    OK = "ok"
    NOTE = "note"
    MEND = "mend"
    UNKNOWN = "unknown"
    SKIPPED = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line: what was looked at, what was found, and what to do about it.

    Attributes:
        fix: the remedy; empty where nothing is wrong.
        project: the served project that it is about; None where it is about all.
    """

    check: Check
    mark: Mark
    text: str
    fix: str = ""
    project: str | None = None

    @property
    def root(self) -> str:
        """The earlier fault that this only follows from; empty where it was looked at."""
        return self.text.removeprefix(_NEEDS) if self.mark is Mark.SKIPPED else ""


@dataclass(slots=True)
class Chart:
    """The findings so far, in the order in which one thing needs another: the first to mend is a root.

    Attributes:
        project: that the next findings are about.
    """

    project: str | None = None
    findings: list[Finding] = field(default_factory=list)

    def add(self, check: Check, mark: Mark, text: str, fix: str = "") -> None:
        """Note one finding."""
        self.findings.append(Finding(check=check, mark=mark, text=text, fix=fix, project=self.project))

    def drop(self, check: Check) -> None:
        """Take back what was found earlier of this project."""
        self.findings = [each for each in self.findings if (each.check, each.project) != (check, self.project)]

    def skip(self, checks: Iterable[Check], root: Check) -> None:
        """Mark what only follows from an earlier fault."""
        for check in checks:
            self.add(check, Mark.SKIPPED, f"{_NEEDS}{root}")


def judge_clock(chart: Chart, date_header: str | None, now: datetime) -> bool:
    """Compare the cloud's clock (`Date`, whole seconds) with ours; say whether they agree."""
    try:
        skew = (parsedate_to_datetime(date_header or "") - now).total_seconds()
    except (TypeError, ValueError):
        chart.add(Check.CLOCK, Mark.UNKNOWN, "the cloud does not tell its time")
        return True
    text = f"{abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} the cloud's"
    if abs(skew) <= MAX_SKEW:
        chart.add(Check.CLOCK, Mark.OK, text)
        return True
    fix = (
        "set this machine's clock (NTP); signatures (AK/SK) end after some minutes, and events from later count as old"
    )
    chart.add(Check.CLOCK, Mark.MEND, text, fix)
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What a token says of its rights; None where nobody tells: `rules`: method and path of access rules."""

    roles: Sequence[str] | None = None
    rules: Sequence[tuple[str, str]] | None = None


_READERS = frozenset({"reader", "readonly"})
_WRITERS = {
    "glance": frozenset({"member", "_member_", "admin", "manager"}),
    "ims": frozenset({"te_admin", "ims_adm"}),
}
_PUT_MEMBER = "/v2/images/i/members/p"


def judge_settling(chart: Chart, rights: Rights, *, api: str) -> None:
    """Say whether settling is allowed, by what the token tells; it is never tried."""
    right = "ims:images:share" if api == "ims" else "the role member"
    if rights.rules is not None:
        path = _PUT_MEMBER if api == "glance" else "/v1/cloudimages/members"
        if any(method == "PUT" and _matches(rule, path) for method, rule in rights.rules):
            chart.add(Check.SETTLE, Mark.OK, "the access rules of the application credential allow it")
            return
        fix = f"make one whose access rules name PUT {path.replace('/i/', '/*/').replace('/p', '/*')}"
        chart.add(Check.SETTLE, Mark.MEND, "the access rules of the application credential do not allow it", fix)
        return
    roles = set(rights.roles or ())
    if not roles:
        text = f"the login does not tell its roles; settling shares needs {right}"
        chart.add(Check.SETTLE, Mark.UNKNOWN, text)
    elif found := sorted(roles & _WRITERS[api]):
        chart.add(Check.SETTLE, Mark.OK, f"the role {found[0]} allows it")
    elif not {role for role in roles - _READERS if not role.startswith("op_")}:
        named = ", ".join(sorted(roles & _READERS)) or "no role"
        chart.add(Check.SETTLE, Mark.MEND, f"{named} only reads", f"give the user {right} in this project")
    else:
        has = f"the role{'' if len(roles) == 1 else 's'} {', '.join(sorted(roles))[:120]}"
        text = f"the login has {has}; settling shares needs {right}, and the cloud does not say who has it"
        chart.add(Check.SETTLE, Mark.UNKNOWN, text)


def _matches(rule: str, path: str) -> bool:
    """Match a path as Keystone does: `*` and `{name}` stand for one part of it, `**` for any number."""
    pattern = re.sub(r"\\\*\\\*", ".*", re.escape(re.sub(r"\{[^}]*\}", "*", rule)))
    return re.fullmatch(pattern.replace(r"\*", "[^/]+"), path) is not None


def judge_policy(chart: Chart, policy: Policy, warnings: Sequence[str], *, project_id: str | None, today: date) -> None:
    """Say whether a policy that loads can accept anything in this project, and what a strict check minds.

    Args:
        warnings: of the strict check.
        project_id: None where only the login tells it.
        today: in UTC.
    """
    accepting = [rule for rule in policy.rules if rule.action == "accept"]
    able = [rule for rule in accepting if _counts(rule, project_id, today)]
    text = f"{counted(len(policy.rules), 'rule')}, digest {policy.digest}"
    if not able:
        why = "none of its rules accepts" if not accepting else _name_obstacles(accepting, project_id)
        fix = "write a rule that accepts for this project; `doorman policy suggest` drafts one"
        chart.add(Check.POLICY, Mark.MEND, f"can accept nothing here: {why}", fix)
    elif warnings:
        more = f" and {len(warnings) - 1} more" if len(warnings) > 1 else ""
        fix = "see all with `doorman policy check --strict`"
        chart.add(Check.POLICY, Mark.NOTE, f"{text}; not strict: {warnings[0]}{more}", fix)
    elif policy.mode == "audit":
        chart.add(Check.POLICY, Mark.NOTE, f"{text}; in audit mode: everything is told, nothing is done")
    else:
        chart.add(Check.POLICY, Mark.OK, text)


def _counts(rule: Rule, project_id: str | None, today: date) -> bool:
    is_here = rule.projects is None or project_id is None or project_id in rule.projects
    return is_here and not rule.audit and (rule.expires is None or rule.expires >= today)


def _name_obstacles(rules: Sequence[Rule], project_id: str | None) -> str:
    if all(rule.projects and project_id not in rule.projects for rule in rules):
        return "the rules that accept are for other projects"
    return "the rules that accept are for other projects, on trial (audit), or have expired"


def judge_sink(chart: Chart, *, status: int, headers: Iterable[str], body: bytes, seconds: float) -> None:
    """Judge how a sink over HTTP answered an event.

    Args:
        headers: names in lower case.
        seconds: until it did.
    """
    took = f"answers {status} after {seconds:.1f} s"
    if status // 100 != 2:  # noqa: PLR2004 - the class of success
        fix = {
            401: "it asks who sends: is the audience of the SinkBinding's token right?",
            403: "it asks who sends: an EventPolicy of the broker may name this sender",
            404: "no broker has this path: check K_SINK (http://HOST/NAMESPACE/BROKER)",
        }.get(status, "check K_SINK, and what the sink says in its own log")
        chart.add(Check.SINK, Mark.MEND, f"does not take events: {took}", fix)
    elif body.strip() and "ce-specversion" not in headers and not _is_event(body):
        fix = (
            "a broker answers 202 with nothing: is K_SINK one? Behind a broker, such an answer counts as malformed: "
            "the event runs again and dies; answer 202 or 204 without a body"
        )
        chart.add(Check.SINK, Mark.MEND, f"{took} with a body of its own, no event", fix)
    elif seconds > SLOW:
        fix = "an in-memory channel answers last: set its async-handler annotation; DOORMAN_SINK_TIMEOUT is the bound"
        chart.add(Check.SINK, Mark.NOTE, f"takes events, but late: {took}", fix)
    else:
        chart.add(Check.SINK, Mark.OK, f"takes events: {took}")


def _is_event(body: bytes) -> bool:
    try:
        value = parse_json(body, "answer")
    except Rejected:
        return False
    return isinstance(value, dict) and "specversion" in value
