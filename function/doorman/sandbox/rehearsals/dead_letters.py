"""The cloud breaks down again and again until events die; then they are looked at, and sent again."""

from dataclasses import replace
from typing import Any

from doorman.sandbox import world
from doorman.sandbox.assembly import Stage, environment, open_stage
from doorman.sandbox.delivery import Policy
from doorman.sandbox.envelope import outcomes
from doorman.sandbox.rehearsals.harness import Stage as Rehearsal
from doorman.sandbox.serving import await_that

SHARES = 24
WANTED = {world.GOLDEN: "accepted", world.BANNED: "rejected", world.STRANGER: "pending"}
IMPATIENT = Policy(retry=1, backoff="exponential", delay=0.05, timeout=30)
NOTIFIED = "dev.doorman.share.notified.v1"
SKIPPED = "skipped"
"""A share whose members call was carried out, though its answer was lost: it was settled already."""


def play(rehearsal: Rehearsal) -> None:
    """Break the cloud, send events, heal it, replay what died."""
    with open_stage(logs=rehearsal.folder) as stage:
        stage.broker.triggers = [replace(each, policy=IMPATIENT) for each in stage.broker.triggers]
        settings = environment(stage.cloud_url, stage.sink, rehearsal.folder / "policy.yaml")
        shares = {
            stage.cloud.add_share(owner, world.RECEIVER, name="golden-chaos"): owner
            for owner in [*WANTED] * (SHARES // len(WANTED))
        }
        stage.cloud.faults.seed(1)
        # Some members calls are carried out and only their answer is lost: nobody knows then what was done.
        stage.cloud.faults.add("reset", method="PUT", path="members", rate=0.4, performed=True)
        for kind in ("status", "reset", "half"):
            stage.cloud.faults.add(kind, path="/v[12]/", rate=0.3)
        _send(rehearsal, stage, list(shares), settings)
        died = len(stage.broker.dead_letters)
        stage.cloud.faults.clear()
        rehearsal.say(f"The cloud broke most calls while {SHARES} shares were notified; {died} events died:\n")
        letters = f"{stage.broker_url}/dead-letters"
        rehearsal.doorman("replay", letters, settings=settings)
        rehearsal.say("\nThe cloud is well again. All of them are sent again:\n")
        code, said = rehearsal.doorman("replay", letters, "--send", "--json", is_shown=False, settings=settings)
        rehearsal.say(f"$ doorman replay {letters} --send\n  {said.count('sent (202)')} sent")
        await_that(lambda: stage.broker.is_idle)
        told = _collect(stage)
        ends = {image: stage.cloud.member_status(image, world.RECEIVER) for image in shares}
        rehearsal.see("events died, and all of them were taken again", holds=died > 0 and code == 0)
        rehearsal.see("every share came to its right end", holds=ends == {i: WANTED[o] for i, o in shares.items()})
        rehearsal.see("of every share something was told", holds=told.keys() >= shares.keys())
        rehearsal.see(
            "no share was told to have ended in two ways",
            holds=all(len(set(kinds) - {SKIPPED}) <= 1 for kinds in told.values()),
        )


def _send(rehearsal: Rehearsal, stage: Stage, images: list[str], settings: dict[str, str]) -> None:
    """Post one notification for each image, and wait until each is worked off or dead."""
    folder = rehearsal.folder / "events"
    folder.mkdir()
    names = []
    for number, image in enumerate(images):
        data = {"project_id": world.RECEIVER, "images": [image]}
        names.append(folder / f"{number}.json")
        names[-1].write_text(rehearsal.write_event(f"chaos-{number}", NOTIFIED, data))
    rehearsal.doorman("send", *map(str, names), is_shown=False, settings=settings)
    await_that(lambda: stage.broker.is_idle, seconds=60)


def _collect(stage: Stage) -> dict[str, list[str]]:
    """Collect what a deduplicating consumer keeps: by image, the outcomes told of it."""
    events: dict[str, Any] = {event.attributes["id"]: event for event in stage.broker.events}
    told: dict[str, list[str]] = {}
    for event in events.values():
        for outcome, entry in outcomes(event):
            told.setdefault(entry["image_id"], []).append(outcome)
    return told
