"""Facts of shares as people and programs write them down: for policy tests, `explain --shares` and `policy diff`.

The keys are those of a `Share`; a key that is left out is a fact that nobody knows.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, TypeAdapter

from doorman.models import Share
from doorman.parsing import parse_time
from doorman.policy.document import strict
from doorman.policy.document.advice import Vocabulary
from doorman.policy.document.faults import Fault
from doorman.policy.document.marks import Node
from doorman.policy.document.strict import Strict
from doorman.policy.schema import ImageId, ProjectId

EXPECTED: Final[Mapping[str, str]] = {
    "": "a list of shares, each beginning with `- image_id:`",
    "[]": "a mapping of facts, such as `owner: 9c61004714024f9586705d090530f9fa`",
    "image_id": "an image ID: a UUID such as `6596628c-42d4-4ff1-8660-8ea5ae61f243`",
    "project_id": "the receiving project's ID",
    "owner": "the sharer's project ID",
    "name": "a text",
    "created_at": "a time such as `2026-01-31T08:30:00Z`",
    "full_ecs": "`true` or `false`",
    "kind": "`server`, `data`, `iso` or `bare_metal`",
    "os_type": "a text such as `Linux`",
    "os_version": "a text such as `Ubuntu 22.04 server 64bit`",
    "platform": "a text such as `Ubuntu`",
    "architecture": "a text such as `x86_64`",
    "min_disk": "a whole number of GB",
    "min_ram": "a whole number of MB",
    "size": "a whole number of bytes",
    "tags": "a list of tags, such as `[golden]`",
    "tags.[]": "a text",
    "encrypted": "`true` or `false`",
    "firmware": "a text such as `uefi`",
    "hash_value": "the `os_hash_value` in hexadecimal",
}


def _check_time(text: str) -> str:
    if parse_time(text) is None:
        raise ValueError("not a time")
    return text


Time = Annotated[str, AfterValidator(_check_time)]
Count = Annotated[int, Field(ge=0)]


class Facts(Strict):
    """What is known of a share, in a policy test."""

    image_id: ImageId | None = None
    project_id: ProjectId | None = None
    owner: ProjectId | None = None
    name: str | None = None
    created_at: Time | None = None
    full_ecs: bool | None = None
    kind: Literal["server", "data", "iso", "bare_metal"] | None = None
    os_type: str | None = None
    os_version: str | None = None
    platform: str | None = None
    architecture: str | None = None
    min_disk: Count | None = None
    min_ram: Count | None = None
    size: Count | None = None
    tags: list[str] | None = None
    encrypted: bool | None = None
    firmware: str | None = None
    hash_value: str | None = None


class ListedFacts(Facts):
    """What is known of a share, in a list of shares: there it must say which image."""

    image_id: ImageId


WORDS: Final = Vocabulary(
    whole="the list",
    expected=EXPECTED,
    keys={"": list(ListedFacts.model_fields), "[]": list(ListedFacts.model_fields)},
    places={"[]": "a share"},
)


def load(text: str, *, file: str) -> tuple[Share, ...]:
    """Load a list of shares.

    Raises:
        BrokenFile: with every fault at once.
    """
    listed, _ = strict.load(text, TypeAdapter(list[ListedFacts]).validate_python, WORDS, file=file, sense=_doubles)
    return tuple(to_share(each) for each in listed)


def to_share(facts: Facts, *, image_id: str = "", project_id: str = "unknown") -> Share:
    """Make a share of facts; the arguments stand in where they do not say."""
    known = facts.model_dump(exclude_none=True, exclude={"created_at", "tags"})
    return Share(
        **{"image_id": image_id, "project_id": project_id, "full_ecs": None, **known},
        created_at=parse_time(facts.created_at) if facts.created_at else None,
        tags=None if facts.tags is None else frozenset(facts.tags),
    )


def write(shares: Iterable[Share]) -> list[dict[str, Any]]:
    """Write shares as `load` reads them, ready for JSON: what is unknown is left out."""
    return [_write(share) for share in shares]


def _write(share: Share) -> dict[str, Any]:
    facts = {key: getattr(share, key) for key in Facts.model_fields if getattr(share, key) is not None}
    if isinstance(facts.get("created_at"), datetime):
        facts["created_at"] = facts["created_at"].isoformat()
    if "tags" in facts:
        facts["tags"] = sorted(facts["tags"])
    return facts


def _doubles(root: Node) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for index, node in root.children.items():
        image = node.children.get("image_id")
        if image is not None and isinstance(image.value, str):
            line = first.setdefault(image.value.lower(), image.place[0])
            if line != image.place[0]:
                yield root.fault((index, "image_id"), f"this image stands in line {line} already: keep one of them")
