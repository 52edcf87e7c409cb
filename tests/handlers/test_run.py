"""The whole job in one process: the same outcomes as by events, whatever breaks, is killed or runs twice."""

import asyncio
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from doorman.entrypoints.cli.progress import say_progress
from doorman.errors import Misconfigured
from doorman.events.messages import EventType
from doorman.handlers.project_run import ProjectRun, Trouble
from doorman.handlers.run import PROJECTS_AT_ONCE, Report, Run
from doorman.models import CloudEvent
from doorman.sandbox.cloud import create_app
from doorman.sinks.loopback import LoopbackSink
from tests.builders import BAD, RECEIVER, Play, RecordingSink
from tests.chain import GOLDEN, STRANGER, VAULT, Chain

pytestmark = pytest.mark.anyio


async def run(chain: Chain, *, projects: Sequence[str] = ()) -> Report:
    """Do one run over a chain's projects."""
    return await Run(chain.served, run_id="run-1").work(projects)


async def test_a_run_settles_what_waits_and_tells_every_share_once() -> None:
    """Accepted, rejected and held are told, our own images left alone, and no follow-up event leaves the process."""
    chain = Chain()
    golden, banned, stranger = chain.share(), chain.share(BAD), chain.share(STRANGER)
    own = chain.cloud.add_share("receiver", "elsewhere")
    report = await run(chain)
    assert chain.told() == sorted(
        [
            (golden, "accepted", "allowed_owner"),
            (banned, "rejected", "rejected_by_rule"),
            (stranger, "held", "owner_not_allowed"),
        ]
    )
    told = [event for event in chain.tray.events if event.type != EventType.DECIDED]
    assert [event.id for event in told] == [event.id for event in report.told]
    assert {event.extensions["correlationid"] for event in report.told} == {"run-1"}
    assert report == Report(told=report.told)
    assert report.is_faultless
    assert chain.cloud.member_status(own, "elsewhere") == "pending"
    found = [chain.cloud.member_status(image, "receiver") for image in (golden, banned, stranger)]
    assert found == ["accepted", "rejected", "pending"]


async def test_a_second_run_finds_only_what_is_held() -> None:
    """What a person must decide is told again, what is settled is not."""
    chain = Chain()
    chain.share()
    stranger = chain.share(STRANGER)
    await run(chain)
    chain.tray.events.clear()
    assert (await run(chain)).is_faultless
    assert chain.told() == [(stranger, "held", "owner_not_allowed")]


async def test_few_projects_are_looked_at_at_once() -> None:
    """However many there are."""
    chain = Chain(OS_PROJECT_ID=",".join(f"project-{number}" for number in range(30)))
    under_way, most = 0, 0

    async def look(_: ProjectRun) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1

    await Run(chain.served, run_id="run-1", task=look).work()
    assert (under_way, most) == (0, PROJECTS_AT_ONCE)


def seed(chain: Chain, projects: Sequence[str], shares: int) -> None:
    """Share as many images of all kinds, the same ones in every chain; some fail, in each of the ways known."""
    dice = random.Random(4)
    for project in projects:
        chain.cloud.add_vault(project, f"{VAULT}")
    for number in range(shares):
        image = f"00000000-0000-4000-8000-{number:012d}"
        owner = dice.choices([GOLDEN, BAD, STRANGER], [6, 2, 2])[0]
        chain.cloud.add_share(owner, projects[number % len(projects)], image_id=image, full_ecs=dice.random() < 0.1)
        if (kind := dice.random()) < 0.06:
            chain.cloud.fail_image(image, "IMG.0046", at="job")
        elif kind < 0.1:
            chain.cloud.fail_image(image, "IMG.0064", at="submit", whole=True, times=2)
        elif kind < 0.12:
            chain.cloud.fail_image(image, "IMG.0001", at="submit", whole=True)


async def test_the_fates_are_those_of_the_event_chain() -> None:
    """400 shares in 20 projects end as they do behind a broker: sweep, triage, check_job."""
    projects = [f"project-{number}" for number in range(20)]
    by_events, at_once = (Chain(OS_PROJECT_ID=",".join(projects)) for _ in range(2))
    for chain in (by_events, at_once):
        seed(chain, projects, 400)
    await by_events.tick()
    await by_events.settle()
    report = await run(at_once)
    # Behind a broker the held ones are told by the digest, with the same reason.
    held = [
        (entry["image_id"], "held", entry["reason"])
        for digest in by_events.of(EventType.PENDING)
        for entry in digest.data["images"]
    ]
    assert at_once.told() == sorted(by_events.told() + held)
    assert len({image for image, _, _ in at_once.told()}) == 400
    assert (report.troubles, report.untold, report.running) == ((), (), ())
    members = [
        {
            image: {key: member.status for key, member in rows.items()}
            for image, rows in chain.cloud.image_store.members.items()
        }
        for chain in (by_events, at_once)
    ]
    assert members[0] == members[1]


async def test_only_the_named_projects_are_served() -> None:
    """A run may be narrowed; a project that is not served is a mistake of the caller."""
    chain = Chain(OS_PROJECT_ID="receiver,other")
    golden, other = chain.share(), chain.cloud.add_share(GOLDEN, "other")
    await run(chain, projects=["other"])
    assert chain.told() == [(other, "accepted", "allowed_owner")]
    assert chain.cloud.member_status(golden, "receiver") == "pending"
    with pytest.raises(Misconfigured, match="--project: nobody is not served here: name one of receiver, other"):
        await run(chain, projects=["nobody"])


async def test_a_project_that_is_not_found_by_its_name_is_trouble() -> None:
    """Nothing is known of it, not even its ID; a project asked for may be this one, so that is no mistake."""
    chain = Chain(OS_PROJECT_ID="", OS_PROJECT_NAME="nowhere")
    report = await run(chain, projects=["receiver"])
    (trouble,) = report.troubles
    assert (trouble.project_id, report.told) == (None, ())


async def test_what_passes_is_tried_again() -> None:
    """Lists, members calls and jobs that fail longer than one request is repeated are asked for again later."""
    chain = Chain()
    golden = chain.share()
    chain.cloud.faults.add("status", method="GET", path="/v2/cloudimages", times=5)
    chain.cloud.faults.add("status", method="PUT", path="members", times=5)
    chain.cloud.faults.add("status", method="GET", path="/jobs/", times=5)
    report = await run(chain)
    assert chain.told() == [(golden, "accepted", "allowed_owner")]
    assert report.is_faultless


@pytest.mark.parametrize(("path", "images", "jobs"), [("/v2/cloudimages", 0, 0), ("members", 1, 0), ("/jobs/", 1, 1)])
async def test_what_does_not_pass_is_given_up(path: str, images: int, jobs: int) -> None:
    """After some tries the run ends and says what it leaves; the share waits for the next run, or its job runs on."""
    chain = Chain()
    golden = chain.share()
    chain.cloud.faults.add("status", path=path)
    report = await run(chain)
    assert report.told == ()
    assert [(trouble.project_id, len(trouble.images)) for trouble in report.troubles] == [("receiver", images)]
    assert [check.images for check in report.running] == [(golden,)] * jobs
    assert not report.is_faultless


async def test_a_wait_that_is_too_long_is_left_to_the_next_run() -> None:
    """Nobody asks again before the time that the cloud named, and no run stands still for it."""
    chain = Chain()
    chain.share()
    chain.cloud.faults.add("status", path="/v2/cloudimages", retry_after=61)
    report = await run(chain)
    assert (len(report.troubles), chain.clock.seconds) == (1, 0.0)


@pytest.mark.parametrize("seconds", [0, 0.5])
async def test_what_a_lost_call_settled_is_told_as_settled(seconds: float) -> None:
    """The answer is lost, and its job ends at once or later: the shares were settled by this run, and are told so."""
    chain = Chain()
    golden, banned = chain.share(), chain.share(BAD)
    chain.cloud.settings.job_seconds = seconds
    chain.cloud.faults.add("reset", method="PUT", path="members", times=2, performed=True)
    report = await run(chain)
    assert chain.told() == sorted([(golden, "accepted", "already_settled"), (banned, "rejected", "already_settled")])
    assert report.is_faultless


async def test_only_what_is_late_is_triaged_again() -> None:
    """One image's outcome is told once, though another one of its batch must be asked for again."""
    chain = Chain()
    golden, stranger = chain.share(), chain.share(STRANGER)
    chain.cloud.faults.add("status", method="PUT", path="members", times=5)
    await run(chain)
    assert chain.told() == sorted([(golden, "accepted", "allowed_owner"), (stranger, "held", "owner_not_allowed")])


async def test_an_outcome_counts_when_the_sink_took_it() -> None:
    """A sink that is busy for a while gets everything in the end; the jobs are not started twice."""
    chain = Chain()
    chain.refuse(4)
    golden, stranger = chain.share(), chain.share(STRANGER)
    report = await run(chain)
    assert chain.told() == sorted([(golden, "accepted", "allowed_owner"), (stranger, "held", "owner_not_allowed")])
    assert report.is_faultless
    assert len(chain.members_calls()) == 1


async def test_a_sink_that_is_gone_is_told_in_the_report() -> None:
    """Without evidence on record nothing is settled; that stands in the report."""
    chain = Chain()
    chain.refuse(1000)
    golden = chain.share()
    report = await run(chain)
    assert chain.cloud.member_status(golden, "receiver") == "pending"
    assert (report.told, report.untold) == ((), ())
    assert report.troubles == (Trouble(project_id="receiver", message="the sink does not take it", images=(golden,)),)
    assert not report.is_faultless


async def test_one_event_is_told_and_followed_once() -> None:
    """The same event a second time, as after a retry, goes neither to the sink nor on again."""
    sink, gone_on = RecordingSink(), RecordingSink()
    loopback = LoopbackSink(outer=sink, go_on=gone_on.events.append)
    events = [CloudEvent(id=kind, source="/tests", type=kind) for kind in (EventType.CHECK, EventType.HELD)]
    for event in (*events, *events):
        await loopback.emit(event)
    assert (sink.events, gone_on.events) == (events[1:], events[:1])
    assert (loopback.told, loopback.untold) == ({events[1].id: events[1]}, {})


async def test_a_job_longer_than_the_check_budget_is_followed_on() -> None:
    """A slow job is handed from check to check within the run, and forgotten where it never ends."""
    slow, endless = Chain(), Chain(DOORMAN_JOB_DEADLINE="60")
    slow.cloud.settings.job_seconds, endless.cloud.settings.job_seconds = 200, None
    images = [chain.share() for chain in (slow, endless)]
    assert (await run(slow)).is_faultless
    assert slow.told() == [(images[0], "accepted", "allowed_owner")]
    report = await run(endless)
    assert endless.told() == [(images[1], "failed", "still_pending")]
    assert (report.running, report.is_faultless) == ((), False)


async def test_two_runs_at_once_do_no_harm() -> None:
    """Both end well, every share is settled as decided, and nothing untrue is told."""
    chain = Chain()
    wanted = {chain.share(owner): outcome for owner, outcome in [(GOLDEN, "accepted"), (BAD, "rejected")] * 30}
    reports = await asyncio.gather(*(Run(chain.served, run_id=f"run-{number}").work() for number in range(2)))
    assert [report.is_faultless for report in reports] == [True, True]
    assert {image: chain.cloud.member_status(image, "receiver") for image in wanted} == wanted
    for image, outcome, reason in chain.told():
        assert (outcome, reason) in {
            (wanted[image], "allowed_owner"),
            (wanted[image], "rejected_by_rule"),
            ("skipped", "already_settled"),
        }


def seed_few(chain: Chain) -> dict[str, str]:
    """Share a few images whose jobs take their time; gives how each is to end."""
    chain.cloud.settings.job_seconds = 3
    return {**{chain.share(): "accepted" for _ in range(3)}, chain.share(BAD): "rejected"}


async def finish(chain: Chain, wanted: dict[str, str]) -> None:
    """Run again, and find all as it should be."""
    play = Play(state=chain.cloud, clock=chain.clock, sink=chain.tray)
    assert (await Run(play.served(), run_id="next").work()).is_faultless
    assert {image: chain.cloud.member_status(image, RECEIVER) for image in wanted} == wanted


def images_of(events: Iterable[CloudEvent]) -> set[str]:
    """Give the images that events name."""
    return {entry["image_id"] for event in events for entry in event.data["images"]}


@pytest.mark.parametrize("faulty", [False, True])
async def test_stopped_at_any_call_nothing_is_lost(faulty: bool) -> None:  # noqa: FBT001 - a parameter
    """Whichever call is under way: it is awaited, no write follows, jobs are named, and the next run does the rest."""
    for call in range(1, 100):
        chain = Chain()
        wanted = seed_few(chain)
        if faulty:
            chain.cloud.fail_image(next(iter(wanted)), "IMG.0064", at="submit", whole=True, times=2)
        once, ahead = Run(chain.served, run_id="stopped"), list(range(call))

        def count(_: object, once: Run = once, ahead: list[int] = ahead) -> None:
            if ahead and not ahead.pop():
                once.stop()

        chain.play.hooks.append(count)
        report = await once.work()
        if ahead:
            break
        assert report.troubles == ()
        told, left = images_of(report.told), {image for check in report.running for image in check.images}
        written = {image for job in chain.cloud.jobs.values() for image in job.images}
        assert written <= images_of(chain.of(EventType.DECIDED))
        assert written <= told | left
        assert report.unfinished == (() if told == set(wanted) or report == Report() else (RECEIVER,))
        await finish(chain, wanted)
    assert 8 < call < 60


async def test_a_stopped_run_sits_out_no_wait() -> None:
    """Neither the pause of a job's check, nor that before another attempt; what it had no time for is said."""
    chain = Chain()
    chain.share()
    chain.cloud.settings.job_seconds = None
    once = Run(chain.served, run_id="run-1")
    work = asyncio.create_task(once.work())
    while not once.report().running:  # noqa: ASYNC110 - there is no event for this
        await asyncio.sleep(0)
    once.stop()
    report = await work
    assert (len(report.running), report.unfinished, report.troubles) == (1, (RECEIVER,), ())
    assert not report.is_faultless


@dataclass
class Executioner:
    """An application that has a run killed at its call number `at`, before or after that call took effect."""

    app: ASGIApp
    at: int
    is_late: bool
    calls: int = 0
    victim: "asyncio.Task[Report] | None" = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or never answer it again."""
        self.calls += 1
        if self.victim is None or self.calls != self.at:
            await self.app(scope, receive, send)
            return
        if self.is_late:
            await self.app(scope, receive, _lose)
        self.victim.cancel()
        raise asyncio.CancelledError


async def _lose(_: object) -> None:
    """Lose an answer."""


async def killed_at(call: int, chain: Chain, *, is_late: bool = False) -> Run | None:
    """Kill a run at one of its calls; None where it made fewer."""
    executioner = Executioner(app=create_app(chain.cloud), at=call, is_late=is_late)
    play = Play(state=chain.cloud, clock=chain.clock, sink=chain.tray, app=executioner)
    once = Run(play.served(), run_id="killed")
    executioner.victim = asyncio.create_task(once.work())
    try:
        await executioner.victim
    except asyncio.CancelledError:
        return once
    return None


@pytest.mark.parametrize("is_late", [False, True])
async def test_killed_at_any_call_the_next_run_finishes(is_late: bool) -> None:  # noqa: FBT001 - a parameter
    """Whichever call to the cloud is a run's last, before or after it took effect: the next run settles the rest."""
    for call in range(1, 100):
        chain = Chain()
        wanted = {**seed_few(chain), chain.share(full_ecs=True): "accepted"}
        killed = await killed_at(call, chain, is_late=is_late)
        if killed is None:
            break
        assert killed.report().unfinished == (() if killed.report().projects == 0 else (RECEIVER,))
        await finish(chain, wanted)
    assert 10 < call < 40


async def test_a_killed_run_says_which_jobs_still_run() -> None:
    """The job and the project stand in the report, and how far it was."""
    chain = Chain()
    golden, stranger = chain.share(), chain.share(STRANGER)
    chain.cloud.settings.job_seconds = None
    once = await killed_at(20, chain)
    assert once is not None
    report = once.report()
    (job_id,) = chain.cloud.jobs
    assert [(check.job_id, check.images) for check in report.running] == [(job_id, (golden,))]
    assert report.unfinished == (RECEIVER,)
    assert images_of(report.told) == {stranger}
    assert say_progress(report) == "1/1 projects read, 2 shares: 1 in running jobs, 0 to be decided, 1 done"
