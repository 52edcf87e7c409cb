"""The way of the events: every type reaches the function that takes it, in time, and no event is lost in silence."""

from collections.abc import Callable, Iterator
from typing import Any

from doorman.events.messages import EventType
from doorman.settings import VARIABLES
from tests.template.fields import seconds
from tests.template.whole import Template, environment, label, target

PING = "dev.knative.sources.ping"
TAKES: dict[str, tuple[str, ...]] = {
    "triage": (EventType.NOTIFIED,),
    "check_job": (EventType.CHECK,),
    "sweep": (PING, EventType.SWEEP),
}
"""Which events each function takes, one Trigger for each."""
_ANSWER = float(VARIABLES["DOORMAN_REQUEST_TIMEOUT"]) + float(VARIABLES["DOORMAN_SINK_TIMEOUT"])
"""Seconds for the cloud's last answer and a late broker."""


def brokers(template: Template) -> Iterator[str]:
    """A Broker of Kafka knows where Kafka is, and its topics have a partition for each pod that takes from them."""
    pods = max((int(each.spec.template.metadata.annotations.max_scale) for each in template.all("Service")), default=0)
    for broker in template.all("Broker"):
        config = template.named("ConfigMap", broker.spec.config.name) if broker.spec.config else None
        if config is not None:
            yield from (f"{label(broker)}: spec.config: {fault}" for fault in _kafka(config.data, pods))
        if broker.spec.delivery and _leads_to(broker.spec.delivery.dead_letter_sink, "Broker", broker.metadata.name):
            yield f"{label(broker)}: spec.delivery.deadLetterSink: the Broker itself, a dead letter would go in circles"


def _kafka(data: dict[str, str], pods: int) -> Iterator[str]:
    partitions = data.get("default.topic.partitions", "")
    if not data.get("bootstrap.servers"):
        yield "its ConfigMap has no bootstrap.servers"
    if not partitions.isdecimal() or int(partitions) < pods:
        yield f"fewer partitions than pods ({pods})"


def triggers(template: Template) -> Iterator[str]:
    """Each Trigger reads a Broker of this file, and what fails goes elsewhere than to where it failed."""
    for trigger in template.all("Trigger"):
        if template.named("Broker", trigger.spec.broker) is None:
            yield f"{label(trigger)}: spec.broker: no Broker {trigger.spec.broker!r} in this file"
        dead = trigger.spec.delivery.dead_letter_sink
        if dead == trigger.spec.subscriber:
            yield f"{label(trigger)}: spec.delivery.deadLetterSink: the failing function itself"
        if _leads_to(dead, "Broker", trigger.spec.broker):
            yield f"{label(trigger)}: spec.delivery.deadLetterSink: the same Broker, a dead letter would go in circles"


def types(template: Template) -> Iterator[str]:
    """Each function has a Trigger for each type that the code takes, whose filter names it, letter by letter."""
    for service in template.all("Service"):
        mine = [
            each for each in template.all("Trigger") if _leads_to(each.spec.subscriber, "Service", label(service)[8:])
        ]
        taken = TAKES.get(target(service), ())
        if len(mine) != len(taken):
            yield f"{label(service)}: {len(mine)} Triggers, expected {len(taken)}"
            continue
        for trigger, wanted in zip(mine, taken, strict=True):
            found = _wanted(trigger.spec.filters, "exact").get("type")
            if found != wanted:
                yield f"{label(trigger)}: spec.filters: type {found!r}, but {target(service)} takes {str(wanted)!r}"


def ticks(template: Template) -> Iterator[str]:
    """The sweep hears the PingSource of this file alone, which sends to a Broker."""
    sources = template.all("PingSource")
    if len(sources) != 1:
        yield f"{len(sources)} PingSources, expected one"
        return
    path = f"/apis/v1/namespaces/{sources[0].metadata.namespace}/pingsources/"
    for trigger in template.all("Trigger"):
        is_tick = _wanted(trigger.spec.filters, "exact").get("type") == PING
        if is_tick and _wanted(trigger.spec.filters, "prefix").get("source") != path:
            yield f"{label(trigger)}: spec.filters: ticks of others pass; filter by prefix of source, {path}"
    if not _is_broker(sources[0].spec.sink):
        yield f"{label(sources[0])}: spec.sink: must be a Broker, which retries; a PingSource loses the tick"


def bindings(template: Template) -> Iterator[str]:
    """Each function gets its K_SINK from one SinkBinding that leads to the Broker of its Trigger."""
    for binding in template.all("SinkBinding"):
        subject = binding.spec.subject
        service = template.named("Service", subject.name or "")
        if service is None or subject.kind != "Service" or subject.api_version != service.api_version:
            yield f"{label(binding)}: spec.subject: no Knative Service {subject.name!r} in this file"
        if not _is_broker(binding.spec.sink):
            yield f"{label(binding)}: spec.sink: must be a Broker"
    for service in template.all("Service"):
        if sum(each.spec.subject.name == service.metadata.name for each in template.all("SinkBinding")) != 1:
            yield f"{label(service)}: no SinkBinding of its own, so no K_SINK"


def times(template: Template) -> Iterator[str]:
    """Job budget < delivery.timeout < timeoutSeconds; and retries outlast the time in which a share is not visible."""
    for trigger in template.all("Trigger"):
        service = template.named("Service", trigger.spec.subscriber.ref.name if trigger.spec.subscriber.ref else "")
        if service is None:
            continue
        delivery, env = trigger.spec.delivery, environment(service)
        timeout, limit = seconds(delivery.timeout), service.spec.template.spec.timeout_seconds
        if timeout >= limit:
            yield f"{label(trigger)}: spec.delivery.timeout: {timeout:g} s, not below the function's {limit} s"
        budget = _number(env, "DOORMAN_CHECK_BUDGET") if target(service) == "check_job" else 0
        if timeout <= budget + _ANSWER:
            yield f"{label(trigger)}: spec.delivery.timeout: {timeout:g} s, not above {budget:g} + {_ANSWER:g} s"
        window = _number(env, "DOORMAN_VISIBILITY_WINDOW")
        span = _span(delivery.backoff_policy, seconds(delivery.backoff_delay), delivery.retry)
        if target(service) == "triage" and span <= window:
            yield f"{label(trigger)}: spec.delivery: retries end after {span:g} s, a share may need {window:g} s"
        if delivery.retry == 0:
            yield f"{label(trigger)}: spec.delivery.retry: 0, one passing fault would be a dead letter"


def _number(env: dict[str, str], name: str) -> float:
    text = env.get(name) or VARIABLES[name]
    return float(text) if text.replace(".", "", 1).isdecimal() else 0  # another rule says that it is no number


def _span(law: str, delay: float, retries: int) -> float:
    """Seconds from the first try to the last, by the quicker of the brokers (in-memory; Kafka waits longer)."""
    steps = range(1, retries + 1)
    return sum(delay * (2 ** (n - 1) if law == "exponential" else n - 1) for n in steps)


def _wanted(filters: list[Any], dialect: str) -> dict[str, str]:
    """The attributes that all of the filters ask for in one dialect."""
    return {name: value for each in filters for name, value in (getattr(each, dialect) or {}).items()}


def _is_broker(place: Any) -> bool:
    return place.ref is not None and place.ref.kind == "Broker"


def _leads_to(place: Any, kind: str, name: str) -> bool:
    return place.ref is not None and (place.ref.kind, place.ref.name) == (kind, name)


RULES: tuple[Callable[[Template], Iterator[str]], ...] = (brokers, triggers, types, ticks, bindings, times)
