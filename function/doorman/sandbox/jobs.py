"""Members jobs: taken in, carried out when their time has come, failing as they were told to; knows no HTTP."""

import heapq
from collections.abc import Callable, Iterable
from itertools import count

from doorman.sandbox.failures import Failures
from doorman.sandbox.image_store import ImageStore
from doorman.sandbox.problems import Problem, ims
from doorman.sandbox.records import Job, MemberStatus, Vault, new_id
from doorman.sandbox.settings import Settings

MESSAGES = {
    "IMG.0027": "The image does not exist.",
    "IMG.0060": "The number of tasks exceeds the limit.",
    "IMG.0182": "The capacity of the vault is insufficient.",
    "IMG.0184": "The vault cannot be obtained.",
    "IMG.0188": "The vault is unavailable.",
    "IMG.0193": "The vault is not a server backup vault.",
}


class Jobs:
    """The job queue of the image service. `settle_due` carries out what is due: call it before reading anything."""

    def __init__(
        self, settings: Settings, clock: Callable[[], float], image_store: ImageStore, vaults: dict[str, Vault]
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.image_store = image_store
        self.vaults = vaults
        self.jobs: dict[str, Job] = {}
        self.image_failures = Failures()
        self.vault_failures = Failures()
        self._due: list[tuple[float, int, Job]] = []
        self._sequence = count()

    def submit(self, project_id: str, status: MemberStatus, images: Iterable[str], vault_id: str | None) -> Job:
        """Take in one update of members.

        Raises:
            Problem: the call is refused as a whole, and nothing happens.
        """
        job = Job(
            id=new_id(),
            project_id=project_id,
            status=status,
            images=list(dict.fromkeys(images)),
            vault_id=vault_id,
            submitted_at=self.clock(),
            due_at=None,
        )
        self._refuse(job)
        self.jobs[job.id] = job
        if self.settings.job_seconds is not None:
            job.due_at = job.submitted_at + self.settings.job_seconds
            heapq.heappush(self._due, (job.due_at, next(self._sequence), job))
        return job

    def settle_due(self) -> None:
        """Carry out every job whose time has come."""
        now = self.clock()
        while self._due and self._due[0][0] <= now:
            self.finish(heapq.heappop(self._due)[2])

    def finish(self, job: Job) -> None:
        """Carry out a job now, unless it has ended."""
        if job.has_ended:
            return
        whole = self._whole_failure(job)
        codes = [whole or self._settle(job, image_id) for image_id in job.images]
        job.results = dict(zip(job.images, [code is None for code in codes], strict=True))
        job.error_code = next(filter(None, codes), None)
        if job.error_code is not None:
            job.fail_reason = MESSAGES.get(job.error_code, "The task failed.")
        is_partial = any(job.results.values())
        job.state = "SUCCESS" if job.error_code is None else (self.settings.partial_job if is_partial else "FAIL")
        job.ended_at = self.clock()

    @property
    def running(self) -> int:
        """How many jobs have not ended."""
        return sum(not job.has_ended for job in self.jobs.values())

    def _refuse(self, job: Job) -> None:
        """Raise the reason why a call is refused as a whole, where there is one."""
        limit, most = self.settings.max_running_jobs, self.settings.max_images_per_call
        if limit is not None and self.running >= limit:
            raise _problem("IMG.0060")
        if most is not None and len(job.images) > most:
            raise ims("IMG.0067", f"The number of images exceeds {most}.")
        for image_id in job.images:
            image = self.image_store.images.get(image_id)
            if image is not None and image.owner == job.project_id:
                raise ims("IMG.0047", "The project owns the image and is no member of it.", 403)
            if self.image_store.member(image_id, job.project_id) is None:
                raise ims("IMG.0027", f"The image {image_id} does not exist.")
            _raise_code(self.image_failures.take(image_id, "submit"))
        if self._needs_vault(job):
            if job.vault_id is None:
                raise ims("IMG.0067", "The parameter vault_id is mandatory for a full-ECS image.")
            _raise_code(self.vault_failures.take(job.vault_id, "submit"))
            if self.settings.vault_check == "submit":
                _raise_code(self._vault_code(job, sum(self.image_store.images[i].size_gb for i in job.images)))

    def _needs_vault(self, job: Job) -> bool:
        return job.status == "accepted" and any(
            image_id in self.image_store.images and self.image_store.images[image_id].full_ecs
            for image_id in job.images
        )

    def _whole_failure(self, job: Job) -> str | None:
        """Name the error code with which a job fails as a whole."""
        for image_id in job.images:
            if code := self.image_failures.take(image_id, "job", whole=True):
                return code
        if job.vault_id is not None and self._needs_vault(job):
            return self.vault_failures.take(job.vault_id, "job")
        return None

    def _settle(self, job: Job, image_id: str) -> str | None:
        """Settle one image; the error code where that fails."""
        image = self.image_store.images.get(image_id)
        if image is None or job.project_id not in self.image_store.members[image_id]:
            return "IMG.0027"
        if code := self.image_failures.take(image_id, "job"):
            return code
        if self.image_failures.take(image_id, "silent"):
            return None
        if image.full_ecs and job.status == "accepted":
            if code := self._vault_code(job, image.size_gb):
                return code
            self.vaults[job.vault_id or ""].used += image.size_gb * 1024
        self.image_store.settle(image_id, job.project_id, job.status)
        return None

    def _vault_code(self, job: Job, gigabytes: float) -> str | None:
        """Name what speaks against storing a backup of this size in the job's vault."""
        vault = self.vaults.get(job.vault_id or "")
        if vault is None or vault.project_id != job.project_id:
            return "IMG.0184"
        if vault.object_type != "server" or vault.protect_type != "backup":
            return "IMG.0193"
        if vault.status != "available":
            return "IMG.0188"
        return "IMG.0182" if vault.size - vault.used / 1024 < gigabytes else None


def _problem(code: str) -> Problem:
    if code == "500":  # the poison: nobody knows why, it is this image
        return ims("500", "Internal server error.", 500)
    return ims(code, MESSAGES.get(code, "The task failed."))


def _raise_code(code: str | None) -> None:
    if code is not None:
        raise _problem(code)
