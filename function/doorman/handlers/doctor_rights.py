"""Looks what one project's login may read, and how the image service answers where its documentation is silent.

The second half of `doctor`, once the services can be reached and logged in to; only reads.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

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
from doorman.planning.diagnosis import Blocked, Chart, Check, Mark, Verdict, list_checks, mend, ok
from doorman.policy.policy import Policy

_STATUSES: Final[tuple[MemberStatus, ...]] = ("pending", "accepted", "rejected")
_AGAIN: Final = "look again: the cloud answered a moment ago"

Reach = Callable[[Service, Mark], Awaitable[object]]


async def look_at_rights(
    chart: Chart, context: ProjectContext, *, policy: Policy | str, is_on_time: bool, reach: Reach
) -> None:
    """Look at images, vaults and servers of one project.

    Args:
        policy: or why it cannot be loaded.
        is_on_time: whether our clock is the cloud's.
        reach: looks at a service's host, which is marked so where it cannot be reached; what needs it stops then.
    """
    cloud = context.cloud
    with chart.part(list_checks(Check.LIST, Check.WAITING, api=context.settings.api)):
        await _look_at_images(chart, cloud, await _read_lists(chart, context, is_on_time=is_on_time))
        with chart.guard(Check.WAITING, fix=_AGAIN):
            chart.add(Check.WAITING, await _decide(context, policy))
    if cloud.service.has_jobs:
        await _look_at_vaults(chart, cloud, policy, reach)
    else:
        chart.add(Check.VAULTS, ok("none: plain OpenStack has no vaults, and needs none"))
    with chart.guard(Check.SERVERS, mark=Mark.NOTE, fix="nothing: only `doorman reconcile --usage` lists servers"):
        await reach("compute", Mark.NOTE)
        servers, _ = await read(cloud.client, nova.list_servers(), nova.read_servers)
        chart.add(Check.SERVERS, ok(f"can be listed: {counted(len(servers), 'server')} booted from an image"))


async def _read_lists(chart: Chart, context: ProjectContext, *, is_on_time: bool) -> assumptions.Lists:
    """Read the lists, or say why they cannot be read, and how to mend that; nothing goes on without them."""
    cloud, api = context.cloud, context.settings.api
    try:
        lists = {status: await _page(cloud, cloud.service.list_shares(status)[0]) for status in _STATUSES}
    except (Unavailable, Refused) as error:
        if isinstance(error, Refused) and error.status == HTTPStatus.NOT_FOUND:
            fix = "set OS_IMAGE_ENDPOINT_OVERRIDE to the image service's URL, without any version"
            native = Request(method="GET", path="/v2/images", params=(("limit", "1"),))
            if cloud.service.has_jobs and isinstance(await _try(cloud, native), Page):
                fix = "this is plain OpenStack: set DOORMAN_API=glance"
            base = await cloud.client.credentials.endpoint("image")
            chart.block(Check.LIST, f"no image service of the kind {api} at {base} (404)", fix)
        if isinstance(error, Denied) and not is_on_time:
            raise Blocked(Check.CLOCK) from error
        why = explain(cloud.service.list_shares("pending")[0], error) if isinstance(error, Refused) else error
        fix = "the right to list images: ims:images:list, or the role member (with access rules: GET /v2/images)"
        chart.block(Check.LIST, str(why), fix)
    chart.add(Check.LIST, ok(f"the lists can be read: {assumptions.count_rows(lists)}"))
    return lists


async def _look_at_images(chart: Chart, cloud: Cloud, lists: assumptions.Lists) -> None:
    await _read_one(chart, cloud, lists)
    chart.add(Check.MEMBER_STATUS, assumptions.judge_member_status(lists))
    with chart.guard(Check.LIMIT, fix=_AGAIN):
        await _try_lists(chart, cloud, max(lists.values(), key=lambda listed: len(listed.page.rows)))
    rows = [row for listed in lists.values() for row in listed.rows.values()]
    chart.add(Check.FACTS, assumptions.judge_facts(rows, project_id=cloud.project_id))
    if cloud.service.has_jobs:
        with chart.guard(Check.JOBS, fix=_AGAIN):
            asked = ims.show_job(assumptions.UNKNOWN_JOB, project_id=cloud.project_id)
            answers = [await cloud.client.send(each, lambda answer: answer) for each in asked]
            chart.add(Check.JOBS, assumptions.judge_jobs(*answers))


async def _read_one(chart: Chart, cloud: Cloud, lists: assumptions.Lists) -> None:
    """Read one share by itself, and our own member row of it."""
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


async def _try_lists(chart: Chart, cloud: Cloud, full: assumptions.Listed) -> None:
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


async def _decide(context: ProjectContext, policy: Policy | str) -> Verdict:
    """Say what the policy would do with what waits."""
    if isinstance(policy, str):
        raise Blocked(Check.POLICY)
    _, decided = await look(context, cause=Cause(id="doctor", correlation="doctor"))
    counts = Counter(decision.action for decision in decided.values())
    would = ", ".join(f"{counts[action]} {action}" for action in ("accept", "reject", "hold"))
    return ok(f"{counted(len(decided), 'share')} to decide; the policy would: {would}")


async def _look_at_vaults(chart: Chart, cloud: Cloud, policy: Policy | str, reach: Reach) -> None:
    is_needed = not isinstance(policy, str) and any(entry.is_choice for entry in policy.vaults)
    mark = Mark.MEND if is_needed else Mark.NOTE
    why = "the policy chooses among vaults" if is_needed else "no need, none is chosen"
    with chart.guard(Check.VAULTS, mark=mark, fix=f"grant cbr:vaults:list: {why}"):
        await reach("cbr", mark)
        chart.add(Check.VAULTS, ok(f"for servers' backups: {counted(len(await cloud.vaults()), 'vault')}"))


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
