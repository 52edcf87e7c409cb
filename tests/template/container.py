"""The one container of a Revision: what admission lets through, and the values that ours must have."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tests.template.fields import (
    AbsolutePath,
    CpuQuantity,
    DnsLabel,
    EnvName,
    Image,
    MemoryQuantity,
    NonEmpty,
    Port,
    Strict,
)


class SecretKey(Strict):
    """One value of a Secret."""

    name: DnsLabel
    key: NonEmpty


class ValueFrom(Strict):
    """Only from a Secret."""

    secret_key_ref: SecretKey


class EnvVar(Strict):
    """One variable, by value or by reference."""

    name: EnvName
    value: str | None = None
    value_from: ValueFrom | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.value is None) == (self.value_from is None):
            raise ValueError("needs either value or valueFrom")
        return self


class HttpGet(Strict):
    """The one path that runs no function; the port is the container's."""

    path: Literal["/healthz"]


class Probe(Strict):
    """One handler: httpGet."""

    http_get: HttpGet = Field(alias="httpGet")
    period_seconds: int = Field(default=10, ge=1)
    timeout_seconds: int = Field(default=1, ge=1)
    failure_threshold: int = Field(default=3, ge=1)


class Amounts(Strict):
    """Of both."""

    cpu: CpuQuantity
    memory: MemoryQuantity


class Resources(Strict):
    """Both ends, so that neither the scheduler nor the node must guess."""

    requests: Amounts
    limits: Amounts


class Capabilities(Strict):
    """None at all."""

    drop: list[Literal["ALL"]] = Field(min_length=1)


class Seccomp(Strict):
    """The container runtime's own."""

    type: Literal["RuntimeDefault"]


class SecurityContext(Strict):
    """What the pod security standard `restricted` asks for, and the image's own user."""

    run_as_non_root: Literal[True]
    run_as_user: Literal[1003]
    run_as_group: Literal[1003]
    read_only_root_filesystem: Literal[True]
    allow_privilege_escalation: Literal[False]
    capabilities: Capabilities
    seccomp_profile: Seccomp


class ContainerPort(Strict):
    """Knative speaks HTTP/1 to it."""

    container_port: Port
    name: Literal["", "http1", "h2c"] = ""
    protocol: Literal["TCP"] = "TCP"


class VolumeMount(Strict):
    """Secrets and ConfigMaps must be mounted read-only: see the rules."""

    name: DnsLabel
    mount_path: AbsolutePath
    read_only: bool = False


class Container(Strict):
    """The one container; no lifecycle hooks, no terminal, no devices."""

    image: Image
    command: list[NonEmpty]
    args: list[NonEmpty]
    ports: list[ContainerPort] = Field(min_length=1, max_length=1)
    env: list[EnvVar]
    readiness_probe: Probe
    liveness_probe: Probe
    resources: Resources
    security_context: SecurityContext
    volume_mounts: list[VolumeMount]
