"""Judges what the clouds' documentation leaves open, by the answers of one: see the assumptions in docs/clouds.md.

Pure: `handlers.doctor` asks what is built here, and hands in the answers.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from doorman.cloud.api.base import Answer, Page, Request, read_error_code
from doorman.cloud.api.images import read_row
from doorman.models import MemberRow, MemberStatus, Share
from doorman.parsing import counted
from doorman.planning.diagnosis import Chart, Check, Mark

UNKNOWN_JOB: Final = "0" * 32
"""The ID of a job that no cloud has."""

NO_SHARES: Final = "cannot be told: no share is here to look at"
SHARE_ONE: Final = "share one image with this project, and look again"
REPORT: Final = "run in audit mode (DOORMAN_MODE=audit), and send us what `--record` writes"

_NOT_FACTS: Final = {"image_id", "project_id", "member_status", "shared_at", "settled_at", "full_ecs"}
_GATEWAY: Final = "APIGW.0101"
_NOT_FOUND: Final = 404


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


def find_fullest(lists: Lists) -> Listed:
    """Give the list with the most rows: it tells the most."""
    return max(lists.values(), key=lambda listed: len(listed.page.rows))


def judge_member_status(chart: Chart, lists: Lists) -> None:
    """Say whether the lists differ by `member_status`: an image has one status only."""
    rows = {status: set(listed.rows) for status, listed in lists.items()}
    text = ", ".join(f"{len(images)} {status}" for status, images in rows.items())
    doubles = {
        image for status, images in rows.items() for other in rows if other != status for image in images & rows[other]
    }
    if doubles:
        text = f"the filter is ignored: {counted(len(doubles), 'image')} under several statuses"
        chart.add(Check.MEMBER_STATUS, Mark.MEND, text, REPORT)
    elif any(rows.values()):
        chart.add(Check.MEMBER_STATUS, Mark.OK, f"filters: {text}")
    else:
        chart.add(Check.MEMBER_STATUS, Mark.UNKNOWN, NO_SHARES, SHARE_ONE)


def judge_limit(chart: Chart, full: Listed, first: Page) -> None:
    """Say whether `limit` is honoured: `first` is the first page of the list `full`, asked for with limit 1."""
    if len(first.rows) > 1:
        text = f"ignored: {len(first.rows)} images on a page of one"
        chart.add(Check.LIMIT, Mark.MEND, text, f"lists may end early, and large ones cannot be read; {REPORT}")
    elif len(full.page.rows) > 1:
        chart.add(Check.LIMIT, Mark.OK, "honoured: one image on a page of one")
    else:
        chart.add(
            Check.LIMIT, Mark.UNKNOWN, "cannot be told: no list has two images", "share two images, and look again"
        )


def judge_next(chart: Chart, first: Listed, second: Page | None) -> None:
    """Say whether a walk goes on: `second` is the page after `first`; None where none was to be asked for."""
    how = "by `next`" if first.has_next else "by the last ID"
    if second is None or not second.rows or len(first.page.rows) != 1:
        chart.add(Check.NEXT, Mark.UNKNOWN, "cannot be told: no list has a second page")
    elif first.page.rows.keys() & second.rows.keys():
        chart.add(Check.NEXT, Mark.MEND, f"a page {how} repeats the one before: longer lists cannot be read", REPORT)
    else:
        chart.add(Check.NEXT, Mark.OK, f"pages follow one another {how}")


def judge_hidden(chart: Chart, shown: Listed, hidden: Page | Exception, *, asks: bool) -> None:
    """Say whether the list knows `os_hidden`.

    Args:
        asks: whether this image service's walk asks for hidden images.
    """
    if isinstance(hidden, Exception):
        chart.add(Check.HIDDEN, Mark.NOTE if asks else Mark.OK, f"not known here: {hidden}")
    elif shown.page.rows and shown.page.rows.keys() <= hidden.rows.keys():
        chart.add(Check.HIDDEN, Mark.OK, "ignored: hidden images are in no list of their own")
    elif not shown.page.rows and not hidden.rows:
        chart.add(Check.HIDDEN, Mark.UNKNOWN, NO_SHARES, SHARE_ONE)
    elif asks or not hidden.rows:
        chart.add(Check.HIDDEN, Mark.OK, f"filters: {counted(len(hidden.rows), 'hidden image')} listed apart")
    else:
        text = f"{counted(len(hidden.rows), 'hidden image')} listed apart, which Doorman does not ask this service for"
        chart.add(Check.HIDDEN, Mark.NOTE, text, "their owners may show them again; " + REPORT)


def judge_whole(chart: Chart, all_: Listed, true: Page | Exception, false: Page | Exception) -> None:
    """Say whether `__whole_image` filters: `true` and `false` are the list `all_` with either value."""
    told = sum("__whole_image" in row for row in all_.page.rows.values())
    if isinstance(true, Exception):
        chart.add(Check.WHOLE, Mark.MEND, f"refused: {true}", f"images of whole servers are not told apart; {REPORT}")
    elif not all_.page.rows:
        chart.add(Check.WHOLE, Mark.UNKNOWN, NO_SHARES, SHARE_ONE)
    elif isinstance(false, Page) and true.rows.keys() == false.rows.keys() == all_.page.rows.keys():
        fix = f"every image seems to be of a whole server, and is held without a vault; {REPORT}"
        chart.add(Check.WHOLE, Mark.MEND, "the filter is ignored", fix)
    else:
        chart.add(
            Check.WHOLE, Mark.OK, f"filters: {len(true.rows)} of {len(all_.page.rows)}; {told} rows tell it themselves"
        )


def judge_member_row(chart: Chart, row: MemberRow | None) -> None:
    """Say what our own member row tells of times."""
    if row is None:
        text = "a share that the list shows has no row for us"
        chart.add(Check.MEMBER_ROW, Mark.MEND, text, f"outcomes cannot be told; {REPORT}")
        return
    times = {"created_at": row.created_at, "updated_at": row.updated_at}
    missing = [name for name, time in times.items() if time is None]
    if missing:
        text = f"status {row.status}, but no {' and no '.join(missing)}"
        fix = "what was settled since an event cannot be told from what was settled before it"
        chart.add(Check.MEMBER_ROW, Mark.NOTE, text, fix)
    else:
        chart.add(Check.MEMBER_ROW, Mark.OK, f"tells created_at and updated_at, status {row.status}")


def judge_facts(chart: Chart, rows: Collection[Mapping[str, Any]], *, project_id: str) -> None:
    """Say which facts the rows carry: a condition on one that is never told holds every share."""
    if not rows:
        chart.add(Check.FACTS, Mark.UNKNOWN, NO_SHARES, SHARE_ONE)
        return
    shares = [read_row(row, project_id=project_id, status=None).complete(None) for row in rows]
    names = [each.name for each in fields(Share) if each.name not in _NOT_FACTS]
    known = {name: sum(getattr(share, name) is not None for share in shares) for name in names}
    never = [name for name in names if not known[name]]
    some = [f"{name} {known[name]}" for name in names if 0 < known[name] < len(shares)]
    parts = [
        counted(len(shares), "row"),
        *([f"never: {', '.join(never)}"] if never else []),
        *([f"not always: {', '.join(some)}"] if some else []),
    ]
    if known["owner"] < len(shares):
        chart.add(Check.FACTS, Mark.MEND, "; ".join(parts), f"without an owner no rule can accept; {REPORT}")
    else:
        chart.add(Check.FACTS, Mark.OK, "; ".join(parts))


def judge_jobs(chart: Chart, answers: Sequence[Answer]) -> None:
    """Judge how the classic and the newer job query answer for a job that nobody has."""
    there = [_has_endpoint(answer) for answer in answers]
    classic, newer = there
    if classic and newer:
        chart.add(Check.JOBS, Mark.OK, "both queries are there, and do not know a job that nobody has")
    elif classic:
        chart.add(Check.JOBS, Mark.OK, "the classic query is there, the newer one is not: one is enough")
    elif newer:
        text = "the classic query is missing: the newer one does not list a job's images"
        chart.add(Check.JOBS, Mark.NOTE, text, "outcomes are read back from the lists instead; nothing to do")
    else:
        text = f"both queries are missing ({', '.join(str(answer.status) for answer in answers)})"
        chart.add(Check.JOBS, Mark.MEND, text, f"jobs cannot be followed; {REPORT}")


def _has_endpoint(answer: Answer) -> bool:
    """Say whether an endpoint is there: one that is not gets a 404 without a code of the image service."""
    code = read_error_code(answer.body)
    return code != _GATEWAY and (answer.status != _NOT_FOUND or code is not None)
