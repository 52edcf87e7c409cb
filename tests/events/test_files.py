"""Reads event files: an object, an array or a whole request become HTTP messages, sound or not."""

import pytest

from doorman.events.files import Message, read_message

STRUCTURED = {"content-type": "application/cloudevents+json"}
BATCHED = {"content-type": "application/cloudevents-batch+json"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"id": 1}', Message(STRUCTURED, b'{"id": 1}')),
        (b"\n [1]", Message(BATCHED, b"\n [1]")),
        (b"", Message(STRUCTURED, b"")),
        (b"{truncated", Message(STRUCTURED, b"{truncated")),
        (
            b'POST /a/b HTTP/1.1\nContent-Type: application/json\nce-id: a:b\n\n{"x": 1}\n',
            Message({"content-type": "application/json", "ce-id": "a:b"}, b'{"x": 1}\n'),
        ),
        (b"POST / HTTP/1.1\r\nce-id: 1\r\n\r\n{}", Message({"ce-id": "1"}, b"{}")),
        (b"POST / HTTP/1.1", Message({}, b"")),
    ],
)
def test_a_file_becomes_a_message(data: bytes, message: Message) -> None:
    """The form is known by its first characters; what is malformed stays so."""
    assert read_message(data) == message
