"""A desk has everything that serves one project, and hands events over all at once."""

import pytest

from doorman.errors import Unavailable
from doorman.handlers.context import ProjectContext
from doorman.models import CloudEvent
from tests.builders import POLICY, Play, RecordingSink

pytestmark = pytest.mark.anyio

EVENTS = [CloudEvent(id=str(number), source="/tests", type="told") for number in range(3)]


@pytest.mark.parametrize(
    ("mode", "policy", "is_audit"),
    [
        ("enforce", POLICY, False),
        ("audit", POLICY, True),
        ("enforce", f"mode: audit\n{POLICY}", True),
        ("audit", f"mode: audit\n{POLICY}", True),
    ],
)
async def test_either_switch_stops_writing(play: Play, mode: str, policy: str, *, is_audit: bool) -> None:
    """DOORMAN_MODE and the policy's own mode can each forbid writing; neither can allow it against the other."""
    context = await play.context(DOORMAN_MODE=mode, policy=policy)
    assert context.is_audit is is_audit


async def test_one_refused_event_does_not_keep_the_others(context: ProjectContext, sink: RecordingSink) -> None:
    """Where the sink refuses one event, the others are handed over all the same, and the refusal is told."""
    refusal = Unavailable("the sink does not take told")
    sink.refusals = [None, refusal, None]
    with pytest.raises(Unavailable) as caught:
        await context.emit(EVENTS)
    assert caught.value is refusal
    assert sink.events == [EVENTS[0], EVENTS[2]]
