"""Records a cloud, plays the recording back, and compares what a command says of either."""

import asyncio
import json
import re
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from doorman.entrypoints.cli import doctor
from doorman.entrypoints.cli.main import main
from doorman.planning.redaction import Redactor
from doorman.runtime.clock import SystemClock
from doorman.runtime.http import Exchange
from doorman.sandbox import replay
from doorman.sandbox.serving import serve

SALT = b"of the test"
VOLATILE = ("id", "time", "key", "dedupekey", "causationid", "correlationid", "policy_digest", "source", "cause")


def record(folder: Path) -> dict[str, Any]:
    """Record what the environment leads to."""
    arguments = Namespace(os_cloud=None, policy=None, project=[], record=folder, yes=True)
    kept = list[Exchange]()
    asyncio.run(doctor.look(arguments, clock=SystemClock(), kept=kept))
    doctor.record(arguments, kept, salt=SALT)
    return replay.read(folder)


@contextmanager
def played(recording: dict[str, Any], patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lead the environment to the recording."""
    with serve(replay.create_app(recording)) as url:
        for name in ("OS_CLOUD", "OS_REGION_NAME", "K_SINK", "OS_ACCESS_KEY", "OS_SECRET_KEY", "OS_AUTH_TYPE"):
            patch.delenv(name, raising=False)
        for name in ("OS_IMAGE_ENDPOINT_OVERRIDE", "OS_CBR_ENDPOINT_OVERRIDE"):
            patch.delenv(name, raising=False)
        for name, value in replay.environment(recording, url).items():
            patch.setenv(name, value)
        yield


def told(capsys: pytest.CaptureFixture[str], *words: str) -> list[Any]:
    """Run a command; give what its JSON says, but for what is made anew each time."""
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return list(_strip(events))


def rename(value: Any, real: set[str]) -> Any:
    """Put the recording's pseudonyms in place of all that is real."""
    text = json.dumps(value)
    for each in sorted(real, key=len, reverse=True):
        text = re.sub(rf"(?<![\w-]){re.escape(each)}(?![\w-])", Redactor(SALT).name(each), text)
    return _strip(json.loads(text))


def _strip(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _strip(each) for key, each in value.items() if key not in VOLATILE}
    if isinstance(value, list):
        return sorted((_strip(each) for each in value), key=str)
    return value
