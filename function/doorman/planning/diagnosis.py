"""What `doctor` finds: the checks, their marks, and the judgement of what was read; what is assumed is `assumptions`.

`handlers.doctor` reads, this decides. A finding that needs no reading is written where it arises.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import partial
from typing import Final, NamedTuple, NoReturn

from doorman.errors import DoormanError, Rejected
from doorman.parsing import counted, parse_json
from doorman.policy.policy import Policy, Rule

MAX_SKEW: Final = 60.0
"""Seconds that our clock may differ: events from further in the future count as old, and signatures end."""

SLOW: Final = 5.0
"""Seconds after which a sink is late: some brokers answer only once all subscribers have."""

_NEEDS: Final = "not looked at: needs the "


class Check(StrEnum):
    """What is looked at, one line each, in the order of what needs what; docs/clouds.md names these words."""

    SETTINGS = "settings"
    POLICY = "policy"
    NAME = "name"
    PROXY = "proxy"
    CONNECTION = "connection"
    CLOCK = "clock"
    LOGIN = "login"
    CATALOG = "catalog"
    SETTLE = "settle"
    LIST = "list"
    READ = "read"
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


_ALL: Final = tuple(Check)
_NOT_ON_GLANCE: Final = frozenset({Check.WHOLE, Check.JOBS})


def list_checks(first: Check, last: Check, *, api: str) -> list[Check]:
    """List what is looked at with this image service, from one check to another."""
    some = _ALL[_ALL.index(first) : _ALL.index(last) + 1]
    return [each for each in some if api == "ims" or each not in _NOT_ON_GLANCE]


class Mark(StrEnum):
    """How it was found: `mend` must be put right, `note` works but is worth knowing, `unknown` cannot be told."""

    OK = "ok"
    NOTE = "note"
    MEND = "mend"
    UNKNOWN = "unknown"
    SKIPPED = "-"


class Verdict(NamedTuple):
    """What one look found, and the remedy; empty where nothing is wrong."""

    mark: Mark
    text: str
    fix: str = ""


ok, note, mend, unknown = (partial(Verdict, mark) for mark in (Mark.OK, Mark.NOTE, Mark.MEND, Mark.UNKNOWN))


@dataclass(frozen=True, slots=True)
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


class Blocked(Exception):
    """What comes next needs something that must be mended first.

    Attributes:
        root: what that is.
    """

    def __init__(self, root: Check) -> None:
        super().__init__(root)
        self.root = root


@dataclass(slots=True, eq=False)
class Chart:
    """The findings so far, in the order in which one thing needs another: the first to mend is a root.

    Attributes:
        project: that the next findings are about.
    """

    project: str | None = None
    findings: list[Finding] = field(default_factory=list)

    def add(self, check: Check, verdict: Verdict) -> None:
        """Note one finding."""
        self.findings.append(Finding(check, *verdict, project=self.project))

    def block(self, check: Check, text: str, fix: str) -> NoReturn:
        """Note what must be mended before what comes next.

        Raises:
            Blocked: always.
        """
        self.add(check, mend(text, fix))
        raise Blocked(check)

    @contextmanager
    def guard(self, check: Check, *, mark: Mark = Mark.MEND, fix: str) -> Iterator[None]:
        """Look at this in the body, whose failure costs no more than this one line, with this mark and remedy."""
        with self.part([check]):
            try:
                yield
            except DoormanError as error:
                self.add(check, Verdict(mark, str(error), fix))

    def skip(self, checks: Iterable[Check], root: Check) -> None:
        """Mark what only follows from an earlier fault."""
        for check in checks:
            self.add(check, Verdict(Mark.SKIPPED, f"{_NEEDS}{root}"))

    @contextmanager
    def part(self, checks: Iterable[Check]) -> Iterator[None]:
        """Look at these in the body; where that is blocked, what it has not looked at only follows."""
        try:
            yield
        except Blocked as blocked:
            seen = {each.check for each in self.findings if each.project == self.project}
            self.skip((check for check in checks if check not in seen), blocked.root)


def judge_clock(date_header: str | None, now: datetime) -> Verdict:
    """Compare the cloud's clock (`Date`, whole seconds) with ours."""
    try:
        skew = (parsedate_to_datetime(date_header or "") - now).total_seconds()
    except (TypeError, ValueError):
        return unknown("the cloud does not tell its time")
    text = f"{abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} the cloud's"
    fix = (
        "set this machine's clock (NTP); signatures (AK/SK) end after some minutes, and events from later count as old"
    )
    return ok(text) if abs(skew) <= MAX_SKEW else mend(text, fix)


_READERS = frozenset({"reader", "readonly"})
_WRITERS = {
    "glance": frozenset({"member", "_member_", "admin", "manager"}),
    "ims": frozenset({"te_admin", "ims_adm"}),
}
_PUT_MEMBER = {"glance": "/v2/images/i/members/p", "ims": "/v1/cloudimages/members"}


def judge_settling(roles: Iterable[str], rules: Iterable[tuple[str, str]] | None, *, api: str) -> Verdict:
    """Say whether settling is allowed, by what the token tells; it is never tried.

    Args:
        roles: none where nobody tells.
        rules: method and path of access rules; None: there are none that bound it.
    """
    right = "ims:images:share" if api == "ims" else "the role member"
    if rules is not None:
        path = _PUT_MEMBER[api]
        if any(method == "PUT" and _matches(rule, path) for method, rule in rules):
            return ok("the access rules of the application credential allow it")
        fix = f"make one whose access rules name PUT {path.replace('/i/', '/*/').replace('/p', '/*')}"
        return mend("the access rules of the application credential do not allow it", fix)
    roles = sorted(set(roles))
    if not roles:
        return unknown(f"the login does not tell its roles; settling shares needs {right}")
    if writers := [role for role in roles if role in _WRITERS[api]]:
        return ok(f"the role {writers[0]} allows it")
    if all(role in _READERS or role.startswith("op_") for role in roles):
        named = ", ".join(role for role in roles if role in _READERS) or "no role"
        return mend(f"{named} only reads", f"give the user {right} in this project")
    has = f"the role{'' if len(roles) == 1 else 's'} {', '.join(roles)[:120]}"
    return unknown(f"the login has {has}; settling shares needs {right}, and the cloud does not say who has it")


def _matches(rule: str, path: str) -> bool:
    """Match a path as Keystone does: `*` and `{name}` stand for one part of it, `**` for any number."""
    pattern = re.sub(r"\\\*\\\*", ".*", re.escape(re.sub(r"\{[^}]*\}", "*", rule)))
    return re.fullmatch(pattern.replace(r"\*", "[^/]+"), path) is not None


def judge_policy(policy: Policy, warnings: Sequence[str], *, project_id: str | None, today: date) -> Verdict:
    """Say whether a policy that loads can accept anything in this project, and what a strict check warns of.

    Args:
        warnings: of the strict check.
        project_id: None where only the login tells it.
        today: in UTC.
    """
    accepting = [rule for rule in policy.rules if rule.action == "accept"]
    if not any(_counts(rule, project_id, today) for rule in accepting):
        why = _name_obstacles(accepting, project_id) if accepting else "none of its rules accepts"
        fix = "write a rule that accepts for this project; `doorman policy suggest` drafts one"
        return mend(f"can accept nothing here: {why}", fix)
    text = f"{counted(len(policy.rules), 'rule')}, digest {policy.digest}"
    if warnings:
        more = f" and {len(warnings) - 1} more" if len(warnings) > 1 else ""
        return note(f"{text}; not strict: {warnings[0]}{more}", "see all with `doorman policy check --strict FILE`")
    if policy.mode == "audit":
        return note(f"{text}; in audit mode: everything is told, nothing is done")
    return ok(text)


def _counts(rule: Rule, project_id: str | None, today: date) -> bool:
    is_here = rule.projects is None or project_id is None or project_id in rule.projects
    return is_here and not rule.audit and (rule.expires is None or rule.expires >= today)


def _name_obstacles(rules: Sequence[Rule], project_id: str | None) -> str:
    if all(rule.projects and project_id not in rule.projects for rule in rules):
        return "the rules that accept are for other projects"
    return "the rules that accept are for other projects, on trial (audit), or have expired"


_SINK_FIXES: Final = {
    401: "it asks who sends: is the audience of the SinkBinding's token right?",
    403: "it asks who sends: an EventPolicy of the broker may name this sender",
    404: "no broker has this path: check K_SINK (http://HOST/NAMESPACE/BROKER)",
}


def judge_sink(status: int, headers: Iterable[str], body: bytes, *, seconds: float) -> Verdict:
    """Judge how a sink over HTTP answered an event.

    Args:
        headers: names in lower case.
        seconds: until it did.
    """
    took = f"answers {status} after {seconds:.1f} s"
    if status // 100 != 2:  # noqa: PLR2004 - the class of success
        fix = _SINK_FIXES.get(status, "check K_SINK, and what the sink says in its own log")
        return mend(f"does not take events: {took}", fix)
    if body.strip() and "ce-specversion" not in headers and not _is_event(body):
        fix = (
            "a broker answers 202 with nothing: is K_SINK one? Behind a broker, such an answer counts as malformed: "
            "the event runs again and dies; answer 202 or 204 without a body"
        )
        return mend(f"{took} with a body of its own, no event", fix)
    if seconds > SLOW:
        fix = "an in-memory channel answers last: set its async-handler annotation; DOORMAN_SINK_TIMEOUT is the bound"
        return note(f"takes events, but late: {took}", fix)
    return ok(f"takes events: {took}")


def _is_event(body: bytes) -> bool:
    try:
        value = parse_json(body, "answer")
    except Rejected:
        return False
    return isinstance(value, dict) and "specversion" in value
