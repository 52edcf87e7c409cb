"""From an invocation on FunctionGraph to its answer: unwraps the payload and has its events worked off.

Where a sink is set, follow-up events go there; where none is, one invocation follows everything to its end.
The function of a project that shares only passes its traces on.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial

from pydantic_core import to_json

from doorman.bootstrap import Connections, open_examination, open_projects
from doorman.cloud.auth.credentials import Credentials, from_invocation
from doorman.cloud.client import counting
from doorman.entrypoints.functiongraph.cts import Ignored, as_object
from doorman.entrypoints.functiongraph.payload import (
    Grant,
    Unwrapped,
    read_grant,
    read_payload,
    unwrap,
    unwrap_for_sender,
)
from doorman.entrypoints.http import Handle, Reply, refuse, work_off
from doorman.errors import Rejected, Unavailable
from doorman.events.cloudevents import check_encoding
from doorman.events.messages import DOCTOR, TICK, EventType
from doorman.events.writing import read_notice, share_notified_event
from doorman.handlers.bounds import Bounds
from doorman.handlers.check_job import handle_check
from doorman.handlers.project_run import ProjectRun
from doorman.handlers.projects import Projects
from doorman.handlers.run import Run
from doorman.handlers.sweep import Shared, Sweeps
from doorman.handlers.triage import Batches
from doorman.models import CloudEvent, Handled
from doorman.parsing import Json
from doorman.policy.policy import Policy
from doorman.runtime.logs import logger
from doorman.sinks.huaweicloud import Target, find_beside
from doorman.sinks.loopback import LogSink, LoopbackSink

_SWEEPS = (TICK, EventType.SWEEP)

_WORST = (204, 400, 503, 500)
"""Answers, the one that counts most last: as long as a retry may help, it is asked for."""


class Opened:
    """The projects that are served with the credentials of a call, and what works their events off."""

    def __init__(self, served: Projects) -> None:
        self.served = served
        self._batches = Batches(served)
        self._sweeps = Sweeps(served)

    def handlers(self, events: Sequence[CloudEvent]) -> dict[str, Handle]:
        """Give what works off the events of one payload where a sink takes what follows; it is bounded together."""
        projects = {_project_of(event) for event in events if event.type == EventType.NOTIFIED}
        bounds = Bounds(sum(event.type == EventType.CHECK for event in events))
        return {
            EventType.NOTIFIED: partial(self._batches.handle, projects=len(projects)),
            EventType.CHECK: partial(handle_check, self.served, bounds=bounds),
            EventType.SWEEP: self._sweeps.handle,
            TICK: self._sweeps.handle,
        }


class Invocations:
    """The invocations of one process, each with the engine's credentials or with ours."""

    def __init__(self, connections: Connections, policy: Policy) -> None:
        self._connections = connections
        self._policy = policy
        self._last: tuple[Grant | None, Opened] | None = None
        self._runs = Shared()
        self._is_sender = connections.settings.mode == "forward"
        self._has_sink = bool(connections.settings.sink)

    async def answer(self, *, headers: Mapping[str, str], body: bytes) -> Reply:
        """Answer one `POST /invoke`; success is 200 and says what was done."""
        follow_ups: list[CloudEvent] = []
        grant = read_grant(headers)
        try:
            check_encoding(headers)
            opened, unwrapped, unknown = await self._read(grant, body, follow_ups)
        except (Rejected, Unavailable) as error:
            return refuse(error, policy_digest=self._policy.digest)
        if unwrapped.ignored:
            logger().info("payload.ignored", reasons=[reason.value for reason in unwrapped.ignored])
        served, digest = opened.served, self._policy.digest
        if any(event.type == DOCTOR for event in unwrapped.events):
            return await self._examine(grant, served)
        handlers = opened.handlers(unwrapped.events)
        if self._is_sender:
            handlers[EventType.NOTIFIED] = partial(handle_forward, served)
        if not self._has_sink:
            handlers[TICK] = partial(self._share_run, grant, served)
        replies = await work_off_all(unwrapped.events, handlers, policy_digest=digest)
        if unknown and Ignored.PROJECT_NOT_SERVED in unwrapped.ignored:  # one that is known by name only may be meant
            replies.append(refuse(unknown[0], policy_digest=digest))
        by_project: dict[str, list[CloudEvent]] = {}
        for event in follow_ups:
            by_project.setdefault(event.data["project_id"], []).append(event)
        checks = sum(event.type == EventType.CHECK for event in follow_ups)
        follow = partial(handle_follow_ups, served, checks=checks)
        work = (work_off(follow, each, policy_digest=digest) for each in by_project.values())
        replies += await asyncio.gather(*work)
        return _sum_up(unwrapped, replies)

    async def _examine(self, grant: Grant | None, served: Projects) -> Reply:
        """Look whether all is well, with the credentials of this call; each finding is a log line as well."""
        lent = self._lend(grant)
        examination = open_examination(self._connections, self._policy, projects=served, credentials=lent)
        found = [asdict(finding) for finding in await examination.look()]
        for finding in found:
            logger().info("doctor.finding", **finding)
        return Reply(status=200, text=to_json(found).decode(), headers={"Content-Type": "application/json"})

    async def _share_run(
        self, grant: Grant | None, served: Projects, events: Sequence[CloudEvent]
    ) -> Sequence[Handled]:
        """Do the whole job once for all calls that come with the same credentials while another run is under way."""
        once = Run(served, run_id=events[0].id)
        return _share(await self._runs.join(grant, partial(_do, once)), events)

    async def _read(
        self, grant: Grant | None, body: bytes, follow_ups: list[CloudEvent]
    ) -> tuple[Opened, Unwrapped, Sequence[Unavailable]]:
        """Read a payload, which is not kept: it may be thirty times its bytes; and why projects are not known now."""
        payload = read_payload(body)
        opened = self._open(grant, follow_ups)
        if self._is_sender:
            return opened, unwrap_for_sender(payload, receivers=self._connections.settings.identity.projects), ()
        contexts, errors = await opened.served.contexts()
        if errors and not contexts:
            raise errors[0]
        return opened, unwrap(payload, served={context.project_id for context in contexts}), errors

    def _open(self, grant: Grant | None, follow_ups: list[CloudEvent]) -> Opened:
        """Find the projects that are served with these credentials; with a sink the last ones are kept, for tokens."""
        if self._last and self._last[0] == grant:
            return self._last[1]
        sink = None if self._has_sink else LoopbackSink(outer=LogSink(), go_on=follow_ups.append)
        opened = Opened(open_projects(self._connections, self._policy, sink=sink, credentials=self._lend(grant)))
        if self._has_sink:
            self._last = (grant, opened)
        return opened

    def _lend(self, grant: Grant | None) -> Sequence[Credentials]:
        identity, sink = self._connections.settings.identity, self._connections.settings.sink
        projects = identity.projects
        if self._is_sender:
            if not isinstance(sink, Target):
                return ()  # a URL asks for no login
            projects = (sink.project_id,)
        if grant is None or identity.endpoints.image is None:
            if not self._connections.credentials:
                raise Unavailable("the call brings no credentials: give the function an agency, and include its keys")
            return self._connections.credentials
        cbr = identity.endpoints.cbr or find_beside(identity.endpoints.image, "cbr")
        return [
            from_invocation(
                project_id=project_id,
                endpoints=replace(identity.endpoints, cbr=cbr),
                lent=grant.lent,
                now=self._connections.clock.now,
            )
            for project_id in projects or (grant.project_id,)
        ]


async def work_off_all(
    events: Sequence[CloudEvent], handlers: Mapping[str, Handle], *, policy_digest: str
) -> list[Reply]:
    """Work off the events of one payload, each for itself but for sweeps."""
    sweeps = sorted((event for event in events if event.type in _SWEEPS), key=lambda event: event.type != TICK)
    groups = [[event] for event in events if event.type not in _SWEEPS] + ([sweeps] if sweeps else [])
    work = (work_off(handlers[group[0].type], group, policy_digest=policy_digest) for group in groups)
    return list(await asyncio.gather(*work))


def _project_of(event: CloudEvent) -> str:
    data = event.data.decode(errors="replace") if isinstance(event.data, Json) else event.data
    return str(as_object(data).get("project_id"))


async def handle_forward(served: Projects, events: Sequence[CloudEvent]) -> Sequence[Handled]:
    """Pass notices on, each as an event of its receiving project, at the time of the share.

    Whoever hears one reads the share again, so none of this needs their trust.
    """
    return [await _forward(served, event) for event in events]


async def _forward(served: Projects, event: CloudEvent) -> Handled:
    notice = read_notice(event)
    writer = served.writer(notice.project_id)
    told = share_notified_event(writer, notice.images, cause=notice.cause, now=served.clock.now())
    await served.sink.emit(replace(told, time=event.time))
    return Handled(project_id=notice.project_id, counts={"notified": len(notice.images)})


async def handle_follow_ups(served: Projects, events: Sequence[CloudEvent], *, checks: int) -> Sequence[Handled]:
    """Follow to its end what a payload led to for one project; in all it led to so many checks."""
    once = Run(served, run_id=events[0].id, task=partial(ProjectRun.follow, events=events, checks=checks))
    return _share(await _do(once, project_id=events[0].data["project_id"]), events)


def _share(done: Handled, events: Sequence[CloudEvent]) -> Sequence[Handled]:
    return [done, *(Handled(project_id=done.project_id, error=done.error) for _ in events[1:])]


async def _do(once: Run, *, project_id: str | None = None) -> Handled:
    with counting() as tally:
        report = await once.work([project_id] if project_id else ())
    counts = Counter(kind.type.split(".")[-2] for kind in report.told for _ in kind.data["images"])
    for trouble in report.troubles:
        logger().warning("run.trouble", project_id=trouble.project_id, error=trouble.message, images=trouble.images)
    error = Unavailable(report.troubles[0].message) if report.troubles else None
    return Handled(project_id=project_id, counts=counts, api_calls=tally.calls, error=error)


def _sum_up(unwrapped: Unwrapped, replies: Sequence[Reply]) -> Reply:
    worst = max(replies, key=lambda reply: _WORST.index(reply.status), default=Reply())
    if worst.text:
        return worst
    told = {"events": len(unwrapped.events), "ignored": unwrapped.ignored}
    return Reply(status=200, text=to_json(told).decode(), headers={"Content-Type": "application/json"})
