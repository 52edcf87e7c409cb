"""The sink of a command: what is decided and told stands on stdout as well, each decision before its call is made."""

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from shutil import get_terminal_size

from doorman.entrypoints.cli.output import is_screen, write_lines
from doorman.entrypoints.cli.state_file import only_new
from doorman.entrypoints.cli.tables import Known, decided_lines, decided_rows
from doorman.errors import Unavailable
from doorman.events.messages import EventType
from doorman.models import CloudEvent
from doorman.sinks.base import Sink


@dataclass(slots=True, kw_only=True, eq=False)
class AnswerSink:
    """A sink that puts events on stdout, once the sink behind it took them: all as JSON, or decisions as rows.

    Attributes:
        outer: the sink behind.
        known: names, for rows; None for JSON.
        is_record: no sink behind keeps what is decided, so that a decision counts only where it could be written.
        told: keys of what was told before: an event that tells nothing else is not written.
        taken: what the sink behind took, decisions as well.
        learn: learns what a project is called, before it is told of.
    """

    outer: Sink
    known: Known | None
    is_record: bool
    told: frozenset[str] = frozenset()
    taken: list[CloudEvent] = field(default_factory=list)
    learn: Callable[[str], Awaitable[None]] | None = None

    async def emit(self, event: CloudEvent) -> None:
        """Hand the event on, then write it.

        Raises:
            Unavailable: the sink behind did not take it, or nobody can read what is about to be done.
        """
        await self.outer.emit(event)
        self.taken.append(event)
        if self.learn:
            await self.learn(event.data["project_id"])
        try:
            self._write(event)
        except OSError as error:
            if self.is_record and event.type == EventType.DECIDED:
                raise Unavailable("neither stdout nor stderr takes what is decided, so nothing is done") from error

    def _write(self, event: CloudEvent) -> None:
        if self.known is None:
            write_lines(only_new([event], self.told))
        elif event.type == EventType.DECIDED:
            is_short = is_screen(sys.stdout)
            width = get_terminal_size().columns
            rows = decided_lines(event, self.known, width=width) if is_short else decided_rows(event, self.known)
            sys.stdout.write("".join(f"{line}\n" for line in rows))
