"""The kinds of Kubernetes itself, as its API server takes them, and as strict as we use them."""

from ipaddress import IPv4Network
from typing import Literal, Self

from pydantic import Field, model_validator

from tests.template.eventing import Metadata, Selector
from tests.template.fields import Cidr, ConfigKey, DnsLabel, Labels, NonEmpty, Port, QualifiedName, Strict


class NamespaceMetadata(Strict):
    """A Namespace lives in none."""

    name: DnsLabel
    labels: Labels


class Namespace(Strict):
    """See https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/namespace-v1/ ."""

    api_version: Literal["v1"]
    kind: Literal["Namespace"]
    metadata: NamespaceMetadata


class ConfigMapMetadata(Metadata):
    """What GitOps tools are to leave alone."""

    annotations: dict[QualifiedName, str] = Field(default_factory=dict)


class ConfigMap(Strict):
    """See https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/config-map-v1/ ."""

    api_version: Literal["v1"]
    kind: Literal["ConfigMap"]
    metadata: ConfigMapMetadata
    immutable: bool = False
    data: dict[ConfigKey, str] = Field(min_length=1)


class ServiceAccount(Strict):
    """See https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/service-account-v1/ ."""

    api_version: Literal["v1"]
    kind: Literal["ServiceAccount"]
    metadata: Metadata
    automount_service_account_token: Literal[False]


class Requirement(Strict):
    """One expression of a label selector."""

    key: QualifiedName
    operator: Literal["In", "NotIn"]
    values: list[NonEmpty] = Field(min_length=1)


class LabelSelector(Strict):
    """Empty means all."""

    match_labels: dict[QualifiedName, str] = Field(default_factory=dict)
    match_expressions: list[Requirement] = Field(default_factory=list)


class IpBlock(Strict):
    """Addresses outside the cluster; the API server wants the exceptions to lie inside."""

    cidr: Cidr
    except_: list[Cidr] = Field(alias="except")

    @model_validator(mode="after")
    def _is_inside(self) -> Self:
        whole = IPv4Network(self.cidr)
        for part in map(IPv4Network, self.except_):
            if part == whole or not part.subnet_of(whole):
                raise ValueError(f"{part} does not lie inside {whole}")
        return self


class Peer(Strict):
    """Who: pods of namespaces, or addresses."""

    namespace_selector: LabelSelector | None = None
    ip_block: IpBlock | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.namespace_selector is None) == (self.ip_block is None):
            raise ValueError("needs either namespaceSelector or ipBlock")
        return self


class PolicyPort(Strict):
    """Where."""

    port: Port
    protocol: Literal["TCP", "UDP", "SCTP"]


class Ingress(Strict):
    """An empty `from` would let everybody in."""

    from_: list[Peer] = Field(alias="from", min_length=1)


class Egress(Strict):
    """To whom, on which ports; nothing at all would let everything out."""

    to: list[Peer] = Field(default_factory=list)
    ports: list[PolicyPort] = Field(default_factory=list)

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        if not self.to and not self.ports:
            raise ValueError("lets everything out; name peers or ports")
        return self


class NetworkPolicySpec(Strict):
    """Both directions, otherwise the one that is not named is open."""

    pod_selector: LabelSelector
    policy_types: list[Literal["Ingress", "Egress"]] = Field(min_length=2, max_length=2)
    ingress: list[Ingress]
    egress: list[Egress]


class NetworkPolicy(Strict):
    """See https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/ ."""

    api_version: Literal["networking.k8s.io/v1"]
    kind: Literal["NetworkPolicy"]
    metadata: Metadata
    spec: NetworkPolicySpec


class DisruptionSpec(Strict):
    """`minAvailable` is missing: with a single pod it would keep a node from ever being drained."""

    max_unavailable: int = Field(ge=1)
    selector: Selector


class PodDisruptionBudget(Strict):
    """See https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/pod-disruption-budget-v1/ ."""

    api_version: Literal["policy/v1"]
    kind: Literal["PodDisruptionBudget"]
    metadata: Metadata
    spec: DisruptionSpec
