"""`doorman run` on a real Glance: the same outcomes as by events, from a `clouds.yaml` and one command."""

import json
import subprocess
from pathlib import Path

from doorman.sandbox.processes import COMMAND
from tests.openstack.worlds import OWNERS, SECRET, RealWorld

GOLDEN, BANNED = OWNERS
COUNT = 8


def doorman(environ: dict[str, str], folder: Path, *words: str) -> dict[str, tuple[str, str]]:
    """Run a command in that folder; give outcome and reason of each image that its JSON lines tell of."""
    command = [*COMMAND, *words, "--json"]
    ended = subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert SECRET not in ended.stdout
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    return {
        entry["image_id"]: (event["type"].split(".")[3], entry["reason"])
        for event in events
        for entry in event["data"]["images"]
    }


def test_dry_run_then_run(world: RealWorld, environ: dict[str, str], tmp_path: Path) -> None:
    """A dry run tells of 24 shares and changes nothing; the run settles them and tells the same reasons."""
    made = {
        "accepted": [world.add_image(GOLDEN, f"golden-{number}") for number in range(COUNT)],
        "rejected": [world.add_image(BANNED, f"banned-{number}") for number in range(COUNT)],
        "pending": [world.add_image(GOLDEN, f"other-{number}") for number in range(COUNT)],
    }
    for status, images in made.items():
        for image_id in images:
            world.share(image_id, BANNED if status == "rejected" else GOLDEN)
    every = [image_id for images in made.values() for image_id in images]

    dry = doorman(environ, tmp_path, "run", "--dry-run")
    assert [world.status(image_id) for image_id in every] == ["pending"] * len(every)
    told = doorman(environ, tmp_path, "run")
    assert {status: [world.status(image_id) for image_id in images] for status, images in made.items()} == {
        status: [status] * COUNT for status in made
    }
    outcomes = {"accepted": "allowed_owner", "rejected": "rejected_by_rule", "pending": "image_not_allowed"}
    for status, reason in outcomes.items():
        outcome = "held" if status == "pending" else status
        assert [told[image_id] for image_id in made[status]] == [(outcome, reason)] * COUNT
        assert [dry[image_id][1] for image_id in made[status]] == [reason] * COUNT
