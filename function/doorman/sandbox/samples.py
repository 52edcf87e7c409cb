"""Finds the samples: the events of `events/` and the demo's policy, one source each, in a wheel and in a checkout."""

from pathlib import Path

from doorman.events.files import Message, read_message


def _find(packaged: str, in_checkout: str) -> Path:
    """Find what a wheel carries beside this file, and a checkout at another place."""
    path = Path(__file__).with_name(packaged)
    return path if path.exists() else Path(__file__).resolve().parents[3] / in_checkout


EVENTS = _find("events", "events")
"""The sample events."""
POLICY = _find("policy.yaml", "examples/policy.yaml")
"""The demo's policy."""


def load(path: Path) -> Message:
    """Read an event file. What is no JSON is kept as it is: some samples are broken on purpose.

    Raises:
        OSError: the file cannot be read.
    """
    return read_message(path.read_bytes())


def is_batch(message: Message) -> bool:
    """Whether it holds a batch, which a broker does not take."""
    return message.headers["content-type"].startswith("application/cloudevents-batch")
