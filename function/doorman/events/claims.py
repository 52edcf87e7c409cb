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
    told: list[tuple[str, str | None, str | None]]
    if event.type == EventType.NOTIFIED:
        notified = validate(NotifiedData, event.data)
        project_id, told = notified.project_id, [(each, notified.owner, None) for each in notified.images]
    elif event.type == EventType.CHECK:
        check = validate(CheckData, event.data)
        said = ((each, check.shares.get(each, CheckedShare())) for each in check.images)
        project_id, told = check.project_id, [(each, share.owner, share.name) for each, share in said]
    elif event.type in set(EventType) - {EventType.USED, EventType.SWEEP}:
        other = validate(_Told, event.data)
        project_id, told = other.project_id, [(each.image_id, each.owner, each.name) for each in other.images]
    else:
        return []
    return [Share(full_ecs=None, image_id=each, project_id=project_id, owner=o, name=n) for each, o, n in told]
