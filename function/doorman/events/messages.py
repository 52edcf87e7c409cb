"""The data of every event that Doorman takes, as strict models; what it only tells is in `schemas`.

What comes in is validated here and nowhere else; unknown fields of others are ignored.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from doorman.errors import Rejected
from doorman.events.cloudevents import MAX_ID
from doorman.models import MAX_IMAGES, MAX_TRIED_VAULTS, Status, is_image_id, is_plain_id
from doorman.parsing import Json, parse_json, parse_time


def _image_id(text: str) -> str:
    if not is_image_id(text):
        raise ValueError("expected an image ID (a UUID)")
    return text.lower()


def _plain_id(text: str) -> str:
    if not is_plain_id(text):
        raise ValueError("expected 1 to 64 of A-Z a-z 0-9 _ -")
    return text


def _moment(value: object) -> datetime:
    moment = parse_time(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        raise ValueError("expected RFC 3339, such as 2026-01-31T08:30:00Z")  # noqa: TRY004 - pydantic's word for it
    return moment


def _once(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


MAX_PROJECTS = 100
"""Projects that one `project.sweep` may name."""

ImageId = Annotated[str, AfterValidator(_image_id), Field(json_schema_extra={"format": "uuid"})]
PlainId = Annotated[str, AfterValidator(_plain_id), Field(json_schema_extra={"pattern": "^[A-Za-z0-9_-]{1,64}$"})]
# not strict: JSON has lists where we keep tuples
Images = Annotated[tuple[ImageId, ...], Field(strict=False, min_length=1, max_length=MAX_IMAGES), AfterValidator(_once)]
Projects = Annotated[
    tuple[PlainId, ...], Field(strict=False, min_length=1, max_length=MAX_PROJECTS), AfterValidator(_once)
]
Vaults = Annotated[tuple[PlainId, ...], Field(strict=False, max_length=MAX_TRIED_VAULTS), AfterValidator(_once)]
Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]


CLOCK_SKEW = timedelta(minutes=1)


class EventType(StrEnum):
    """The types that Doorman takes and emits; the digit is the version of the data."""

    NOTIFIED = "dev.doorman.share.notified.v1"
    CHECK = "dev.doorman.job.check.v1"
    SWEEP = "dev.doorman.project.sweep.v1"
    DECIDED = "dev.doorman.share.decided.v1"
    ACCEPTED = "dev.doorman.share.accepted.v1"
    REJECTED = "dev.doorman.share.rejected.v1"
    HELD = "dev.doorman.share.held.v1"
    FAILED = "dev.doorman.share.failed.v1"
    SKIPPED = "dev.doorman.share.skipped.v1"
    AUDITED = "dev.doorman.share.audited.v1"
    DRIFTED = "dev.doorman.share.drifted.v1"
    USED = "dev.doorman.share.used.v1"
    PENDING = "dev.doorman.shares.pending.v1"


OUTCOMES = frozenset(EventType) - {
    *(EventType.NOTIFIED, EventType.CHECK, EventType.SWEEP),
    *(EventType.DECIDED, EventType.USED, EventType.PENDING),
}
"""The types that say how images ended."""

TICK = "dev.knative.sources.ping"
"""The type of a PingSource's event, which a timer's tick has as well."""


DOCTOR = "dev.doorman.doctor.v1"
"""The type of the event by which `doctor` tries a sink: nobody acts on it."""


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
    cause: Annotated[str, Field(max_length=MAX_ID)] | None = None


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


class SweepData(Data):
    """Data of `project.sweep`: sweep these projects, as far as they are served here."""

    projects: Projects


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
    """Read the data of an event into its model; as JSON it is not kept, since parsed it may be thirty times larger.

    Raises:
        Rejected: a field is missing, wrong or out of bounds; the text names the first one.
    """
    try:
        return model.model_validate(parse_json(data, "data") if isinstance(data, Json) else data)
    except ValidationError as error:
        raise Rejected(about_fault(error)) from error


def about_fault(error: ValidationError) -> str:
    """Say what is wrong with the first field that is."""
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step[:40]}" for step in fault["loc"])
    text = _PLAIN.get(fault["type"], fault["msg"].removeprefix("Value error, ").replace("Tuple ", "List "))
    return f"data{place}: {text[:200]}"
