"""The sandbox's nouns: projects, users, images, members, jobs, vaults, servers and the calls that came in.

Plain mutable values; who may do what with them is decided in the modules that serve the APIs.
"""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

MemberStatus = Literal["pending", "accepted", "rejected"]


def new_id() -> str:
    """Make a project, user, job or message ID: 32 hexadecimal digits."""
    return uuid.uuid4().hex


def new_uuid() -> str:
    """Make an image, vault or server ID as those services write it."""
    return str(uuid.uuid4())


def zulu(at: float, *, milliseconds: bool = False) -> str:
    """Write seconds since the epoch as the image service does: UTC, whole seconds or milliseconds, and a `Z`."""
    text = datetime.fromtimestamp(at, tz=UTC).isoformat(timespec="milliseconds" if milliseconds else "seconds")
    return text.replace("+00:00", "Z")


@dataclass(slots=True, kw_only=True)
class Project:
    """A project (tenant) of the cloud."""

    id: str
    name: str
    domain: str = "Default"
    enabled: bool = True


@dataclass(slots=True, kw_only=True)
class User:
    """A user with a password, which may have expired; `roles` maps project IDs to role names."""

    id: str
    name: str
    password: str = field(repr=False)
    domain: str = "Default"
    roles: dict[str, set[str]] = field(default_factory=dict)
    is_expired: bool = False


@dataclass(slots=True, kw_only=True)
class ApplicationCredential:
    """A user's secret for exactly one project."""

    id: str
    secret: str = field(repr=False)
    user: User
    project_id: str


@dataclass(slots=True, kw_only=True)
class AccessKey:
    """An AK/SK pair; `security_token` is set for temporary keys; `project_id` counts where no X-Project-Id is sent."""

    access: str
    secret: str = field(repr=False)
    user: User
    project_id: str
    security_token: str | None = field(default=None, repr=False)


@dataclass(slots=True, kw_only=True)
class Token:
    """An issued token; `project_id` is None where it is unscoped."""

    id: str = field(repr=False)
    user: User
    project_id: str | None
    issued_at: float
    expires_at: float
    roles: frozenset[str]
    methods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, as proven by a token or a signature."""

    user: str
    project_id: str
    roles: frozenset[str]

    @property
    def may_write(self) -> bool:
        """Whether any role goes beyond reading."""
        return bool(self.roles - {"reader"})


@dataclass(slots=True, kw_only=True)
class Image:
    """An image; `properties` holds everything beyond the common fields, as the API spells it.

    Attributes:
        size_gb: GB that a vault must have free for a full-ECS image, and the size that the API tells in bytes.
    """

    id: str
    owner: str
    name: str
    created_at: float
    updated_at: float
    visibility: str = "shared"
    status: str = "active"
    full_ecs: bool = False
    backup_id: str | None = None
    min_disk: int = 40
    min_ram: int = 0
    size_gb: float = 1.0
    tags: list[str] = field(default_factory=list)
    protected: bool = False
    hidden: bool = False
    disk_format: str = "zvhd2"
    properties: dict[str, Any] = field(default_factory=dict)
    rendered: dict[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(slots=True, kw_only=True)
class Member:
    """One image shared with one project; not seen by the receiver before `visible_at`."""

    image_id: str
    project_id: str
    status: MemberStatus
    created_at: float
    updated_at: float
    visible_at: float


@dataclass(slots=True, kw_only=True)
class Job:
    """An asynchronous update of members; `due_at` is None where it ends only by hand."""

    id: str
    project_id: str
    status: MemberStatus
    images: list[str]
    vault_id: str | None
    submitted_at: float
    due_at: float | None
    state: Literal["INIT", "RUNNING", "SUCCESS", "FAIL"] = "INIT"
    ended_at: float | None = None
    error_code: str | None = None
    fail_reason: str | None = None
    results: dict[str, bool] = field(default_factory=dict)
    kind: str = "imsUpdateImageMembersJob"

    @property
    def has_ended(self) -> bool:
        """Whether the job reached its final state."""
        return self.state in {"SUCCESS", "FAIL"}


@dataclass(slots=True, kw_only=True)
class Vault:
    """A backup vault: `size` in GB and `used` in MB, as the API tells them."""

    id: str
    project_id: str
    name: str
    size: int
    used: float = 0
    object_type: str = "server"
    protect_type: str = "backup"
    status: str = "available"
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Server:
    """A server that was booted from an image."""

    id: str
    project_id: str
    name: str
    image_id: str
    status: str = "ACTIVE"


@dataclass(slots=True, kw_only=True)
class Call:
    """One request that came in; `status` 0 while it is in flight or where no whole answer was sent."""

    method: str
    path: str
    query: str
    at: float
    project_id: str | None = None
    user: str | None = None
    status: int = 0
    seconds: float = 0.0
    body: Any = None
    fault: str | None = None

    @property
    def is_write(self) -> bool:
        """Whether the call could change images or members; logins and messages are no writes."""
        return self.method in {"PUT", "POST", "DELETE", "PATCH"} and (
            self.path.startswith(("/v2/images", "/v1/cloudimages", "/v2/cloudimages", "/image/"))
        )
