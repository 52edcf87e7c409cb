"""Reads what an event claims of its images: for explaining without a cloud. The functions believe none of it."""

from pydantic import BaseModel

from doorman.events.messages import CheckData, CheckedShare, EventType, ImageId, NotifiedData, PlainId, validate
from doorman.models import CloudEvent, Share


class _ToldImage(BaseModel):
    """What outcomes and pending reports have in common of an image."""

    image_id: ImageId
    name: str | None
    owner: str | None


class _Told(BaseModel):
    """What outcomes and pending reports have in common."""

    project_id: PlainId
    images: list[_ToldImage]


def read_claims(event: CloudEvent) -> list[Share]:
    """Return the images of one of our events as the event describes them; none where it is of another type.

    Raises:
        Rejected: its data is malformed.
    """
    if event.type == EventType.NOTIFIED:
        notified = validate(NotifiedData, event.data)
        return [
            Share(full_ecs=None, image_id=each, project_id=notified.project_id, owner=notified.owner)
            for each in notified.images
        ]
    if event.type == EventType.CHECK:
        check = validate(CheckData, event.data)
        said = {each: check.shares.get(each, CheckedShare()) for each in check.images}
        return [
            Share(full_ecs=None, image_id=image, project_id=check.project_id, owner=share.owner, name=share.name)
            for image, share in said.items()
        ]
    if event.type not in set(EventType) - {EventType.USED, EventType.SWEEP}:
        return []
    told = validate(_Told, event.data)
    return [
        Share(full_ecs=None, image_id=entry.image_id, project_id=told.project_id, owner=entry.owner, name=entry.name)
        for entry in told.images
    ]
