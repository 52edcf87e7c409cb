"""What must never be retried, and what is worth another delivery, are told apart by type."""

import pytest

from doorman.errors import Broken, Busy, DoormanError, Misconfigured, Refused, Rejected, Unavailable


def test_every_error_of_ours_has_one_base() -> None:
    """One `except` at the door meets all of them."""
    for kind in (Rejected, Unavailable, Busy, Broken, Refused, Misconfigured):
        assert issubclass(kind, DoormanError)


def test_what_may_succeed_later_is_unavailable() -> None:
    """Busy and Broken are kinds of not now; a refusal and a malformed input are not."""
    assert [issubclass(kind, Unavailable) for kind in (Busy, Broken, Refused, Rejected, Misconfigured)] == [
        True,
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize("kind", [Unavailable, Busy, Broken])
def test_unavailable_carries_when_to_come_back(kind: type[Unavailable]) -> None:
    """The delay is there where somebody named one."""
    assert (str(kind("not now")), kind("not now").retry_after) == ("not now", None)
    assert kind("not now", retry_after=3.5).retry_after == 3.5


def test_refusal_carries_code_and_status() -> None:
    """The code decides what is done next, so it is no part of the text alone."""
    error = Refused("the cloud refuses", code="IMG.0182", status=400)
    assert (str(error), error.code, error.status) == ("the cloud refuses", "IMG.0182", 400)
