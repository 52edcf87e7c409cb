"""The whole cloud as one plain object in memory, with the words that tests and the demo seed it with.

It needs no HTTP; `sandbox.cloud.create_app` serves it. Everything is gone when the process ends.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from doorman.sandbox.directory import Directory
from doorman.sandbox.failures import Failure, FailureStage
from doorman.sandbox.faults import Faults
from doorman.sandbox.functiongraph import Deployed, Engine, Loan
from doorman.sandbox.image_store import ImageStore
from doorman.sandbox.jobs import Jobs
from doorman.sandbox.records import (
    AccessKey,
    ApplicationCredential,
    Call,
    Image,
    Job,
    MemberStatus,
    Project,
    Server,
    User,
    Vault,
    new_id,
    new_uuid,
)
from doorman.sandbox.settings import Settings
from doorman.sandbox.topics import Topic, Topics

MAX_CALLS = 200_000


class Cloud:
    """A cloud in memory: who is there, what is shared, which jobs run, and which calls came in.

    Args:
        clock: seconds since the epoch; tests hand in their own.
        settings: what can be adjusted, also later through the attribute.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time, settings: Settings | None = None) -> None:
        self.clock = clock
        self.settings = settings or Settings()
        self.faults = Faults()
        self.directory = Directory(self.settings, clock)
        self.image_store = ImageStore(self.settings, clock)
        self.vaults: dict[str, Vault] = {}
        self.servers: dict[str, Server] = {}
        self.queue = Jobs(self.settings, clock, self.image_store, self.vaults)
        self.engine = Engine(self.settings, self.directory)
        self.topics = Topics(self.engine, clock)
        self.calls: deque[Call] = deque(maxlen=MAX_CALLS)
        self.in_flight = 0
        self.most_in_flight = 0

    @property
    def jobs(self) -> dict[str, Job]:
        """All members jobs by ID, in the order of their submission."""
        self.queue.settle_due()
        return self.queue.jobs

    @property
    def writes(self) -> list[Call]:
        """The calls so far that could change images or members."""
        return [call for call in self.calls if call.is_write]

    def add_project(
        self, project_id: str | None = None, *, name: str | None = None, domain: str = "Default"
    ) -> Project:
        """Add a project; without an ID it gets a new one, without a name its ID."""
        project_id = project_id or new_id()
        project = Project(id=project_id, name=name or project_id, domain=domain)
        self.directory.projects[project_id] = project
        return project

    def add_user(
        self, name: str, password: str, projects: Iterable[str] = (), *, domain: str = "Default", role: str = "member"
    ) -> User:
        """Add a user with a role in these projects; projects that are not there yet are added."""
        user = User(id=new_id(), name=name, password=password, domain=domain)
        for project_id in projects:
            if project_id not in self.directory.projects:
                self.add_project(project_id, domain=domain)
            user.roles[project_id] = {role}
        self.directory.users[user.id] = user
        return user

    def add_access_key(
        self, access: str, secret: str, user: User, project_id: str, *, security_token: str | None = None
    ) -> AccessKey:
        """Give a user an AK/SK pair; with a security token it is a temporary one."""
        key = AccessKey(access=access, secret=secret, user=user, project_id=project_id, security_token=security_token)
        self.directory.access_keys[access] = key
        return key

    def add_application_credential(self, user: User, project_id: str, secret: str) -> ApplicationCredential:
        """Give a user a secret for one project."""
        credential = ApplicationCredential(id=new_id(), secret=secret, user=user, project_id=project_id)
        self.directory.application_credentials[credential.id] = credential
        return credential

    def add_agency(self, domain: str, name: str, projects: Iterable[str]) -> None:
        """Let any user assume a role with rights in these projects."""
        self.directory.agencies[domain, name] = self.add_user(f"agency/{name}", new_id(), projects, domain=domain)

    def add_image(self, owner: str, *, image_id: str | None = None, name: str | None = None, **fields: Any) -> Image:
        """Add an image of `owner`; `fields` are those of `records.Image`."""
        image_id = image_id or new_uuid()
        now = self.clock()
        fields = {"created_at": now, "updated_at": now} | fields
        if fields.get("full_ecs"):
            fields.setdefault("backup_id", new_uuid())
        return self.image_store.add(Image(id=image_id, owner=owner, name=name or f"image-{image_id[:8]}", **fields))

    def share(self, image_id: str, project_id: str, status: MemberStatus = "pending") -> None:
        """Share an image with a project; sharing again starts over as pending."""
        self.image_store.share(image_id, project_id, status)

    def add_share(self, owner: str, project_id: str, *, status: MemberStatus = "pending", **fields: Any) -> str:
        """Add an image of `owner` and share it with a project; returns the image ID."""
        image = self.add_image(owner, **fields)
        self.share(image.id, project_id, status)
        return image.id

    def unshare(self, image_id: str, project_id: str) -> None:
        """Take a share back, as its owner may at any moment."""
        self.image_store.unshare(image_id, project_id)

    def delete_image(self, image_id: str) -> None:
        """Delete an image, as its owner may at any moment."""
        self.image_store.delete(image_id)

    def hide(self, image_id: str) -> None:
        """Hide an image (`os_hidden`), as its owner may at any moment."""
        self.image_store.hide(image_id)

    def set_status(self, image_id: str, project_id: str, status: MemberStatus) -> None:
        """Settle a share as somebody else in the receiving project would."""
        self.image_store.settle(image_id, project_id, status)

    def member_status(self, image_id: str, project_id: str) -> MemberStatus | None:
        """Read how a share stands, jobs that are due included; None where there is none."""
        self.queue.settle_due()
        member = self.image_store.members.get(image_id, {}).get(project_id)
        return None if member is None else member.status

    def add_vault(self, project_id: str, vault_id: str | None = None, *, size: int = 1000, **fields: Any) -> Vault:
        """Add a vault; `size` in GB, the other `fields` are those of `records.Vault`."""
        vault_id = vault_id or new_uuid()
        vault = Vault(id=vault_id, project_id=project_id, size=size, **({"name": f"vault-{vault_id[:8]}"} | fields))
        self.vaults[vault_id] = vault
        return vault

    def add_server(self, project_id: str, image_id: str, *, name: str | None = None) -> Server:
        """Add a server that was booted from an image."""
        server = Server(
            id=new_uuid(), project_id=project_id, name=name or f"server-of-{image_id[:8]}", image_id=image_id
        )
        self.servers[server.id] = server
        return server

    def add_function(
        self,
        urn: str,
        url: str,
        *,
        agency: User | None = None,
        loan: Loan = "token",
        retries: int = 1,
        is_audited: bool = False,
    ) -> Deployed:
        """Deploy a container that serves at `url`.

        Args:
            agency: the user whose rights it is lent.
            is_audited: it hears of what its project shares and takes back by IMS.
        """
        deployed = Deployed(urn=urn, url=url, agency=agency, loan=loan, retries=retries, is_audited=is_audited)
        self.engine.functions[urn] = deployed
        return deployed

    def add_topic(self, urn: str, functions: Iterable[str] = ()) -> Topic:
        """Add a topic; `functions` are the URNs of its subscribers."""
        topic = self.topics.topics[urn] = Topic(urn=urn, functions=list(functions))
        return topic

    def fail_image(
        self, image_id: str, code: str, *, at: FailureStage = "job", times: int | None = None, whole: bool = False
    ) -> None:
        """Script a failure of one image; see `failures.Failure`."""
        self.queue.image_failures.by_id[image_id] = Failure(code=code, at=at, times=times, whole=whole)

    def fail_vault(self, vault_id: str, code: str, *, at: FailureStage = "job", times: int | None = None) -> None:
        """Script a failure of one vault: every full-ECS image that would go into it."""
        self.queue.vault_failures.by_id[vault_id] = Failure(code=code, at=at, times=times)

    def finish_job(self, job_id: str) -> None:
        """End a job now; the only end where `settings.job_seconds` is None."""
        self.queue.finish(self.queue.jobs[job_id])

    def forget_job(self, job_id: str) -> None:
        """Let the cloud no longer know a job; what it did stays."""
        del self.queue.jobs[job_id]

    def calls_to(self, method: str, path: str) -> Sequence[Call]:
        """Name the calls so far with this method and exactly this path."""
        return [call for call in self.calls if (call.method, call.path) == (method, path)]
