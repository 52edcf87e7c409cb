"""Which shares two policies decide differently; where no shares are given, by made-up ones that meet the rules."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from doorman.models import Share
from doorman.policy.decision import Decision, choose_vault
from doorman.policy.policy import resolve
from doorman.policy.schema import Bounds, ExceptionEntry, ImagesEntry, PolicyFile, RuleEntry

_PLAIN: Final = Share(
    image_id="00000000-0000-4000-8000-000000000000",
    project_id="any-project",
    owner="any-other-owner",
    name="any-name",
    full_ecs=False,
    kind="server",
    os_type="Linux",
    os_version="any-version",
    platform="any-platform",
    architecture="x86_64",
    min_disk=40,
    min_ram=1024,
    tags=frozenset(),
    encrypted=False,
    firmware="bios",
    hash_value="0" * 64,
)
# key under `images`: the fact that meets it
_FACTS: Final[Mapping[str, str]] = {
    "ids": "image_id",
    "names": "name",
    "hash": "hash_value",
    "disk_gb": "min_disk",
    "memory_mb": "min_ram",
    "age_days": "created_at",
}
_GLOB: Final = re.compile(r"\[!?(.)[^]]*\]|[*?]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A share to compare by, and what it is: its image, or the rule that it was made up for."""

    share: Share
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A sample that is decided differently: with another end, or only for another reason."""

    sample: Sample
    old: Decision
    new: Decision
    is_other_end: bool


def compare(samples: Sequence[Sample], old: Sequence[Decision], new: Sequence[Decision]) -> list[Change]:
    """Return the samples whose decision differs; the three lists go side by side."""
    return [
        Change(sample=sample, old=before, new=after, is_other_end=_end(before, sample) != _end(after, sample))
        for sample, before, after in zip(samples, old, new, strict=True)
        if (_end(before, sample), before.rule, before.reason) != (_end(after, sample), after.rule, after.reason)
    ]


def make_samples(files: Iterable[PolicyFile], *, now: datetime) -> list[Sample]:
    """Make up shares that meet the rules of these policies: for each rule, its owners, and each value that it lists.

    Each is made as a plain and as a full-ECS image, where the rule does not say which.
    """
    plain = replace(_PLAIN, created_at=now - timedelta(days=1))
    made = {plain: "no rule", replace(plain, full_ecs=True): "no rule"}
    for content in files:
        for entry in content.ordered:
            for share in _meeting(entry, content, plain, now):
                made.setdefault(share, f"`{entry.name}`")
    return [Sample(share=share, label=f"as {label} wants") for share, label in made.items()]


def _meeting(entry: RuleEntry | ExceptionEntry, content: PolicyFile, plain: Share, now: datetime) -> Iterator[Share]:
    images = entry.images or ImagesEntry()
    for owner in sorted(resolve(entry.owners, content) or {plain.owner or ""}):
        for project in entry.projects or [plain.project_id]:
            for facts in _facts(images, now):
                for full_ecs in (False, True) if images.full_ecs is None else (images.full_ecs,):
                    yield replace(plain, **{"full_ecs": full_ecs, **facts}, owner=owner, project_id=project)


def _facts(images: ImagesEntry, now: datetime) -> Iterator[dict[str, Any]]:
    """Meet every condition by its first value, then each of their other values in turn."""
    given = {key: getattr(images, key) for key in ImagesEntry.model_fields if getattr(images, key) is not None}
    values = {_FACTS.get(key, key): list(_values(key, value, now)) for key, value in given.items()}
    first = {fact: each[0] for fact, each in values.items()}
    yield first
    for fact, others in values.items():
        for value in others[1:]:
            yield {**first, fact: value}


def _values(key: str, wanted: object, now: datetime) -> Iterator[object]:
    if isinstance(wanted, Bounds):
        for bound in (wanted.at_most, wanted.at_least):
            if bound is not None:
                yield now - timedelta(days=min(bound, 10**5)) if key == "age_days" else bound
    elif isinstance(wanted, list):
        for each in wanted:
            yield frozenset({each}) if key == "tags" else _GLOB.sub(lambda found: found[1] or "x", each)
    else:
        yield wanted


def _end(decision: Decision, sample: Sample) -> tuple[object, ...]:
    """Return what becomes of the share, whatever the reason."""
    vault = choose_vault(decision, sample.share, tried=(), vaults=None)
    return decision.action, decision.audit, vault, decision.vaults if vault is None else ()
