"""What the two image lists share: filters, paging and the images' JSON, kept as bytes between requests."""

import json
from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from doorman.sandbox.image_store import ImageStore, ListedStatus
from doorman.sandbox.records import Image, zulu

# filters that narrow a list beyond visibility and member status; others are ignored, as by the services
FILTERS: Mapping[str, Callable[[Image, str], bool]] = {
    "id": lambda image, value: image.id in value.removeprefix("in:").split(","),
    "owner": lambda image, value: image.owner == value,
    "name": lambda image, value: image.name in value.removeprefix("in:").split(","),
    "status": lambda image, value: image.status in value.removeprefix("in:").split(","),
    "disk_format": lambda image, value: image.disk_format in value.removeprefix("in:").split(","),
    "tag": lambda image, value: value in image.tags,
    "protected": lambda image, value: image.protected == (value.lower() == "true"),
    "os_hidden": lambda image, value: image.hidden == (value.lower() == "true"),
    "min_disk": lambda image, value: str(image.min_disk) == value,
    "min_ram": lambda image, value: str(image.min_ram) == value,
    "__whole_image": lambda image, value: image.full_ecs == (value.lower() == "true"),
}
SPECIAL = {"limit", "marker", "visibility", "member_status", "__imagetype", "sort_key", "sort_dir", "sort", "offset"}


def chosen(query: Iterable[tuple[str, str]]) -> list[Callable[[Image], bool]]:
    """Turn a query into filters; of a name sent twice the last value counts, except `tag`, which may repeat."""
    pairs = list(query)
    last = {name: value for name, value in pairs if name not in SPECIAL and name != "tag"}
    tests = [*last.items(), *(pair for pair in pairs if pair[0] == "tag")]
    return [_test(name, value) for name, value in tests]


def page(
    image_store: ImageStore,
    project_id: str,
    *,
    visibility: str | None,
    status: ListedStatus,
    after: Image | None,
    limit: int,
    tests: list[Callable[[Image], bool]],
) -> list[Image]:
    """Take one page of a list."""
    found = image_store.listed(project_id, visibility=visibility, status=status, after=after)
    return list(islice((image for image in found if all(test(image) for test in tests)), limit))


def render(image: Image, dialect: str, write: Callable[[Image], dict[str, object]]) -> bytes:
    """Write an image as JSON, once for each dialect until the image changes."""
    known = image.rendered.get(dialect)
    if known is None:
        known = image.rendered[dialect] = json.dumps(write(image), ensure_ascii=False).encode()
    return known


def common(image: Image) -> dict[str, object]:
    """Write what both services tell of an image."""
    return {
        "id": image.id,
        "name": image.name,
        "owner": image.owner,
        "status": image.status,
        "visibility": image.visibility,
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "tags": image.tags,
        "protected": image.protected,
        "disk_format": image.disk_format,
        "container_format": "bare",
        "created_at": zulu(image.created_at),
        "updated_at": zulu(image.updated_at),
        "self": f"/v2/images/{image.id}",
        "file": f"/v2/images/{image.id}/file",
        "schema": "/v2/schemas/image",
    }


def _test(name: str, value: str) -> Callable[[Image], bool]:
    known = FILTERS.get(name)
    if known is not None:
        return lambda image: known(image, value)
    if name.startswith("__") or name in {"virtual_env_type", "hw_firmware_type", "architecture"}:
        return lambda image: str(image.properties.get(name)) == value
    return lambda _: True
