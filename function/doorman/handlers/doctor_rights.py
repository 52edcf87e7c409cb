"""Looks what one project's login may read, and how the image service answers where its documentation is silent.

The second half of `doctor`, once the services can be reached and logged in to; only reads.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from doorman.cloud.api import glance, ims, nova
from doorman.cloud.api.base import Answer, Page, Request, read_object
from doorman.cloud.api.base import check as let_through
from doorman.cloud.auth.catalog import Service
from doorman.cloud.listing import explain, read
from doorman.cloud.project import Cloud
from doorman.errors import Denied, Refused, Unavailable
from doorman.handlers.context import ProjectContext
from doorman.handlers.sweep import look
from doorman.models import Cause, MemberStatus
from doorman.parsing import counted
from doorman.planning import limits
from doorman.planning.diagnosis import Chart, Check, Mark
from doorman.policy.policy import Policy
from doorman.settings import Api

_LIMITS: Final = (
    Check.MEMBER_STATUS,
    Check.LIMIT,
    Check.NEXT,
    Check.HIDDEN,
    Check.WHOLE,
    Check.MEMBER_ROW,
    Check.FACTS,
)
_IMAGES: Final = (Check.LIST, Check.READ, *_LIMITS, Check.JOBS, Check.WAITING)
_NOT_ON_GLANCE: Final = {Check.WHOLE, Check.JOBS}
_STATUSES: Final[tuple[MemberStatus, ...]] = ("pending", "accepted", "rejected")
_NOT_FOUND: Final = 404


def list_checks(api: Api) -> list[Check]:
    """List what is looked at in a project with this image service, from the login on."""
    every = (Check.LOGIN, Check.CATALOG, Check.SETTLE, *_IMAGES, Check.VAULTS, Check.SERVERS)
    return [each for each in every if api == "ims" or each not in _NOT_ON_GLANCE]


IsThere = Callable[[Service, Check, Mark, str], Awaitable[bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """The look at one project.

    Attributes:
        policy: or why it cannot be loaded.
        is_on_time: whether our clock is the cloud's.
        is_there: says whether a service can be reached; else tells with the mark and remedy that it is given.
    """

    chart: Chart
    context: ProjectContext
    policy: Policy | str
    is_on_time: bool
    is_there: IsThere

    @property
    def cloud(self) -> Cloud:
        """The project's cloud."""
        return self.context.cloud

    async def look(self) -> None:
        """Look at images, vaults and servers."""
        await self._look_at_images()
        await self._look_at_vaults()
        await self._look_at_servers()

    async def _look_at_images(self) -> None:
        chart, cloud = self.chart, self.cloud
        try:
            lists = {status: await _list(cloud, status) for status in _STATUSES}
        except (Unavailable, Refused) as error:
            await self._explain_list(error)
            return
        counts = ", ".join(f"{len(listed.rows)} {status}" for status, listed in lists.items())
        chart.add(Check.LIST, Mark.OK, f"the lists can be read: {counts}")
        await self._read_one(lists)
        limits.judge_member_status(chart, lists)
        await self._guard(Check.LIMIT, self._try_lists(lists))
        rows = [row for listed in lists.values() for row in listed.rows.values()]
        limits.judge_facts(chart, rows, project_id=cloud.project_id)
        if cloud.service.has_jobs:
            await self._guard(Check.JOBS, self._ask_for_job())
        await self._guard(Check.WAITING, self._decide())

    async def _guard(self, check: Check, step: Awaitable[None]) -> None:
        """Let what fails in between cost no more than its own line."""
        try:
            await step
        except (Refused, Unavailable) as error:
            self.chart.add(check, Mark.MEND, str(error), "look again: the cloud answered a moment ago")

    async def _ask_for_job(self) -> None:
        asked = ims.show_job(limits.UNKNOWN_JOB, project_id=self.cloud.project_id)
        limits.judge_jobs(self.chart, [await self.cloud.client.send(each, _keep) for each in asked])

    async def _explain_list(self, error: Unavailable | Refused) -> None:
        """Say why the lists cannot be read, and at what that lies."""
        chart, cloud = self.chart, self.cloud
        rest = [each for each in list_checks(self.context.settings.api) if each in _IMAGES and each is not Check.LIST]
        is_gone = isinstance(error, Refused) and error.status == _NOT_FOUND
        base = await cloud.client.credentials.endpoint("image")
        if is_gone:
            is_glance = cloud.service.has_jobs and await _is_glance(cloud)
            fix = (
                "this is plain OpenStack: set DOORMAN_API=glance"
                if is_glance
                else "set OS_IMAGE_ENDPOINT_OVERRIDE to the image service's URL, without any version"
            )
            chart.drop(Check.CATALOG)
            text = f"no image service of the kind {self.context.settings.api} at {base} ({_NOT_FOUND})"
            chart.add(Check.CATALOG, Mark.MEND, text, fix)
            chart.skip((Check.LIST, *rest), Check.CATALOG)
        elif isinstance(error, Denied) and not self.is_on_time:
            chart.skip((Check.LIST, *rest), Check.CLOCK)
        else:
            asked = cloud.service.list_shares("pending")[0]
            why = explain(asked, error) if isinstance(error, Refused) else error
            fix = "the right to list images: ims:images:list, or the role member (with access rules: GET /v2/images)"
            chart.add(Check.LIST, Mark.MEND, str(why), fix)
            chart.skip(rest, Check.LIST)

    async def _read_one(self, lists: limits.Lists) -> None:
        """Read one share by itself, and our own member row of it."""
        chart, cloud = self.chart, self.cloud
        image = next((image for listed in lists.values() for image in listed.rows), None)
        if image is None:
            for each in (Check.READ, Check.MEMBER_ROW):
                chart.add(each, Mark.UNKNOWN, limits.NO_SHARES, limits.SHARE_ONE)
            return
        right = "ims:images:get" if cloud.service.has_jobs else "the role member"
        try:
            await cloud.client.send(glance.show_image(image), let_through)
            row = await cloud.member(image)
        except (Unavailable, Refused) as error:
            fix = f"grant {right}; access rules must name GET /v2/images/* and /v2/images/*/members/*"
            chart.add(Check.READ, Mark.MEND, f"image {image}: {error}", fix)
            chart.skip((Check.MEMBER_ROW,), Check.READ)
            return
        chart.add(Check.READ, Mark.OK, f"image {image} and its member row can be read")
        limits.judge_member_row(chart, row)

    async def _try_lists(self, lists: limits.Lists) -> None:
        chart, cloud, full = self.chart, self.cloud, limits.find_fullest(lists)
        first = await _page(cloud, full.asked.with_param("limit", "1"))
        limits.judge_limit(chart, full, first.page)
        second = (await _page(cloud, first.page.next)).page if first.page.next else None
        limits.judge_next(chart, first, second)
        asks = len(cloud.service.list_shares("pending")) > 1
        limits.judge_hidden(chart, full, await _try_with(cloud, full, "os_hidden", "true"), asks=asks)
        if cloud.service.has_whole_images:
            found = [await _try_with(cloud, full, "__whole_image", value) for value in ("true", "false")]
            limits.judge_whole(chart, full, *found)

    async def _decide(self) -> None:
        """Say what the policy would do with what waits."""
        chart, context = self.chart, self.context
        if isinstance(self.policy, str):
            chart.skip((Check.WAITING,), Check.POLICY)
            return
        _, decided = await look(context, cause=Cause(id="doctor", correlation="doctor"))
        counts = Counter(decision.action for decision in decided.values())
        would = ", ".join(f"{counts[action]} {action}" for action in ("accept", "reject", "hold"))
        chart.add(Check.WAITING, Mark.OK, f"{counted(len(decided), 'share')} to decide; the policy would: {would}")

    async def _look_at_vaults(self) -> None:
        if not self.cloud.service.has_jobs:
            self.chart.add(Check.VAULTS, Mark.OK, "none: plain OpenStack has no vaults, and needs none")
            return
        policy = self.policy
        is_needed = not isinstance(policy, str) and any(entry.is_choice for entry in policy.vaults)
        mark = Mark.MEND if is_needed else Mark.NOTE
        need = "grant cbr:vaults:list: " + (
            "the policy chooses among vaults" if is_needed else "no need, none is chosen"
        )
        if not await self.is_there("cbr", Check.VAULTS, mark, need):
            return
        try:
            found = await self.cloud.vaults()
        except Unavailable as error:
            self.chart.add(Check.VAULTS, mark, str(error), need)
        else:
            self.chart.add(Check.VAULTS, Mark.OK, f"for servers' backups: {counted(len(found), 'vault')}")

    async def _look_at_servers(self) -> None:
        need = "nothing: only `doorman reconcile --usage` lists servers"
        if not await self.is_there("compute", Check.SERVERS, Mark.NOTE, need):
            return
        try:
            page = await read(self.cloud.client, nova.list_servers(), nova.read_servers)
        except Unavailable as error:
            self.chart.add(Check.SERVERS, Mark.NOTE, str(error), need)
        else:
            text = f"can be listed: {counted(len(page.servers), 'server')} booted from an image"
            self.chart.add(Check.SERVERS, Mark.OK, text)


def _keep(answer: Answer) -> Answer:
    return answer


async def _list(cloud: Cloud, status: MemberStatus) -> limits.Listed:
    return await _page(cloud, cloud.service.list_shares(status)[0])


async def _page(cloud: Cloud, asked: Request) -> limits.Listed:
    def read_page(answer: Answer) -> limits.Listed:
        page = cloud.service.read_page(answer, asked)
        has_next = isinstance(read_object(answer, "image list").get("next"), str)
        return limits.Listed(asked, page, has_next, cloud.project_id)

    return await cloud.client.send(asked, read_page)


async def _try_with(cloud: Cloud, full: limits.Listed, name: str, value: str) -> Page | Exception:
    try:
        return (await _page(cloud, full.asked.with_param(name, value))).page
    except (Refused, Unavailable) as error:
        return error


async def _is_glance(cloud: Cloud) -> bool:
    request = Request(method="GET", path="/v2/images", params=(("limit", "1"),))
    try:
        await cloud.client.send(request, partial(read_object, what="image list"))
    except (Refused, Unavailable):
        return False
    return True
