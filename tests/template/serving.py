"""Knative Services: the pod fields that admission lets through by default, and the values that ours must have."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from tests.template.container import Container
from tests.template.eventing import Metadata
from tests.template.fields import DnsLabel, Labels, MemoryQuantity, Strict, form

Scale = Annotated[str, form(r"\d{1,3}", "a whole number in quotes")]


class ServiceMetadata(Metadata):
    """No annotations: scaling belongs to the template below. The functions are for the cluster alone."""

    class Marks(Strict):
        """A misspelt visibility would make a public address; the other labels are looked at where all documents are."""

        model_config = ConfigDict(extra="allow")

        visibility: Literal["cluster-local"] = Field(alias="networking.knative.dev/visibility")

    labels: Marks  # type: ignore[assignment]  # stricter than any labels


class Scaling(Strict):
    """The two that we use; admission ignores a misspelt one."""

    min_scale: Scale = Field(alias="autoscaling.knative.dev/min-scale")
    max_scale: Scale = Field(alias="autoscaling.knative.dev/max-scale")

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if not int(self.min_scale) <= int(self.max_scale):
            raise ValueError("min-scale above max-scale")
        if int(self.max_scale) == 0:
            raise ValueError("max-scale 0 means no bound")
        return self


class RevisionMetadata(Strict):
    """Of the template: its labels reach the pods."""

    labels: Labels
    annotations: Scaling


class ConfigMapVolume(Strict):
    """By name, all keys."""

    name: DnsLabel


class SecretVolume(Strict):
    """By name, all keys."""

    secret_name: DnsLabel


class EmptyDir(Strict):
    """In memory, bounded: a pod cannot fill the node."""

    medium: Literal["Memory"]
    size_limit: MemoryQuantity


class Volume(Strict):
    """One source."""

    name: DnsLabel
    config_map: ConfigMapVolume | None = None
    secret: SecretVolume | None = None
    empty_dir: EmptyDir | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if [self.config_map, self.secret, self.empty_dir].count(None) != 2:
            raise ValueError("needs exactly one of configMap, secret, emptyDir")
        return self


class RevisionSpec(Strict):
    """Fields that admission refuses by default are missing here, so they are refused here too."""

    service_account_name: DnsLabel
    automount_service_account_token: Literal[False]
    container_concurrency: int = Field(ge=1, le=1000)
    timeout_seconds: int = Field(ge=1, le=600)
    containers: list[Container] = Field(min_length=1, max_length=1)
    volumes: list[Volume]


class Revision(Strict):
    """The template of a Revision."""

    metadata: RevisionMetadata
    spec: RevisionSpec


class TrafficTarget(Strict):
    """All to the latest Revision."""

    latest_revision: Literal[True]
    percent: Literal[100]


class ServiceSpec(Strict):
    """`traffic` is written out: `kubectl apply` leaves a pinned Revision pinned where the file has none."""

    template: Revision
    traffic: list[TrafficTarget] = Field(min_length=1, max_length=1)


class Service(Strict):
    """See https://knative.dev/docs/serving/reference/serving-api/ ."""

    api_version: Literal["serving.knative.dev/v1"]
    kind: Literal["Service"]
    metadata: ServiceMetadata
    spec: ServiceSpec
