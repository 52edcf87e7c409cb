"""What must never be retried, and what is worth another delivery, are told apart by type."""

import pytest

from doorman.errors import (
    Broken,
    Busy,
    Denied,
    DoormanError,
    Failed,
    Misconfigured,
    Refused,
    Rejected,
    TimedOut,
    TooLarge,
    Unavailable,
)


def test_every_error_of_ours_has_one_base() -> None:
    """One `except` at the door meets all of them."""
    for kind in (Rejected, Unavailable, Busy, Broken, TimedOut, Failed, TooLarge, Denied, Refused, Misconfigured):
        assert issubclass(kind, DoormanError)


def test_what_may_succeed_later_is_unavailable() -> None:
    """Whatever people or time put right is a kind of not now; a refusal and a malformed input are not."""
    assert all(issubclass(kind, Unavailable) for kind in (Busy, Broken, TimedOut, Failed, TooLarge, Denied))
    assert not any(issubclass(kind, Unavailable) for kind in (Refused, Rejected, Misconfigured))


def test_what_is_known_of_a_write_that_failed() -> None:
    """After a timeout or an error of the service itself nobody knows; where it was busy, nothing was done."""
    assert [issubclass(kind, Broken) for kind in (TimedOut, Failed, Busy, TooLarge, Denied)] == [
        True,
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize("kind", [Unavailable, Busy, Broken, TimedOut, Failed, Denied])
def test_unavailable_carries_when_to_come_back(kind: type[Unavailable]) -> None:
    """The delay is there where somebody named one."""
    assert (str(kind("not now")), kind("not now").retry_after) == ("not now", None)
    assert kind("not now", retry_after=3.5).retry_after == 3.5


def test_what_is_too_large_carries_its_start() -> None:
    """The ID of the image that is too large is looked for there."""
    error = TooLarge("too large", start=b"{")
    assert (str(error), error.start, error.retry_after) == ("too large", b"{", None)


def test_refusal_carries_code_and_status() -> None:
    """The code decides what is done next, so it is no part of the text alone."""
    error = Refused("the cloud refuses", code="IMG.0182", status=400)
    assert (str(error), error.code, error.status) == ("the cloud refuses", "IMG.0182", 400)
