"""The registry of the served projects, with the context of each; built once, when first needed.

All events of a process share what it holds; how its connections are opened is `bootstrap`'s concern.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import httpx

from doorman.cloud.api.base import ImageService
from doorman.cloud.auth.credentials import Credentials
from doorman.cloud.client import CALLS_AT_ONCE, ApiClient, Places, Throttle
from doorman.cloud.project import Cloud
from doorman.errors import DoormanError, Rejected, Unavailable
from doorman.events.writing import EventWriter
from doorman.handlers.context import ProjectContext
from doorman.policy.policy import Policy
from doorman.runtime.clock import Clock
from doorman.settings import Settings
from doorman.sinks.base import Sink


@dataclass(slots=True, eq=False)
class Projects:
    """All served projects of one process.

    Attributes:
        service: the kind of image service of all of them.
        open_client: gives the client of a project, by its ID.
        credentials: of the projects that nobody asked for yet, or that only their login can name.
    """

    settings: Settings
    policy: Policy
    clock: Clock
    service: ImageService
    open_client: Callable[[str], httpx.AsyncClient]
    sink: Sink
    credentials: Sequence[Credentials]
    _calls: Places = field(default_factory=partial(Places, CALLS_AT_ONCE))
    _resolving: asyncio.Lock = field(default_factory=asyncio.Lock)
    _contexts: dict[str, ProjectContext] = field(default_factory=dict)

    async def context(self, project_id: str) -> ProjectContext:
        """Find the context of one project.

        Raises:
            Rejected: the project is not served.
            Unavailable: that cannot be told, since a project is known by name only and the login fails.
        """
        if project_id not in self._contexts:
            errors = await self._resolve()
            if project_id not in self._contexts and errors:
                raise errors[0]
        if project_id not in self._contexts:
            raise Rejected("data.project_id: not a project that is served here (OS_PROJECT_ID)")
        return self._contexts[project_id]

    async def contexts(self) -> tuple[Sequence[ProjectContext], Sequence[Unavailable]]:
        """Find all contexts, and why others could not be found now."""
        errors = await self._resolve()
        return list(self._contexts.values()), errors

    def writer(self, project_id: str = "-", region: str | None = None) -> EventWriter:
        """Give who tells of a project (`-`: of none alone); where it names no region, that of the settings counts."""
        region = region or self.settings.identity.region
        return EventWriter(project_id=project_id, region=region, policy_digest=self.policy.digest)

    async def _resolve(self) -> list[Unavailable]:
        waiting: list[Credentials] = []
        errors: list[Unavailable] = []
        async with self._resolving:
            if not self.credentials:
                return []
            answers = await asyncio.gather(*(each.project_id() for each in self.credentials), return_exceptions=True)
            for credentials, answer in zip(self.credentials, answers, strict=True):
                if isinstance(answer, str):
                    self._contexts.setdefault(answer, self._make_context(answer, credentials))
                elif isinstance(answer, DoormanError):
                    waiting.append(credentials)
                    errors.append(answer if isinstance(answer, Unavailable) else Unavailable(str(answer)))
                else:
                    raise answer
            self.credentials = waiting
        return errors

    def _make_context(self, project_id: str, credentials: Credentials) -> ProjectContext:
        cloud = Cloud(
            project_id=project_id,
            client=ApiClient(
                credentials=credentials,
                client=self.open_client(project_id),
                clock=self.clock,
                throttle=Throttle(clock=self.clock, shared=self._calls),
            ),
            service=self.service,
        )
        return ProjectContext(
            cloud=cloud,
            sink=self.sink,
            policy=self.policy,
            writer=self.writer(project_id, credentials.region),
            settings=self.settings,
            clock=self.clock,
        )
