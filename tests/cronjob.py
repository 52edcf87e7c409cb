"""A CronJob as the API server takes it, and as strict as ours must be: the pod security standard `restricted`."""

from typing import Literal

from pydantic import Field

from tests.template.container import Amounts, Capabilities, EnvVar, Seccomp, VolumeMount
from tests.template.fields import Cron, DnsLabel, Image, Labels, NonEmpty, Strict


class Metadata(Strict):
    """In the namespace that kubectl is told."""

    name: DnsLabel
    labels: Labels


class ConfigMap(Strict):
    """The policy."""

    api_version: Literal["v1"]
    kind: Literal["ConfigMap"]
    metadata: Metadata
    data: dict[str, str]


class Resources(Strict):
    """Both ends."""

    requests: Amounts
    limits: Amounts


class ContainerSecurity(Strict):
    """What `restricted` asks of a container."""

    allow_privilege_escalation: Literal[False]
    read_only_root_filesystem: Literal[True]
    capabilities: Capabilities


class Container(Strict):
    """The command, its settings and its files."""

    name: DnsLabel
    image: Image
    command: list[NonEmpty]
    env: list[EnvVar]
    resources: Resources
    security_context: ContainerSecurity
    volume_mounts: list[VolumeMount]


class PodSecurity(Strict):
    """What `restricted` asks of a pod, with the image's own user."""

    run_as_non_root: Literal[True]
    run_as_user: Literal[1003]
    run_as_group: Literal[1003]
    fs_group: Literal[1003]
    seccomp_profile: Seccomp


class Secret(Strict):
    """The credentials, for the image's group alone."""

    secret_name: DnsLabel
    default_mode: Literal[0o440]


class Named(Strict):
    """A reference."""

    name: DnsLabel


class Volume(Strict):
    """A file from elsewhere."""

    name: DnsLabel
    secret: Secret | None = None
    config_map: Named | None = None


class Pod(Strict):
    """One container that never restarts by itself."""

    restart_policy: Literal["Never"]
    automount_service_account_token: Literal[False]
    enable_service_links: Literal[False]
    security_context: PodSecurity
    containers: list[Container] = Field(min_length=1, max_length=1)
    volumes: list[Volume]


class Labelled(Strict):
    """The labels of pods."""

    labels: Labels


class Template(Strict):
    """The pods."""

    metadata: Labelled
    spec: Pod


class JobSpec(Strict):
    """The next tick is the retry."""

    backoff_limit: Literal[0]
    active_deadline_seconds: int = Field(gt=3600)
    ttl_seconds_after_finished: int = Field(ge=0)
    template: Template


class JobTemplate(Strict):
    """The jobs."""

    metadata: Labelled | None = None
    spec: JobSpec


class CronJobSpec(Strict):
    """Never two at a time."""

    schedule: Cron
    concurrency_policy: Literal["Forbid"]
    starting_deadline_seconds: int = Field(ge=10)
    successful_jobs_history_limit: int = Field(ge=0)
    failed_jobs_history_limit: int = Field(ge=1)
    job_template: JobTemplate


class CronJob(Strict):
    """See https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/cron-job-v1/ ."""

    api_version: Literal["batch/v1"]
    kind: Literal["CronJob"]
    metadata: Metadata
    spec: CronJobSpec
