"""An image has ended only when the sink took the event that tells it; until then it must be asked for again."""

from dataclasses import replace

import pytest

from doorman.errors import Unavailable
from doorman.events.messages import CheckData, CheckedShare, EventType
from doorman.events.writing import read_check, read_notice
from doorman.handlers.context import ProjectContext
from doorman.handlers.results import Results
from doorman.models import Cause, Onward, Outcome, OutcomeType, Reason
from doorman.planning.batch import RequestedImage
from doorman.planning.plan import MembersCall
from tests.builders import CAUSE, RECEIVER, START, RecordingSink, image_id

pytestmark = pytest.mark.anyio

ONE, TWO, THREE = image_id(1), image_id(2), image_id(3)
OTHER = Cause(id="cause-2", correlation="correlation-2")
DOWN = Unavailable("the sink does not take it")


def outcome(image: str, kind: OutcomeType = OutcomeType.HELD, cause: str = CAUSE.id) -> Outcome:
    """Make the outcome of an image."""
    return Outcome(type=kind, image_id=image, reason=Reason.OWNER_NOT_ALLOWED, cause=cause)


@pytest.fixture
def results(context: ProjectContext) -> Results:
    """The results of a batch that two events asked for."""
    requested = {
        ONE: RequestedImage(image_id=ONE, cause=OTHER, tries=2, tried_vaults=("a", "b")),
        TWO: RequestedImage(image_id=TWO, cause=CAUSE, tried_vaults=("b", "c")),
        THREE: RequestedImage(image_id=THREE, cause=OTHER),
    }
    return Results(context=context, requested=requested)


async def test_event_that_the_sink_refuses(results: Results, sink: RecordingSink) -> None:
    """Its images must be asked for again; those of the other events have ended."""
    sink.refusals = [DOWN, None]
    results.outcomes = [outcome(TWO), outcome(THREE, OutcomeType.SKIPPED)]
    await results.tell()
    assert results.ended == {TWO: DOWN, THREE: "skipped"}


async def test_postponed_image_stays_postponed(results: Results) -> None:
    """Whatever else is told of it."""
    results.postpone([ONE], DOWN)
    results.outcomes = [outcome(ONE, OutcomeType.AUDITED)]
    await results.tell()
    assert results.ended == {ONE: DOWN}


async def test_job_is_handed_over(results: Results, sink: RecordingSink) -> None:
    """With the fewest tries of its images, the vaults that all of them tried, and those that failed here."""
    part = MembersCall(status="accepted", vault_id="d", images=(TWO, ONE))
    shares = {ONE: CheckedShare(name="n", cause="cause-2")}
    await results.follow(part, "job-1", shares={ONE: shares[ONE].model_dump()}, failed_vaults=["e"])
    (event,) = sink.events
    assert (event.subject, event.extensions["causationid"]) == ("job-1", "cause-2")
    assert read_check(event, now=START) == CheckData(
        project_id=RECEIVER,
        job_id="job-1",
        status="accepted",
        images=(TWO, ONE),
        vault_id="d",
        submitted_at=START,
        attempt=1,
        tries=1,
        tried_vaults=("b", "e"),
        shares=shares,
    )
    assert results.ended == {TWO: Onward.SUBMITTED, ONE: Onward.SUBMITTED}


async def test_tried_vaults_are_bounded(results: Results, sink: RecordingSink) -> None:
    """However many failed, a check names no more than it may."""
    failed = [f"v{number}" for number in range(30)]
    await results.follow(
        MembersCall(status="accepted", vault_id=None, images=(ONE,)), "job-1", shares={}, failed_vaults=failed
    )
    assert len(read_check(sink.events[0], now=START).tried_vaults) == 20


async def test_images_are_notified_again(results: Results, sink: RecordingSink) -> None:
    """With one try more, so that this ends, and in smaller groups: each keeps its own cause."""
    await results.repeat([ONE, TWO])
    notices = [(read_notice(event), event.extensions["causationid"]) for event in sink.events]
    found = [(notice.images, notice.tries, notice.tried_vaults, cause) for notice, cause in notices]
    assert found == [((ONE,), 2, ("a", "b"), "cause-2"), ((TWO,), 2, ("b", "c"), "cause-1")]
    assert results.ended == {ONE: Onward.REPEATED, TWO: Onward.REPEATED}


async def test_evidence_comes_once_for_the_same(results: Results, sink: RecordingSink) -> None:
    """Again only where status or vault changed; an image that is new is told alone."""
    call = MembersCall(status="accepted", vault_id="d", images=(ONE, TWO))
    decided = [outcome(image, OutcomeType.DECIDED) for image in (ONE, TWO)]
    assert [await results.record(call, decided[:1]), await results.record(call, decided)] == [True, True]
    assert await results.record(replace(call, vault_id="e"), decided[:1])
    assert [(event.type, event.data["vault_id"], event.data["status"]) for event in sink.events] == [
        (EventType.DECIDED, vault, "accepted") for vault in ("d", "d", "e")
    ]
    assert [[entry["image_id"] for entry in event.data["images"]] for event in sink.events] == [[ONE], [TWO], [ONE]]
