"""What the Prometheus operator takes; what the rules ask for is `tests/alerts`' concern."""

from typing import Literal

from pydantic import Field

from tests.template.eventing import Metadata
from tests.template.fields import NonEmpty, Strict


class Record(Strict):
    """A series that alerts share."""

    record: NonEmpty
    expr: NonEmpty


class Alert(Strict):
    """One alert."""

    alert: NonEmpty
    expr: NonEmpty
    for_: str | None = Field(default=None, alias="for")
    labels: dict[str, str]
    annotations: dict[str, str]


class Group(Strict):
    """Rules that are looked at together."""

    name: NonEmpty
    rules: list[Record | Alert] = Field(min_length=1)


class Groups(Strict):
    """All rules."""

    groups: list[Group] = Field(min_length=1)


class PrometheusRule(Strict):
    """See https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.PrometheusRule ."""

    api_version: Literal["monitoring.coreos.com/v1"]
    kind: Literal["PrometheusRule"]
    metadata: Metadata
    spec: Groups
