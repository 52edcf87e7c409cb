"""The stage of a rehearsal: a served cloud of its own, the `doorman` command as people run it, and facts to be seen."""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from doorman.sandbox.cloud import create_app
from doorman.sandbox.processes import COMMAND, own_environment
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud
from doorman.sandbox.world import BANNED, GOLDEN

PARTNER = "c4e7a1d0b3f648529f8e7d6c5b4a3920"
USER, PASSWORD = "doorman", "rehearsal"
NONE: Mapping[str, str] = {}

POLICY = f"""\
version: 1
default: hold
rules:
  - name: golden-images
    owners: [{GOLDEN}]
    decision: accept
  - name: known-bad
    owners: [{BANNED}]
    decision: reject
"""


@dataclass(slots=True, kw_only=True)
class Stage:
    """What a rehearsal plays with; `failures` are the facts that did not hold."""

    cloud: Cloud
    url: str
    folder: Path
    projects: tuple[str, ...]
    failures: list[str] = field(default_factory=list)

    def write_policy(self, text: str) -> None:
        """Roll out a policy."""
        (self.folder / "policy.yaml").write_text(text)

    def environment(self, more: Mapping[str, str]) -> Mapping[str, str]:
        """Write the settings of a command."""
        return own_environment(
            {
                "OS_AUTH_URL": f"{self.url}/identity/v3",
                "OS_USERNAME": USER,
                "OS_PASSWORD": PASSWORD,
                "OS_USER_DOMAIN_NAME": "Default",
                "OS_PROJECT_ID": ",".join(self.projects),
                "OS_REGION_NAME": self.cloud.settings.region,
                "DOORMAN_POLICY": str(self.folder / "policy.yaml"),
                **more,
            }
        )

    def start(self, *words: str, settings: Mapping[str, str] = NONE) -> "subprocess.Popen[str]":
        """Start a command; its output is kept until somebody waits for it."""
        return subprocess.Popen(
            [*COMMAND, *words],
            env=dict(self.environment(settings)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def doorman(self, *words: str, is_shown: bool = True, settings: Mapping[str, str] = NONE) -> tuple[int, str]:
        """Run a command to its end and show it; its exit code and output."""
        process = self.start(*words, settings=settings)
        output, _ = process.communicate()
        if is_shown:
            self.say(f"$ doorman {' '.join(words)}")
            self.say("".join(f"  {line}\n" for line in output.splitlines()) + f"  exit code {process.returncode}")
        return process.returncode, output

    def stand(self, shares: Iterable[tuple[str, str]]) -> set[str | None]:
        """Name the statuses that these shares, by image and project, have now."""
        return {self.cloud.member_status(image, project) for image, project in shares}

    def write_event(self, event_id: str, kind: str, data: Mapping[str, Any]) -> str:
        """Write a CloudEvent in JSON."""
        event = {"specversion": "1.0", "id": event_id, "source": "/rehearsal", "type": kind, "data": data}
        return json.dumps(event)

    def say(self, text: str) -> None:
        """Tell the reader something."""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def see(self, fact: str, *, holds: bool) -> None:
        """Note whether a fact of the rehearsal's end holds."""
        self.say(f"{'seen:    ' if holds else 'NOT SEEN:'} {fact}")
        if not holds:
            self.failures.append(fact)


@contextlib.contextmanager
def open_stage(*, projects: int = 3, policy: str = POLICY) -> Iterator[Stage]:
    """Open a stage whose user may do everything in so many served projects."""
    cloud = Cloud()
    cloud.settings.job_seconds = 0.0
    names = tuple(f"project-{number}" for number in range(1, projects + 1))
    cloud.add_user(USER, PASSWORD, names)
    with serve(create_app(cloud)) as url, tempfile.TemporaryDirectory(prefix="doorman-") as folder:
        stage = Stage(cloud=cloud, url=url, folder=Path(folder), projects=names)
        stage.write_policy(policy)
        yield stage
