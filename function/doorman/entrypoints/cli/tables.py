"""Lays out what events tell as text: a row a share, what is about to be done, totals, the commands to type next."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from textwrap import wrap
from typing import Any

from doorman.entrypoints.cli.output import say, table
from doorman.events.outcomes import FEW, NEEDS_VAULT, approve_command
from doorman.models import CloudEvent, Share
from doorman.parsing import counted, visible

COLUMNS = ("PROJECT", "IMAGE", "NAME", "OWNER", "WHAT", "DECISION", "RULE", "REASON", "OUTCOME")
NOTHING = "-"

_WOULD = {"accept": "would be accepted", "reject": "would be rejected", "hold": "would be held"}
_HELD = ("held", "would be held")
_SETTLED = ("accepted", "rejected")
_SETTLES = ("accept", "reject")
# what needs somebody comes first
_ORDER = ("failed", *_HELD, "drifted", "rejected", "would be rejected", "accepted", "would be accepted", "skipped")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known beside the events.

    Attributes:
        names: the policy's groups, by the projects in them.
        called: what served projects are called, by ID.
        shares: those that were listed, by image.
        policy_url: where the policy's file lies; None where nobody needs a link to it.
        given: the options for login and policy that the command was given; `chosen`: those for projects.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    called: dict[str, str] = field(default_factory=dict)
    shares: Mapping[str, Share] = field(default_factory=dict)
    now: datetime | None = None
    policy_url: str | None = None
    given: str = ""
    chosen: str = ""

    def owner(self, owner: str | None) -> str:
        """Give the owner's project, with the policy's name for it."""
        name = self.names.get(owner or "") or self.called.get(owner or "")
        return f"{name} ({owner})" if name else owner or NOTHING

    def project(self, project_id: str) -> str:
        """Give a served project, with its name."""
        name = self.called.get(project_id)
        return f"{name} ({project_id})" if name else project_id

    def call(self, project_id: str) -> str:
        """Give the shortest word for a served project: its name, where one is known."""
        return self.called.get(project_id) or project_id

    def what(self, image_id: str) -> str:
        """Say what the image is."""
        share = self.shares.get(image_id)
        return describe(share, now=self.now) if share else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One share of which an event tells, and the word for how it ended."""

    project_id: str
    entry: Mapping[str, Any]
    outcome: str

    @property
    def share(self) -> tuple[str, str]:
        """What tells it from all others."""
        return self.project_id, str(self.entry["image_id"])

    @property
    def reason(self) -> str:
        """Why, with the cloud's error code or the condition that failed."""
        return self._reason(self.entry.get("failed_condition") or "")

    @property
    def kind(self) -> str:
        """The reason without what differs from share to share: the condition that failed, not the value it saw."""
        return self._reason((self.entry.get("failed_condition") or "").partition(":")[0])

    def _reason(self, condition: str) -> str:
        more = self.entry["error_code"] or condition
        return f"{self.entry['reason']} ({more})" if more else str(self.entry["reason"])

    @property
    def stands(self) -> str:
        """Of what drifted, how it stands and how the policy would have it."""
        would = _WOULD.get(self.entry["decision"] or "", "would be another")
        return f"{self.entry['member_status'] or 'gone'}, {would}: " if self.outcome == "drifted" else ""

    @property
    def story(self) -> str:
        """The reason, with what a person has to know before it."""
        return self.stands + self.reason

    @property
    def why(self) -> tuple[int, str, str, str, str]:
        """What shares of one group have in common."""
        place, entry = _ORDER.index(self.outcome), self.entry
        return place, self.stands, self.kind, entry["rule"] or NOTHING, entry["owner"] or NOTHING


def describe(share: Share, *, now: datetime | None) -> str:
    """Say in a few words what an image is: its system, size in GB, age in days, and whether it is a whole server."""
    age = (now - share.created_at).days if now and share.created_at else None
    system = share.os_version or share.platform or share.os_type
    parts = (
        system and system.removesuffix(" 64bit"),
        f"{share.min_disk} GB" if share.min_disk else None,
        None if age is None else f"{counted(age, 'day')} old",
        "full-ECS" if share.full_ecs else None,
    )
    return ", ".join(part for part in parts if part)


def lines(events: Iterable[CloudEvent], *, told: Collection[str] = ()) -> list[Line]:
    """Give the shares that events tell of: what needs somebody first, then what belongs together.

    Args:
        told: keys of what was told before, which is left out.
    """
    found = [
        Line(project_id=event.data["project_id"], entry=entry, outcome=_outcome(event, entry))
        for event in events
        for entry in event.data.get("images", ())
        if entry["key"] not in told
    ]
    return sorted(found, key=lambda line: (line.why, line.project_id, line.entry["image_id"]))


def rows(found: Sequence[Line], known: Known) -> list[tuple[str, ...]]:
    """Lay out shares, one row each, below a heading; columns that would tell nothing are left out."""
    columns = [
        (heading, *cells)
        for heading, *cells in zip(COLUMNS, *(_row(line, known) for line in found), strict=True)
        if not ((heading == "PROJECT" and len(set(cells)) == 1) or (heading == "WHAT" and not any(cells)))
    ]
    return list(zip(*columns, strict=True))


def show(found: Sequence[Line], known: Known, *, nothing: str) -> None:
    """Write the table, the totals and the commands to type next; `nothing` where there are none."""
    laid_out = [*table(rows(found, known)), ""] if found else []
    for line in (*laid_out, totals(found) or nothing, *next_steps(found, known)):
        say(line)


def next_steps(found: Sequence[Line], known: Known, *, width: int | None = None, is_cut: bool = False) -> Iterator[str]:
    """Write the commands to type next: for what is held, for what drifted or failed, and to see what is not shown.

    They bear the options of this one, so that they work on the same projects by the same policy.

    Args:
        width: of the screen, in columns.
        is_cut: not every share is shown.
    """
    drifted = still_drifted(found)
    held = [line for line in found if line.outcome in _HELD]
    anew = [line for line in drifted if line.entry["decision"] in _SETTLES]
    kept = [line for line in drifted if line.entry["decision"] == "hold" and line.entry["member_status"] == "accepted"]
    yield from _heading("to accept what is held:", _commands(held, known, width, settle="approve"))
    enforce = [f"doorman reconcile --enforce{known.chosen}{known.given}"] if anew else []
    yield from _heading("to settle it as the policy says today:", enforce)
    yield from _heading(
        "to reject what was accepted and would be held:", _commands(kept, known, width, settle="reject")
    )
    if any(line.outcome == "failed" for line in found) and not drifted:
        yield from _heading("to try again what failed:", [f"doorman run{known.chosen}{known.given}"])
    if is_cut:
        look = "reconcile" if drifted else "pending"
        why = [f"doorman explain --project PROJECT IMAGE{known.given}  # why, rule by rule"] if held else []
        yield from _heading("to see each share:", [f"doorman {look}{known.chosen}{known.given} | less -S", *why])


def still_drifted(found: Sequence[Line]) -> list[Line]:
    """Give what drifted and was not settled anew since."""
    settled = {line.share for line in found if line.outcome in _SETTLED}
    return [line for line in found if line.outcome == "drifted" and line.share not in settled]


def _heading(text: str, commands: Iterable[str]) -> Iterator[str]:
    indented = [f"  {command}" for command in commands]
    yield from ["", text, *indented] if indented else []


def _commands(some: Sequence[Line], known: Known, width: int | None, *, settle: str) -> Iterator[str]:
    """Write the commands for these shares: one a project, and one for all where there are many projects."""
    is_one_for_all = len({line.project_id for line in some}) > FEW

    def key(line: Line) -> tuple[str, bool]:
        return "PROJECT" if is_one_for_all else line.project_id, line.entry["reason"] in NEEDS_VAULT

    for (project_id, _), group in groupby(sorted(some, key=key), key):
        part = list(group)
        images = (line.entry["image_id"] for line in part)
        command = approve_command(*images, project_id=project_id, reason=part[0].entry["reason"], settle=settle)
        command += known.given
        command += f"  # {len(part)} shares" if len(part) > FEW else ""
        yield command.replace(" --", " \\\n    --", 1) if width and len(command) + 2 > width else command


def totals(found: Sequence[Line]) -> str:
    """Count the shares, and how they ended."""
    if not found:
        return ""
    shares = {line.share for line in found}
    outcomes = Counter(line.outcome for line in found)
    parts = [f"{count} {outcome}" for outcome, count in sorted(outcomes.items())]
    return f"{counted(len(shares), 'share')}: {', '.join(parts)}"


def decided_rows(event: CloudEvent, known: Known) -> list[str]:
    """Lay out what is about to be done, a line an image."""
    where = _into(event)
    return [
        visible(
            f"{entry['decision']}ing {entry['image_id']} ({entry['name'] or NOTHING}) of {known.owner(entry['owner'])}"
            f" for {known.project(event.data['project_id'])}{where}: {entry['rule'] or 'default'}, {entry['reason']}"
        )
        for entry in event.data["images"]
    ]


def decided_lines(event: CloudEvent, known: Known, *, width: int) -> list[str]:
    """Say on a screen what is about to be done; the beginnings of their IDs name the images."""
    images = [entry["image_id"].partition("-")[0] for entry in event.data["images"]]
    doing = f"{event.data['status'].removesuffix('ed')}ing {len(images)} for {known.call(event.data['project_id'])}"
    text = visible(f"{doing}{_into(event)}: {' '.join(images)}")
    return wrap(text, width, subsequent_indent="  ", break_on_hyphens=False)


def _into(event: CloudEvent) -> str:
    return f" into vault {event.data['vault_id']}" if event.data["vault_id"] else ""


def uses(events: Iterable[CloudEvent], known: Known) -> list[tuple[str, ...]]:
    """Lay out the servers that were found, below a heading."""
    cells = sorted(
        (
            known.project(event.data["project_id"]),
            entry["server_id"],
            *(entry[key] or NOTHING for key in ("name", "image_id", "image_name")),
            known.owner(entry["owner"]),
            *(entry[key] or NOTHING for key in ("member_status", "reason")),
        )
        for event in events
        for entry in event.data.get("servers", ())
    )
    heading = ("PROJECT", "SERVER", "NAME", "IMAGE", "NAME OF IMAGE", "OWNER", "STANDS", "REASON")
    return [heading, *cells] if cells else []


def _outcome(event: CloudEvent, entry: Mapping[str, Any]) -> str:
    """Give the word for how a share ended; of what was only decided, how it would have ended."""
    kind = event.type.split(".")[-2]
    if kind != "audited":
        return kind
    return _WOULD["hold" if entry["reason"] in NEEDS_VAULT else entry["decision"]]


def _row(line: Line, known: Known) -> tuple[str, ...]:
    entry = line.entry
    stands = f" ({entry['member_status'] or 'gone'})" if line.outcome == "drifted" else ""
    return (
        known.project(line.project_id),
        entry["image_id"],
        entry["name"] or NOTHING,
        known.owner(entry["owner"]),
        known.what(entry["image_id"]),
        entry["decision"] or NOTHING,
        entry["rule"] or NOTHING,
        line.reason,
        line.outcome + stands,
    )
