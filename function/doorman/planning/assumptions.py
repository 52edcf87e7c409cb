"""Judges what the clouds' documentation leaves open, by the answers of one: see the assumptions in docs/clouds.md.

Pure: `handlers.doctor_rights` asks the cloud, and hands in the answers.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from http import HTTPStatus
from typing import Any, Final

from doorman.cloud.api.base import Answer, Page, Request, read_error_code
from doorman.cloud.api.images import read_row
from doorman.models import MemberRow, MemberStatus, Share
from doorman.parsing import counted
from doorman.planning.diagnosis import Verdict, mend, note, ok, unknown

UNKNOWN_JOB: Final = "0" * 32
"""The ID of a job that no cloud has."""

NO_SHARES: Final = unknown(
    "cannot be told: no share is here to look at", "share one image with this project, and look again"
)
REPORT: Final = "run in audit mode (DOORMAN_MODE=audit), and send us what `--record` writes"

_NOT_FACTS: Final = {"image_id", "project_id", "member_status", "shared_at", "settled_at", "full_ecs"}
_GATEWAY: Final = "APIGW.0101"


@dataclass(frozen=True, slots=True)
class Listed:
    """The first page of a list, by image ID: `rows` of others' images, and what follows; `asked` is the request."""

    asked: Request
    page: Page
    has_next: bool
    own: str

    @property
    def rows(self) -> Mapping[str, Mapping[str, Any]]:
        """The rows of others' images: our own appear under any status."""
        return {image: row for image, row in self.page.rows.items() if row.get("owner") != self.own}


Lists = Mapping[MemberStatus, Listed]


def judge_member_status(lists: Lists) -> Verdict:
    """Say whether the lists differ by `member_status`: an image has one status only."""
    rows = [image for listed in lists.values() for image in listed.rows]
    if doubles := {image for image, times in Counter(rows).items() if times > 1}:
        return mend(f"the filter is ignored: {counted(len(doubles), 'image')} under several statuses", REPORT)
    return ok(f"filters: {count_rows(lists)}") if rows else NO_SHARES


def count_rows(lists: Lists) -> str:
    """Say how many shares each list shows."""
    return ", ".join(f"{len(listed.rows)} {status}" for status, listed in lists.items())


def judge_limit(full: Listed, first: Page) -> Verdict:
    """Say whether `limit` is honoured: `first` is the first page of the list `full`, asked for with limit 1."""
    if len(first.rows) > 1:
        text = f"ignored: {len(first.rows)} images on a page of one"
        return mend(text, f"lists may end early, and large ones cannot be read; {REPORT}")
    if len(full.page.rows) > 1:
        return ok("honoured: one image on a page of one")
    return unknown("cannot be told: no list has two images", "share two images, and look again")


def judge_next(first: Listed, second: Page | None) -> Verdict:
    """Say whether a walk goes on: `second` is the page after `first`; None where none was to be asked for."""
    how = "by `next`" if first.has_next else "by the last ID"
    if second is None or not second.rows or len(first.page.rows) != 1:
        return unknown("cannot be told: no list has a second page")
    if first.page.rows.keys() & second.rows.keys():
        return mend(f"a page {how} repeats the one before: longer lists cannot be read", REPORT)
    return ok(f"pages follow one another {how}")


def judge_hidden(shown: Listed, hidden: Page | Exception, *, asks: bool) -> Verdict:
    """Say whether the list knows `os_hidden`.

    Args:
        asks: whether this image service's walk asks for hidden images.
    """
    if isinstance(hidden, Exception):
        return (note if asks else ok)(f"not known here: {hidden}")
    if shown.page.rows and shown.page.rows.keys() <= hidden.rows.keys():
        return ok("ignored: hidden images are in no list of their own")
    if not shown.page.rows and not hidden.rows:
        return NO_SHARES
    text = f"{counted(len(hidden.rows), 'hidden image')} listed apart"
    if asks or not hidden.rows:
        return ok(f"filters: {text}")
    return note(f"{text}, which Doorman does not ask this service for", f"their owners may show them again; {REPORT}")


def judge_whole(full: Listed, true: Page | Exception, false: Page | Exception) -> Verdict:
    """Say whether `__whole_image` filters: `true` and `false` are the list `full` with either value."""
    rows = full.page.rows
    if isinstance(true, Exception):
        return mend(f"refused: {true}", f"images of whole servers are not told apart; {REPORT}")
    if not rows:
        return NO_SHARES
    if isinstance(false, Page) and true.rows.keys() == false.rows.keys() == rows.keys():
        fix = f"every image seems to be of a whole server, and is held without a vault; {REPORT}"
        return mend("the filter is ignored", fix)
    told = sum("__whole_image" in row for row in rows.values())
    return ok(f"filters: {len(true.rows)} of {len(rows)}; {told} rows tell it themselves")


def judge_member_row(row: MemberRow | None) -> Verdict:
    """Say what our own member row tells of times."""
    if row is None:
        return mend("a share that the list shows has no row for us", f"outcomes cannot be told; {REPORT}")
    times = {"created_at": row.created_at, "updated_at": row.updated_at}
    if missing := [name for name, time in times.items() if time is None]:
        fix = "what was settled since an event cannot be told from what was settled before it"
        return note(f"status {row.status}, but no {' and no '.join(missing)}", fix)
    return ok(f"tells created_at and updated_at, status {row.status}")


def judge_facts(rows: Collection[Mapping[str, Any]], *, project_id: str) -> Verdict:
    """Say which facts the rows carry: a condition on one that is never told holds every share."""
    if not rows:
        return NO_SHARES
    shares = [read_row(row, project_id=project_id, status=None).complete(None) for row in rows]
    names = [each.name for each in fields(Share) if each.name not in _NOT_FACTS]
    known = {name: sum(getattr(share, name) is not None for share in shares) for name in names}
    never = ", ".join(name for name in names if not known[name])
    some = ", ".join(f"{name} {known[name]}" for name in names if 0 < known[name] < len(shares))
    text = counted(len(shares), "row") + (f"; never: {never}" if never else "")
    text += f"; not always: {some}" if some else ""
    return mend(text, f"without an owner no rule can accept; {REPORT}") if known["owner"] < len(shares) else ok(text)


def judge_jobs(classic: Answer, newer: Answer) -> Verdict:
    """Judge how the classic and the newer job query answer for a job that nobody has."""
    if not _has_endpoint(classic):
        if not _has_endpoint(newer):
            text = f"both queries are missing ({classic.status}, {newer.status})"
            return mend(text, f"jobs cannot be followed; {REPORT}")
        text = "the classic query is missing: the newer one does not list a job's images"
        return note(text, "outcomes are read back from the lists instead; nothing to do")
    if _has_endpoint(newer):
        return ok("both queries are there, and do not know a job that nobody has")
    return ok("the classic query is there, the newer one is not: one is enough")


def _has_endpoint(answer: Answer) -> bool:
    """Say whether an endpoint is there: one that is not gets a 404 without a code of the image service."""
    code = read_error_code(answer.body)
    return code != _GATEWAY and (answer.status != HTTPStatus.NOT_FOUND or code is not None)
