"""The contexts of served projects are made once, also for many events at a time, and no failure loses one."""

import asyncio
from pathlib import Path

import pytest

from doorman.bootstrap import SERVICES
from doorman.errors import Rejected, Unavailable
from doorman.handlers.context import ProjectContext
from doorman.handlers.projects import Projects
from doorman.models import CloudEvent
from tests.builders import POLICY, RECEIVER, Play, RecordingSink, State

pytestmark = pytest.mark.anyio


@pytest.fixture
def named(play: Play, state: State) -> Projects:
    """Projects of which the only one is known by its name."""
    state.directory.projects[RECEIVER].name = "by-name"
    return play.served(OS_PROJECT_ID="", OS_PROJECT_NAME="by-name")


async def refusal(served: Projects, project_id: str) -> str:
    """Say why a project has no context."""
    with pytest.raises(Rejected) as caught:
        await served.context(project_id)
    return str(caught.value)


async def test_context_of_a_served_project(play: Play, sink: RecordingSink) -> None:
    """Made once, without a call to anybody, with everything that it needs."""
    served = play.served(DOORMAN_API="glance", OS_REGION_NAME="eu-nl")
    context = await served.context(RECEIVER)
    assert await served.context(RECEIVER) is context
    assert not play.state.calls
    found = (context.project_id, context.cloud.service.has_jobs, context.writer.source)
    assert found == (RECEIVER, False, f"/doorman/eu-nl/{RECEIVER}")
    assert (context.sink, context.clock, context.policy.digest) == (sink, play.clock, served.policy.digest)
    assert context.writer.policy_digest == served.policy.digest


async def test_project_that_is_not_served(play: Play) -> None:
    """Malformed for us, whoever it may be for."""
    text = "data.project_id: not a project that is served here (OS_PROJECT_ID)"
    assert await refusal(play.served(), "another") == text
    assert await refusal(play.served(OS_PROJECT_ID="a,b"), RECEIVER) == text


async def test_many_events_at_a_cold_start(play: Play) -> None:
    """All of them find the context, and the same one."""
    served = play.served(OS_PROJECT_ID=f"{RECEIVER},b")
    found = await asyncio.gather(*(served.context(project) for project in [RECEIVER, "b"] * 20))
    assert len({id(context) for context in found}) == 2


async def test_project_known_by_name(named: Projects, state: State) -> None:
    """Its ID is asked for once, however many events wait for it."""
    found = await asyncio.gather(*(named.context(RECEIVER) for _ in range(20)))
    assert {context.project_id for context in found} == {RECEIVER}
    assert len(state.calls_to("POST", "/identity/v3/auth/tokens")) == 1
    assert await refusal(named, "another")


async def test_login_that_fails(named: Projects, play: Play) -> None:
    """Whether a project is served cannot be told, so the event comes again; and then it is found."""
    play.state.settings.keystone_down = True
    with pytest.raises(Unavailable, match="Keystone"):
        await named.context(RECEIVER)
    contexts, errors = await named.contexts()
    assert (contexts, [type(error) for error in errors]) == ([], [Unavailable])
    play.state.settings.keystone_down = False
    play.clock.seconds += 60
    assert (await named.context(RECEIVER)).project_id == RECEIVER
    assert await named.contexts() == ([await named.context(RECEIVER)], [])


async def test_event_that_goes_away(named: Projects, play: Play) -> None:
    """A cancelled request while its context is looked for takes no project with it."""
    looking = asyncio.create_task(named.context(RECEIVER))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert (await named.context(RECEIVER)).project_id == RECEIVER


async def test_one_failing_project_does_not_stop_the_others(play: Play) -> None:
    """Those that are known by their ID are served, whatever becomes of their logins."""
    play.state.settings.keystone_down = True
    contexts, errors = await play.served(OS_PROJECT_ID=f"{RECEIVER},b").contexts()
    assert ([context.project_id for context in contexts], errors) == ([RECEIVER, "b"], [])


class BrokenCredentials:
    """Credentials with a defect, the first time."""

    calls, auth, region = 0, None, None

    async def project_id(self) -> str:
        """Fail once."""
        self.calls += 1
        if self.calls == 1:
            raise ZeroDivisionError
        return "broken"

    async def endpoint(self, service: str) -> str:
        """Give none."""
        return f"http://{service}.test"


async def test_defect_loses_no_project(play: Play) -> None:
    """It is told as what it is, and the next event finds every context."""
    settings = play.settings()
    served = Projects(
        settings,
        (await play.context()).policy,
        clock=play.clock,
        service=SERVICES[settings.api],
        open_client=lambda _: play.client(),
        sink=play.sink,
        credentials=[BrokenCredentials()],  # type: ignore[list-item]
    )
    with pytest.raises(ZeroDivisionError):
        await served.context("broken")
    assert (await served.context("broken")).project_id == "broken"


async def test_wrong_catalog_is_no_defect(play: Play) -> None:
    """An endpoint that nobody names makes the event wait, not the project vanish."""
    served = play.served(OS_REGION_NAME="no-such-region")
    context = await served.context(RECEIVER)
    with pytest.raises(Unavailable, match="no-such-region"):
        await context.cloud.pending()


@pytest.mark.parametrize(
    "login",
    [
        "auth_url: 'https://iam.test/v3', username: robot, password: x, user_domain_name: d",
        "access_key: A, secret_key: S",
    ],
    ids=["password", "keys"],
)
async def test_region_of_an_entry(play: Play, tmp_path: Path, login: str) -> None:
    """Events name the region that clouds.yaml gives, as they name that of the environment."""
    entry = f"auth: {{{login}, project_id: {RECEIVER}}}, image_endpoint_override: 'https://ims.test'"
    (tmp_path / "clouds.yaml").write_text(f"clouds: {{one: {{{entry}, region_name: eu-nl}}}}")
    served = play.served(OS_CLOUD="one", OS_CLIENT_CONFIG_FILE=str(tmp_path / "clouds.yaml"), OS_REGION_NAME="")
    assert (await served.context(RECEIVER)).writer.source == f"/doorman/eu-nl/{RECEIVER}"


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
    events = [CloudEvent(id=str(number), source="/tests", type="told") for number in range(3)]
    refusal = Unavailable("the sink does not take told")
    sink.refusals = [None, refusal, None]
    with pytest.raises(Unavailable) as caught:
        await context.emit(events)
    assert caught.value is refusal
    assert sink.events == [events[0], events[2]]
