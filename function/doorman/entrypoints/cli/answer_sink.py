"""The sink of a command: what is decided and told stands on stdout as well, each decision before its call is made."""

import sys

from doorman.entrypoints.cli.output import decided_rows, write_lines
from doorman.errors import Unavailable
from doorman.events.messages import EventType
from doorman.models import CloudEvent
from doorman.sinks.base import Sink


class AnswerSink:
    """A sink that puts events on stdout, once the sink behind it took them: all as JSON, or decisions as rows.

    Args:
        is_record: no sink behind keeps what is decided, so that a decision counts only where it could be written.
    """

    def __init__(self, outer: Sink, *, as_json: bool, is_record: bool) -> None:
        self._outer = outer
        self._as_json = as_json
        self._is_record = is_record

    async def emit(self, event: CloudEvent) -> None:
        """Hand the event on, then write it.

        Raises:
            Unavailable: the sink behind did not take it, or nobody can read what is about to be done.
        """
        await self._outer.emit(event)
        try:
            self._write(event)
        except OSError as error:
            if self._is_record and event.type == EventType.DECIDED:
                raise Unavailable("neither stdout nor stderr takes what is decided, so nothing is done") from error

    def _write(self, event: CloudEvent) -> None:
        if self._as_json:
            write_lines([event])
        elif event.type == EventType.DECIDED:
            sys.stdout.write("".join(f"{line}\n" for line in decided_rows(event)))
