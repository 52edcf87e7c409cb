"""Brokers, Triggers and sources as Knative Eventing's admission takes them, and as strict as we use them."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tests.template.fields import (
    Attribute,
    Cron,
    DnsLabel,
    Duration,
    JsonObject,
    Labels,
    NonEmpty,
    QualifiedName,
    Strict,
    TimeZone,
    Url,
)


class Metadata(Strict):
    """Of everything but a Namespace."""

    name: DnsLabel
    namespace: DnsLabel
    labels: Labels = Field(default_factory=dict)


class Ref(Strict):
    """A reference to another object, whole."""

    api_version: NonEmpty
    kind: NonEmpty
    name: DnsLabel
    namespace: DnsLabel | None = None


class Destination(Strict):
    """Where events go: one of both."""

    ref: Ref | None = None
    uri: Url | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.ref is None) == (self.uri is None):
            raise ValueError("needs either ref or uri")
        return self


class Delivery(Strict):
    """The complete block: brokers fill in a partial one differently. `retryAfterMax` is experimental and refused."""

    retry: int = Field(ge=0)
    backoff_policy: Literal["linear", "exponential"]
    backoff_delay: Duration
    timeout: Duration
    dead_letter_sink: Destination


class BrokerMetadata(Metadata):
    """A Broker of another class never becomes ready, and nobody says so."""

    class Annotations(Strict):
        """The class, and for the in-memory one whether it answers before it delivers."""

        broker_class: Literal["Kafka", "KafkaNamespaced", "MTChannelBasedBroker"] = Field(
            alias="eventing.knative.dev/broker.class"
        )
        is_async: Literal["true"] | None = Field(default=None, alias="messaging.knative.dev/async-handler")

    annotations: Annotations


class BrokerSpec(Strict):
    """`config` is a ConfigMap with Kafka's address; the in-memory class has a default of its own."""

    config: Ref | None = None
    delivery: Delivery | None = None


class Broker(Strict):
    """See https://knative.dev/docs/eventing/brokers/ ."""

    api_version: Literal["eventing.knative.dev/v1"]
    kind: Literal["Broker"]
    metadata: BrokerMetadata
    spec: BrokerSpec = Field(default_factory=BrokerSpec)

    @model_validator(mode="after")
    def _has_config(self) -> Self:
        is_kafka = self.metadata.annotations.broker_class != "MTChannelBasedBroker"
        if is_kafka != (self.spec.config is not None):
            raise ValueError("spec.config belongs to the classes of Kafka, which need it for Kafka's address")
        return self


class Filter(Strict):
    """One dialect. CESQL is not taken, since nothing here could parse it."""

    exact: dict[Attribute, NonEmpty] | None = None
    prefix: dict[Attribute, NonEmpty] | None = None
    suffix: dict[Attribute, NonEmpty] | None = None
    all: list["Filter"] | None = None
    any: list["Filter"] | None = None
    not_: "Filter | None" = Field(default=None, alias="not")

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(getattr(self, name) is not None for name in type(self).model_fields) != 1:
            raise ValueError("needs exactly one dialect")
        return self


class TriggerSpec(Strict):
    """Every Trigger brings filters and its whole delivery block."""

    broker: DnsLabel
    filters: list[Filter] = Field(min_length=1)
    subscriber: Destination
    delivery: Delivery


class Trigger(Strict):
    """See https://knative.dev/docs/eventing/triggers/ ."""

    api_version: Literal["eventing.knative.dev/v1"]
    kind: Literal["Trigger"]
    metadata: Metadata
    spec: TriggerSpec


class PingSourceSpec(Strict):
    """A tick with a JSON object; `dataBase64` and CloudEvents overrides have no use here."""

    schedule: Cron
    timezone: TimeZone
    content_type: Literal["application/json"]
    data: JsonObject
    sink: Destination


class PingSource(Strict):
    """See https://knative.dev/docs/eventing/sources/ping-source/ ."""

    api_version: Literal["sources.knative.dev/v1"]
    kind: Literal["PingSource"]
    metadata: Metadata
    spec: PingSourceSpec


class Overrides(Strict):
    """Extensions that every event of a source gets."""

    extensions: dict[Attribute, str]


class Selector(Strict):
    """Labels that must all be there."""

    match_labels: dict[QualifiedName, str] = Field(min_length=1)


class Subject(Strict):
    """Whom a SinkBinding gives its sink: one by name, or many by selector, in its own namespace."""

    api_version: NonEmpty
    kind: NonEmpty
    name: DnsLabel | None = None
    selector: Selector | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.name is None) == (self.selector is None):
            raise ValueError("needs either name or selector")
        return self


class SinkBindingSpec(Strict):
    """Who sends where."""

    subject: Subject
    sink: Destination
    ce_overrides: Overrides | None = None


class SinkBinding(Strict):
    """See https://knative.dev/docs/eventing/custom-event-source/sinkbinding/ ."""

    api_version: Literal["sources.knative.dev/v1"]
    kind: Literal["SinkBinding"]
    metadata: Metadata
    spec: SinkBindingSpec


class EventTypeSpec(Strict):
    """All of it is for people and tools; Knative lets nothing of it be changed later."""

    type: NonEmpty
    schema_: NonEmpty = Field(alias="schema")
    description: NonEmpty
    reference: Ref


class EventType(Strict):
    """See https://knative.dev/docs/eventing/event-registry/ ."""

    api_version: Literal["eventing.knative.dev/v1beta2"]
    kind: Literal["EventType"]
    metadata: Metadata
    spec: EventTypeSpec
