"""What can be adjusted while the sandbox runs."""

from dataclasses import dataclass
from typing import Literal

JobEndpoints = Literal["both", "classic", "new"]


@dataclass(slots=True, kw_only=True)
class Settings:
    """What can be adjusted while the sandbox runs; all times in seconds.

    Attributes:
        job_seconds: how long a members job takes; None: until `Cloud.finish_job`.
        job_spelling: how sub-results are written: `success` or `SUCCESS`.
        job_results: whether a job tells results per image.
        job_results_early: whether it lists its images also while it runs.
        job_endpoints: which of the two job queries exist.
        partial_job: state of a job in which some images failed.
        vault_check: whether a bad vault is told at submission or by the job.
        visibility_delay: until the receiver sees a new share.
        token_seconds: life of a token.
        whole_image_in_answer: tell `__whole_image` in lists, not only filter by it.
        max_running_jobs: above it submissions are refused with IMG.0060.
        max_images_per_call: above it submissions are refused with IMG.0067.
        keystone_down: logins get 503, and the services answer 401 to every token.
        retry_seconds: before FunctionGraph calls a function again.
        image_path, cbr_path: what the catalog appends to the base URL; None: it lists no image service.
        honours_limit: a page has as many images as `limit` asks for. honours_whole_image, honours_os_hidden: the
            IMS's list filters by these; else it ignores them.
        member_times: a member row tells `created_at` and `updated_at`.
        settling_again_counts: settling a share as it is already moves its `updated_at`.
    """

    job_seconds: float | None = 0.02
    job_spelling: Literal["lower", "upper"] = "lower"
    job_results: bool = True
    job_results_early: bool = False
    job_endpoints: JobEndpoints = "both"
    partial_job: Literal["FAIL", "SUCCESS"] = "FAIL"
    vault_check: Literal["submit", "job"] = "job"
    visibility_delay: float = 0.0
    token_seconds: float = 86400.0
    whole_image_in_answer: bool = False
    max_running_jobs: int | None = None
    max_images_per_call: int | None = None
    keystone_down: bool = False
    retry_seconds: float = 0.05
    image_path: str | None = ""
    cbr_path: str = "/v3"
    region: str = "eu-de"
    honours_limit: bool = True
    honours_whole_image: bool = True
    honours_os_hidden: bool = True
    member_times: bool = True
    settling_again_counts: bool = False
