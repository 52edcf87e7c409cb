"""The data of every event that Doorman takes, as strict models; what it only tells is in `schemas`.

What comes in is validated here and nowhere else; unknown fields of others are ignored.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from doorman.errors import Rejected
from doorman.events.fields import Count, ImageId, Images, Moment, PlainId, Vaults
from doorman.models import Status

MAX_CAUSE = 256
"""Characters of an event id."""

CLOCK_SKEW = timedelta(minutes=1)


class EventType(StrEnum):
    """The types that Doorman takes and emits; the digit is the version of the data."""

    NOTIFIED = "dev.doorman.share.notified.v1"
    CHECK = "dev.doorman.job.check.v1"
    ACCEPTED = "dev.doorman.share.accepted.v1"
    REJECTED = "dev.doorman.share.rejected.v1"
    HELD = "dev.doorman.share.held.v1"
    FAILED = "dev.doorman.share.failed.v1"
    SKIPPED = "dev.doorman.share.skipped.v1"
    AUDITED = "dev.doorman.share.audited.v1"
    DRIFTED = "dev.doorman.share.drifted.v1"
    USED = "dev.doorman.share.used.v1"
    PENDING = "dev.doorman.shares.pending.v1"


class Data(BaseModel):
    """Data of an event, or a part of it."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, defer_build=True)


M = TypeVar("M", bound=BaseModel)


class NotifiedData(Data):
    """Data of `share.notified`: these images were shared with this project, or so somebody says."""

    project_id: PlainId
    images: Images
    owner: str | None = Field(default=None, description="A claim of the sender, never trusted.")
    tries: Count = 1
    tried_vaults: Vaults = ()


class CheckedShare(Data):
    """What `job.check` carries of one image; told again from the cloud, never from here, but for `cause`."""

    name: str | None = None
    owner: str | None = None
    rule: str | None = None
    cause: Annotated[str, Field(max_length=MAX_CAUSE)] | None = None


class CheckData(Data):
    """Data of `job.check`: follow this job of this project to its end."""

    project_id: PlainId
    job_id: PlainId
    status: Status
    images: Images
    vault_id: PlainId | None = None
    submitted_at: Moment
    attempt: Count
    tries: Count = 1
    tried_vaults: Vaults = ()
    shares: dict[ImageId, CheckedShare] = Field(default={}, description="By image ID.")


# The words of the model library, where they would puzzle somebody who sends JSON.
_PLAIN = {
    "missing": "missing",
    "tuple_type": "expected a list",
    "dict_type": "expected a JSON object",
    "model_type": "expected a JSON object",
    "string_type": "expected a string",
    "int_type": "expected a whole number",
}


def validate(model: type[M], data: Any) -> M:
    """Read the data of an event into its model.

    Raises:
        Rejected: a field is missing, wrong or out of bounds; the text names the first one.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise Rejected(_first_fault(error)) from error


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step[:40]}" for step in fault["loc"])
    text = _PLAIN.get(fault["type"], fault["msg"].removeprefix("Value error, ").replace("Tuple ", "List "))
    return f"data{place}: {text[:200]}"
