"""The error tree: what must never be retried, and what is worth another delivery. Does no I/O."""


class DoormanError(Exception):
    """Base of all errors that Doorman raises on purpose; its text is safe to show: it never holds a secret."""


class Rejected(DoormanError):
    """The input is wrong and stays wrong: never worth a retry. Names the field and the fix."""


class Unavailable(DoormanError):
    """Not now: the same delivery may succeed later.

    Attributes:
        retry_after: seconds after which a retry makes sense, or None where nobody said.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Busy(Unavailable):
    """Not now, and nothing was done: even a write may be repeated at once, after a pause."""


class Late(Unavailable):
    """A write that was not begun in time."""


class Broken(Unavailable):
    """The answer was lost or unusable: a read may be repeated at once; of a write nobody knows whether it was done."""


class TimedOut(Broken):
    """No answer came in time: a read is not repeated at once either."""


class Failed(Broken):
    """The service itself failed at the request (500), perhaps because of one image in it."""


class TooLarge(Unavailable):
    """The answer was larger than is read; `start` is how it began."""

    def __init__(self, message: str, *, start: bytes) -> None:
        super().__init__(message)
        self.start = start


class Denied(Unavailable):
    """The service refuses the login (401): it ended, its access rules do not name the call, or Keystone is down."""


class NotVisible(Unavailable):
    """The cloud does not show what an event claims; it may later. Metrics tell it apart, since anybody may claim."""


class Stopped(Unavailable):
    """Somebody ended the run; what is left is the next run's."""

    def __init__(self) -> None:
        super().__init__("the run was stopped")


class Refused(DoormanError):
    """The cloud said no to one request, with a reason that `code` names.

    Attributes:
        code: the cloud's error code (`IMG.0182`), or the HTTP status as text where it sent none.
        status: HTTP status of the answer.
    """

    def __init__(self, message: str, *, code: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Misconfigured(DoormanError):
    """A setting or the policy file is missing or wrong: the start ends with this one message."""
