"""The functions: started as the code wants, with variables that it knows."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from doorman.cloud.auth.credentials import find_files
from doorman.errors import Misconfigured
from doorman.settings import Settings
from tests.template.whole import Template, environment, label, target

TARGETS = ("triage", "check_job", "sweep")
RESERVED_PORTS = {8008, 8012, 8013, 8022, 9090, 9091}
SHARED = ("DOORMAN_MODE", "DOORMAN_POLICY", "OS_CLOUD", "OS_CLIENT_CONFIG_FILE")
"""What would make the functions speak of different clouds or policies."""
_SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY")


def functions(template: Template) -> Iterator[str]:
    """One Service for each function, all from one image, so that they speak the same version of the events."""
    services = template.all("Service")
    if sorted(map(target, services)) != sorted(TARGETS):
        yield f"functions {sorted(map(target, services))}, expected {sorted(TARGETS)}"
    if len({each.spec.template.spec.containers[0].image for each in services}) > 1:
        yield "Services of different images: functions of two versions would talk to each other"
    for service in services:
        container = service.spec.template.spec.containers[0]
        port = container.ports[0].container_port
        start = [
            "functions-framework",
            "--source",
            "function/main.py",
            "--target",
            target(service),
            "--port",
            f"{port}",
        ]
        if [*container.command, *container.args] != start:
            yield f"{label(service)}: command and args: expected {' '.join(start)}"
        if port in RESERVED_PORTS:
            yield f"{label(service)}: ports[0].containerPort: {port} belongs to Knative"


def variables(template: Template) -> Iterator[str]:
    """Every variable is one that the code reads, stands once, and holds no secret; what all need is the same in all."""
    for service in template.all("Service"):
        env = service.spec.template.spec.containers[0].env
        for name, times in Counter(each.name for each in env).items():
            if times > 1:
                yield f"{label(service)}: env {name}: stands {times} times"
            if name == "PORT" or name.startswith("K_"):
                yield f"{label(service)}: env {name}: Knative sets it"
        for each in env:
            if each.value is not None and _SECRET.search(each.name):
                yield f"{label(service)}: env {each.name}: a secret by value; take it from a Secret"
    for name in SHARED:
        values = {environment(each).get(name) for each in template.all("Service")}
        if len(values) > 1 or None in values:
            yield f"env {name}: must stand in all functions and be the same"


def settings(template: Template) -> Iterator[str]:
    """The code itself reads every variable, and takes its value; those of OpenTelemetry are for its exporters."""
    for service in template.all("Service"):
        env = service.spec.template.spec.containers[0].env
        asked = _Asked({each.name: each.value or "from a Secret" for each in env}, K_SINK="http://broker.test")
        try:
            find_files(Settings.from_environ(asked, is_sink_required=True).identity)
        except Misconfigured as error:
            yield f"{label(service)}: env {error}"
            continue
        for name in sorted(each for each in {*asked} - asked.names if not each.startswith("OTEL_")):
            yield f"{label(service)}: env {name}: the code reads no such variable"


class _Asked(dict[str, str]):
    """An environment that knows what it was asked for."""

    def __init__(self, values: dict[str, str], **more: str) -> None:
        super().__init__(values, **more)
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return super().__getitem__(name)


def accounts(template: Template) -> Iterator[str]:
    """Each function runs as a ServiceAccount of this file, never as the namespace's default."""
    for service in template.all("Service"):
        name = service.spec.template.spec.service_account_name
        if template.named("ServiceAccount", name) is None:
            yield f"{label(service)}: serviceAccountName: no ServiceAccount {name!r} in this file"


RULES: tuple[Callable[[Template], Iterator[str]], ...] = (functions, variables, settings, accounts)
