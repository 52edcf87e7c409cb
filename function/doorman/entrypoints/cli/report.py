"""`doorman report`: what archived events say, as a page, a table, or the story of one image; asks no cloud."""

import csv
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from pydantic_core import to_json

from doorman.entrypoints.cli.output import complain, open_text, read_text, say, table
from doorman.entrypoints.cli.report_page import write_page
from doorman.entrypoints.cli.tables import Known
from doorman.errors import Misconfigured, Rejected
from doorman.events.cloudevents import to_structured
from doorman.events.report import UNTOLD, Archive, Moment, Story, count
from doorman.models import CloudEvent, is_image_id
from doorman.parsing import counted, visible
from doorman.policy.policy import load_file

COLUMNS = ("project", "image", "name", "owner", "outcome", "rule", "reason", "at", "policy", "person")


def configure(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="events: `run --json`, `kcat -J`, log lines; - is stdin"
    )
    parser.add_argument("--html", metavar="OUT", help="write one page with pictures, which needs nothing else")
    parser.add_argument("--policy", metavar="FILE", help="with --html: the policy whose groups name the owners")
    parser.add_argument("--image", metavar="ID", help="tell the story of this image; 1 where there is none")
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--csv", action="store_true", help="a row a share")
    forms.add_argument("--markdown", action="store_true", help="the counts, for a ticket or a wiki")


def run(arguments: Namespace) -> int:
    """Read the archive, and tell what it says in the form that was asked for.

    Raises:
        Misconfigured: an argument is wrong.
        Rejected: something stands in the files, and none of it is Doorman's, no line of its log either.
    """
    if arguments.image and not is_image_id(arguments.image):
        raise Misconfigured(f"--image: {arguments.image[:80]!r} is no image ID (a UUID)")
    archive = _read_archive(arguments.files)
    stories = archive.finish()
    if archive.strange and not archive.is_ours:
        raise Rejected(f"{', '.join(arguments.files)}: no line is Doorman's, such as `run --json` writes")
    if archive.strange:
        complain(f"passed over, as none of Doorman's: {counted(archive.strange, 'line')}")
    if arguments.html:
        policy = arguments.policy and load_file(read_text(arguments.policy), file=arguments.policy)[0]
        write_page(stories, arguments.html, Known(names=policy.names if policy else {}).owner)
    if arguments.image:
        return _tell_image([story for story in stories if story.image_id == arguments.image.lower()])
    if arguments.csv:
        _write_csv(stories)
    elif arguments.markdown or not arguments.html:
        _tell_counts(stories, is_markdown=arguments.markdown)
    return 0


def read_events(events: Sequence[CloudEvent]) -> Sequence[Story]:
    """Read the events of one run."""
    archive = Archive()
    archive.read(to_json(to_structured(event)).decode() for event in events)
    return archive.finish()


def _read_archive(files: Sequence[str]) -> Archive:
    archive = Archive()
    for file in files:
        try:
            with open_text(file) as lines:
                archive.read(lines)
        except OSError as error:
            raise Misconfigured(f"{file}: cannot be read: {error.strerror}") from error
    return archive


def _tell_image(stories: Sequence[Story]) -> int:
    for story in stories:
        say(f"image {story.image_id} in project {story.project_id}: {story.outcome}", style="bold")
        for moment in story.moments:
            say(f"  {moment.at or 'at an unknown time'}  {_describe(moment)}")
        if story.outcome == UNTOLD:
            say("  nothing in these files says what became of it: ask the cloud (doorman explain --project)")
    if not stories:
        say("nothing in these files tells of this image")
    return 0 if stories else 1


def _describe(moment: Moment) -> str:
    what = f"decided to {moment.decision}" if moment.kind == "decided" else moment.kind
    parts = (
        f"{what}: {moment.reason}",
        f"rule {moment.rule}" if moment.rule else "no rule",
        f"owner {moment.owner or 'unknown'}",
        f"by {moment.by}" if moment.by else "",
        f"facts: {moment.facts}" if moment.facts else "",
        f"policy {moment.digest}" if moment.digest else "",
    )
    return "; ".join(part for part in parts if part)


def _write_csv(stories: Sequence[Story]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_guard(cell) for cell in _row(story)] for story in stories)


def _guard(cell: str) -> str:
    """Keep a spreadsheet from taking a sharer's words for a formula.

    See https://owasp.org/www-community/attacks/CSV_Injection
    """
    shown = visible(cell)
    return f"'{shown}" if shown[:1] in {"=", "+", "-", "@"} else shown


def _row(story: Story) -> tuple[str, ...]:
    last = story.last
    return (
        *(story.project_id, story.image_id, last.name, last.owner, story.outcome, last.rule, last.reason, last.at),
        *(last.digest, last.by),
    )


def _tell_counts(stories: Sequence[Story], *, is_markdown: bool) -> None:
    say(counted(len(stories), "share") + ("" if stories else ": no event in these files tells of one"))
    for name, counts in count(stories).items() if stories else ():
        say()
        cells = [(name.upper(), "SHARES"), *((each or "-", str(number)) for each, number in counts)]
        if is_markdown:
            rows = [f"| {visible(each).replace('|', chr(92) + '|')} | {number} |" for each, number in cells]
            rows.insert(1, "|---|---|")
        else:
            rows = table(cells)
        for row in rows:
            say(row)
