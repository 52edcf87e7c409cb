"""The data of the events that Doorman tells, as models: with `messages` the source of the published schemas.

`outcomes` writes these events without them, and tests hold it to the models; who tells people of events reads by them.
"""

from typing import Any

from pydantic import BaseModel, Field

from doorman.events.messages import (
    OUTCOMES,
    CheckData,
    Data,
    EventType,
    ImageId,
    Moment,
    NotifiedData,
    PlainId,
    SweepData,
)
from doorman.models import Action, MemberStatus, Reason, Status


class OutcomeEntry(Data):
    """How one image ended; null where unknown."""

    image_id: ImageId
    name: str | None
    owner: str | None
    rule: str | None
    reason: Reason
    decision: Action | None = None
    facts: dict[str, Any] | None = Field(default=None, description="What the decision rested on.")
    member_status: MemberStatus | None
    settled_at: Moment | None = Field(description="When the member's status last changed; null where only lists told.")
    error_code: str | None
    vault_id: str | None
    cause: str | None = Field(description="The id of the event that asked for it: a claim.")
    key: str = Field(description="The same as long as the same is told of this image.")
    approve: str | None = Field(default=None, description="Where it is held: the command that accepts it.")
    failed_condition: str | None = Field(
        default=None, description="Where it is held, would be, or drifted: the condition that failed."
    )


class OutcomeData(Data):
    """Data of the outcome events: accepted, rejected, held, failed, skipped, audited, drifted."""

    project_id: PlainId
    job_id: PlainId | None
    policy_digest: str
    actor: str | None = Field(default=None, description="The person who decided, where it was a person.")
    reason: str | None = Field(default=None, description="Why that person did, in their own words.")
    images: tuple[OutcomeEntry, ...]


class DecidedData(Data):
    """Data of `share.decided`: what is about to be settled, told before the call is made."""

    project_id: PlainId
    policy_digest: str
    actor: str | None = Field(default=None, description="The person who decided, where it was a person.")
    reason: str | None = Field(default=None, description="Why that person did, in their own words.")
    status: Status
    vault_id: PlainId | None
    images: tuple[OutcomeEntry, ...]


class UsedEntry(Data):
    """One server that was booted from a share that should not be used; null where unknown."""

    server_id: PlainId
    name: str | None
    image_id: ImageId
    image_name: str | None
    owner: str | None
    member_status: MemberStatus | None
    reason: Reason


class UsedData(Data):
    """Data of `share.used`: servers that run from shares which are not accepted, or would not be accepted today."""

    project_id: PlainId
    policy_digest: str
    servers: tuple[UsedEntry, ...]


class PendingEntry(Data):
    """One share that waits, in the pending report."""

    image_id: ImageId
    name: str | None
    owner: str | None
    rule: str | None
    reason: Reason
    created_at: str | None
    shared_at: str | None = Field(description="When it was shared; null where only lists told.")
    key: str = Field(description="The same as long as the same is told of this image.")
    approve: str | None = Field(default=None, description="The command that accepts it.")


class PendingData(Data):
    """Data of the pending report: a heartbeat and a to-do list in one."""

    project_id: PlainId
    count: int = Field(ge=0, description="All pending shares, own images excluded.")
    oldest_created_at: str | None
    images: tuple[PendingEntry, ...]
    error: str | None
    expired_exceptions: tuple[str, ...] = Field(default=(), description="Exceptions of the policy that count no more.")


DATA: dict[EventType, type[BaseModel]] = {
    EventType.NOTIFIED: NotifiedData,
    EventType.CHECK: CheckData,
    EventType.SWEEP: SweepData,
    EventType.DECIDED: DecidedData,
    **dict.fromkeys(sorted(OUTCOMES), OutcomeData),
    EventType.USED: UsedData,
    EventType.PENDING: PendingData,
}
