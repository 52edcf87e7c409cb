"""The nouns: what an event claims (`Notice`), what the cloud says (`Share`, `Job`), what became of it (`Outcome`).

Frozen values without behaviour beyond themselves; nothing here reads a clock or talks to anybody.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from doorman.errors import Unavailable

IMAGE_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
PLAIN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)

MAX_IMAGES = 1000
MAX_TRIED_VAULTS = 20
FEW_ROWS = 20
"""Up to so many images are read by their own member rows, more of them by lists."""

MAX_TRIES = 3

Status = Literal["accepted", "rejected"]
MemberStatus = Literal["pending", "accepted", "rejected"]
Action = Literal["accept", "reject", "hold"]
Kind = Literal["server", "data", "iso", "bare_metal"]
Mode = Literal["enforce", "audit"]

Api = Literal["ims", "glance"]
"""The kinds of image services; the words of `DOORMAN_API`."""


def is_image_id(text: str) -> bool:
    """Say whether `text` is a UUID as image services write it."""
    return IMAGE_ID.fullmatch(text) is not None


def is_plain_id(text: str) -> bool:
    """Say whether `text` can name a project, vault or job: 1 to 64 of `A-Z a-z 0-9 _ -`."""
    return PLAIN_ID.fullmatch(text) is not None


class Reason(StrEnum):
    """Why a share ended as it did: the closed set of words that events and logs use."""

    # decided
    ALLOWED_OWNER = "allowed_owner"
    ALLOWED_IMAGE = "allowed_image"
    ALLOWED_BY_EXCEPTION = "allowed_by_exception"
    REJECTED_BY_RULE = "rejected_by_rule"
    REJECTED_BY_EXCEPTION = "rejected_by_exception"
    HELD_BY_RULE = "held_by_rule"
    HELD_BY_EXCEPTION = "held_by_exception"
    OWNER_NOT_ALLOWED = "owner_not_allowed"
    IMAGE_NOT_ALLOWED = "image_not_allowed"
    FACT_UNKNOWN = "fact_unknown"
    VAULT_MISSING = "vault_missing"
    VAULT_FAILED = "vault_failed"
    LIMIT_REACHED = "limit_reached"
    DECIDED_BY_PERSON = "decided_by_person"
    # nothing to do
    ALREADY_SETTLED = "already_settled"
    SETTLED_OTHERWISE = "settled_otherwise"
    NOT_SHARED = "not_shared"
    OWN_IMAGE = "own_image"
    NOT_USABLE = "not_usable"
    # could not be done
    STILL_PENDING = "still_pending"
    JOB_FAILED = "job_failed"
    JOB_TIMED_OUT = "job_timed_out"
    PERMISSION_DENIED = "permission_denied"
    REQUEST_REFUSED = "request_refused"
    # settled, but not as today's policy would
    POLICY_DIFFERS = "policy_differs"
    WITHDRAWN = "withdrawn"


class OutcomeType(StrEnum):
    """How an image of an event ended; the word in the outcome event's type. DECIDED is told before the call."""

    DECIDED = "decided"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    HELD = "held"
    FAILED = "failed"
    SKIPPED = "skipped"
    AUDITED = "audited"
    DRIFTED = "drifted"


class Onward(StrEnum):
    """How an image goes on that has not ended here: a job runs, it is notified again, or its check is handed over."""

    SUBMITTED = "submitted"
    REPEATED = "repeated"
    RUNNING = "running"
    UNTOLD = "untold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """The event that made something happen: its id, and what is passed on from it (W3C trace context)."""

    id: str
    correlation: str
    traceparent: str | None = None
    tracestate: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a share notification claims; a hint that is never trusted.

    Attributes:
        sent_at: the event's `time` as sent, else the broker's arrival time; None where neither came.
        counts_from: what was settled from then on was settled for it, where that is not `sent_at`: a run's start.
        tries: how often this was begun, from 1.
        tried_vaults: vaults that failed for these images already.
        max_rows: images that may be read by their own member rows; fewer where one request names many projects.
    """

    project_id: str
    images: tuple[str, ...]
    cause: Cause
    sent_at: datetime | None
    counts_from: datetime | None = None
    tries: int = 1
    tried_vaults: tuple[str, ...] = ()
    max_rows: int = FEW_ROWS


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One image shared with one project, as the cloud describes it; None where it does not say.

    Attributes:
        project_id: the receiving project.
        owner: project ID of the sharer.
        full_ecs: made from a whole server's backup (needs a vault); None where the cloud tells nowhere. It has no
            default: whoever makes a share has asked for it, since policies and vaults hang on it.
        shared_at, settled_at: when the member row was made, and when its status last changed; None where only lists
            were read, which do not tell.
        min_disk: GB. min_ram: MB. size: bytes.
        architecture: `x86_64` or `arm64` as the cloud spells it.
        encrypted: carries a key ID.
        hash_value: `os_hash_value`, Glance's checksum of the content.
    """

    image_id: str
    project_id: str
    owner: str | None = None
    name: str | None = None
    member_status: MemberStatus | None = None
    created_at: datetime | None = None
    full_ecs: bool | None
    shared_at: datetime | None = None
    settled_at: datetime | None = None
    kind: Kind | None = None
    os_type: str | None = None
    os_version: str | None = None
    platform: str | None = None
    architecture: str | None = None
    min_disk: int | None = None
    min_ram: int | None = None
    size: int | None = None
    tags: frozenset[str] | None = None
    encrypted: bool | None = None
    firmware: str | None = None
    hash_value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRow:
    """Our own row among an image's members.

    Attributes:
        created_at: when it was shared. updated_at: when its status last changed. None where the cloud does not tell.
    """

    status: MemberStatus
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vault:
    """A CBR vault as the backup service describes it.

    Attributes:
        size: capacity in GB. used: GB (the API tells MB). tags: key to value.
        object_type: `server`, `disk` or `turbo`. protect_type: `backup` or `replication`.
        status: `available`, `lock`, `frozen`, `deleting` or `error`.
        auto_expand: grows by itself when it is full. locked: its backups cannot be changed.

    See https://docs.otc.t-systems.com/cloud-backup-recovery/api-ref/
    """

    vault_id: str
    name: str | None = None
    size: float
    used: float
    object_type: str
    protect_type: str
    status: str
    tags: tuple[tuple[str, str], ...] = ()
    auto_expand: bool = False
    locked: bool = False

    @property
    def free(self) -> float:
        """Free capacity in GB."""
        return self.size - self.used


class JobState(StrEnum):
    """Where a job of the image service stands; UNKNOWN: the cloud does not know it."""

    RUNNING = "running"
    SUCCESS = "success"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An asynchronous job of the image service, as last read.

    Attributes:
        begin_time: when it began, as the cloud tells it.
        images: those that its record lists; None where it lists none.
        failed: images that the job itself reports as failed; empty where it does not say.
    """

    state: JobState
    begin_time: datetime | None = None
    images: frozenset[str] | None = None
    error_code: str | None = None
    fail_reason: str | None = None
    failed: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one image ended, with what was read of it; becomes one entry of an outcome event."""

    type: OutcomeType
    image_id: str
    reason: Reason
    cause: str
    name: str | None = None
    owner: str | None = None
    rule: str | None = None
    member_status: MemberStatus | None = None
    error_code: str | None = None
    vault_id: str | None = None
    decision: Action | None = None
    facts: Mapping[str, object] | None = None
    settled_at: datetime | None = None
    failed_condition: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudEvent:
    """One event with its attributes as sent and its data as parsed JSON; `time` is None where none was sent."""

    id: str
    source: str
    type: str
    subject: str | None = None
    time: datetime | None = None
    dataschema: str | None = None
    extensions: Mapping[str, str] = field(default_factory=dict)
    data: Any = None


@dataclass(slots=True, kw_only=True)
class Handled:
    """What came of one event, for its log line."""

    project_id: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    api_calls: int = 0
    error: Unavailable | None = None
