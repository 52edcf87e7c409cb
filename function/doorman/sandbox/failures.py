"""Scripted failures of single images and vaults, at submission, in the job, or silently."""

from dataclasses import dataclass
from typing import Literal

FailureStage = Literal["submit", "job", "silent"]


@dataclass(slots=True, kw_only=True)
class Failure:
    """A scripted failure of one image or vault.

    Attributes:
        code: the error code told, such as `IMG.0182`; `500` at submission: the service itself fails.
        at: `submit`: the call is refused; `job`: the job fails; `silent`: the job succeeds, the image stays as it was.
        times: how often; None for ever.
        whole: the whole job fails and nothing is settled, instead of this image alone.
    """

    code: str
    at: FailureStage = "job"
    times: int | None = None
    whole: bool = False

    def take(self, stage: FailureStage) -> str | None:
        """Use up one occurrence; the code where the failure applies at this stage."""
        if self.at != stage or self.times == 0:
            return None
        if self.times is not None:
            self.times -= 1
        return self.code


class Failures:
    """The scripted failures by image or vault ID."""

    def __init__(self) -> None:
        self.by_id: dict[str, Failure] = {}

    def take(self, some_id: str | None, stage: FailureStage, *, whole: bool | None = None) -> str | None:
        """Use up one occurrence of what is scripted for this ID; None where nothing applies at this stage."""
        failure = self.by_id.get(some_id or "")
        if failure is None or whole not in {None, failure.whole}:
            return None
        return failure.take(stage)
