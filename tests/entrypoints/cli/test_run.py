"""`doorman run` and `doorman pending` against the sandbox, from the command line to the exit code."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any, TextIO, cast

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from doorman.entrypoints.cli.answer_sink import AnswerSink
from doorman.entrypoints.cli.main import main
from doorman.entrypoints.cli.output import LossyStream, SturdyStream, say
from doorman.entrypoints.cli.progress import say_left, supervise
from doorman.entrypoints.cli.tables import Known
from doorman.errors import Unavailable
from doorman.events.messages import EventType
from doorman.handlers.project_run import ProjectRun, Trouble
from doorman.handlers.run import Report, Run
from doorman.models import CloudEvent
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud
from tests.builders import RecordingSink
from tests.chain import BAD, GOLDEN, STRANGER, Chain
from tests.entrypoints.cli.command import Command
from tests.entrypoints.cli.test_main import ROOT, START
from tests.terminal import Screen

STRANGE = f"owner_not_allowed (owners: no rule that accepts names {STRANGER} for project receiver)"
WHAT = ["Ubuntu", "22.04", "server,", "40", "GB,", "0", "days", "old"]


def share_three(cloud: Cloud) -> tuple[str, str, str]:
    """Share one image that is accepted, one that is rejected and one that is held."""
    return tuple(  # type: ignore[return-value]  # three of them
        cloud.add_share(owner, "receiver", name=name, image_id=f"0000000{number}-0000-4000-8000-000000000000")
        for number, (owner, name) in enumerate([(GOLDEN, "golden"), (BAD, "bad"), (STRANGER, "strange\x1b[2J")])
    )


def test_a_run_shows_every_share_and_the_totals(cloud: Cloud, command: Command) -> None:
    """Decisions stand before their calls; then one row a share, nothing truncated; held ones do not make it fail."""
    golden, banned, stranger = share_three(cloud)
    told = command("run")
    lines = told.out.splitlines()
    assert sorted(lines[:2]) == [
        f"accepting {golden} (golden) of {GOLDEN} for receiver: golden-images, allowed_owner",
        f"rejecting {banned} (bad) of {BAD} for receiver: known-bad, rejected_by_rule",
    ]
    assert [line.split() for line in lines[2:6]] == [
        ["IMAGE", "NAME", "OWNER", "WHAT", "DECISION", "RULE", "REASON", "OUTCOME"],
        [stranger, r"strange\x1b[2J", STRANGER, *WHAT, "hold", "-", *STRANGE.split(), "held"],
        [banned, "bad", BAD, *WHAT, "reject", "known-bad", "rejected_by_rule", "rejected"],
        [golden, "golden", GOLDEN, *WHAT, "accept", "golden-images", "allowed_owner", "accepted"],
    ]
    assert lines[6:] == [
        "",
        "3 shares: 1 accepted, 1 held, 1 rejected",
        "",
        "to accept what is held:",
        f"  doorman approve {stranger} --project receiver --reason TEXT",
    ]
    assert told.err == ""


def test_a_dry_run_and_pending_look_the_same_and_write_nothing(cloud: Cloud, command: Command) -> None:
    """Both show the decisions in the table of a real run; the cloud's log shows no write."""
    share_three(cloud)
    pending = command("pending").out
    assert command("run", "--dry-run").out == pending + "dry run: nothing was changed\n"
    assert "3 shares: 1 would be accepted, 1 would be held, 1 would be rejected" in pending.splitlines()
    assert cloud.writes == []


def test_json_is_one_event_a_line(cloud: Cloud, command: Command) -> None:
    """Programs get the outcome events as CloudEvents in structured mode and nothing else."""
    images = share_three(cloud)
    for words, types in ((["pending"], {"audited"}), (["run"], {"accepted", "rejected", "held", "decided"})):
        events = [json.loads(line) for line in command(*words, "--json").out.splitlines()]
        assert {event["type"] for event in events} == {f"dev.doorman.share.{word}.v1" for word in types}
        assert {event["specversion"] for event in events} == {"1.0"}
        told = [event for event in events if event["type"] != EventType.DECIDED]
        assert sorted(entry["image_id"] for event in told for entry in event["data"]["images"]) == sorted(images)
        assert len({event["id"] for event in events}) == len(events)


@pytest.mark.usefixtures("sink")
def test_outcomes_go_to_the_sink_as_well(cloud: Cloud, taken: list[dict[str, Any]]) -> None:
    """A run tells K_SINK its decisions and outcomes; `pending` tells nobody but the one who asked."""
    share_three(cloud)
    assert main(["pending"]) == 0
    assert taken == []
    assert main(["run"]) == 0
    found = sorted(event["type"].split(".")[-2] for event in taken)
    assert found == ["accepted", "decided", "decided", "held", "rejected"]


def test_what_the_sink_does_not_take_is_shown_and_fails_the_run(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is decided without a call is shown; the exit code and a line tell that the sink did not hear of it."""

    async def refuse(_: Request) -> Response:
        return Response(status_code=400)

    monkeypatch.setattr("doorman.handlers.project_run.PAUSES", ())
    stranger = cloud.add_share(STRANGER, "receiver")
    with serve(Starlette(routes=[Route("/", refuse, methods=["POST"])])) as url:
        monkeypatch.setenv("K_SINK", url)
        assert main(["run", "--json"]) == 1
    told = capsys.readouterr()
    assert [json.loads(line)["data"]["images"][0]["image_id"] for line in told.out.splitlines()] == [stranger]
    assert told.err.splitlines()[:2] == [
        "doorman: project receiver: the sink answers 400 (1 share)",
        "doorman: the sink did not take 1 outcome event",
    ]


def test_a_failed_share_fails_the_run(cloud: Cloud, command: Command) -> None:
    """The error code of the cloud stands beside the reason."""
    cloud.fail_image(cloud.add_share(GOLDEN, "receiver", name="golden"), "IMG.0001")
    assert "job_failed (IMG.0001)  failed" in command("run", code=1).out


def test_projects_are_a_column_where_there_are_several(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """Without projects in the environment those of the command are served; with them it narrows."""
    images = [cloud.add_share(GOLDEN, project) for project in ("receiver", "second")]
    assert (
        "--project: second is not served here: name one of receiver\n"
        in command("pending", "--project", "second", code=2).err
    )
    monkeypatch.setenv("OS_PROJECT_ID", "")
    lines = [
        line.split()[:2]
        for line in command("run", "--project", "second", "--project", "receiver").out.splitlines()[2:5]
    ]
    assert lines == [["PROJECT", "IMAGE"], ["receiver", images[0]], ["second", images[1]]]


def test_a_project_that_cannot_be_read_fails_the_run(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """The others are settled; stderr names the one."""
    monkeypatch.setenv("OS_PROJECT_ID", "receiver,foreign")
    cloud.add_share(GOLDEN, "receiver")
    told = command("run", code=1)
    assert told.out.splitlines()[-1] == "1 share: 1 accepted"
    assert told.err.startswith("doorman: project foreign: ")
    told = command("run", code=1)
    assert (told.out, told.err[:25]) == ("", "doorman: project foreign:")


def wait_for_job(cloud: Cloud) -> None:
    """Wait until both jobs are looked at, and the held share is told."""
    deadline = time.monotonic() + 20
    while len({call.path for call in list(cloud.calls) if "/jobs/" in call.path}) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.05)


@pytest.mark.parametrize(
    ("stops", "code"), [([signal.SIGINT], 130), ([signal.SIGTERM], 143), ([signal.SIGINT, signal.SIGINT], 130)]
)
def test_a_signal_ends_a_run_cleanly(
    stops: list[signal.Signals], code: int, cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C while jobs run, also twice: each share was named before its call, what still runs is named at the end."""
    cloud.settings.job_seconds = None
    golden, banned, _ = share_three(cloud)

    def interrupt() -> None:
        wait_for_job(cloud)
        for each in stops:
            os.kill(os.getpid(), each)

    thread = threading.Thread(target=interrupt)
    thread.start()
    assert main(["run"]) == code
    thread.join()
    told = capsys.readouterr()
    out = told.out.splitlines()
    assert sorted(line.split()[1] for line in out[:2]) == [golden, banned]
    assert "1 share: 1 held" in out
    jobs = {job.images[0]: job.id for job in cloud.jobs.values()}
    lines = told.err.splitlines()
    assert f"doorman: project receiver: job {jobs[golden]} still runs (1 share)" in lines
    assert lines[-1] == "doorman: stopped with work left in receiver: the next run goes on from there"


def test_a_reader_that_goes_away_loses_nothing(cloud: Cloud) -> None:
    """`doorman run --json | head -1`: the run goes on to its end, and writes the rest to stderr."""
    images = share_three(cloud)
    cloud.faults.add("status", method="PUT", path="members", times=2, retry_after=1)
    command = [sys.executable, "-c", START, "run", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, bufsize=0) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = [process.stdout.readline() for _ in range(2)]
        process.stdout.close()
        note, *rest = process.stderr.read().splitlines()
        assert process.wait(60) == 1
    assert note == b"doorman: stdout takes no more (Broken pipe), so the rest follows here"
    events = [json.loads(line) for line in (*first, *rest)]
    found = sorted(event["type"].split(".")[-2] for event in events)
    assert found == ["accepted", "decided", "decided", "held", "rejected"]
    assert [cloud.member_status(image, "receiver") for image in images] == ["accepted", "rejected", "pending"]


def test_a_full_disk_is_one_line(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The share is settled all the same, since stderr has the record."""
    golden = cloud.add_share(GOLDEN, "receiver")
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(["run"]) == 1
    note, decision, *_, totals_ = capsys.readouterr().err.splitlines()
    assert note == "doorman: stdout takes no more (No space left on device), so the rest follows here"
    assert (decision.split()[:2], totals_) == (["accepting", golden], "1 share: 1 accepted")


@pytest.mark.parametrize("is_record", [True, False])
def test_without_any_reader_nothing_is_done_unless_a_sink_keeps_the_record(
    is_record: bool,  # noqa: FBT001 - a parameter
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No evidence, no write: what neither stdout nor stderr takes is refused where no sink took it."""
    behind = RecordingSink()
    sink = AnswerSink(outer=behind, known=None, is_record=is_record)
    log = LossyStream()
    with Path("/dev/full").open("w", encoding="utf-8") as full, Path("/dev/full").open("w", encoding="utf-8") as also:
        monkeypatch.setattr(sys, "stdout", full)
        monkeypatch.setattr(sys, "stdout", SturdyStream())
        monkeypatch.setattr(sys, "stderr", also)
        for each in (EventType.DECIDED, EventType.HELD):
            event = CloudEvent(id="1", source="/tests", type=each, data={})
            with pytest.raises(Unavailable) if (is_record, each) == (True, EventType.DECIDED) else nullcontext():
                asyncio.run(sink.emit(event))
        log.write("a line")
        log.flush()
        assert not log.isatty()
        os.dup2(full.fileno(), also.fileno())
    assert len(behind.events) == 2


@pytest.mark.anyio
async def test_a_second_signal_ends_what_hangs() -> None:
    """The first one waits for the calls under way, the second does not; what came of it is shown all the same."""
    chain, shown, began = Chain(), list[Report](), asyncio.Event()

    async def hang(_: ProjectRun) -> None:
        began.set()
        await asyncio.Event().wait()

    work = asyncio.create_task(supervise(Run(chain.served, run_id="run-1", task=hang), (), show=shown.append))
    await began.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(0.01)
    assert not work.done()
    os.kill(os.getpid(), signal.SIGINT)
    assert await work == (Report(unfinished=("receiver",)), signal.SIGTERM)
    assert shown == [Report(unfinished=("receiver",))]


@pytest.mark.anyio
async def test_a_terminal_shows_progress_while_a_run_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, redrawn in place and taken away at the end."""
    chain, screen, shown = Chain(), Screen(), list[Report]()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", screen)
    chain.share()
    report, stop = await supervise(Run(chain.served, run_id="run-1"), (), show=shown.append)
    assert (report.is_faultless, stop, shown) == (True, None, [report])
    with redirect_stdout(Screen()) as out, redirect_stdout(cast("TextIO", SturdyStream())):
        say("a row")
    assert out.getvalue() == "\r\x1b[Ka row\n"
    assert screen.getvalue().startswith("\r\x1b[Kreading ...")
    assert screen.getvalue().endswith("\r\x1b[K")


def test_trouble_of_an_unknown_project_has_no_name() -> None:
    """A project that is known by name only and cannot be found is told by its error alone."""
    assert list(say_left(Report(troubles=(Trouble(project_id=None, message="no login"),)), Known())) == ["no login"]
