"""Looks what one project's login may read, and how the image service answers where its documentation is silent.

The second half of `doctor`, once the services can be reached and logged in to; only reads.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, NoReturn

from doorman.cloud.api import glance, ims, nova
from doorman.cloud.api.base import Answer, Page, Request, Service, read_object
from doorman.cloud.api.base import check as let_through
from doorman.cloud.listing import explain, read
from doorman.cloud.project import Cloud
from doorman.errors import Denied, Refused, Unavailable
from doorman.handlers.context import ProjectContext
from doorman.handlers.sweep import look
from doorman.models import Cause, MemberStatus
from doorman.parsing import counted
from doorman.planning import assumptions
from doorman.planning.diagnosis import Blocked, Chart, Check, Mark, list_checks, mend, ok
from doorman.policy.policy import Policy

_STATUSES: Final[tuple[MemberStatus, ...]] = ("pending", "accepted", "rejected")
_AGAIN: Final = "look again: the cloud answered a moment ago"


@dataclass(slots=True, kw_only=True, eq=False)
class Rights:
    """The look at one project.

    Attributes:
        policy: or why it cannot be loaded.
        is_on_time: whether our clock is the cloud's.
        reach: looks at a service's host, which is marked so where it cannot be reached; what needs it stops then.
    """

    chart: Chart
    context: ProjectContext
    policy: Policy | str
    is_on_time: bool
    reach: Callable[[Service, Mark], Awaitable[object]]

    async def look(self) -> None:
        """Look at images, vaults and servers."""
        with self.chart.part(list_checks(Check.LIST, Check.WAITING, api=self.context.settings.api)):
            await self._look_at_images()
        if self.context.cloud.service.has_jobs:
            await self._look_at_vaults()
        else:
            self.chart.add(Check.VAULTS, ok("none: plain OpenStack has no vaults, and needs none"))
        need = "nothing: only `doorman reconcile --usage` lists servers"
        with self.chart.guard(Check.SERVERS, mark=Mark.NOTE, fix=need):
            await self.reach("compute", Mark.NOTE)
            servers, _ = await read(self.context.cloud.client, nova.list_servers(), nova.read_servers)
            text = f"can be listed: {counted(len(servers), 'server')} booted from an image"
            self.chart.add(Check.SERVERS, ok(text))

    async def _look_at_images(self) -> None:
        chart, cloud = self.chart, self.context.cloud
        try:
            lists = {status: await _page(cloud, cloud.service.list_shares(status)[0]) for status in _STATUSES}
        except (Unavailable, Refused) as error:
            await self._explain_list(error)
        chart.add(Check.LIST, ok(f"the lists can be read: {assumptions.count_rows(lists)}"))
        await self._read_one(lists)
        chart.add(Check.MEMBER_STATUS, assumptions.judge_member_status(lists))
        with chart.guard(Check.LIMIT, fix=_AGAIN):
            await self._try_lists(max(lists.values(), key=lambda listed: len(listed.page.rows)))
        rows = [row for listed in lists.values() for row in listed.rows.values()]
        chart.add(Check.FACTS, assumptions.judge_facts(rows, project_id=cloud.project_id))
        if cloud.service.has_jobs:
            with chart.guard(Check.JOBS, fix=_AGAIN):
                asked = ims.show_job(assumptions.UNKNOWN_JOB, project_id=cloud.project_id)
                answers = [await cloud.client.send(each, lambda answer: answer) for each in asked]
                chart.add(Check.JOBS, assumptions.judge_jobs(*answers))
        with chart.guard(Check.WAITING, fix=_AGAIN):
            await self._decide()

    async def _explain_list(self, error: Unavailable | Refused) -> NoReturn:
        """Say why the lists cannot be read, and how to mend that; nothing goes on without them."""
        chart, cloud, api = self.chart, self.context.cloud, self.context.settings.api
        if isinstance(error, Refused) and error.status == HTTPStatus.NOT_FOUND:
            fix = "set OS_IMAGE_ENDPOINT_OVERRIDE to the image service's URL, without any version"
            native = Request(method="GET", path="/v2/images", params=(("limit", "1"),))
            if cloud.service.has_jobs and isinstance(await _try(cloud, native), Page):
                fix = "this is plain OpenStack: set DOORMAN_API=glance"
            base = await cloud.client.credentials.endpoint("image")
            chart.block(Check.LIST, f"no image service of the kind {api} at {base} (404)", fix)
        if isinstance(error, Denied) and not self.is_on_time:
            raise Blocked(Check.CLOCK)
        why = explain(cloud.service.list_shares("pending")[0], error) if isinstance(error, Refused) else error
        fix = "the right to list images: ims:images:list, or the role member (with access rules: GET /v2/images)"
        chart.block(Check.LIST, str(why), fix)

    async def _read_one(self, lists: assumptions.Lists) -> None:
        """Read one share by itself, and our own member row of it."""
        chart, cloud = self.chart, self.context.cloud
        image = next((image for listed in lists.values() for image in listed.rows), None)
        if image is None:
            for each in (Check.READ, Check.MEMBER_ROW):
                chart.add(each, assumptions.NO_SHARES)
            return
        right = "ims:images:get" if cloud.service.has_jobs else "the role member"
        try:
            await cloud.client.send(glance.show_image(image), let_through)
            row = await cloud.member(image)
        except (Unavailable, Refused) as error:
            fix = f"grant {right}; access rules must name GET /v2/images/* and /v2/images/*/members/*"
            chart.add(Check.READ, mend(f"image {image}: {error}", fix))
            chart.skip([Check.MEMBER_ROW], Check.READ)
        else:
            chart.add(Check.READ, ok(f"image {image} and its member row can be read"))
            chart.add(Check.MEMBER_ROW, assumptions.judge_member_row(row))

    async def _try_lists(self, full: assumptions.Listed) -> None:
        chart, cloud = self.chart, self.context.cloud
        first = await _page(cloud, full.asked.with_param("limit", "1"))
        chart.add(Check.LIMIT, assumptions.judge_limit(full, first.page))
        second = (await _page(cloud, first.page.next)).page if first.page.next else None
        chart.add(Check.NEXT, assumptions.judge_next(first, second))
        asks = len(cloud.service.list_shares("pending")) > 1
        hidden = await _try(cloud, full.asked.with_param("os_hidden", "true"))
        chart.add(Check.HIDDEN, assumptions.judge_hidden(full, hidden, asks=asks))
        if cloud.service.has_whole_images:
            asked = [full.asked.with_param("__whole_image", value) for value in ("true", "false")]
            chart.add(Check.WHOLE, assumptions.judge_whole(full, *[await _try(cloud, each) for each in asked]))

    async def _decide(self) -> None:
        """Say what the policy would do with what waits."""
        if isinstance(self.policy, str):
            raise Blocked(Check.POLICY)
        _, decided = await look(self.context, cause=Cause(id="doctor", correlation="doctor"))
        counts = Counter(decision.action for decision in decided.values())
        would = ", ".join(f"{counts[action]} {action}" for action in ("accept", "reject", "hold"))
        self.chart.add(Check.WAITING, ok(f"{counted(len(decided), 'share')} to decide; the policy would: {would}"))

    async def _look_at_vaults(self) -> None:
        policy = self.policy
        is_needed = not isinstance(policy, str) and any(entry.is_choice for entry in policy.vaults)
        mark = Mark.MEND if is_needed else Mark.NOTE
        why = "the policy chooses among vaults" if is_needed else "no need, none is chosen"
        with self.chart.guard(Check.VAULTS, mark=mark, fix=f"grant cbr:vaults:list: {why}"):
            await self.reach("cbr", mark)
            found = await self.context.cloud.vaults()
            self.chart.add(Check.VAULTS, ok(f"for servers' backups: {counted(len(found), 'vault')}"))


async def _page(cloud: Cloud, asked: Request) -> assumptions.Listed:
    def read_page(answer: Answer) -> assumptions.Listed:
        page = cloud.service.read_page(answer, asked)
        has_next = isinstance(read_object(answer, "image list").get("next"), str)
        return assumptions.Listed(asked, page, has_next, cloud.project_id)

    return await cloud.client.send(asked, read_page)


async def _try(cloud: Cloud, asked: Request) -> Page | Exception:
    try:
        return (await _page(cloud, asked)).page
    except (Refused, Unavailable) as error:
        return error
