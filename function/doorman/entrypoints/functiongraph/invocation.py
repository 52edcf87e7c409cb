"""From an invocation on FunctionGraph to its answer: unwraps the payload and has its events worked off.

Where a sink is set, follow-up events go there; where none is, one invocation follows everything to its end.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic_core import to_json

from doorman.bootstrap import Connections, open_projects
from doorman.cloud.auth.credentials import Credentials, from_invocation
from doorman.cloud.client import counting
from doorman.entrypoints.functiongraph.payload import TICK, Grant, Unwrapped, read_grant, read_payload, unwrap
from doorman.entrypoints.http import Reply, refuse, work_off
from doorman.errors import Rejected, Unavailable
from doorman.events.messages import EventType
from doorman.handlers.dispatch import Handler, handle_check, handle_sweep, handle_triage
from doorman.handlers.projects import Projects
from doorman.handlers.run import run_once
from doorman.models import CloudEvent, Handled
from doorman.policy.policy import Policy
from doorman.runtime.logs import logger
from doorman.sinks.huaweicloud import find_beside
from doorman.sinks.inbox import Inbox

HANDLERS: Mapping[str, Handler] = {
    EventType.NOTIFIED: handle_triage,
    EventType.CHECK: handle_check,
    TICK: handle_sweep,
}
"""What works an event off where follow-ups go to a sink."""

_WORST = (204, 400, 503, 500)
"""Answers, the one that counts most last: as long as a retry may help, it is asked for."""


class Invocations:
    """The invocations of one process, each with the engine's credentials or with ours."""

    def __init__(self, connections: Connections, policy: Policy) -> None:
        self._connections = connections
        self._policy = policy
        self._last: tuple[Grant | None, Projects] | None = None

    async def answer(self, *, headers: Mapping[str, str], body: bytes) -> Reply:
        """Answer one `POST /invoke`; success is 200 and says what was done."""
        try:
            payload = read_payload(body)
            inbox = None if self._connections.settings.sink else Inbox()
            served = self._open(read_grant(headers), inbox)
            unwrapped = unwrap(payload, served=await _list_served(served))
        except (Rejected, Unavailable) as error:
            return refuse(error, policy_digest=self._policy.digest)
        if unwrapped.ignored:
            logger().info("payload.ignored", reasons=[reason.value for reason in unwrapped.ignored])
        return _sum_up(unwrapped, await _work_off_all(served, unwrapped.events, inbox))

    def _open(self, grant: Grant | None, inbox: Inbox | None) -> Projects:
        """Find the office that works with these credentials; the last one is kept, for its tokens and its rounds."""
        if inbox is None and self._last and self._last[0] == grant:
            return self._last[1]
        served = open_projects(self._connections, self._policy, sink=inbox, credentials=self._lend(grant))
        if inbox is None:
            self._last = (grant, served)
        return served

    def _lend(self, grant: Grant | None) -> Sequence[Credentials]:
        identity = self._connections.settings.identity
        if grant is None or identity.endpoints.image is None:
            if not self._connections.credentials:
                raise Unavailable("the call brings no credentials: give the function an agency, and include its keys")
            return self._connections.credentials
        cbr = identity.endpoints.cbr or find_beside(identity.endpoints.image, "cbr")
        return [
            from_invocation(
                project_id=project_id,
                endpoints=replace(identity.endpoints, cbr=cbr),
                token=grant.token,
                keys=grant.keys,
                now=self._connections.clock.now,
            )
            for project_id in identity.projects or (grant.project_id,)
        ]


async def _list_served(served: Projects) -> set[str]:
    contexts, errors = await served.contexts()
    if errors and not contexts:
        raise errors[0]
    return {context.project_id for context in contexts}


async def _work_off_all(served: Projects, events: Sequence[CloudEvent], inbox: Inbox | None) -> list[Reply]:
    """Work off the events, each for itself, and without a sink also those that follow from them."""
    handlers = HANDLERS if inbox is None else {**HANDLERS, TICK: handle_run}
    replies: list[Reply] = []
    while events:
        replies += await asyncio.gather(*(work_off(served, handlers[event.type], [event]) for event in events))
        events = inbox.take() if inbox else ()
    return replies


async def handle_run(served: Projects, events: Sequence[CloudEvent]) -> Sequence[Handled]:
    """Do the whole job once for each tick, as `doorman run` does."""
    return [await _run(served, event) for event in events]


async def _run(served: Projects, event: CloudEvent) -> Handled:
    with counting() as tally:
        report = await run_once(served, run_id=event.id)
    counts = Counter(kind.type.split(".")[-2] for kind in report.told for _ in kind.data["images"])
    for trouble in report.troubles:
        logger().warning("run.trouble", project_id=trouble.project_id, error=trouble.message, images=trouble.images)
    error = Unavailable(report.troubles[0].message) if report.troubles else None
    return Handled(counts=counts, api_calls=tally.calls, error=error)


def _sum_up(unwrapped: Unwrapped, replies: Sequence[Reply]) -> Reply:
    worst = max(replies, key=lambda reply: _WORST.index(reply.status), default=Reply())
    if worst.text:
        return worst
    told = {"events": len(unwrapped.events), "ignored": unwrapped.ignored}
    return Reply(status=200, text=to_json(told).decode(), headers={"Content-Type": "application/json"})
