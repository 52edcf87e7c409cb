"""The policy file as people write it: strict models, and the JSON Schema that editors complete and check it by.

Only its form. References and sense are checked in `policy_checks`, meaning is given to it in `policy`.
"""

from datetime import date
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

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
Name = Annotated[str, Field(pattern=r"^\S(.*\S)?$", max_length=MAX_NAME)]
Day = Annotated[
    str,
    Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
    AfterValidator(_check_date),
    Field(json_schema_extra={"format": "date"}),
]
Natural = Annotated[int, Field(ge=0, le=10**9)]
Some = Annotated[list[T], Field(min_length=1)]
OneOrMore = Annotated[list[T], Field(min_length=1), BeforeValidator(_to_list)]
Decision = Literal["accept", "reject", "hold"]
Mode = Literal["enforce", "audit"]


class _Strict(BaseModel):
    """None stands for an absent key; an empty one could mean nobody or everybody, so `policy_checks` refuses it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Bounds(_Strict):
    """Bounds of a number, both included; one of them is enough."""

    at_least: Natural | None = None
    at_most: Natural | None = None


class ImagesEntry(_Strict):
    """What an image must be: every key given must hold, any entry of a list is enough."""

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


class RuleEntry(_Strict):
    """One rule: where all of its conditions hold, its decision is taken."""

    name: Name
    owners: Some[OwnerEntry] | None = None
    projects: Some[ProjectId] | None = None
    images: ImagesEntry | None = None
    decision: Decision
    mode: Mode = "enforce"


class ExceptionEntry(_Strict):
    """A rule that stands before all others, says why and by whom, and ends on a day."""

    name: Name
    owners: Some[OwnerEntry] | None = None
    projects: Some[ProjectId] | None = None
    images: ImagesEntry | None = None
    decision: Decision
    reason: Prose
    by: Prose
    expires: Day


class VaultEntry(_Strict):
    """Where full-ECS images go: one vault, or a choice among candidates or by tags."""

    owners: Some[OwnerEntry] | None = None
    projects: Some[ProjectId] | None = None
    vault: VaultId | None = None
    candidates: Some[VaultId] | None = None
    tags: Annotated[dict[Text, str], Field(min_length=1)] | None = None


class LimitsEntry(_Strict):
    """The brake: what is above it in one round is held."""

    accepts_per_owner: Annotated[int, Field(ge=1, le=10**9)] | None = None


class PolicyFile(_Strict):
    """Doorman's policy: which shared images are accepted, rejected or held."""

    version: Annotated[int, Field(ge=1, le=1, json_schema_extra={"const": 1})]
    mode: Mode = "enforce"
    default: Literal["hold", "reject"] = "hold"
    groups: dict[GroupName, Some[ProjectId]] = Field(default_factory=dict)
    exceptions: list[ExceptionEntry] = Field(default_factory=list)
    rules: list[RuleEntry] = Field(default_factory=list)
    vaults: list[VaultEntry] = Field(default_factory=list)
    limits: LimitsEntry = Field(default_factory=LimitsEntry)


class _SchemaWriter(GenerateJsonSchema):
    """Writes what people may write: no null for an absent key, one value where a list of one would do."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        several = self.generate_inner(schema["schema"])
        return {"anyOf": [several["items"], several]}

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return (
            self.generate_inner(schema["schema"]) if schema.get("default") is None else super().default_schema(schema)
        )

    def get_title_from_name(self, name: str) -> str:
        return name


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the policy file."""
    return {
        "$schema": _SchemaWriter.schema_dialect,
        **PolicyFile.model_json_schema(schema_generator=_SchemaWriter, mode="validation"),
    }
