"""What all cloud APIs have in common, sans I/O: requests, answers, and the list of error codes.

`ims`, `glance`, `cbr` and `nova` build requests and read answers with it; only `cloud` sends them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Literal, Protocol

from doorman.errors import Broken, Busy, Denied, Failed, Refused, Rejected, Unavailable
from doorman.models import MemberRow, MemberStatus, Status
from doorman.parsing import parse_json, parse_time, read_retry_after

Service = Literal["image", "cbr", "compute"]
"""The services of a cloud that are asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One API request; `path` is relative to the service's base URL and already safe to send."""

    method: Literal["GET", "PUT"]
    path: str
    service: Service = "image"
    params: tuple[tuple[str, str], ...] = ()
    json: Mapping[str, Any] | None = None

    def after(self, marker: str) -> "Request":
        """Give the request for the page of a list that begins after this image."""
        return self.with_param("marker", marker)

    def with_param(self, name: str, value: str) -> "Request":
        """Give the same request with this parameter, in the place of one by that name."""
        return replace(self, params=(*(pair for pair in self.params if pair[0] != name), (name, value)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One API answer as it came; header names in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a list: its rows by image ID, and the request for the next one; None where the list ends."""

    rows: Mapping[str, Mapping[str, Any]]
    next: Request | None


class ImageService(Protocol):
    """How one kind of image service is asked for lists and for settling shares; `ims` and `glance` are two.

    Attributes:
        page: images on a page at most.
        has_jobs: a members call takes many images and starts a job; else it settles one image at once.
        has_whole_images: there are images of whole servers (full-ECS), which may be told by a list of their own alone.
    """

    page: int
    has_jobs: bool
    has_whole_images: bool

    def list_shares(
        self, status: MemberStatus, *, image_id: str | None = None, whole: bool = False
    ) -> Sequence[Request]:
        """Build the requests for the first pages of all lists that may show a share with this status.

        Args:
            image_id: only this image. whole: only images of whole servers.
        """
        ...

    def read_page(self, answer: Answer, asked: Request) -> Page:
        """Read one page, and what to ask for the next one. Raises as `read_object`."""
        ...

    def settle(self, images: Sequence[str], *, project_id: str, status: Status, vault_id: str | None) -> Request:
        """Build the call that settles images: one image where there are no jobs."""
        ...

    def read_settled(self, answer: Answer) -> str:
        """Read the answer to `settle`: the job's ID, empty where there are no jobs. Raises as `read_object`."""
        ...


class Failure(StrEnum):
    """What an error of the image service means for the request that met it."""

    THROTTLED = "throttled"
    UNREACHABLE = "unreachable"
    PASSING = "passing"
    VAULT = "vault"
    GONE = "gone"
    NOT_USABLE = "not_usable"
    LOGIN = "login"
    PERMISSION = "permission"
    BAD_REQUEST = "bad_request"


# https://docs.otc.t-systems.com/image-management-service/api-ref/appendix/error_codes.html
_CODES = {
    Failure.THROTTLED: "0060 0187",
    Failure.PASSING: "0014 0018 0023 0036 0037 0061 0064 0065 0114 0154 0155",
    Failure.VAULT: "0182 0184 0185 0188 0189 0193",
    Failure.GONE: "0027 0031 0066 0086 0144",
    Failure.NOT_USABLE: "0046",
    Failure.LOGIN: "0030 0087",
    Failure.PERMISSION: "0026 0047 0092 0106",
    Failure.BAD_REQUEST: "0001 0007 0067 0108 0177",
}
_BY_CODE = {f"IMG.{number}": failure for failure, numbers in _CODES.items() for number in numbers.split()}
# The gateway in front of the services has no such API: that says nothing of the image or job that was asked for.
_BY_CODE["APIGW.0101"] = Failure.BAD_REQUEST
_BY_STATUS = {401: Failure.LOGIN, 403: Failure.PERMISSION, 404: Failure.GONE, 429: Failure.THROTTLED}
_CODE = re.compile(r"\bIMG\.\d{4}\b", re.ASCII)
_ANY_CODE = re.compile(r"[A-Za-z]{2,10}\.\d{3,5}", re.ASCII)
_MEMBER: dict[str, MemberStatus] = {"pending": "pending", "accepted": "accepted", "rejected": "rejected"}


def classify(*, code: str, status: int) -> Failure:
    """Say what an error means: its code decides, the HTTP status where the code says nothing."""
    if (failure := _BY_CODE.get(code)) is not None:
        return failure
    if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Failure.UNREACHABLE
    return _BY_STATUS.get(status, Failure.BAD_REQUEST)


def classify_job(code: str | None) -> Failure:
    """Say what the error of a failed job means; one that nobody knows may pass, so it is worth the few tries."""
    return _BY_CODE.get(code or "", Failure.PASSING)


def check(answer: Answer) -> None:
    """Let a successful answer through.

    Raises:
        Busy: the service throttles or is down for now; `retry_after` is what it asked for.
        Failed: the service answered with an error of its own (500).
        Broken: the service failed on the way; whether it did what was asked is not known.
        Denied: the service refuses the login.
        Unavailable: somebody leads us elsewhere, where no request of ours goes.
        Refused: the service said no to this request, with its code.
    """
    if answer.status // 100 == 2:  # noqa: PLR2004 - the class of success
        return
    code = read_error_code(answer.body) or str(answer.status)
    failure = classify(code=code, status=answer.status)
    if kind := _find_kind(failure, answer.status):
        raise kind(f"the cloud answers {answer.status} ({code})", retry_after=read_retry_after(answer.headers))
    if failure is Failure.LOGIN:
        raise Denied(f"the cloud refuses our login ({code}); check the credentials")
    if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
        raise Unavailable(f"the cloud redirects ({answer.status}); correct the endpoint")
    raise Refused(f"the cloud refuses the request ({code})", code=code, status=answer.status)


def _find_kind(failure: Failure, status: int) -> type[Busy | Broken] | None:
    if failure is Failure.THROTTLED or status == HTTPStatus.SERVICE_UNAVAILABLE:
        return Busy
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return Failed
    return Broken if failure is Failure.UNREACHABLE else None


def find_code(text: str | None) -> str | None:
    """Find an image service's error code in a text; None where there is none."""
    found = _CODE.search(text or "")
    return found[0] if found else None


def read_object(answer: Answer, what: str) -> dict[str, Any]:
    """Read an answer that must be a JSON object.

    Raises:
        Broken: it is something else, such as a proxy's HTML or half a body.
        Refused: see `check`.
    """
    check(answer)
    try:
        value = parse_json(answer.body, what)
    except Rejected as error:
        raise Broken(f"{what}: the cloud's answer is not JSON") from error
    if not isinstance(value, dict):
        raise Broken(f"{what}: the cloud's answer is not a JSON object")
    return value


def read_list(answer: Answer, key: str) -> tuple[dict[str, Any], list[Any]]:
    """Read an answer that must be an object with a list: the object, and the list's rows. Raises as `read_object`."""
    what = f"{key.removesuffix('s')} list"
    value = read_object(answer, what)
    rows = value.get(key)
    if not isinstance(rows, list):
        raise Broken(f"{what}: the cloud's answer has no {key}")
    return value, rows


def read_member(answer: Answer) -> MemberRow | None:
    """Read a member row; None where the cloud knows no such share.

    Raises:
        Unavailable, Refused: see `read_object`; a status of none of the three words is an unusable answer.
    """
    try:
        value = read_object(answer, "member")
    except Refused as error:
        if classify(code=error.code, status=error.status) is Failure.GONE:
            return None
        raise
    status = _MEMBER.get(str(value.get("status")).lower())
    if status is None:
        raise Broken("member: the cloud's answer has no status")
    return MemberRow(
        status=status, created_at=read_time(value, "created_at"), updated_at=read_time(value, "updated_at")
    )


def read_time(row: Mapping[str, Any], field: str) -> datetime | None:
    """Read a moment from a row; None where it is missing or none."""
    value = row.get(field)
    return parse_time(value) if isinstance(value, str) else None


def read_error_code(body: bytes) -> str | None:
    """Read an error's code from where services put it, else from the text, which may quote a sharer's words."""
    try:
        value = parse_json(body, "error")
    except Rejected:
        value = None
    whole = value if isinstance(value, dict) else {}
    error = whole.get("error")
    codes = [each.get(name) for each in (error, whole) if isinstance(each, dict) for name in ("code", "error_code")]
    found = (code for code in codes if isinstance(code, str) and _ANY_CODE.fullmatch(code))
    return next(found, None) or find_code(body.decode(errors="replace"))
