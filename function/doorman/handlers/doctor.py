"""Looks whether this cloud, login, sink and policy are what Doorman takes them to be; changes nothing anywhere.

Asks in the order in which one thing needs another, through the readers of the product, and has `planning` judge. The
only thing it sends is one event of the type `dev.doorman.doctor.v1` to the sink, on which nobody acts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

import httpx

from doorman.cloud.api.base import Service
from doorman.cloud.auth.accounts import Account
from doorman.cloud.auth.catalog import find_endpoint
from doorman.cloud.auth.credentials import Credentials
from doorman.cloud.auth.keystone import LoginRefused, PasswordExpired, Token
from doorman.cloud.auth.tokens import is_known
from doorman.errors import Misconfigured, Unavailable
from doorman.events.messages import DOCTOR
from doorman.handlers.doctor_rights import look_at_rights
from doorman.handlers.projects import Projects
from doorman.models import CloudEvent
from doorman.parsing import counted
from doorman.planning import diagnosis
from doorman.planning.diagnosis import Blocked, Chart, Check, Finding, Mark, Verdict, list_checks, mend, note, ok
from doorman.policy.policy import Policy
from doorman.runtime.clock import Clock
from doorman.runtime.reach import Reached, origin, reach
from doorman.settings import Settings
from doorman.sinks.base import Sink
from doorman.sinks.http import HttpSink

_FIXES: Final = {
    Check.NAME: "check the host in the URL, and whether this machine can look names up",
    Check.PROXY: "check HTTPS_PROXY and HTTP_PROXY, or spare the host in NO_PROXY",
    Check.CONNECTION: "check scheme, host and port of the URL, OS_CACERT, and whether a firewall lets this machine out",
}

_LOGIN_FIXES: Final = {
    True: "user and password are right: OS_PROJECT_ID is wrong, or the user has no role in that project",
    False: "check user name, password and the user's domain (OS_USER_DOMAIN_NAME, the account name)",
    None: "see `When it does not work` in docs/clouds.md",
}


def refuse_settings(error: str) -> list[Finding]:
    """Give the findings where not even the settings can be read."""
    chart = Chart()
    chart.add(Check.SETTINGS, mend(error, "docs/settings.md and docs/clouds.md have every variable"))
    chart.skip(list_checks(Check.POLICY, Check.SINK, api="ims"), Check.SETTINGS)
    return chart.findings


@dataclass(slots=True, kw_only=True, eq=False)
class Examination:
    """The look at everything: what is looked at, and what was found of it so far.

    Attributes:
        policy: or why it cannot be loaded. warnings: what a strict check warns of.
        client: to look at hosts with. sink_client: likewise, for that of the sink.
        sink: None where outcomes go nowhere else.
        reached: hosts that were looked at, by scheme, name and port.
        is_on_time: our clock is the cloud's.
    """

    settings: Settings
    clock: Clock
    credentials: Sequence[Credentials]
    projects: Projects
    policy: Policy | str
    client: httpx.AsyncClient
    sink_client: httpx.AsyncClient
    sink: Sink | None
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    chart: Chart = field(default_factory=Chart)
    reached: dict[str, Reached] = field(default_factory=dict)
    is_on_time: bool = True

    async def look(self) -> list[Finding]:
        """Look at everything, one project after the other."""
        settings, chart = self.settings, self.chart
        text = f"{counted(len(self.credentials), 'project')}, DOORMAN_API={settings.api}, mode {settings.mode}"
        chart.add(Check.SETTINGS, ok(text))
        for each in self.notes:
            chart.add(Check.SETTINGS, note(each))
        if isinstance(self.policy, str):
            chart.add(Check.POLICY, mend(self.policy, "mend the file, until `doorman policy check FILE` finds nothing"))
        for credentials in self.credentials:
            chart.project = next(iter(sorted(credentials.names)), None)
            with chart.part(list_checks(Check.LOGIN, Check.SERVERS, api=settings.api)):
                await self._look_at(credentials)
        chart.project = None
        with chart.part([Check.SINK]):
            await self._try_sink()
        return chart.findings

    async def _look_at(self, credentials: Credentials) -> None:
        """Look at one served project."""
        account, chart = credentials.account, self.chart
        if not isinstance(self.policy, str):
            project_id, today = account.project.id if account else chart.project, self.clock.now().date()
            verdict = diagnosis.judge_policy(self.policy, self.warnings, project_id=project_id, today=today)
            chart.add(Check.POLICY, verdict)
        if account and account.auth_url:
            await self._reach(account.auth_url)
        token = await self._log_in(credentials)
        await self._reach(await self._find_endpoint(credentials, token))
        context = await self.projects.context(await credentials.project_id())
        roles, rules = (token.roles, token.rules) if token else ((), None)
        chart.add(Check.SETTLE, diagnosis.judge_settling(roles, rules, api=self.settings.api))

        async def reach_service(service: Service, mark: Mark) -> None:
            await self._reach(await credentials.endpoint(service), mark=mark)

        await look_at_rights(chart, context, policy=self.policy, is_on_time=self.is_on_time, reach=reach_service)

    async def _reach(self, url: str, *, mark: Mark = Mark.MEND, client: httpx.AsyncClient | None = None) -> None:
        """Look at a host, once.

        Args:
            mark: where it cannot be reached.
            client: of the sink, whose clock counts for nothing.
        """
        base = origin(url)
        if base not in self.reached:
            self.reached[base] = seen = await reach(url, client=client or self.client, clock=self.clock)
            self._tell(seen, is_tls=base.startswith("https:"), mark=mark)
            if client is None and seen.fault is None:
                verdict = diagnosis.judge_clock(seen.date, seen.at)
                self.chart.add(Check.CLOCK, verdict)
                self.is_on_time = self.is_on_time and verdict.mark is not Mark.MEND
        if fault := self.reached[base].fault:
            raise Blocked(Check(fault))

    def _tell(self, seen: Reached, *, is_tls: bool, mark: Mark) -> None:
        tls = seen.certificate or ("TLS" if is_tls else "no TLS: who listens reads everything")
        through = f" through the proxy {seen.proxy}" if seen.proxy else ""
        found = {
            Check.NAME: f"{seen.proxy or seen.host}: {', '.join(seen.addresses[:3])}",
            Check.PROXY: f"{seen.host}{through or ': no proxy'}",
            Check.CONNECTION: f"{seen.host}{through}: {tls}",
        }
        for check, text in found.items():
            if check == seen.fault:
                self.chart.add(check, Verdict(mark, seen.trouble, _FIXES[check]))
                self.chart.skip(list_checks(check, Check.CONNECTION, api="ims")[1:], check)
                return
            self.chart.add(check, ok(text))

    async def _log_in(self, credentials: Credentials) -> Token | None:
        chart, clock = self.chart, self.clock
        try:
            token = await credentials.token()
        except Unavailable as error:
            is_user, account = None, credentials.account
            if isinstance(error, LoginRefused) and not isinstance(error, PasswordExpired) and account:
                is_user = await is_known(account, client=self.client, now=clock.now)
            # what to check, the remedy knows better
            text = str(error) if is_user is None else str(error).partition(": check ")[0]
            chart.block(Check.LOGIN, text, _LOGIN_FIXES[is_user])
        if token is None:
            chart.add(Check.LOGIN, ok("no login: each request is signed, or comes with its token"))
            return None
        who = f"{token.user or 'a user'} in project {token.project_name or token.project_id}"
        hours = f"{token.life.total_seconds() / 3600:.3g}"
        ends = f"the token ends {clock.now() + token.life:%Y-%m-%d %H:%M} UTC"
        chart.add(Check.LOGIN, ok(f"{who}; {ends}, and was made for {hours} hour{'' if hours == '1' else 's'}"))
        return token

    async def _find_endpoint(self, credentials: Credentials, token: Token | None) -> str:
        """Find where the image service is, and tell where the settings and the catalog differ."""
        try:
            base = await credentials.endpoint("image")
        except (Misconfigured, Unavailable) as error:
            self.chart.block(Check.CATALOG, str(error), "OS_REGION_NAME chooses among regions")
        named = _find_listed(token, credentials.account)
        if named and named != base:
            text = f"image service at {base} (OS_IMAGE_ENDPOINT_OVERRIDE); the catalog says {named}"
            self.chart.add(Check.CATALOG, note(text, "remove the override, unless it is intended"))
        else:
            by = "as the catalog says" if named else "as the settings say"
            self.chart.add(Check.CATALOG, ok(f"image service at {base}, {by}"))
        return base

    async def _try_sink(self) -> None:
        """Send one event that nobody acts on."""
        chart, sink = self.chart, self.sink
        event = CloudEvent(
            id=str(uuid4()),
            source="/doorman/-/doctor",
            type=DOCTOR,
            time=self.clock.now(),
            data={"text": "doorman doctor looks whether this sink takes events"},
        )
        if sink is None:
            text = "none: K_SINK is not set, so outcomes stand on stdout and in the log alone"
            chart.add(Check.SINK, ok(text))
        elif isinstance(sink, HttpSink):
            await self._reach(sink.url, client=self.sink_client)
            chart.add(Check.SINK, await self._post(sink, event))
        else:
            with chart.guard(Check.SINK, fix="check the URN, and the right to invoke or to publish"):
                await sink.emit(event)
                chart.add(Check.SINK, ok("takes events"))

    async def _post(self, sink: HttpSink, event: CloudEvent) -> Verdict:
        clock, began = self.clock, self.clock.monotonic()
        try:
            answer = await sink.send(event)
        except httpx.HTTPError as error:
            seconds = self.settings.sink_timeout
            fix = f"it must answer within {seconds:g} s (DOORMAN_SINK_TIMEOUT): does a broker wait for its subscribers?"
            return mend(f"no answer to an event ({type(error).__name__})", fix)
        seconds = clock.monotonic() - began
        return diagnosis.judge_sink(answer.status_code, answer.headers, answer.content, seconds=seconds)


def _find_listed(token: Token | None, account: Account | None) -> str | None:
    """Find the image service in the catalog, whatever the settings name."""
    if token is None or account is None:
        return None
    try:
        return find_endpoint(token.catalog, "image", account)
    except Misconfigured:
        return None
