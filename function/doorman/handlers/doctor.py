"""Looks whether this cloud, login, sink and policy are what Doorman takes them to be; changes nothing anywhere.

Asks in the order in which one thing needs another, through the readers of the product, and has `planning` judge. The
only thing it sends is one event of the type `dev.doorman.doctor.v1` to the sink, on which nobody acts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from uuid import uuid4

import httpx

from doorman.cloud.auth.accounts import Account
from doorman.cloud.auth.catalog import Service, find_endpoint
from doorman.cloud.auth.credentials import Credentials
from doorman.cloud.auth.keystone import LoginRefused, PasswordExpired, Token
from doorman.cloud.auth.tokens import is_known
from doorman.errors import DoormanError, Misconfigured, Unavailable
from doorman.events.messages import DOCTOR
from doorman.handlers.doctor_rights import Rights, list_checks
from doorman.handlers.projects import Projects
from doorman.models import CloudEvent
from doorman.parsing import counted
from doorman.planning import diagnosis
from doorman.planning.diagnosis import Chart, Check, Finding, Mark
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is looked at.

    Attributes:
        policy: or why it cannot be loaded. warnings: what a strict check minds of it.
        client: to look at hosts with. sink_client: likewise, for that of the sink.
        sink: None where outcomes go nowhere else.
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


def refuse_settings(error: str) -> list[Finding]:
    """Give the findings where not even the settings can be read."""
    chart = Chart()
    chart.add(Check.SETTINGS, Mark.MEND, error, "docs/settings.md and docs/clouds.md have every variable")
    chart.skip(
        (Check.POLICY, Check.NAME, Check.PROXY, Check.CONNECTION, Check.CLOCK, *list_checks("ims"), Check.SINK),
        Check.SETTINGS,
    )
    return chart.findings


async def examine(patient: Patient) -> list[Finding]:
    """Look at everything, one project after the other."""
    settings, chart = patient.settings, Chart()
    text = f"{counted(len(patient.credentials), 'project')}, DOORMAN_API={settings.api}, mode {settings.mode}"
    chart.add(Check.SETTINGS, Mark.OK, text)
    for note in patient.notes:
        chart.add(Check.SETTINGS, Mark.NOTE, note)
    if isinstance(patient.policy, str):
        chart.add(Check.POLICY, Mark.MEND, patient.policy, "mend the file, until `doorman policy check` finds nothing")
    examination = _Examination(patient, chart)
    for credentials in patient.credentials:
        await examination.look_at(credentials)
    chart.project = None
    await examination.try_sink()
    return chart.findings


@dataclass(slots=True)
class _Examination:
    patient: Patient
    chart: Chart
    reached: dict[str, Reached] = field(default_factory=dict)
    is_on_time: bool = True

    async def look_at(self, credentials: Credentials) -> None:
        """Look at one served project."""
        account, chart, policy = credentials.account, self.chart, self.patient.policy
        chart.project = next(iter(sorted(credentials.names)), None)
        if not isinstance(policy, str):
            project_id = account.project.id if account else chart.project
            today = self.patient.clock.now().date()
            diagnosis.judge_policy(chart, policy, self.patient.warnings, project_id=project_id, today=today)
        root = await self._reach(account.auth_url) if account and account.auth_url else None
        token = None
        if root is None:
            token, root = await self._log_in(credentials, account)
        base = None
        if root is None:
            base, root = await self._find_endpoint(credentials, token, account)
        if root is None:
            root = await self._reach(base or "")
        if root is not None:
            seen = {finding.check for finding in chart.findings if finding.project == chart.project}
            chart.skip([each for each in list_checks(self.patient.settings.api) if each not in seen], root)
            return
        context = await self.patient.projects.context(await credentials.project_id())
        rights = diagnosis.Rights(roles=token.roles if token else None, rules=token.rules if token else None)
        diagnosis.judge_settling(chart, rights, api=self.patient.settings.api)
        looked = Rights(
            chart=chart,
            context=context,
            policy=policy,
            is_on_time=self.is_on_time,
            is_there=partial(self._is_there, credentials),
        )
        await looked.look()

    async def _reach(
        self, url: str, *, is_needed: bool = True, client: httpx.AsyncClient | None = None
    ) -> Check | None:
        """Look at a host, once; say what is wrong with it."""
        base = origin(url)
        if base not in self.reached:
            patient = self.patient
            self.reached[base] = seen = await reach(url, client=client or patient.client, clock=patient.clock)
            self._tell(seen, is_tls=base.startswith("https:"), is_needed=is_needed)
            if client is None and seen.fault is None:
                is_right = diagnosis.judge_clock(self.chart, seen.date, seen.at)
                self.is_on_time = self.is_on_time and is_right
        fault = self.reached[base].fault
        return Check(fault) if fault else None

    def _tell(self, seen: Reached, *, is_tls: bool, is_needed: bool) -> None:
        tls = seen.certificate or ("TLS" if is_tls else "no TLS: who listens reads everything")
        through = f" through the proxy {seen.proxy}" if seen.proxy else ""
        found = {
            Check.NAME: f"{seen.proxy or seen.host}: {', '.join(seen.addresses[:3])}",
            Check.PROXY: f"{seen.host}{through or ': no proxy'}",
            Check.CONNECTION: f"{seen.host}{through}: {tls}",
        }
        checks = list(found)
        end = checks.index(Check(seen.fault)) if seen.fault else len(checks)
        for each in checks[:end]:
            self.chart.add(each, Mark.OK, found[each])
        if seen.fault:
            root = checks[end]
            self.chart.add(root, Mark.MEND if is_needed else Mark.NOTE, seen.trouble, _FIXES[root])
            self.chart.skip(checks[end + 1 :], root)

    async def _log_in(self, credentials: Credentials, account: Account | None) -> tuple[Token | None, Check | None]:
        chart, clock = self.chart, self.patient.clock
        try:
            token = await credentials.token()
        except Unavailable as error:
            is_user = None
            if isinstance(error, LoginRefused) and not isinstance(error, PasswordExpired) and account:
                is_user = await is_known(account, client=self.patient.client, now=clock.now)
            # what to check, the remedy knows better
            text = str(error) if is_user is None else str(error).partition(": check ")[0]
            chart.add(Check.LOGIN, Mark.MEND, text, _LOGIN_FIXES[is_user])
            return None, Check.LOGIN
        if token is None:
            chart.add(Check.LOGIN, Mark.OK, "no login: each request is signed, or comes with its token")
            return None, None
        who = f"{token.user or 'a user'} in project {token.project_name or token.project_id}"
        hours = f"{token.life.total_seconds() / 3600:.3g}"
        ends = f"the token ends {clock.now() + token.life:%Y-%m-%d %H:%M} UTC"
        chart.add(Check.LOGIN, Mark.OK, f"{who}; {ends}, and was made for {hours} hour{'' if hours == '1' else 's'}")
        return token, None

    async def _find_endpoint(
        self, credentials: Credentials, token: Token | None, account: Account | None
    ) -> tuple[str | None, Check | None]:
        """Find where the image service is, and tell where the settings and the catalog differ."""
        chart = self.chart
        try:
            base = await credentials.endpoint("image")
        except (Misconfigured, Unavailable) as error:
            chart.add(Check.CATALOG, Mark.MEND, str(error), "OS_REGION_NAME chooses among regions")
            return None, Check.CATALOG
        named = _find_listed(token, account)
        if named and named != base:
            text = f"image service at {base} (OS_IMAGE_ENDPOINT_OVERRIDE); the catalog says {named}"
            chart.add(Check.CATALOG, Mark.NOTE, text, "leave the override away, unless it is meant")
        else:
            by = "as the catalog says" if named else "as the settings say"
            chart.add(Check.CATALOG, Mark.OK, f"image service at {base}, {by}")
        return base, None

    async def _is_there(self, credentials: Credentials, service: Service, check: Check, mark: Mark, fix: str) -> bool:
        """Say whether a service has an endpoint that can be reached."""
        try:
            url = await credentials.endpoint(service)
        except (Misconfigured, Unavailable) as error:
            self.chart.add(check, mark, str(error), fix)
            return False
        root = await self._reach(url, is_needed=mark is Mark.MEND)
        if root is not None:
            self.chart.skip((check,), root)
        return root is None

    async def try_sink(self) -> None:
        """Send one event that nobody acts on."""
        chart, sink = self.chart, self.patient.sink
        event = CloudEvent(
            id=str(uuid4()),
            source="/doorman/-/doctor",
            type=DOCTOR,
            time=self.patient.clock.now(),
            data={"text": "doorman doctor looks whether this sink takes events"},
        )
        if sink is None:
            chart.add(Check.SINK, Mark.OK, "none: K_SINK is not set, so outcomes stand on stdout and in the log alone")
        elif isinstance(sink, HttpSink):
            root = await self._reach(sink.url, client=self.patient.sink_client)
            if root is None:
                await self._post(sink, event)
            else:
                chart.skip((Check.SINK,), root)
        else:
            try:
                await sink.emit(event)
            except DoormanError as error:
                chart.add(Check.SINK, Mark.MEND, str(error), "check the URN, and the right to invoke or to publish")
            else:
                chart.add(Check.SINK, Mark.OK, "takes events")

    async def _post(self, sink: HttpSink, event: CloudEvent) -> None:
        clock, began = self.patient.clock, self.patient.clock.monotonic()
        try:
            answer = await sink.send(event)
        except httpx.HTTPError as error:
            seconds = self.patient.settings.sink_timeout
            fix = f"it must answer within {seconds:g} s (DOORMAN_SINK_TIMEOUT): does a broker wait for its subscribers?"
            self.chart.add(Check.SINK, Mark.MEND, f"no answer to an event ({type(error).__name__})", fix)
            return
        diagnosis.judge_sink(
            self.chart,
            status=answer.status_code,
            headers=answer.headers,
            body=answer.content,
            seconds=clock.monotonic() - began,
        )


def _find_listed(token: Token | None, account: Account | None) -> str | None:
    """Find the image service in the catalog, whatever the settings name."""
    if token is None or account is None:
        return None
    try:
        return find_endpoint(token.catalog, "image", region=account.region, interface=account.interface)
    except Misconfigured:
        return None
