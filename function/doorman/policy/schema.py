"""The policy file as people write it: strict models.

Only its form. References and sense are checked in `policy_checks`, meaning is given to it in `policy`.
"""

from datetime import date
from typing import Annotated, Final, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, JsonValue

from doorman.policy.document.strict import Strict

MAX_NAME: Final = 100

T = TypeVar("T")


def _to_list(value: object) -> object:
    return value if isinstance(value, list | dict) or value is None else [value]


def _check_date(text: str) -> str:
    date.fromisoformat(text)
    return text


ProjectId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
OwnerEntry = Annotated[str, Field(pattern=r"^(group:)?[A-Za-z0-9_-]{1,64}$")]
ImageId = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
VaultId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
GroupName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Text = Annotated[str, Field(min_length=1, max_length=255)]
Prose = Annotated[str, Field(pattern=r"\S", max_length=1000)]
_VISIBLE = r"[^\s\x00-\x1f\x7f]"
Name = Annotated[str, Field(pattern=rf"^{_VISIBLE}([^\x00-\x1f\x7f]*{_VISIBLE})?$", max_length=MAX_NAME)]
Day = Annotated[
    str,
    Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
    AfterValidator(_check_date),
    Field(json_schema_extra={"format": "date"}),
]
Natural = Annotated[int, Field(ge=0, le=10**9)]
Some = Annotated[list[T], Field(min_length=1)]
OneOrMore = Annotated[list[T], Field(min_length=1), BeforeValidator(_to_list)]
# in the JSON Schema's words: it names an owner or an image
_SUBJECT: Final[list[JsonValue]] = [
    {"required": ["owners"]},
    {"properties": {"images": {"required": ["ids"]}}, "required": ["images"]},
]
Decision = Literal["accept", "reject", "hold"]
Mode = Literal["enforce", "audit"]


class Bounds(Strict):
    """Bounds of a number, both included; one of them is enough."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    at_least: Natural | None = None
    at_most: Natural | None = None


class ImagesEntry(Strict):
    """What an image must be: every key given must hold, any entry of a list is enough."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    ids: Some[ImageId] | None = None
    names: Some[Text] | None = None
    tags: Some[Text] | None = None
    os_type: OneOrMore[Literal["Linux", "Windows", "Other"]] | None = None
    platform: OneOrMore[Text] | None = None
    os_version: OneOrMore[Text] | None = None
    architecture: OneOrMore[Literal["x86_64", "arm64"]] | None = None
    kind: OneOrMore[Literal["server", "data", "iso", "bare_metal"]] | None = None
    firmware: OneOrMore[Literal["bios", "uefi"]] | None = None
    hash: OneOrMore[Annotated[str, Field(pattern=r"^[0-9a-fA-F]{32,128}$")]] | None = None
    full_ecs: bool | None = None
    encrypted: bool | None = None
    disk_gb: Bounds | None = None
    memory_mb: Bounds | None = None
    age_days: Bounds | None = None


class RuleEntry(Strict):
    """One rule: where all of its conditions hold, its decision is taken."""

    model_config = ConfigDict(
        json_schema_extra={"if": {"properties": {"decision": {"const": "accept"}}}, "then": {"anyOf": _SUBJECT}}
    )

    name: Name
    owners: Some[OwnerEntry] | None = None
    projects: Some[ProjectId] | None = None
    images: ImagesEntry | None = None
    decision: Decision
    mode: Mode = "enforce"


class ExceptionEntry(Strict):
    """A rule that stands before all others, says why and by whom, and ends on a day."""

    model_config = ConfigDict(json_schema_extra={"anyOf": _SUBJECT})

    name: Name
    owners: Some[OwnerEntry] | None = None
    projects: Some[ProjectId] | None = None
    images: ImagesEntry | None = None
    decision: Decision
    reason: Prose
    by: Prose
    expires: Day


class VaultEntry(Strict):
    """Where full-ECS images go: one vault, or a choice among candidates or by tags."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["vault"]}, {"required": ["candidates"]}, {"required": ["tags"]}]}
    )

    owners: Some[OwnerEntry] | None = None
    projects: Some[ProjectId] | None = None
    vault: VaultId | None = None
    candidates: Some[VaultId] | None = None
    tags: Annotated[dict[Text, str], Field(min_length=1)] | None = None


class LimitsEntry(Strict):
    """The brake: what is above it in one round is held."""

    accepts_per_owner: Annotated[int, Field(ge=1, le=10**9)] | None = None


class ReconcileEntry(Strict):
    """What the sweep does about shares that were settled earlier and that today's policy would settle otherwise."""

    tell: bool = True
    enforce: bool = False


class PolicyFile(Strict):
    """Doorman's policy: which shared images are accepted, rejected or held."""

    version: Annotated[int, Field(ge=1, le=1, json_schema_extra={"const": 1})]
    mode: Mode = "enforce"
    default: Literal["hold", "reject"] = "hold"
    groups: dict[GroupName, Some[ProjectId]] = Field(default={}, json_schema_extra={"additionalProperties": False})
    exceptions: list[ExceptionEntry] = Field(default=[])
    rules: list[RuleEntry] = Field(default=[])
    vaults: list[VaultEntry] = Field(default=[])
    limits: LimitsEntry = Field(default_factory=LimitsEntry.model_construct)
    reconcile: ReconcileEntry = Field(default_factory=ReconcileEntry.model_construct)

    @property
    def ordered(self) -> list[RuleEntry | ExceptionEntry]:
        """The exceptions and then the rules, as they are asked."""
        return [*self.exceptions, *self.rules]
