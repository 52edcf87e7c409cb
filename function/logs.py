"""Logging, set up once: one JSON object a line on stdout, or lines for people on a terminal."""

import logging
import sys
from typing import Literal

import structlog
from structlog.typing import FilteringBoundLogger, Processor

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["json", "console"]


def set_up(*, level: Level, form: Format) -> None:
    """Set up structlog for the whole process; foreign libraries log nothing below a warning."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _renderer(form),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )


def logger() -> FilteringBoundLogger:
    """Give the logger; what it is called with are dotted event names and plain fields, never headers or bodies."""
    log: FilteringBoundLogger = structlog.get_logger()
    return log


def _renderer(form: Format) -> Processor:
    if form == "console":
        return structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
    return structlog.processors.JSONRenderer(ensure_ascii=False)
