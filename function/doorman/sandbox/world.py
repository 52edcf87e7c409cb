"""The sample world: the projects, images, vault and jobs that the files in `events/` name, and how each should end.

Every image's ID derives from its name, so that the samples, the demo and the tests mean the same one.
"""

from dataclasses import dataclass
from typing import Literal
from uuid import NAMESPACE_URL, uuid5

from doorman.sandbox.records import Job, MemberStatus
from doorman.sandbox.state import Cloud

Outcome = Literal["accepted", "rejected", "held", "skipped", "failed", "nothing told"]

A_YEAR = 365 * 86_400.0
"""Seconds: what is settled in the sample world was settled that long ago."""

USER, PASSWORD, DOMAIN, REGION = "doorman", "sandbox", "Default", "eu-de"
RECEIVER = "7f2a9c4e1b6d4f0e8a3c5d7b9e1f2a4c"
GOLDEN = "9c61004714024f9586705d090530f9fa"
RECOVERY = "2d5b8e1f4a7c4d0b9e3f6a8c1d2e5f70"
BANNED = "0b1c2d3e4f5061728394a5b6c7d8e9f0"
STRANGER = "e1d2c3b4a5968778695a4b3c2d1e0f99"
VAULT = "8f0c3b52-7d0e-4b8e-9a55-0d6f0a3f3c11"
ENDED_JOB = "9a175ac692fa12540193005c340f321c"

PROJECTS = {
    RECEIVER: "landing-zone",
    GOLDEN: "image-factory",
    RECOVERY: "disaster-recovery",
    BANNED: "known-bad",
    STRANGER: "stranger",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One image of the sample world.

    Attributes:
        event: the file that tells of it; several images may share one.
        status: how it is shared with the receiver at first; None: not at all.
        outcome, reason: how it should end, in the words of the outcome events.
        ends: its member status at the end.
    """

    name: str
    event: str
    owner: str
    outcome: Outcome
    reason: str
    full_ecs: bool = False
    status: MemberStatus | None = "pending"
    ends: MemberStatus | None = "pending"

    @property
    def image_id(self) -> str:
        """The image's ID."""
        return image_id(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A sample that must be refused: by whom, with which status, and a word that the reason must hold."""

    event: str
    by: Literal["broker", "triage", "check_job"]
    word: str
    status: int = 400


def image_id(name: str) -> str:
    """Derive the ID of a sample image from its name."""
    return str(uuid5(NAMESPACE_URL, f"urn:doorman:sandbox:{name}"))


def _golden(name: str, event: str) -> Sample:
    return Sample(name=name, event=event, owner=GOLDEN, outcome="accepted", reason="allowed_owner", ends="accepted")


def _banned(name: str, event: str) -> Sample:
    return Sample(name=name, event=event, owner=BANNED, outcome="rejected", reason="rejected_by_rule", ends="rejected")


def _stranger(name: str, event: str) -> Sample:
    return Sample(name=name, event=event, owner=STRANGER, outcome="held", reason="owner_not_allowed")


def _recovery(name: str, event: str) -> Sample:
    return Sample(
        name=name,
        event=event,
        owner=RECOVERY,
        outcome="accepted",
        reason="allowed_owner",
        ends="accepted",
        full_ecs=True,
    )


def _server(name: str, event: str) -> Sample:
    return Sample(name=name, event=event, owner=GOLDEN, outcome="held", reason="image_not_allowed", full_ecs=True)


SAMPLES: tuple[Sample, ...] = (
    _golden("golden-base", "golden-image.json"),
    _golden("golden-binary", "binary-mode.http"),
    _recovery("recovery-erp", "full-ecs-with-vault.json"),
    _server("golden-server", "full-ecs-not-allowed.json"),
    _stranger("stranger-tool", "unknown-owner.json"),
    _stranger("stranger-says-golden", "forged-owner.json"),
    _banned("banned-miner", "rejected-owner.json"),
    Sample(
        name="our-own", event="own-image.json", owner=RECEIVER, outcome="skipped", reason="own_image",
        status=None, ends=None,
    ),
    Sample(
        name="never-shared", event="not-shared.json", owner=GOLDEN, outcome="skipped", reason="not_shared",
        status=None, ends=None,
    ),
    Sample(
        name="golden-last-year", event="already-settled.json", owner=GOLDEN, outcome="skipped",
        reason="already_settled", status="accepted", ends="accepted",
    ),
    *(_golden(f"golden-mixed-{n}", "mixed-20.json") for n in range(1, 9)),
    *(_banned(f"mixed-banned-{n}", "mixed-20.json") for n in range(1, 5)),
    *(_stranger(f"mixed-stranger-{n}", "mixed-20.json") for n in range(1, 4)),
    *(_recovery(f"mixed-recovery-{n}", "mixed-20.json") for n in range(1, 4)),
    *(_server(f"golden-server-{n}", "mixed-20.json") for n in range(1, 3)),
    _golden("golden-batch", "batched-mode.json"),
    _banned("batch-banned", "batched-mode.json"),
    _stranger("batch-stranger", "batched-mode.json"),
    Sample(
        name="golden-job-ended", event="job-check.json", owner=GOLDEN, outcome="accepted", reason="allowed_owner",
        status="accepted", ends="accepted",
    ),
    Sample(
        name="stranger-forged-check", event="forged-job-check.json", owner=STRANGER, outcome="nothing told",
        reason="",
    ),
    _golden("golden-swept-1", "ping-tick.json"),
    _golden("golden-swept-2", "project-sweep.json"),
)  # fmt: skip

REFUSALS: tuple[Refusal, ...] = (
    Refusal(event="malformed-truncated.json", by="broker", word="JSON"),
    Refusal(event="malformed-no-type.json", by="broker", word="type"),
    Refusal(event="malformed-no-images.json", by="triage", word="images"),
    Refusal(event="malformed-images-text.json", by="triage", word="images"),
    Refusal(event="path-like-id.json", by="triage", word="images"),
    Refusal(event="unserved-project.json", by="triage", word="project_id"),
    Refusal(event="path-like-job-id.json", by="check_job", word="job_id"),
)


def build(cloud: Cloud) -> None:
    """Put the sample world into an empty cloud."""
    for project_id, name in PROJECTS.items():
        cloud.add_project(project_id, name=name)
    cloud.add_user(USER, PASSWORD, [RECEIVER], domain=DOMAIN)
    for project_id, name in PROJECTS.items():
        cloud.add_user(f"owner-of-{name}", PASSWORD, [project_id], domain=DOMAIN)
    cloud.add_vault(RECEIVER, VAULT, name="recovery-vault", size=500, used=51200, tags={"purpose": "images"})
    for sample in SAMPLES:
        image = cloud.add_image(sample.owner, image_id=sample.image_id, name=sample.name, full_ecs=sample.full_ecs)
        if sample.status is not None:
            cloud.share(image.id, RECEIVER, sample.status)
            cloud.image_store.members[image.id][RECEIVER].updated_at -= A_YEAR
    ended = image_id("golden-job-ended")
    now = cloud.clock()
    cloud.queue.jobs[ENDED_JOB] = Job(
        id=ENDED_JOB, project_id=RECEIVER, status="accepted", images=[ended], vault_id=None, submitted_at=now,
        due_at=now, ended_at=now, state="SUCCESS", results={ended: True},
    )  # fmt: skip
