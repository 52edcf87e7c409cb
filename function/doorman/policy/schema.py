"""The policy file as people write it: strict models.

Only its form, and the words for it. References and sense are checked in `checks`, meaning is given to it in `policy`.
"""

from datetime import date
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, JsonValue

from doorman.models import Action, Kind, Mode
from doorman.policy.document.strict import Strict

MAX_NAME: Final = 100

T = TypeVar("T")


def words(description: str, *, default: Any = None, **more: Any) -> Any:
    """Describe a key that may be left out: what must stand there, for messages and for the JSON Schema."""
    return Field(default=default, description=description, **more)


def _to_list(value: object) -> object:
    return value if isinstance(value, list | dict) or value is None else [value]


def _check_date(value: object) -> object:
    date.fromisoformat(str(value))  # of a number, too: quotes would not make it a day
    return value


_ID: Final = "1 to 64 of `A-Z a-z 0-9 _ -`"
_PROJECT: Final = "9c61004714024f9586705d090530f9fa"
_IMAGE: Final = "6596628c-42d4-4ff1-8660-8ea5ae61f243"
_BOUNDS: Final = "a mapping with `at_least`, `at_most` or both, such as"

_PlainId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
ProjectId = Annotated[_PlainId, Field(description=f"a project ID: {_ID}")]
OwnerEntry = Annotated[
    str, Field(pattern=r"^(group:)?[A-Za-z0-9_-]{1,64}$", description=f"a project ID ({_ID}) or `group:NAME`")
]
ImageId = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
        description=f"an image ID: a UUID such as `{_IMAGE}`",
    ),
]
VaultId = Annotated[_PlainId, Field(description=f"a vault ID: {_ID}")]
GroupName = _PlainId
Text = Annotated[str, Field(min_length=1, max_length=255)]
Pattern = Annotated[Text, Field(description="a pattern of 1 to 255 characters, such as `golden-*`")]
Tag = Annotated[Text, Field(description="a tag of 1 to 255 characters")]
Prose = Annotated[str, Field(pattern=r"\S", max_length=1000)]
_VISIBLE = r"[^\s\x00-\x1f\x7f]"
Name = Annotated[
    str,
    Field(
        pattern=rf"^{_VISIBLE}([^\x00-\x1f\x7f]*{_VISIBLE})?$",
        max_length=MAX_NAME,
        description="a text of 1 to 100 characters on one line, such as `golden-images`",
    ),
]
Day = Annotated[
    str,
    Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
    BeforeValidator(_check_date),
    Field(json_schema_extra={"format": "date"}, description="the last day that it counts, such as `2026-12-31`"),
]
Natural = Annotated[int, Field(ge=0, le=10**9)]
Some = Annotated[list[T], Field(min_length=1)]
OneOrMore = Annotated[list[T], Field(min_length=1), BeforeValidator(_to_list)]
Members = Annotated[Some[ProjectId], Field(description=f"a list of project IDs, such as `[{_PROJECT}]`")]
Owners = Annotated[
    Some[OwnerEntry] | None,
    Field(description=f"a list of project IDs or `group:NAME`, such as `[{_PROJECT}, group:partners]`"),
]
Projects = Annotated[
    Some[OwnerEntry] | None,
    Field(description=f"a list of receiving project IDs or `group:NAME`, such as `[{_PROJECT}]`"),
]
# in the JSON Schema's words: it names an owner or an image
_SUBJECT: Final[list[JsonValue]] = [
    {"required": ["owners"]},
    {"properties": {"images": {"required": ["ids"]}}, "required": ["images"]},
]
Decision = Annotated[Action, Field(description="`accept`, `reject` or `hold`")]
_Mode = Annotated[Mode, Field(description="`enforce` or `audit`")]


class Bounds(Strict):
    """Bounds of a number, both included; one of them is enough."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    at_least: Natural | None = words("a whole number from 0")
    at_most: Natural | None = words("a whole number from 0")


class ImagesEntry(Strict):
    """What an image must be: every key given must match, any entry of a list is enough."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    ids: Some[ImageId] | None = words(f"a list of image IDs (UUIDs), such as `[{_IMAGE}]`")
    names: Some[Pattern] | None = words("a list of name patterns, such as `[golden-*]`")
    tags: Some[Tag] | None = words("a list of tags, such as `[golden]`")
    os_type: OneOrMore[Literal["Linux", "Windows", "Other"]] | None = words(
        "`Linux`, `Windows` or `Other`, or a list of them"
    )
    platform: OneOrMore[Text] | None = words("a pattern such as `Ubuntu*`, or a list of them")
    os_version: OneOrMore[Text] | None = words('a pattern such as `"Ubuntu 22.04*"`, or a list of them')
    architecture: OneOrMore[Literal["x86_64", "arm64"]] | None = words("`x86_64` or `arm64`, or a list of them")
    kind: OneOrMore[Kind] | None = words("`server`, `data`, `iso` or `bare_metal`, or a list of them")
    firmware: OneOrMore[Literal["bios", "uefi"]] | None = words("`bios` or `uefi`, or a list of them")
    hash: OneOrMore[Annotated[str, Field(pattern=r"^[0-9a-fA-F]{32,128}$")]] | None = words(
        "the `os_hash_value` in hexadecimal, 32 to 128 digits, or a list of them"
    )
    full_ecs: bool | None = words("`true` or `false`")
    encrypted: bool | None = words("`true` or `false`")
    disk_gb: Bounds | None = words(f"{_BOUNDS} `at_most: 100`")
    memory_mb: Bounds | None = words(f"{_BOUNDS} `at_most: 8192`")
    age_days: Bounds | None = words(f"{_BOUNDS} `at_most: 30`")


_Images = Annotated[ImagesEntry | None, Field(description="a mapping of conditions, such as `names: [golden-*]`")]


class RuleEntry(Strict):
    """One rule: where all of its conditions match, its decision is taken."""

    model_config = ConfigDict(
        json_schema_extra={"if": {"properties": {"decision": {"const": "accept"}}}, "then": {"anyOf": _SUBJECT}}
    )
    called: ClassVar[str] = "a rule"
    form: ClassVar[str] = "a mapping with `name`, conditions and `decision`"

    name: Name
    owners: Owners = None
    projects: Projects = None
    images: _Images = None
    decision: Decision
    mode: _Mode = "enforce"


class ExceptionEntry(Strict):
    """A rule that stands before all others, says why and by whom, and ends on a day."""

    model_config = ConfigDict(json_schema_extra={"anyOf": _SUBJECT})
    called: ClassVar[str] = "an exception"
    form: ClassVar[str] = "a mapping with `name`, conditions, `decision`, `reason`, `by` and `expires`"

    name: Name
    owners: Owners = None
    projects: Projects = None
    images: _Images = None
    decision: Decision
    reason: Prose = Field(description="a text that says why, such as `Migration of team blue, ticket 4711`")
    by: Prose = Field(description="a text that says who answers for it, such as `jane.doe@example.com`")
    expires: Day


class VaultEntry(Strict):
    """Where full-ECS images go: one vault, or a choice among candidates or by tags."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["vault"]}, {"required": ["candidates"]}, {"required": ["tags"]}],
            "dependentSchemas": {"min_free_gb": {"not": {"required": ["vault"]}}},
        }
    )
    called: ClassVar[str] = "a vault entry"
    form: ClassVar[str] = "a mapping with `vault`, `candidates` or `tags`"

    owners: Owners = None
    projects: Projects = None
    vault: VaultId | None = words(f"one vault ID: {_ID}")
    candidates: Some[VaultId] | None = words("a list of vault IDs, such as `[8f0c3b52-7d0e-4b8e-9a55-0d6f0a3f3c11]`")
    tags: Annotated[dict[Text, Annotated[str, Field(description="a text")]], Field(min_length=1)] | None = words(
        "a mapping of vault tags, such as `purpose: images`"
    )
    min_free_gb: Natural | None = words("a whole number of GB that a vault of choice must have free, such as `500`")


class LimitsEntry(Strict):
    """The brake: while more of one owner's acceptable shares are pending in a project at once, all of them are held."""

    accepts_per_owner: Annotated[int, Field(ge=1, le=10**9)] | None = words("a whole number from 1")


class ReconcileEntry(Strict):
    """What the sweep does about shares that were settled earlier and that today's policy would settle otherwise."""

    tell: bool = words("`true` or `false`: whether the sweep tells of shares that were settled otherwise", default=True)
    enforce: bool = words("`true` or `false`: whether it settles them anew", default=False)


class PolicyFile(Strict):
    """Doorman's policy: which shared images are accepted, rejected or held."""

    called: ClassVar[str] = "the policy"
    form: ClassVar[str] = "a mapping that begins with `version: 1`"

    version: Annotated[int, Field(ge=1, le=1, json_schema_extra={"const": 1}, description="the number 1")]
    mode: _Mode = "enforce"
    default: Literal["hold", "reject"] = words("`hold` or `reject`", default="hold")
    groups: dict[GroupName, Members] = words(
        f"a mapping of names to lists of project IDs, such as `partners: [{_PROJECT}]`",
        default={},
        json_schema_extra={"additionalProperties": False},
    )
    exceptions: list[ExceptionEntry] = words("a list of exceptions, each beginning with `- name:`", default=[])
    rules: list[RuleEntry] = words("a list of rules, each beginning with `- name:`", default=[])
    vaults: list[VaultEntry] = words("a list of entries, such as `- vault: VAULT_ID`", default=[])
    limits: LimitsEntry = Field(
        default_factory=LimitsEntry.model_construct, description="a mapping, such as `accepts_per_owner: 50`"
    )
    reconcile: ReconcileEntry = Field(
        default_factory=ReconcileEntry.model_construct, description="a mapping, such as `enforce: true`"
    )

    @property
    def names(self) -> dict[str, str]:
        """The groups by the project IDs in them."""
        return {project_id: group for group, listed in self.groups.items() for project_id in listed}
