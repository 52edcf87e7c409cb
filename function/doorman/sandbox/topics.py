"""SMN's topics: what is published is kept, and handed to the functions that subscribed, in SMN's envelope.

https://docs.otc.t-systems.com/simple-message-notification/api-ref/
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from doorman.sandbox.functiongraph import Engine
from doorman.sandbox.problems import smn
from doorman.sandbox.records import new_id, zulu

MAX_MESSAGE = 256 * 1024
MAX_SUBJECT = 512
NAME_IN_URN = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One message of a topic."""

    topic: str
    subject: str
    message: str
    message_id: str
    at: float


@dataclass(slots=True, kw_only=True)
class Topic:
    """A topic: the functions that subscribed, by URN."""

    urn: str
    functions: list[str] = field(default_factory=list)


class Topics:
    """All topics and their messages.

    Attributes:
        duplicates: with which probability a message is handed over twice. lose: how many of the next are lost.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float], *, seed: int = 0) -> None:
        self.engine = engine
        self.clock = clock
        self.topics: dict[str, Topic] = {}
        self.published: list[Published] = []
        self.duplicates = 0.0
        self.lose = 0
        self._random = random.Random(seed)  # noqa: S311 - repeatable disorder, no secrets

    def publish(self, urn: str, subject: str, message: str) -> Published:
        """Keep a message and hand it to all subscribers; must run in an event loop.

        Raises:
            Problem: there is no such topic, or the message is too large.
        """
        topic = self.topics.get(urn)
        if topic is None:
            raise smn(404, "SMN.0013", "Topic not found")
        if len(message.encode()) > MAX_MESSAGE or len(subject.encode()) > MAX_SUBJECT:
            raise smn(400, "SMN.0002", "The message or its subject is too long")
        published = Published(topic=urn, subject=subject, message=message, message_id=new_id(), at=self.clock())
        self.published.append(published)
        if self.lose > 0:
            self.lose -= 1
            return published
        for function in filter(self.engine.functions.__contains__, topic.functions):
            for _ in range(2 if self._random.random() < self.duplicates else 1):
                self.engine.submit(function, json.dumps(_envelope(published, function)).encode())
        return published


def _envelope(published: Published, function: str) -> dict[str, Any]:
    """Wrap a message as a function with an SMN trigger gets it."""
    at = zulu(published.at, milliseconds=True)
    told = {
        "topic_urn": published.topic,
        "timestamp": at,
        "message_attributes": None,
        "message": published.message,
        "type": "notification",
        "message_id": published.message_id,
        "subject": published.subject,
    }
    record = {
        "event_version": "1.0",
        "smn": told,
        "event_subscription_urn": f"{published.topic}:{published.message_id}",
        "event_source": "smn",
    }
    name = function.split(":")[NAME_IN_URN]
    return {"record": [record], "functionname": name, "requestId": new_id(), "timestamp": at}
