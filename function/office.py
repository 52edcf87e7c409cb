"""Finds the desk of each served project, and the line of events that waits there; built once, when first needed.

Holds the connections to the cloud and to the sink, so that all events of a process share them.
"""

import asyncio
import ssl
from collections.abc import Sequence
from datetime import datetime
from functools import partial

import httpx

from .clock import Clock
from .cloud import Cloud
from .credentials import Credentials, from_settings, list_ca_files, read_all_accounts
from .desk import Desk
from .engine import read_target
from .engine_sink import EngineSink
from .errors import DoormanError, Misconfigured, Rejected, Unavailable
from .events import Teller
from .line import Line
from .pace import CALLS_AT_ONCE, Pace
from .policy import Policy
from .rounds import ROUNDS_AT_ONCE, Rounds
from .settings import Settings
from .sink import HttpSink, Sink
from .triage import triage
from .version import USER_AGENT

KEEP_ALIVE = 30.0
"""Seconds that an idle connection is kept for the next event."""


class Office:
    """All served projects of one process.

    Args:
        credentials: of all served projects, where they are not those of the settings.
    """

    def __init__(
        self,
        settings: Settings,
        policy: Policy,
        *,
        clock: Clock,
        client: httpx.AsyncClient,
        sink: Sink,
        credentials: Sequence[Credentials] | None = None,
    ) -> None:
        self._settings = settings
        self._policy = policy
        self._clock = clock
        self._client = client
        self._sink = sink
        self._calls = asyncio.Semaphore(CALLS_AT_ONCE)
        self._turns = asyncio.Semaphore(ROUNDS_AT_ONCE)
        if credentials is None:
            credentials = from_settings(settings.identity, client=client, clock=clock)
        self._unresolved: list[Credentials] = list(credentials)
        self._resolving = asyncio.Lock()
        self._desks: dict[str, Desk] = {}
        self._rounds: dict[str, Rounds] = {}

    @property
    def policy_digest(self) -> str:
        """The policy that decides here."""
        return self._policy.digest

    def now(self) -> datetime:
        """Give the time of day."""
        return self._clock.now()

    async def desk(self, project_id: str) -> Desk:
        """Find the desk of one project.

        Raises:
            Rejected: the project is not served.
            Unavailable: that cannot be told, since a project is known by name only and the login fails.
        """
        if project_id not in self._desks:
            errors = await self._resolve()
            if project_id not in self._desks and errors:
                raise errors[0]
        if project_id not in self._desks:
            raise Rejected("data.project_id: not a project that is served here (OS_PROJECT_ID)")
        return self._desks[project_id]

    async def desks(self) -> tuple[Sequence[Desk], Sequence[Unavailable]]:
        """Find all desks, and why others could not be found now."""
        errors = await self._resolve()
        return list(self._desks.values()), errors

    def rounds(self, desk: Desk) -> Rounds:
        """Give the line of notices that waits at a desk."""
        if desk.project_id not in self._rounds:
            self._rounds[desk.project_id] = Rounds(partial(triage, desk), turns=self._turns)
        return self._rounds[desk.project_id]

    async def _resolve(self) -> list[Unavailable]:
        async with self._resolving:
            return await self._find()

    async def _find(self) -> list[Unavailable]:
        waiting, self._unresolved = self._unresolved, []
        answers = await asyncio.gather(*(each.project_id() for each in waiting), return_exceptions=True)
        errors = []
        for credentials, answer in zip(waiting, answers, strict=True):
            if isinstance(answer, str):
                self._desks.setdefault(answer, self._furnish(answer, credentials))
            elif isinstance(answer, DoormanError):
                self._unresolved.append(credentials)
                errors.append(answer if isinstance(answer, Unavailable) else Unavailable(str(answer)))
            else:
                raise answer
        return errors

    def _furnish(self, project_id: str, credentials: Credentials) -> Desk:
        settings = self._settings
        cloud = Cloud(
            project_id=project_id,
            line=Line(
                credentials=credentials,
                client=self._client,
                clock=self._clock,
                pace=Pace(clock=self._clock, shared=self._calls),
            ),
            is_ims=settings.api == "ims",
        )
        teller = Teller(project_id=project_id, region=settings.identity.region, policy_digest=self._policy.digest)
        return Desk(
            cloud=cloud, sink=self._sink, policy=self._policy, teller=teller, settings=settings, clock=self._clock
        )


def check_trust(settings: Settings) -> None:
    """Read clouds.yaml and the extra certificate authorities, so that a wrong one stops the start, not the first event.

    Raises:
        Misconfigured: clouds.yaml is missing or wrong, OS_CACERT or an entry's cacert is no readable PEM file, or
            K_CA_CERTS no PEM text.
    """
    read_all_accounts(settings.identity)
    _trust_cloud(settings)
    _trust("K_CA_CERTS", text=settings.sink_ca)


def connect(settings: Settings) -> httpx.AsyncClient:
    """Open the connections to the cloud.

    Raises:
        Misconfigured: OS_CACERT, or an entry's cacert, is no readable PEM file.
    """
    return _client(settings.request_timeout, _trust_cloud(settings))


def connect_sink(settings: Settings) -> httpx.AsyncClient:
    """Open the connections to the sink, which may be one of the cloud's own services.

    Raises:
        Misconfigured: K_CA_CERTS or OS_CACERT is no readable PEM.
    """
    is_engine = bool(settings.sink and not settings.sink.startswith("http"))
    trust = _trust_cloud(settings) if is_engine else None
    return _client(settings.sink_timeout, trust or _trust("K_CA_CERTS", text=settings.sink_ca))


def make_sink(
    settings: Settings, *, clock: Clock, client: httpx.AsyncClient, credentials: Sequence[Credentials]
) -> Sink:
    """Make the sink that K_SINK names.

    Args:
        client: see `connect_sink`.
        credentials: of all served projects, for a sink that is one of the cloud's own services.
    """
    url = settings.sink or ""
    if url.startswith("http"):
        return HttpSink(url=url, client=client, clock=clock, overrides=settings.overrides)
    target = read_target(url)
    return EngineSink(target=target, credentials=credentials, client=client, clock=clock, overrides=settings.overrides)


def _client(timeout: float, trust: ssl.SSLContext | bool) -> httpx.AsyncClient:  # noqa: FBT001 - httpx' own word
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=CALLS_AT_ONCE, keepalive_expiry=KEEP_ALIVE)
    return httpx.AsyncClient(timeout=timeout, verify=trust, limits=limits, headers={"User-Agent": USER_AGENT})


def _trust_cloud(settings: Settings) -> ssl.SSLContext | bool:
    return _trust("OS_CACERT", files=list_ca_files(settings.identity))


def _trust(variable: str, *, files: Sequence[str] = (), text: str | None = None) -> ssl.SSLContext | bool:
    if not files and not text:
        return True
    context = ssl.create_default_context()
    for file in files or (None,):
        try:
            context.load_verify_locations(cafile=file, cadata=text)
        except (OSError, ssl.SSLError, ValueError) as error:
            where = f" in {file}" if file else ""
            raise Misconfigured(f"{variable}: not a readable set of PEM certificates{where}") from error
    return context
