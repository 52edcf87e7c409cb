"""What `doctor` says of a project whose cloud changes while it looks; the rest is in the command's tests."""

from dataclasses import replace

import httpx
import pytest

from doorman.cloud.project import Cloud
from doorman.errors import Broken
from doorman.handlers.context import ProjectContext
from doorman.handlers.doctor_rights import look_at_rights
from doorman.models import Share
from doorman.planning.diagnosis import Blocked, Chart, Check, Finding, Mark
from tests.builders import GOLDEN, RECEIVER, Play, State

pytestmark = pytest.mark.anyio


class Failing(Cloud):
    """A cloud that cannot list what waits any more."""

    async def pending(self, images: object = None) -> dict[str, Share]:
        """Fail."""
        del images
        raise Broken("the cloud answers 502 (502)")


async def look(context: ProjectContext) -> list[Finding]:
    """Look at a project whose vaults and servers nobody reaches."""
    chart = Chart()

    async def reach(*_: object) -> None:
        raise Blocked(Check.NAME)

    await look_at_rights(chart, context, policy=context.policy, is_on_time=True, reach=reach)
    return chart.findings


async def test_a_list_that_fails_later(state: State, play: Play) -> None:
    """That is told, and ends nothing."""
    state.add_share(GOLDEN, RECEIVER)
    context = await play.context()
    cloud = Failing(project_id=RECEIVER, client=context.cloud.client, service=context.cloud.service)
    bad = [(each.check, each.text) for each in await look(replace(context, cloud=cloud)) if each.mark is Mark.MEND]
    assert bad == [(Check.WAITING, "the cloud answers 502 (502)")]


async def test_a_cloud_that_stops_answering(state: State, play: Play) -> None:
    """What fails in between costs its own lines, and ends nothing."""

    def refuse(request: httpx.Request) -> None:
        if request.url.params.get("limit") == "1" or "/jobs/" in request.url.path:
            raise httpx.ReadTimeout("slow")

    state.add_share(GOLDEN, RECEIVER)
    play.hooks.append(refuse)
    found = await look(await play.context())
    assert [each.check for each in found if each.mark is Mark.MEND] == [Check.LIMIT, Check.JOBS]
    assert [each.check for each in found[-3:]] == [Check.WAITING, Check.VAULTS, Check.SERVERS]


async def test_a_filter_that_is_refused(state: State, play: Play) -> None:
    """It costs its own line alone."""

    def refuse(request: httpx.Request) -> None:
        if "os_hidden" in request.url.params:
            raise httpx.ReadTimeout("slow")

    state.add_share(GOLDEN, RECEIVER)
    play.hooks.append(refuse)
    found = await look(await play.context())
    assert [each.text for each in found if each.check is Check.HIDDEN] == [
        "not known here: the cloud does not answer in time"
    ]
    assert [each.check for each in found if each.mark is Mark.MEND] == []
