"""Logging, set up once: one JSON object a line on stdout, or lines for people on a terminal."""

import json
import logging
import sys
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from traceback import extract_tb
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from doorman.parsing import visible

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["json", "console"]

TRACEPARENT: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""The span that log lines belong to, in W3C's form; set by `telemetry`, where tracing is on."""

# ASCII only: whatever the stream's encoding, and however a reader splits lines, one object is one line. Made once,
# since to make one takes as long as to write a line with it.
_ENCODER = json.JSONEncoder(default=repr)


def set_up(*, level: Level, form: Format, stream: TextIO | None = None) -> None:
    """Set up structlog for the whole process; foreign libraries log nothing below a warning.

    Args:
        stream: where the lines go; stdout unless a command needs that for its answer.
    """
    stream = stream or sys.stdout
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _name_span,
            _name_exception,
            _renderer(form, stream),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(stream),
    )
    logger.cache_clear()


@cache
def logger() -> FilteringBoundLogger:
    """Give the logger; what it is called with are dotted event names and plain fields, never headers or bodies."""
    log: FilteringBoundLogger = structlog.get_logger().bind()
    return log


def _renderer(form: Format, stream: TextIO) -> Processor:
    if form == "json":
        return lambda _, __, fields: _ENCODER.encode(fields)
    plain = structlog.dev.plain_traceback  # an exception has its name by now; others would miss its frames
    console = structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain)

    def render(logger: object, name: str, fields: EventDict) -> str:
        """Write a line for people; what images are called, or clouds answer, cannot steer their terminal."""
        shown = {key: visible(value) if isinstance(value, str) else value for key, value in fields.items()}
        return console(logger, name, shown)

    return render


def _name_span(_: object, __: str, fields: EventDict) -> EventDict:
    if traceparent := TRACEPARENT.get():
        _, fields["trace_id"], fields["span_id"], _ = traceparent.split("-")
    return fields


def _name_exception(_: object, __: str, fields: EventDict) -> EventDict:
    """Put what happened and where in place of an exception; its text may quote anything, a header as well."""
    error = fields.pop("exc_info", None)
    error = sys.exception() if error is True else error
    if isinstance(error, BaseException):
        fields["exception"] = type(error).__qualname__
        fields["trace"] = [f"{Path(at.filename).name}:{at.lineno} {at.name}" for at in extract_tb(error.__traceback__)]
    return fields
