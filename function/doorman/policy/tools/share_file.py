"""Facts of shares as people and programs write them down: for policy tests, `explain --shares` and `policy diff`.

The keys are those of a `Share`; a key that is left out is a fact that nobody knows.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final

from pydantic import BeforeValidator, Field

from doorman.models import Kind, MemberStatus, Share
from doorman.parsing import parse_time
from doorman.policy.document import strict
from doorman.policy.document.faults import Fault
from doorman.policy.document.strict import Strict
from doorman.policy.document.yaml_reader import Node
from doorman.policy.schema import ImageId, ProjectId, words


def _read_time(text: object) -> datetime:
    time = parse_time(text) if isinstance(text, str) else None
    if time is None:
        raise ValueError("not a time")
    return time


Time = Annotated[datetime, BeforeValidator(_read_time)]
Count = Annotated[int, Field(ge=0)]


class Facts(Strict):
    """What is known of a share, in a policy test."""

    form: ClassVar[str] = "a mapping of facts, such as `owner: 9c61004714024f9586705d090530f9fa`"

    image_id: ImageId | None = None
    project_id: ProjectId | None = words("the receiving project's ID")
    owner: ProjectId | None = words("the sharer's project ID")
    name: str | None = words("a text")
    member_status: MemberStatus | None = words("`pending`, `accepted` or `rejected`")
    created_at: Time | None = words("a time such as `2026-01-31T08:30:00Z`")
    full_ecs: bool | None = words("`true` or `false`")
    kind: Kind | None = words("`server`, `data`, `iso` or `bare_metal`")
    os_type: str | None = words("a text such as `Linux`")
    os_version: str | None = words("a text such as `Ubuntu 22.04 server 64bit`")
    platform: str | None = words("a text such as `Ubuntu`")
    architecture: str | None = words("a text such as `x86_64`")
    min_disk: Count | None = words("a whole number of GB")
    min_ram: Count | None = words("a whole number of MB")
    size: Count | None = words("a whole number of bytes")
    tags: list[str] | None = words("a list of tags, such as `[golden]`")
    encrypted: bool | None = words("`true` or `false`")
    firmware: str | None = words("a text such as `uefi`")
    hash_value: str | None = words("the `os_hash_value` in hexadecimal")


class ListedFacts(Facts):
    """What is known of a share, in a list of shares: there it must say which image."""

    called: ClassVar[str] = "a share"

    image_id: ImageId


_LIST: Final[Any] = Annotated[
    list[ListedFacts], Field(description="a list of shares, each beginning with `- image_id:`")
]


def load(text: str, *, file: str) -> tuple[Share, ...]:
    """Load a list of shares.

    Raises:
        BrokenFile: with every fault at once.
    """
    listed, _ = strict.load(text, _LIST, file=file, sense=_doubles)
    return tuple(to_share(each) for each in listed)


def to_share(facts: Facts, *, image_id: str = "", project_id: str = "unknown") -> Share:
    """Make a share of facts; the arguments stand in where they do not say."""
    known = facts.model_dump(exclude_none=True, exclude={"tags"})
    tags = None if facts.tags is None else frozenset(facts.tags)
    return Share(**{"image_id": image_id, "project_id": project_id, "full_ecs": None, **known, "tags": tags})


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
