"""`doorman report`: what an archive says, in agreement with what was told, in every form and for every reader."""

import csv
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from doorman.entrypoints.cli.main import main
from doorman.sandbox.state import Cloud
from tests.builders import image_id
from tests.chain import BAD, GOLDEN, POLICY, STRANGER
from tests.entrypoints.cli.command import Command

WHY = "allowed_owner; rule golden; owner golden-owner"
EVIL = "<script>alert(1)</script>\u202e"


def entry(number: int, **fields: Any) -> dict[str, Any]:
    """Make one image's entry."""
    return {"image_id": image_id(number), "owner": GOLDEN, "reason": "allowed_owner", "decision": "accept", **fields}


def event(kind: str, at: str, *entries: dict[str, Any], event_id: str = "", **data: Any) -> dict[str, Any]:
    """Make one event as `run --json` writes it."""
    prefix = "shares" if kind == "pending" else "share"
    return {
        "specversion": "1.0",
        "id": event_id or f"{kind}-{at}",
        "type": f"dev.doorman.{prefix}.{kind}.v1",
        "time": f"2026-01-{at}:00Z",
        "data": {"project_id": "receiver", "policy_digest": "abc", "images": entries, **data},
    }


STORIES: Sequence[dict[str, Any]] = (
    event("accepted", "02T10:01", entry(1, rule="golden")),
    event("decided", "02T10:00", entry(1, rule="golden", facts={"owner": GOLDEN})),
    event("failed", "02T10:02", entry(1, reason="still_pending")),
    event("decided", "03T09:59", entry(1, rule="golden")),
    event("skipped", "03T10:00", entry(1, reason="already_settled")),
    event("audited", "03T10:00", entry(1, reason="rejected_by_rule", decision="reject")),
    event("decided", "02T10:00", entry(2), event_id="lost"),
    event("pending", "02T10:05", entry(3, reason="owner_not_allowed", name=EVIL)),
    event("pending", "03T10:05", entry(3, reason="owner_not_allowed", name=EVIL)),
    event("failed", "03T10:06", entry(4, reason="job_failed", error_code="IMG.0046", name="=1+1")),
    event("rejected", "03T10:07", entry(5, reason="decided_by_person"), actor="ann", reason="ticket 4711"),
)
TAKEN = {1: "accepted", 2: "untold", 3: "held", 4: "failed", 5: "rejected"}


@pytest.fixture
def archive(tmp_path: Path) -> str:
    """A file of events, one of them twice, among lines of others."""
    path = tmp_path / "archive.json"
    lines = [
        json.dumps(each) for each in (*STORIES, STORIES[0], {"type": "dev.doorman.job.check.v1", "id": "1", "data": 0})
    ]
    path.write_text("\n".join([*lines, "", "no json", "[" * 10**5, "5", '{"event": "event.handled"}', ""]))
    return str(path)


def test_the_counts(archive: str, command: Command) -> None:
    """How each share stands is what was told of it last; a decision of which nothing came is said."""
    told = command("report", archive)
    lines = told.out.splitlines()
    assert lines[:3] == ["5 shares", "", "OUTCOME   SHARES"]
    assert sorted(lines[3:8]) == [f"{kind:8}  1" for kind in sorted(TAKEN.values())]
    assert told.err == "doorman: passed over, as none of Doorman's: 4 lines\n"
    assert "| job_failed (IMG.0046) | 1 |" in command("report", archive, "--markdown").out.splitlines()


def test_what_differs_from_share_to_share_is_not_counted(tmp_path: Path, command: Command) -> None:
    """Shares that are too old, each by its own age, have one reason."""
    path = tmp_path / "archive.json"
    old = [
        entry(age, reason="image_not_allowed", failed_condition=f"age_days: at most 90, is {age}")
        for age in range(91, 99)
    ]
    path.write_text(json.dumps(event("held", "02T10:00", *old)))
    assert "| image_not_allowed (age_days) | 8 |" in command("report", str(path), "--markdown").out.splitlines()


def test_the_story_of_one_image(archive: str, command: Command) -> None:
    """Who let it in, when, by which rule, on which facts, with which policy."""
    assert command("report", archive, "--image", image_id(1).upper()).out.splitlines()[:3] == [
        f"image {image_id(1)} in project receiver: accepted",
        f"  2026-01-02T10:00:00Z  decided to accept: {WHY}; facts: owner: golden-owner; policy abc",
        f"  2026-01-02T10:01:00Z  accepted: {WHY}; policy abc",
    ]
    assert "by ann: ticket 4711" in command("report", archive, "--image", image_id(5)).out
    assert "nothing in these files says what became of it" in command("report", archive, "--image", image_id(2)).out
    assert (
        "nothing in these files tells of this image" in command("report", archive, "--image", image_id(9), code=1).out
    )


def test_a_row_a_share(archive: str, command: Command) -> None:
    """A spreadsheet takes no sharer's words for a formula."""
    rows = list(csv.DictReader(io.StringIO(command("report", archive, "--csv").out)))
    assert {row["image"]: row["outcome"] for row in rows} == {image_id(key): outcome for key, outcome in TAKEN.items()}
    assert {row["name"] for row in rows} == {"", "'=1+1", "<script>alert(1)</script>\\u202e"}


def test_every_form_of_archive_tells_the_same(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`kcat -J` in binary and structured mode, and log lines from stdin; also as Windows writes them."""
    decided, accepted = STORIES[1], STORIES[0]
    headers = ["ce_specversion", "1.0", "ce_id", "7", "ce_type", accepted["type"], "ce_time", accepted["time"]]
    kafka = [
        {"topic": "t", "headers": ["content-type", "application/json"], "payload": json.dumps(decided)},
        {"topic": "t", "headers": headers, "payload": json.dumps(accepted["data"])},
    ]
    log = [
        {"event": "share.decided", "event_id": "8", "timestamp": decided["time"], "data": decided["data"]},
        {
            "event": "outcome",
            "timestamp": accepted["time"],
            "project_id": "receiver",
            "outcome": "accepted",
            **entry(1, rule="golden"),
        },
    ]
    stories = []
    whole = [{**decided, "event": "an extension"}, accepted]
    for lines, encoding in ((whole, "utf-8-sig"), (kafka, "utf-16"), (log, "utf-8")):
        piped = io.BytesIO("\r\n".join(map(json.dumps, lines)).encode(encoding))
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(piped)))
        stories.append(command("report", "-", "--image", image_id(1)).out.replace("; policy abc", ""))
    assert stories[0] == stories[1] == stories[2]


def test_the_page_needs_nothing_else(archive: str, tmp_path: Path) -> None:
    """No script, no address that is loaded, foreign words escaped; what needs somebody stands there."""
    page = tmp_path / "report.html"
    assert main(["report", archive, "--html", str(page)]) == 0
    text = page.read_text()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e" in text
    assert [word for word in ("http://", "https://", "src=", "@import", "url(") if word in text] == []
    assert "What needs somebody (3)" in text
    assert all(image_id(number) in text for number in TAKEN)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no browser here")
def test_a_browser_shows_it(archive: str, tmp_path: Path) -> None:
    """From a file, without an error on its console, light and dark as the reader's screen is, and on paper."""
    page = tmp_path / "report.html"
    assert main(["report", archive, "--html", str(page)]) == 0

    def browse(*words: str) -> subprocess.CompletedProcess[str]:
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", *words]
        done = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120, check=True)
        assert "CONSOLE" not in done.stderr
        return done

    assert "What became of 5 shares" in browse("--dump-dom").stdout
    for scheme, colour in (("1", b"\xff\xff\xff"), ("0", b"\x0d\x11\x17")):
        browse(f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={tmp_path}/{scheme}.png")
        assert first_pixel(tmp_path / f"{scheme}.png") == colour
    browse(f"--print-to-pdf={tmp_path}/report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


def first_pixel(image: Path) -> bytes:
    """Read the colour of a PNG's upper left corner, which no filter of the format changes."""
    return zlib.decompressobj().decompress(image.read_bytes().partition(b"IDAT")[2], 4)[1:]


def test_a_run_writes_it_in_one_go(cloud: Cloud, tmp_path: Path) -> None:
    """The page agrees with the cloud."""
    images = [cloud.add_share(owner, "receiver") for owner in (GOLDEN, BAD, STRANGER)]
    page = tmp_path / "report.html"
    assert main(["run", "--report", str(page)]) == 0
    text = page.read_text()
    assert "What became of 3 shares" in text
    assert all(image in text for image in images)
    assert f"doorman approve {images[2]} --project receiver --reason TEXT" in text
    events = tmp_path / "events.json"
    events.write_text(json.dumps(event("held", "02T10:00", entry(1))))
    (tmp_path / "groups.yaml").write_text(POLICY + f"groups: {{factory: [{GOLDEN}]}}\n")
    assert main(["report", str(events), "--html", str(page), "--policy", str(tmp_path / "groups.yaml")]) == 0
    assert f"owner factory ({GOLDEN})" in page.read_text()
    assert text.count(">decided to accept<") == text.count(">decided to reject<") == 1


def test_a_run_that_cannot_write_it_settles_nothing(cloud: Cloud, tmp_path: Path, command: Command) -> None:
    """It is found out first; so is what `--state` cannot write. A page that is there survives a run that fails."""
    image = cloud.add_share(GOLDEN, "receiver")
    nowhere = tmp_path / "no" / "file"
    found = command("run", "--report", str(nowhere), code=2)
    assert found == ("", f"doorman: {nowhere}: cannot be written: No such file or directory\n")
    told = command("run", "--state", str(nowhere), code=2)
    assert told == ("", f"doorman: --state: {nowhere} cannot be written: No such file or directory\n")
    page = tmp_path / "page.html"
    page.write_text("yesterday's")
    assert main(["run", "--report", str(page), "--policy", str(nowhere)]) == 2
    assert (page.read_text(), cloud.member_status(image, "receiver"), cloud.writes) == ("yesterday's", "pending", [])


def test_a_single_day_is_no_course(archive: str, tmp_path: Path) -> None:
    """Two days are drawn, one is not: a lone bar says nothing that the numbers do not."""
    (tmp_path / "day.json").write_text(json.dumps(event("held", "02T10:00", entry(1))))
    page, drawn = tmp_path / "page.html", []
    for file in (archive, str(tmp_path / "day.json")):
        assert main(["report", file, "--html", str(page)]) == 0
        drawn.append(("Over time" in page.read_text(), "<svg" in page.read_text()))
    assert drawn == [(True, True), (False, False)]


def test_what_is_missing_is_said(
    archive: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The function's image has no jinja2; files may be missing; folders as well."""
    assert main(["report", str(tmp_path / "nowhere.json")]) == 2
    assert "nowhere.json: cannot be read: No such file" in capsys.readouterr().err
    assert main(["report", archive, "--html", str(tmp_path / "no" / "page.html")]) == 2
    assert "cannot be written: No such file" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert main(["report", archive, "--html", str(tmp_path / "page.html")]) == 2
    assert "the page needs jinja2" in capsys.readouterr().err
    assert main(["run", "--report", "page.html"]) == 2  # before it asks any cloud
    assert "the page needs jinja2" in capsys.readouterr().err
    assert main(["report", archive]) == 0


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        ((), 1, "strange: no line is Doorman's, such as `run --json` writes"),
        (("--image", "foo"), 2, "--image: 'foo' is no image ID (a UUID)"),
    ],
)
def test_what_cannot_be_told(words: tuple[str, ...], code: int, line: str, tmp_path: Path, command: Command) -> None:
    """Files of others, and an image that is none, make no empty tables."""
    file = tmp_path / "strange"
    file.write_text('{"a": 1}\n')
    assert command("report", str(file), *words, code=code) == ("", f"doorman: {line.replace('strange', str(file))}\n")


@pytest.mark.parametrize(
    "line", ["", '{"event": "event.handled", "level": "info", "timestamp": "2026-01-02T10:00:00Z"}']
)
def test_nothing_is_a_report_too(line: str, tmp_path: Path, command: Command) -> None:
    """A quiet week is no fault: an empty archive, and a log without an event, say so, and make an empty page."""
    file, page = tmp_path / "quiet", tmp_path / "report.html"
    file.write_text(line)
    assert command("report", str(file)) == ("0 shares: no event in these files tells of one\n", "")
    assert main(["report", str(file), "--html", str(page)]) == 0
    assert "What became of 0 shares" in page.read_text()


def test_a_page_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archive: str) -> None:
    """The latest stories stand on it, and how to read the others."""
    monkeypatch.setattr("doorman.entrypoints.cli.report_page.MOST", 1)
    page = tmp_path / "report.html"
    assert main(["report", archive, "--html", str(page)]) == 0
    assert "The latest 1; of the others" in page.read_text()


def test_the_five_usual_questions_are_answered(archive: str, tmp_path: Path, command: Command) -> None:
    """The commands of docs/evidence.md, on an archive of ours."""
    page = (Path(__file__).parents[3] / "docs" / "evidence.md").read_text("utf-8")
    (block,) = re.findall(r"(?ms)^```sh\n(.*?)^```", page)
    (image,) = re.findall(r"--image (\S+)", block)
    ours = {"archive.jsonl": archive, image: image_id(1), "quarter.html": str(tmp_path / "quarter.html")}
    told = []
    for line in block.splitlines():
        words = shlex.split(re.split(r" [#|>] ?", line)[0])
        told.append(command(*[ours.get(word, word) for word in words[1:]]).out)
    assert f"image {image_id(1)} in project receiver: accepted" in told[0]
    assert told[1].startswith("5 shares\n\n| OUTCOME | SHARES |\n")
    assert [row["person"] for row in csv.DictReader(io.StringIO(told[2])) if row["person"]] == ["ann: ticket 4711"]
    (pattern,) = re.findall("grep -E '(.*?)'", block)
    found = [re.findall(pattern, row) for row in told[3].splitlines()]
    assert sorted(each for (each,) in filter(None, found)) == ["failed", "held", "untold"]
    assert "receiver" in (tmp_path / "quarter.html").read_text("utf-8")
