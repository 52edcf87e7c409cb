"""Puts everything together on this machine: cloud, broker, sample world and the three functions, until told to end."""

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from doorman.sandbox import broker as brokers
from doorman.sandbox import cloud as clouds
from doorman.sandbox import world
from doorman.sandbox.broker import Broker
from doorman.sandbox.delivery import Policy, Profile, Trigger
from doorman.sandbox.page.guard import Guard
from doorman.sandbox.page.routes import Page
from doorman.sandbox.processes import Function
from doorman.sandbox.samples import POLICY
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud

JOB_SECONDS = 0.4
TYPES = {
    "triage": "dev.doorman.share.notified.v1",
    "check_job": "dev.doorman.job.check.v1",
    "sweep": "dev.knative.sources.ping",
}
SPREAD = "dev.doorman.project.sweep.v1"
DELIVERY = Policy(retry=5, backoff="exponential", delay=0.2, timeout=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What runs, and where it can be reached."""

    cloud: Cloud
    cloud_url: str
    broker: Broker
    broker_url: str
    functions: dict[str, Function]

    @property
    def page(self) -> str:
        """The page for people."""
        return f"{self.cloud_url}/sandbox"

    @property
    def sink(self) -> str:
        """Where events are posted to."""
        return self.broker_url + self.broker.path


@contextlib.contextmanager
def open_stage(
    *,
    policy: Path = POLICY,
    profile: Profile = "kafka",
    port: int = 0,
    logs: Path | None = None,
    extra: dict[str, str] | None = None,
) -> Iterator[Stage]:
    """Run everything with the sample world.

    Args:
        policy: the policy file of the functions.
        profile: whose delivery rules the broker keeps.
        port: the cloud's, with the broker's and the functions' after it; 0 takes free ones.
        logs: a folder for the functions' output; None: it goes where ours goes.
        extra: more settings for the functions.

    Raises:
        NotStartedError: a function did not come up.
    """
    cloud, broker = Cloud(), Broker(profile=profile)
    cloud.settings.job_seconds = JOB_SECONDS
    world.build(cloud)
    with ExitStack() as stack:
        functions: dict[str, Function] = {}
        settings: dict[str, str] = {}
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="doorman-")))
        page = Page(cloud, broker, functions, settings, folder)
        cloud_url = stack.enter_context(serve(Guard(clouds.create_app(cloud, page.routes())), port=port))
        broker_url = stack.enter_context(serve(Guard(brokers.create_app(broker)), port=port and port + 1))
        settings |= environment(cloud_url, broker_url + broker.path, policy) | (extra or {})
        stack.callback(_end, functions)
        for place, target in enumerate(TYPES, start=2):
            log = logs / f"{target}.log" if logs else None
            functions[target] = Function(target, port=port and port + place, settings=settings, log=log)
        for each in functions.values():
            each.await_start()
        broker.triggers = [_trigger(target, each.url) for target, each in functions.items()]
        broker.triggers.append(
            Trigger(name="sweep-projects", subscriber=functions["sweep"].url, filters={"type": SPREAD}, policy=DELIVERY)
        )
        yield Stage(cloud=cloud, cloud_url=cloud_url, broker=broker, broker_url=broker_url, functions=functions)


def environment(cloud_url: str, sink: str, policy: Path) -> dict[str, str]:
    """Write the settings with which functions, or a command, use the sandbox."""
    return {
        "OS_AUTH_URL": f"{cloud_url}/identity/v3",
        "OS_USERNAME": world.USER,
        "OS_PASSWORD": world.PASSWORD,
        "OS_USER_DOMAIN_NAME": world.DOMAIN,
        "OS_PROJECT_ID": world.RECEIVER,
        "OS_REGION_NAME": world.REGION,
        "K_SINK": sink,
        "DOORMAN_POLICY": str(policy),
    }


def _trigger(target: str, url: str) -> Trigger:
    ours = {"source": "/apis/v1/namespaces/doorman/pingsources/"} if target == "sweep" else {}  # as template.yaml
    return Trigger(name=target, subscriber=url, filters={"type": TYPES[target]}, prefixes=ours, policy=DELIVERY)


def _end(functions: dict[str, Function]) -> None:
    """End all functions at once, then wait for each."""
    for each in functions.values():
        each.stop()
    for each in functions.values():
        each.await_end()
