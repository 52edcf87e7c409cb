"""The file of `--state`: the keys of what a command told when it ran last, so that a schedule tells what is new."""

import json
import os
from collections.abc import Collection, Iterable
from pathlib import Path

from doorman.entrypoints.cli.output import read_text
from doorman.errors import Misconfigured
from doorman.models import CloudEvent


def read_keys(path: str | None) -> frozenset[str]:
    """Read what was told last; nothing where there is no such file yet.

    Raises:
        Misconfigured: the file cannot be read, or is not one of these.
    """
    if path is None or not Path(path).exists():
        return frozenset()
    try:
        keys = json.loads(read_text(path))["keys"]
        return frozenset(str(key) for key in keys)
    except (ValueError, KeyError, TypeError) as error:
        raise Misconfigured(f"--state: {path} is no file of this command: name another one") from error


def write_keys(path: str, keys: Collection[str]) -> None:
    """Write what is told now, whole or not at all; what is told no more is forgotten.

    Raises:
        Misconfigured: it cannot be written.
    """
    beside = Path(f"{path}.{os.getpid()}")
    try:
        beside.write_text(json.dumps({"keys": sorted(keys)}), "utf-8")
        beside.replace(path)
    except OSError as error:
        raise Misconfigured(f"--state: {path} cannot be written: {error.strerror}") from error


def keys_of_people(keys: Iterable[str]) -> set[str]:
    """Give the keys of what people were told: each has its channel before it, and a space."""
    return {key for key in keys if " " in key}


def keys_of(events: Iterable[CloudEvent]) -> set[str]:
    """Give the keys of all entries."""
    return {entry["key"] for event in events for entry in event.data.get("images", ())}


def only_new(events: Iterable[CloudEvent], known: frozenset[str]) -> list[CloudEvent]:
    """Leave out the events that tell nothing but what was told before; what is left stays whole, as its id says."""
    return [event for event in events if not known or not keys_of([event]) or not keys_of([event]) <= known]
