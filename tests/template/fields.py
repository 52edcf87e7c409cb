"""The scalars of documents, each with the form that Kubernetes or Knative asks for, and how shapes are made of them."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from ipaddress import IPv4Network
from types import GenericAlias
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model, model_validator
from pydantic.alias_generators import to_camel

_DURATION = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?", re.ASCII)
_CRON_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_CRON_PART = re.compile(r"(?:\*|(\d+)(?:-(\d+))?)(?:/([1-9]\d*))?", re.ASCII)


class Strict(BaseModel):
    """What the API server takes: known fields of the right type, and nothing else."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)


def shape(rule: Callable[[Any], object] | None = None, /, **parts: Any) -> Any:
    """Make a model of these fields: each a type, or a type with its default.

    Args:
        rule: raises ValueError where the fields do not fit one another.
    """

    def look(found: Any) -> Any:
        if rule is not None:
            rule(found)
        return found

    fields: Any = {key: part if isinstance(part, tuple) else (part, ...) for key, part in parts.items()}
    validators: Any = {"look": model_validator(mode="after")(look)}
    return create_model("Shape", __base__=Strict, __validators__=validators, **fields)


def one_of(*, beside: Any = None, **choices: Any) -> Any:
    """Make a model that has exactly one of these fields, and all of those `beside`."""
    words = ", ".join(map(to_camel, choices))

    def rule(found: Any) -> None:
        must(sum(getattr(found, each) is not None for each in choices) == 1, f"needs exactly one of {words}")

    return shape(rule, **(beside or {}), **{key: maybe(part) for key, part in choices.items()})


def maybe(part: Any) -> Any:
    """Give the field that may be missing."""
    return part | None, None


def many(part: Any, least: int = 0, most: int | None = None, **more: Any) -> Any:
    """Give the field of a list."""
    return GenericAlias(list, (part,)), Field(min_length=least, max_length=most, **more)


def must(holds: object, fault: str) -> None:
    """Say what is wrong, where something does not hold.

    Raises:
        ValueError: with `fault`.
    """
    if not holds:
        raise ValueError(fault)


def form(pattern: str, expected: str) -> AfterValidator:
    """Ask that a text matches `pattern` in full; `expected` is the message where it does not."""
    compiled = re.compile(pattern, re.ASCII)
    return _holds(lambda text: compiled.fullmatch(text) is not None, expected)


def seconds(duration: str) -> float:
    """Read an ISO 8601 duration of hours, minutes and seconds."""
    found = _DURATION.fullmatch(duration)
    hours, minutes, secs = found.groups(default="0") if found else ("0", "0", "0")
    return timedelta(hours=int(hours), minutes=int(minutes), seconds=float(secs)).total_seconds()


def _holds(holds: Callable[[str], bool], expected: str) -> AfterValidator:
    def check(text: str) -> str:
        must(holds(text), f"expected {expected}, got {text!r}")
        return text

    return AfterValidator(check)


def _is_cron(text: str) -> bool:
    fields = text.split(" ")
    return len(fields) == len(_CRON_BOUNDS) and all(
        _is_cron_part(part, *bounds)
        for field, bounds in zip(fields, _CRON_BOUNDS, strict=True)
        for part in field.split(",")
    )


def _is_cron_part(part: str, low: int, high: int) -> bool:
    found = _CRON_PART.fullmatch(part)
    if found is None:
        return False
    first, last = int(found[1] or low), int(found[2] or found[1] or high)
    return low <= first <= last <= high


def _is_cidr(text: str) -> bool:
    try:
        return "/" in text and IPv4Network(text) is not None
    except ValueError:
        return False


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


DnsLabel = Annotated[str, form(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", "a DNS label of at most 63")]
LabelValue = Annotated[str, form(r"|[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", "a label value of at most 63")]
QualifiedName = Annotated[
    str, form(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", "a qualified name")
]
ConfigKey = Annotated[str, form(r"[A-Za-z0-9._-]{1,253}", "a key of letters, digits, '-', '_' or '.'")]
Attribute = Annotated[str, form(r"[a-z][a-z0-9]*", "a CloudEvents attribute of lower-case letters and digits")]
EnvName = Annotated[str, form(r"[A-Za-z_][A-Za-z0-9_]*", "an environment name")]
Url = Annotated[str, form(r"https?://[a-z0-9.-]+(:\d+)?(/\S*)?", "an absolute URL")]
AbsolutePath = Annotated[str, form(r"/[A-Za-z0-9._/-]*", "an absolute path")]
CpuQuantity = Annotated[str, form(r"\d+m|\d+(\.\d+)?", "a CPU quantity such as 100m")]
MemoryQuantity = Annotated[str, form(r"[1-9]\d*(Mi|Gi)", "a memory quantity such as 128Mi")]
Image = Annotated[
    str,
    form(r"[a-z0-9.:-]+(/[a-z0-9._-]+)+@sha256:(?!0{64})[0-9a-f]{64}", "an image of a registry, pinned by its digest"),
]
Duration = Annotated[
    str, _holds(lambda text: seconds(text) > 0, "a duration above zero in ISO 8601, such as PT0.5S or PT2M")
]
Cidr = Annotated[str, _holds(_is_cidr, "an IPv4 range such as 10.0.0.0/8")]
Cron = Annotated[str, _holds(_is_cron, "5 cron fields")]
TimeZone = Annotated[str, _holds(available_timezones().__contains__, "a time zone of the IANA data base")]
JsonObject = Annotated[str, _holds(_is_json_object, "a JSON object")]
NonEmpty = Annotated[str, Field(min_length=1)]
Port = Annotated[int, Field(ge=1, le=65535)]
Labels = dict[QualifiedName, LabelValue]
