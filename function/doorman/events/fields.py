"""The fields of event data: IDs, lists of them and moments, each with the form that is taken. Knows no event."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from doorman.models import MAX_IMAGES, MAX_TRIED_VAULTS, is_image_id, is_plain_id
from doorman.parsing import parse_time


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


ImageId = Annotated[str, AfterValidator(_image_id), Field(json_schema_extra={"format": "uuid"})]
PlainId = Annotated[str, AfterValidator(_plain_id), Field(json_schema_extra={"pattern": "^[A-Za-z0-9_-]{1,64}$"})]
# not strict: JSON has lists where we keep tuples
Images = Annotated[tuple[ImageId, ...], Field(strict=False, min_length=1, max_length=MAX_IMAGES), AfterValidator(_once)]
Vaults = Annotated[tuple[PlainId, ...], Field(strict=False, max_length=MAX_TRIED_VAULTS), AfterValidator(_once)]
Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
