"""Every kind of document that we write: as its API server's admission takes it, and as strict as we use it."""

from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, TypeAdapter, model_validator

from tests.template import fields as f
from tests.template.fields import Strict, many, maybe, must, one_of, shape

Name = f.DnsLabel
KINDS: dict[tuple[str, str], TypeAdapter[Any]] = {}


def kind(version: str, name: str, rule: Callable[[Any], object] | None = None, **parts: Any) -> None:
    """Add a kind of document."""
    KINDS[version, name] = TypeAdapter(shape(rule, api_version=str, kind=str, **parts))


def metadata(**more: Any) -> Any:
    """Name, namespace and labels; whether they fit one another is for the rules."""
    return shape(**{"name": Name, "namespace": maybe(Name), "labels": (f.Labels, {}), **more})


class Filter(Strict):
    """One dialect, below `all` and `any` too. CESQL is not taken, since nothing here could parse it."""

    exact: dict[f.Attribute, f.NonEmpty] | None = None
    prefix: dict[f.Attribute, f.NonEmpty] | None = None
    all: list["Filter"] | None = None
    any: list["Filter"] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        must(len(self.model_fields_set) == 1, "needs exactly one dialect")
        return self


# Kubernetes itself: https://kubernetes.io/docs/reference/kubernetes-api/
Selector = shape(match_labels=Annotated[dict[f.QualifiedName, str], Field(min_length=1)])
Requirement = shape(key=f.QualifiedName, operator=Literal["In", "NotIn"], values=many(f.NonEmpty, 1))
LabelSelector = shape(match_labels=(dict[f.QualifiedName, str], {}), match_expressions=many(Requirement, default=[]))


def _lies_inside(block: Any) -> None:
    whole = IPv4Network(block.cidr)
    for part in map(IPv4Network, block.except_):
        must(part != whole and part.subnet_of(whole), f"{part} does not lie inside {whole}")


IpBlock = shape(_lies_inside, cidr=f.Cidr, except_=(list[f.Cidr], Field(alias="except")))
Peer = one_of(namespace_selector=LabelSelector, ip_block=IpBlock)
PolicyPort = shape(port=f.Port, protocol=Literal["TCP", "UDP", "SCTP"])
Ingress = shape(from_=many(Peer, 1, alias="from"))  # none: everybody comes in
Egress = shape(
    lambda each: must(each.to or each.ports, "lets everything out; name peers or ports"),
    to=many(Peer, default=[]),
    ports=many(PolicyPort, default=[]),
)

kind("v1", "Namespace", metadata=shape(name=Name, labels=f.Labels))
kind(
    "v1",
    "ConfigMap",
    metadata=metadata(annotations=(dict[f.QualifiedName, str], {})),
    immutable=(bool, False),
    data=Annotated[dict[f.ConfigKey, str], Field(min_length=1)],
)
kind("v1", "ServiceAccount", metadata=metadata(), automount_service_account_token=Literal[False])
kind(
    "networking.k8s.io/v1",
    "NetworkPolicy",
    metadata=metadata(),
    spec=shape(
        pod_selector=LabelSelector,
        policy_types=many(Literal["Ingress", "Egress"], 2, 2),
        ingress=many(Ingress),
        egress=many(Egress),
    ),
)
# `minAvailable` is missing: with a single pod it would keep a node from ever being drained
kind(
    "policy/v1",
    "PodDisruptionBudget",
    metadata=metadata(),
    spec=shape(max_unavailable=Annotated[int, Field(ge=1)], selector=Selector),
)

# Knative Eventing: https://knative.dev/docs/eventing/
Ref = shape(api_version=f.NonEmpty, kind=f.NonEmpty, name=Name, namespace=maybe(Name))
Destination = one_of(ref=Ref, uri=f.Url)
# brokers fill in a partial block differently, so it is whole; `retryAfterMax` is experimental
Delivery = shape(
    retry=Annotated[int, Field(ge=0)],
    backoff_policy=Literal["linear", "exponential"],
    backoff_delay=f.Duration,
    timeout=f.Duration,
    dead_letter_sink=Destination,
)
# a Broker of another class never becomes ready, and nobody says so
BrokerClass = Literal["Kafka", "KafkaNamespaced", "MTChannelBasedBroker"]
Annotations = shape(
    broker_class=(BrokerClass, Field(alias="eventing.knative.dev/broker.class")),
    is_async=(Literal["true"] | None, Field(default=None, alias="messaging.knative.dev/async-handler")),
)
BrokerSpec = shape(config=maybe(Ref), delivery=maybe(Delivery))


def _has_config(broker: Any) -> None:
    is_kafka = broker.metadata.annotations.broker_class != "MTChannelBasedBroker"
    is_right = is_kafka == (broker.spec.config is not None)
    must(is_right, "spec.config belongs to the classes of Kafka, which need it for Kafka's address")


kind(
    "eventing.knative.dev/v1",
    "Broker",
    _has_config,
    metadata=metadata(annotations=Annotations),
    spec=(BrokerSpec, BrokerSpec()),
)
kind(
    "eventing.knative.dev/v1",
    "Trigger",
    metadata=metadata(),
    spec=shape(broker=Name, filters=many(Filter, 1), subscriber=Destination, delivery=Delivery),
)
Overrides = shape(extensions=dict[f.Attribute, str])
kind(
    "sources.knative.dev/v1",
    "PingSource",
    metadata=metadata(),
    spec=shape(
        schedule=f.Cron,
        timezone=f.TimeZone,
        content_type=Literal["application/json"],
        data=f.JsonObject,
        sink=Destination,
        ce_overrides=maybe(Overrides),
    ),
)
Subject = one_of(name=Name, selector=Selector, beside={"api_version": f.NonEmpty, "kind": f.NonEmpty})
kind(
    "sources.knative.dev/v1",
    "SinkBinding",
    metadata=metadata(),
    spec=shape(subject=Subject, sink=Destination, ce_overrides=maybe(Overrides)),
)
kind(
    "eventing.knative.dev/v1beta2",
    "EventType",
    metadata=metadata(),
    spec=shape(type=f.NonEmpty, schema_=(f.NonEmpty, Field(alias="schema")), description=f.NonEmpty, reference=Ref),
)

# one container, as the pod security standard `restricted` wants it, with the image's own user
Amounts = shape(cpu=f.CpuQuantity, memory=f.MemoryQuantity)
Secret = shape(name=Name, key=f.NonEmpty)
EnvVar = one_of(value=str, value_from=shape(secret_key_ref=Secret), beside={"name": f.EnvName})
Mount = shape(name=Name, mount_path=f.AbsolutePath, read_only=(bool, False))
USER: dict[str, Any] = {"run_as_non_root": Literal[True], "run_as_user": Literal[1003], "run_as_group": Literal[1003]}
SECCOMP = shape(type=Literal["RuntimeDefault"])
LOCKED: dict[str, Any] = {
    "allow_privilege_escalation": Literal[False],
    "read_only_root_filesystem": Literal[True],
    "capabilities": shape(drop=many(Literal["ALL"], 1)),
}
CONTAINER: dict[str, Any] = {
    "image": f.Image,
    "command": many(f.NonEmpty),
    "env": many(EnvVar),
    "resources": shape(requests=Amounts, limits=Amounts),
    "volume_mounts": many(Mount),
}
# the one path that runs no function, at the container's own port
Probe = shape(
    http_get=shape(path=Literal["/healthz"]),
    period_seconds=(Annotated[int, Field(ge=1)], 10),
    timeout_seconds=(Annotated[int, Field(ge=1)], 1),
    failure_threshold=(Annotated[int, Field(ge=1)], 3),
)
Port = shape(container_port=f.Port, name=(Literal["", "http1", "h2c"], ""), protocol=(Literal["TCP"], "TCP"))
Container = shape(
    **CONTAINER,
    args=many(f.NonEmpty),
    ports=many(Port, 1, 1),
    readiness_probe=Probe,
    liveness_probe=Probe,
    security_context=shape(**USER, **LOCKED, seccomp_profile=SECCOMP),
)

# Knative Serving, without the fields that admission refuses: https://knative.dev/docs/serving/reference/serving-api/
Scale = Annotated[str, f.form(r"\d{1,3}", "a whole number in quotes")]


def _is_ordered(scaling: Any) -> None:
    must(int(scaling.min_scale) <= int(scaling.max_scale), "min-scale above max-scale")
    must(int(scaling.max_scale) > 0, "max-scale 0 means no bound")


def _is_private(labels: dict[str, str]) -> dict[str, str]:
    visibility = labels.get("networking.knative.dev/visibility")
    must(visibility == "cluster-local", f"networking.knative.dev/visibility: {visibility}, a public address")
    return labels


Scaling = shape(
    _is_ordered,
    min_scale=(Scale, Field(alias="autoscaling.knative.dev/min-scale")),
    max_scale=(Scale, Field(alias="autoscaling.knative.dev/max-scale")),
)
Volume = one_of(
    config_map=shape(name=Name),
    secret=shape(secret_name=Name),
    empty_dir=shape(medium=Literal["Memory"], size_limit=f.MemoryQuantity),
    beside={"name": Name},
)
Revision = shape(
    metadata=shape(labels=f.Labels, annotations=Scaling),
    spec=shape(
        service_account_name=Name,
        automount_service_account_token=Literal[False],
        container_concurrency=Annotated[int, Field(ge=1, le=1000)],
        timeout_seconds=Annotated[int, Field(ge=1, le=600)],
        containers=many(Container, 1, 1),
        volumes=many(Volume),
    ),
)
# `traffic` is written out: `kubectl apply` leaves a pinned Revision pinned where the file has none
Target = shape(latest_revision=Literal[True], percent=Literal[100])
kind(
    "serving.knative.dev/v1",
    "Service",
    metadata=metadata(labels=Annotated[f.Labels, AfterValidator(_is_private)]),
    spec=shape(template=Revision, traffic=many(Target, 1, 1)),
)

# the sample without Knative
JobPod = shape(
    restart_policy=Literal["Never"],
    automount_service_account_token=Literal[False],
    enable_service_links=Literal[False],
    security_context=shape(**USER, fs_group=Literal[1003], seccomp_profile=SECCOMP),
    containers=many(shape(name=Name, **CONTAINER, security_context=shape(**LOCKED)), 1, 1),
    volumes=many(
        one_of(
            secret=shape(secret_name=Name, default_mode=Literal[0o440]),
            config_map=shape(name=Name),
            beside={"name": Name},
        )
    ),
)
Labelled = shape(labels=f.Labels)
# never two at a time, and the next tick is the retry
Job = shape(
    backoff_limit=Literal[0],
    active_deadline_seconds=Annotated[int, Field(gt=3600)],
    ttl_seconds_after_finished=Annotated[int, Field(ge=0)],
    template=shape(metadata=Labelled, spec=JobPod),
)
kind(
    "batch/v1",
    "CronJob",
    metadata=metadata(),
    spec=shape(
        schedule=f.Cron,
        concurrency_policy=Literal["Forbid"],
        starting_deadline_seconds=Annotated[int, Field(ge=10)],
        successful_jobs_history_limit=Annotated[int, Field(ge=0)],
        failed_jobs_history_limit=Annotated[int, Field(ge=1)],
        job_template=shape(metadata=maybe(Labelled), spec=Job),
    ),
)

# the Prometheus operator; what the rules ask for is `tests/alerts`' concern
Record = shape(record=f.NonEmpty, expr=f.NonEmpty)
Alert = shape(
    alert=f.NonEmpty,
    expr=f.NonEmpty,
    for_=(str | None, Field(default=None, alias="for")),
    labels=dict[str, str],
    annotations=dict[str, str],
)
Group = shape(name=f.NonEmpty, rules=many(Record | Alert, 1))
kind("monitoring.coreos.com/v1", "PrometheusRule", metadata=metadata(), spec=shape(groups=many(Group, 1)))
