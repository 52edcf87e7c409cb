"""The sink of a command: what is decided and told stands on stdout as well, each decision before its call is made."""

import sys
from collections.abc import Mapping
from shutil import get_terminal_size

from doorman.entrypoints.cli.memory import only_new
from doorman.entrypoints.cli.output import is_screen, write_lines
from doorman.entrypoints.cli.tables import decided_rows
from doorman.errors import Unavailable
from doorman.events.messages import EventType
from doorman.models import CloudEvent
from doorman.sinks.base import Sink


class AnswerSink:
    """A sink that puts events on stdout, once the sink behind it took them: all as JSON, or decisions as rows.

    Attributes:
        taken: what the sink behind took, decisions as well.

    Args:
        names: of owners, for rows; None for JSON.
        is_record: no sink behind keeps what is decided, so that a decision counts only where it could be written.
        known: keys of what was told before: an event that tells nothing else is not written.
    """

    def __init__(
        self, outer: Sink, *, names: Mapping[str, str] | None, is_record: bool, known: frozenset[str] = frozenset()
    ) -> None:
        self._outer = outer
        self._names = names
        self._is_record = is_record
        self._known = known
        self.taken: list[CloudEvent] = []

    async def emit(self, event: CloudEvent) -> None:
        """Hand the event on, then write it.

        Raises:
            Unavailable: the sink behind did not take it, or nobody can read what is about to be done.
        """
        await self._outer.emit(event)
        self.taken.append(event)
        try:
            self._write(event)
        except OSError as error:
            if self._is_record and event.type == EventType.DECIDED:
                raise Unavailable("neither stdout nor stderr takes what is decided, so nothing is done") from error

    def _write(self, event: CloudEvent) -> None:
        if self._names is None:
            write_lines(only_new([event], self._known))
        elif event.type == EventType.DECIDED:
            width = get_terminal_size().columns if is_screen(sys.stdout) else None
            sys.stdout.write("".join(f"{line[:width]}\n" for line in decided_rows(event, self._names)))
