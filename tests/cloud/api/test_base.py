"""What an answer of the cloud means: the error catalogue, what may be repeated, and what is no answer at all."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from doorman.cloud.api import cbr, glance, images, ims, nova
from doorman.cloud.api.base import (
    Answer,
    Failure,
    Request,
    check,
    classify,
    classify_job,
    find_code,
    read_member,
    read_object,
    read_time,
)
from doorman.errors import Broken, Busy, Denied, DoormanError, Failed, Refused, Unavailable
from doorman.models import MemberRow
from tests.builders import image_id


def answer(status: int, value: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
    """Make an answer with a JSON body."""
    return Answer(status=status, body=b"" if value is None else json.dumps(value).encode(), headers=headers or {})


def ims_refusal(status: int, code: str) -> Answer:
    """Make a refusal as the image service writes it."""
    return answer(status, {"error": {"code": code, "message": "no"}})


def error_of(told: Answer) -> DoormanError:
    """Give the error that an answer is."""
    with pytest.raises(DoormanError) as caught:
        check(told)
    return caught.value


def test_requests_for_other_pages() -> None:
    """The same request with one parameter more, or with another value in its place; the first stays as it is."""
    asked = Request(method="GET", path="/x", params=(("limit", "5"), ("id", "a")))
    assert asked.after("b").params == (("limit", "5"), ("id", "a"), ("marker", "b"))
    assert asked.after("b").after("c") == asked.after("c")
    assert asked.with_param("limit", "1") == Request(method="GET", path="/x", params=(("id", "a"), ("limit", "1")))


CATALOGUE = {
    Failure.THROTTLED: "0060 0187",
    Failure.PASSING: "0014 0018 0023 0036 0037 0061 0064 0065 0114 0154 0155",
    Failure.VAULT: "0182 0184 0185 0188 0189 0193",
    Failure.GONE: "0027 0031 0066 0086 0144",
    Failure.NOT_USABLE: "0046",
    Failure.LOGIN: "0030 0087",
    Failure.PERMISSION: "0026 0047 0092 0106",
    Failure.BAD_REQUEST: "0001 0007 0067 0108 0177",
}
CODES = [(f"IMG.{number}", failure) for failure, numbers in CATALOGUE.items() for number in numbers.split()]


@pytest.mark.parametrize(("code", "failure"), CODES)
@pytest.mark.parametrize("status", [400, 403, 500])
def test_codes_decide(code: str, failure: Failure, status: int) -> None:
    """Nearly all errors of the image service come with 400: the code says what they are."""
    assert classify(code=code, status=status) is failure
    assert classify_job(code) is failure


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (401, Failure.LOGIN),
        (403, Failure.PERMISSION),
        (404, Failure.GONE),
        (408, Failure.UNREACHABLE),
        (429, Failure.THROTTLED),
        (500, Failure.UNREACHABLE),
        (502, Failure.UNREACHABLE),
        (503, Failure.UNREACHABLE),
        (504, Failure.UNREACHABLE),
        (520, Failure.UNREACHABLE),
        (599, Failure.UNREACHABLE),
        (400, Failure.BAD_REQUEST),
        (409, Failure.BAD_REQUEST),
        (302, Failure.BAD_REQUEST),
    ],
)
def test_status_decides_where_the_code_says_nothing(status: int, failure: Failure) -> None:
    """Also where the code is one that nobody documents."""
    assert classify(code=str(status), status=status) is failure
    assert classify(code="IMG.9999", status=status) is failure


@pytest.mark.parametrize("code", [None, "", "IMG.9999", "task failed"])
def test_job_that_fails_for_no_known_reason(code: str | None) -> None:
    """It is worth the few tries."""
    assert classify_job(code) is Failure.PASSING


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_success(status: int) -> None:
    """Nothing to say."""
    check(answer(status))


@pytest.mark.parametrize(
    ("told", "kind", "text"),
    [
        (ims_refusal(400, "IMG.0060"), Busy, "the cloud answers 400 (IMG.0060)"),
        (answer(429), Busy, "the cloud answers 429 (429)"),
        (answer(503), Busy, "the cloud answers 503 (503)"),
        (ims_refusal(503, "IMG.0144"), Busy, "the cloud answers 503 (IMG.0144)"),
        (answer(500), Failed, "the cloud answers 500 (500)"),
        (ims_refusal(500, "IMG.9999"), Failed, "the cloud answers 500 (IMG.9999)"),
        (answer(502), Broken, "the cloud answers 502 (502)"),
        (answer(408), Broken, "the cloud answers 408 (408)"),
        (answer(401), Denied, "the cloud refuses our login (401); check the credentials"),
        (ims_refusal(400, "IMG.0030"), Denied, "the cloud refuses our login (IMG.0030); check the credentials"),
        (answer(403), Refused, "the cloud refuses the request (403)"),
        (ims_refusal(400, "IMG.0182"), Refused, "the cloud refuses the request (IMG.0182)"),
        (answer(302), Unavailable, "the cloud redirects (302); correct the endpoint"),
    ],
)
def test_errors(told: Answer, kind: type[DoormanError], text: str) -> None:
    """What may be repeated at once, what later, and what never."""
    error = error_of(told)
    assert (type(error), str(error)) == (kind, text)


def test_refusal_carries_its_code() -> None:
    """Whoever asked decides by it."""
    error = error_of(ims_refusal(400, "IMG.0184"))
    assert isinstance(error, Refused)
    assert (error.code, error.status) == ("IMG.0184", 400)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('{"error": {"code": "IMG.0027", "message": "no"}}', "IMG.0027"),
        ('{"error": {"message": "image IMG.0060 is gone", "code": "IMG.0027"}}', "IMG.0027"),
        ('{"error": {"code": 404, "message": "x"}}', "400"),
        ('{"error_code": "IMG.0027", "error_msg": "IMG.0060"}', "IMG.0027"),
        ('{"error_msg": "no", "error_code": "APIGW.0101", "request_id": "0"}', "APIGW.0101"),
        ('{"code": "IMG.0106"}', "IMG.0106"),
        ('{"message": "no<br />", "code": "403 Forbidden"}', "400"),
        ('{"error": "IMG.0001"}', "IMG.0001"),
        ('["IMG.0001"]', "IMG.0001"),
        ("<html>IMG.0036</html>", "IMG.0036"),
        ("<html>XIMG.0036 IMG.00361</html>", "400"),
        ("", "400"),
    ],
)
def test_code_is_read_where_services_put_it(body: str, code: str) -> None:
    """A message may quote the name of an image, which is its sharer's own words: it never hides the code."""
    error = error_of(Answer(status=400, body=body.encode()))
    assert code in str(error)


def test_bytes_that_are_no_text() -> None:
    """An error page in any encoding is an error."""
    assert str(error_of(Answer(status=400, body=b"\xff\xfe IMG.0001"))) == "the cloud refuses the request (IMG.0001)"


def test_find_code() -> None:
    """The first one in a text."""
    assert [find_code(text) for text in (None, "", "no", "a IMG.0182: b IMG.0184")] == [None, None, None, "IMG.0182"]


@pytest.mark.parametrize("status", [429, 500, 502])
def test_retry_after(status: int) -> None:
    """What the service asks for comes with the error."""
    error = error_of(answer(status, headers={"retry-after": " 7 "}))
    assert isinstance(error, Unavailable)
    assert error.retry_after == 7.0


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"<html></html>", "list: the cloud's answer is not JSON"),
        (b'{"images": [{"id": "', "list: the cloud's answer is not JSON"),
        (b"", "list: the cloud's answer is not JSON"),
        (b"\xff", "list: the cloud's answer is not JSON"),
        (b"[]", "list: the cloud's answer is not a JSON object"),
        (b"null", "list: the cloud's answer is not a JSON object"),
    ],
)
def test_answer_that_is_none(body: bytes, text: str) -> None:
    """A proxy's page or half a body with status 200 is a broken answer, which a read may repeat."""
    with pytest.raises(Broken) as caught:
        read_object(Answer(status=200, body=body), "list")
    assert str(caught.value) == text


@pytest.mark.parametrize("word", ["pending", "accepted", "rejected", "ACCEPTED"])
def test_member_row(word: str) -> None:
    """One of three words, whatever its case; when it was made and changed, where the cloud tells."""
    assert read_member(answer(200, {"status": word})) == MemberRow(status=word.lower())  # type: ignore[arg-type]
    times = {"created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-03T03:04:05Z"}
    assert read_member(answer(200, {"status": word, **times})) == MemberRow(
        status=word.lower(),  # type: ignore[arg-type]
        created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        updated_at=datetime(2026, 1, 3, 3, 4, 5, tzinfo=UTC),
    )


@pytest.mark.parametrize("value", [None, 5, "", "now", "2026-01-02", "2026-01-02T03:04:05"])
def test_times_that_are_none(value: Any) -> None:
    """Unknown, not a guess; that is no reason to refuse the row."""
    assert read_time({"updated_at": value}, "updated_at") is None
    assert read_member(answer(200, {"status": "accepted", "updated_at": value})) == MemberRow(status="accepted")


@pytest.mark.parametrize(
    "told", [answer(404, {"message": "no"}), ims_refusal(400, "IMG.0027"), ims_refusal(404, "IMG.0086")]
)
def test_member_row_that_is_not_there(told: Answer) -> None:
    """Unshared, private, deleted and non-existent all look the same: no share."""
    assert read_member(told) is None


@pytest.mark.parametrize("status", [None, "", "deleted", 5, ["accepted"]])
def test_member_row_without_status(status: Any) -> None:
    """It proves nothing."""
    with pytest.raises(Broken, match=r"^member: the cloud's answer has no status$"):
        read_member(answer(200, {"status": status}))


@pytest.mark.parametrize("told", [answer(403), ims_refusal(400, "IMG.0106"), answer(404, {"error_code": "APIGW.0101"})])
def test_member_row_that_is_kept_from_us(told: Answer) -> None:
    """A missing right, or a gateway that has no such API, does not mean that nothing is shared."""
    with pytest.raises(Refused):
        read_member(told)


READERS: Mapping[str, Callable[[Answer], object]] = {
    "image list": images.read_rows,
    "vault list": cbr.read_vaults,
    "server list": nova.read_servers,
    "members call": ims.Ims().read_settled,
    "job": ims.read_job,
    "member": glance.Glance().read_settled,
    "image": partial(glance.read_image, image_id=image_id(1), project_id="p"),
}


@pytest.mark.parametrize("what", READERS)
@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{", b""])
def test_every_reader_refuses_what_is_no_answer(what: str, body: bytes) -> None:
    """Nobody concludes from it that nothing is there."""
    with pytest.raises(Broken, match=f"^{what}: the cloud's answer is not "):
        READERS[what](Answer(status=200, body=body))


@pytest.mark.parametrize("value", [None, {}, "x", 5])
@pytest.mark.parametrize("key", ["images", "vaults", "servers"])
def test_every_list_must_be_one(key: str, value: Any) -> None:
    """Here as well."""
    what = f"{key.removesuffix('s')} list"
    with pytest.raises(Broken, match=f"^{what}: the cloud's answer has no {key}$"):
        READERS[what](answer(200, {key: value}))


@pytest.mark.parametrize("read", [*(READERS[what] for what in READERS if what != "image"), glance.read_visible])
def test_every_reader_tells_a_refusal_as_it_is(read: Callable[[Answer], object]) -> None:
    """A missing right says nothing about what was asked for; nor does a service that is not there."""
    for told, kind in ((ims_refusal(403, "IMG.0106"), Refused), (answer(403), Refused), (answer(503), Busy)):
        with pytest.raises(kind):
            read(told)
