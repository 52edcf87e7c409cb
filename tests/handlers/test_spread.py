"""A tick over many projects is spread over events: each sweeps some of them, however often and whenever it comes."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from doorman.entrypoints.http import Reply
from doorman.events.messages import EventType
from tests.chain import BAD, GOLDEN, POLICY, Chain, structured

pytestmark = pytest.mark.anyio

PROJECTS = [f"project-{number:03}" for number in range(7)]


def served(fanout: str = "3", policy: str = POLICY, projects: list[str] | None = None) -> Chain:
    """Serve seven projects, and one pending share in each."""
    chain = Chain(policy=policy, OS_PROJECT_ID=",".join(projects or PROJECTS), DOORMAN_SWEEP_FANOUT=fanout)
    for project in projects or PROJECTS:
        chain.cloud.add_share(GOLDEN, project)
    return chain


def ask(*projects: str, event_id: str = "s", **extensions: str) -> dict[str, Any]:
    """Write an event that asks for these projects."""
    return structured(EventType.SWEEP, {"projects": list(projects)}, id=event_id, **extensions)


async def test_above_the_bound_a_tick_only_emits() -> None:
    """As equal parts as may be, in events that follow from the tick; no call is made, and the settling goes its way."""
    chain = served()
    with capture_logs() as log:
        assert await chain.tick(scope="pending", daily="yes") == Reply()
    spread = chain.of(EventType.SWEEP)
    assert [event.data["projects"] for event in spread] == [PROJECTS[0::3], PROJECTS[1::3], PROJECTS[2::3]]
    assert {event.source for event in spread} == {"/doorman/eu-de/-"}
    found = spread[0].extensions
    assert found == {"causationid": "tick-1", "correlationid": "tick-1", "scope": "pending", "daily": "true"}
    assert (list(chain.cloud.calls), [line["spread"] for line in log]) == ([], [7])
    await chain.settle()
    reports = chain.of(EventType.PENDING)
    assert sorted(event.data["project_id"] for event in reports) == PROJECTS
    assert {event.extensions["daily"] for event in reports} == {"true"}
    assert len(chain.told()) == 7


async def test_up_to_the_bound_a_tick_sweeps_by_itself() -> None:
    """Nobody waits for a second event without need."""
    chain = served(fanout="7")
    assert await chain.tick() == Reply()
    assert (chain.of(EventType.SWEEP), len(chain.of(EventType.PENDING))) == ([], 7)


async def test_a_project_that_may_be_meant_is_asked_for_again() -> None:
    """While the login of one that is known by name fails, nobody can tell whether it is among those to sweep."""
    chain = Chain(roles="receiver", OS_PROJECT_ID="", OS_PROJECT_NAME="by-name")
    chain.cloud.add_project("receiver", name="by-name")
    chain.cloud.faults.add("status", path="auth/tokens", times=1)
    assert (await chain.post(EventType.SWEEP, ask("receiver"))).status == 503
    await chain.wait(2)
    assert await chain.post(EventType.SWEEP, ask("receiver")) == Reply()
    assert [event.data["project_id"] for event in chain.of(EventType.PENDING)] == ["receiver"]


async def test_one_event_names_a_hundred_projects_at_most() -> None:
    """However high the bound is set."""
    chain = served(fanout="120", projects=[f"project-{number}" for number in range(121)])
    await chain.tick()
    assert [len(event.data["projects"]) for event in chain.of(EventType.SWEEP)] == [61, 60]
    reply = await chain.post(EventType.SWEEP, ask(*(f"p{number}" for number in range(101))))
    assert reply == Reply(
        status=400, text="data.projects: List should have at most 100 items after validation, not 101"
    )


async def test_it_never_spreads_again_and_ignores_strangers() -> None:
    """The projects that it names are swept here, were they more than the bound; those not served are nobody's."""
    chain = served(fanout="1")
    assert await chain.post(EventType.SWEEP, ask("stranger", *PROJECTS[:3], PROJECTS[0])) == Reply()
    assert chain.of(EventType.SWEEP) == []
    assert sorted(event.data["project_id"] for event in chain.of(EventType.PENDING)) == PROJECTS[:3]
    assert await chain.post(EventType.SWEEP, ask("stranger", event_id="2")) == Reply()
    assert len(chain.of(EventType.PENDING)) == 3


async def test_the_scope_goes_on_with_it() -> None:
    """What a schedule for drift asked for is drift, and nothing else."""
    chain = served(policy=POLICY + "reconcile: {tell: true}\n")
    for project in PROJECTS:
        chain.cloud.add_share(BAD, project, status="accepted")
    await chain.tick(scope="settled")
    await chain.settle()
    told = {event.type for event in chain.tray.events}
    assert told == {EventType.SWEEP, EventType.DRIFTED}
    assert len(chain.of(EventType.DRIFTED)) == 7


async def test_copies_at_once_join_and_late_ones_do_no_harm() -> None:
    """Twenty copies are one sweep of each project, which other events that name it join. Later it is one more."""
    chain = served()
    await chain.served.contexts()
    one, other = ask(*PROJECTS[:3]), ask(*PROJECTS[2:], event_id="other")
    replies = await asyncio.gather(*(chain.post(EventType.SWEEP, each) for each in [one, other] * 20))
    assert replies == [Reply()] * 40
    reports = [event.data["project_id"] for event in chain.of(EventType.PENDING)]
    assert {project: reports.count(project) for project in PROJECTS} == dict.fromkeys(PROJECTS, 1)
    await chain.settle()
    told = chain.told()
    await chain.post(EventType.SWEEP, one)
    await chain.settle()
    assert (len(told), chain.told()) == (7, told)


async def test_a_batch_sweeps_each_project_once() -> None:
    """Whatever its events ask for; with a tick among them all are meant."""
    chain = served(fanout="7")
    asks = [ask(*PROJECTS[:2], scope="pending"), ask(*PROJECTS[1:3], event_id="2", scope="settled", daily="")]
    assert await chain.post(EventType.SWEEP, asks) == Reply()
    reports = chain.of(EventType.PENDING)
    assert sorted(event.data["project_id"] for event in reports) == PROJECTS[:3]
    assert {(event.extensions["causationid"], event.extensions["daily"]) for event in reports} == {("s", "true")}
    assert await chain.post(EventType.SWEEP, [*asks, structured("any", None, id="t")]) == Reply()
    assert len(chain.of(EventType.PENDING)) == 3 + 7


async def test_a_login_is_made_where_it_is_needed() -> None:
    """Serving many projects costs none, nor does spreading a tick; reading two of them costs two."""
    chain = served()
    await chain.tick()
    await chain.post(EventType.SWEEP, ask(*PROJECTS[:2]))
    await chain.post(EventType.SWEEP, ask(*PROJECTS[:2], event_id="2"))
    assert len(chain.cloud.calls_to("POST", "/identity/v3/auth/tokens")) == 2


async def test_forty_ticks_at_once_are_spread_twice() -> None:
    """While one is under way the others wait for one more."""
    chain = served()
    assert await asyncio.gather(*(chain.tick(f"tick-{number}") for number in range(40))) == [Reply()] * 40
    assert len(chain.of(EventType.SWEEP)) <= 2 * 3


async def test_a_sink_that_is_down_fails_the_tick() -> None:
    """It is worth a retry, which says the same under the same ids."""
    chain = served()
    chain.refuse(1)
    assert (await chain.tick()).status == 503
    ids = {event.id for event in chain.of(EventType.SWEEP)}
    assert await chain.tick() == Reply()
    assert len({event.id for event in chain.of(EventType.SWEEP)} | ids) == 3
