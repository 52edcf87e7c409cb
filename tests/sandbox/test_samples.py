"""The sample events and the sample world agree, and the demo tells what became of them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from doorman.errors import Rejected
from doorman.events import cloudevents
from doorman.events.messages import EventType
from doorman.events.schemas import DATA
from doorman.policy.policy import load as load_policy
from doorman.sandbox import world
from doorman.sandbox.demo import SWEEPS
from doorman.sandbox.report import group
from doorman.sandbox.samples import EVENTS, POLICY, is_batch, load
from doorman.sandbox.state import Cloud
from tests.builders import whole

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path.name for path in EVENTS.iterdir() if path.is_file() and path.name != "README.md")
BY_BROKER = {refusal.event for refusal in world.REFUSALS if refusal.by == "broker"}


def test_every_file_is_in_the_world_and_explained() -> None:
    """No sample is forgotten: the world says how it ends, the README why."""
    known = {sample.event for sample in world.SAMPLES} | {refusal.event for refusal in world.REFUSALS}
    assert set(FILES) == known
    readme = (EVENTS / "README.md").read_text()
    assert [name for name in FILES if f"`{name}`" not in readme] == []


@pytest.mark.parametrize("name", [name for name in FILES if name not in BY_BROKER])
def test_files_name_the_images_of_the_world(name: str) -> None:
    """Each sample is a CloudEvent, and names exactly the images that the world has for it."""
    message = load(EVENTS / name)
    events = [whole(event) for event in cloudevents.read(message.headers, message.body)]
    named = [image for event in events for image in (event.data or {}).get("images", [])]
    expected = [sample.image_id for sample in world.SAMPLES if sample.event == name]
    if expected and name not in SWEEPS:
        assert named == expected
    assert {event.type for event in events} <= {
        "dev.doorman.share.notified.v1",
        "dev.doorman.job.check.v1",
        "dev.doorman.project.sweep.v1",
        "dev.knative.sources.ping",
    }


@pytest.mark.parametrize("name", sorted(BY_BROKER))
def test_files_that_are_no_events(name: str) -> None:
    """What a broker does not let in our own door refuses too."""
    message = load(EVENTS / name)
    with pytest.raises(Rejected):
        cloudevents.read(message.headers, message.body)


def test_one_sample_per_event_kind_that_we_tell() -> None:
    """Each kind of event that the functions emit has a sample, with the fields that the kind promises."""
    told = [whole(cloudevents.read(m.headers, m.body)[0]) for m in map(load, sorted((EVENTS / "told").iterdir()))]
    outcomes = {"decided", "accepted", "rejected", "held", "failed", "skipped", "audited"}
    found = {event.type for event in told}
    assert found == {*(f"dev.doorman.share.{outcome}.v1" for outcome in outcomes), "dev.doorman.shares.pending.v1"}
    for event in told:
        DATA[EventType(event.type)].model_validate_json(json.dumps(event.data))
        assert {"severity", "severitytext", "severitynumber", "dedupekey"} <= event.extensions.keys()
        assert {"causationid", "correlationid"} <= event.extensions.keys()


def test_world_is_built_as_described() -> None:
    """The cloud holds every sample image, shared as the world says, and the vault that the policy names."""
    cloud = Cloud()
    world.build(cloud)
    assert {image.id: image.owner for image in cloud.image_store.images.values()} == {
        sample.image_id: sample.owner for sample in world.SAMPLES
    }
    assert [cloud.member_status(s.image_id, world.RECEIVER) for s in world.SAMPLES] == [s.status for s in world.SAMPLES]
    tagged, named = load_policy(POLICY.read_text(), file="policy.yaml").vaults
    (vault,) = cloud.vaults.values()
    assert (vault.id, vault.tags) == (world.VAULT, dict(tagged.tags)) == (named.vault, {"purpose": "images"})


def test_demo_runs_on_the_policy_that_the_readme_shows() -> None:
    """What goes wrong with the policy that everybody starts from is seen at the first try."""
    assert POLICY == ROOT / "examples" / "policy.yaml"


def test_a_screen_names_what_ended_alike_together() -> None:
    """Whole words in 80 columns, however many images there are."""
    images = [f"golden-mixed-{number}" for number in range(1, 8)]
    rows = [[name, "accepted", "of image-factory", "allowed_owner", "rule golden-images"] for name in images]
    assert group([*rows, ["tool", "held", "of stranger", "owner_not_allowed"]]).splitlines() == [
        "accepted: 7 of image-factory, allowed_owner, rule golden-images",
        "    golden-mixed-1, golden-mixed-2, golden-mixed-3, golden-mixed-4,",
        "    golden-mixed-5, golden-mixed-6, golden-mixed-7",
        "held: 1 of stranger, owner_not_allowed",
        "    tool",
    ]


def test_demo() -> None:
    """The demo runs the whole product, tells every outcome in words, and leaves no process behind."""
    foreign = {"OS_AUTH_URL": "http://127.0.0.1:1", "OS_USERNAME": "other", "K_SINK": "http://127.0.0.1:1"}
    done = subprocess.run(
        [sys.executable, "-m", "doorman.sandbox", "--demo"],
        cwd=ROOT,
        env=os.environ | foreign,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    rows = {
        line.split()[0]: line.split()
        for line in done.stdout.splitlines()
        if re.search(r"\d\.\d\d s$", line) is not None
    }
    assert {name: (row[1], row[3]) for name, row in rows.items()} == {
        s.name: (s.outcome, s.reason) for s in world.SAMPLES if s.reason
    }
    assert "curl -i http://127.0.0.1:" in done.stdout


def test_batch_is_known_as_one() -> None:
    """A JSON array goes out as a batch, an object alone."""
    assert [is_batch(load(EVENTS / name)) for name in ("batched-mode.json", "mixed-20.json")] == [True, False]
    assert len(json.loads((EVENTS / "mixed-20.json").read_text())["data"]["images"]) == 20
