"""Runs are killed with `kill -9` at random moments; whenever that was, the next run finishes."""

import random
import time
from dataclasses import dataclass, field

from doorman.sandbox.records import MemberStatus
from doorman.sandbox.rehearsals.harness import Stage
from doorman.sandbox.serving import await_that
from doorman.sandbox.world import BANNED, GOLDEN, STRANGER

TIMES = 5
SHARES = 24
JOB_SECONDS = 0.2
WANTED: dict[str, MemberStatus] = {GOLDEN: "accepted", BANNED: "rejected", STRANGER: "pending"}


@dataclass(slots=True)
class Tally:
    """What the kills met: shares settled at the moment of the kill, and of how many."""

    settled: list[int] = field(default_factory=list)
    unfinished: int = 0


def play(stage: Stage, *, times: int = TIMES, seed: int = 1) -> None:
    """Kill a run, look what it left, let another one finish; so many times."""
    dice = random.Random(seed)  # noqa: S311 - repeatable moments, no secrets
    stage.cloud.settings.job_seconds = JOB_SECONDS
    length = _measure(stage)
    stage.say(f"A run takes {length:.2f} s from its first call; {times} runs are now killed within that time.")
    tally = Tally()
    for _ in range(times):
        wanted = _share(stage)
        _kill(stage, dice.uniform(0, length))
        tally.settled.append(sum(_status(stage, *where) == status for where, status in wanted.items()))
        code, _ = stage.doorman("run", is_shown=False)
        ends = {where: _status(stage, *where) for where in wanted}
        tally.unfinished += code != 0 or ends != wanted
    stage.say(f"Shares as wanted when the kill came, of {SHARES} each: {sorted(tally.settled)}")
    stage.see(f"after each of {times} kills, the next run settled every share", holds=tally.unfinished == 0)


def _measure(stage: Stage) -> float:
    """Take the time of a whole run from its first call on; the start of Python before it is the same every time."""
    _share(stage)
    stage.doorman("run", is_shown=False)
    calls = list(stage.cloud.calls)
    return calls[-1].at - calls[0].at


def _share(stage: Stage) -> dict[tuple[str, str], MemberStatus]:
    """Share more images; how each share must end, by image and project."""
    wanted: dict[tuple[str, str], MemberStatus] = {}
    for number in range(SHARES):
        owner = (GOLDEN, GOLDEN, BANNED, STRANGER)[number % 4]
        project_id = stage.projects[number % len(stage.projects)]
        wanted[stage.cloud.add_share(owner, project_id), project_id] = WANTED[owner]
    return wanted


def _kill(stage: Stage, seconds: float) -> None:
    """Start a run, and kill it that long after its first call."""
    calls = len(stage.cloud.calls)
    process = stage.start("run")
    await_that(lambda: len(stage.cloud.calls) > calls)
    time.sleep(seconds)
    process.kill()
    process.communicate()


def _status(stage: Stage, image_id: str, project_id: str) -> MemberStatus | None:
    return stage.cloud.member_status(image_id, project_id)
