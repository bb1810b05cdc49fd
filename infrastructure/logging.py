"""One line per event, to stderr: JSON for machines, columns for people; the request id on every line, no secret on any.

Lines of libraries, of threads that died and of whatever nobody caught go the same way.
"""

import logging
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any

import msgspec
import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor

from infrastructure import log_sink
from infrastructure.redaction import clean
from infrastructure.settings import Settings

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request that is served, or that caused what is done."""
OURS = ("request_id", "level", "timestamp")
"""Fields that say of themselves what they are: made here, or judged where they came in."""
ACCESS = ("request", "socket")
"""Lines of the edge, whose fields are templates and figures."""


@contextmanager
def caused_by(request: str) -> Generator[None]:
    """Lines written meanwhile carry the id of the request that this follows from."""
    before = request_id.set(request)
    try:
        yield
    finally:
        request_id.reset(before)


def configure(settings: Settings, process: str) -> None:
    """Call once per process, before its first line. Libraries' warnings come through the same pipe."""
    log_sink.aim(settings, process)
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    first: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _with_request,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = [_with_traceback, redact, log_sink.offer, _renderer(settings.log_format)]
    structlog.configure(
        processors=[*first, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[*first, structlog.stdlib.add_logger_name],
            processors=[ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = lambda died: _uncaught(died.exc_type, died.exc_value, died.exc_traceback)


def redact(_logger: Any, _method: str, line: EventDict) -> EventDict:
    """A processor: the line without what opens something or names a person."""
    if line.get("event") in ACCESS:
        return line
    return {name: value if name in OURS else clean(name, value) for name, value in line.items()}


def _with_request(_logger: Any, _method: str, line: EventDict) -> EventDict:
    if "request_id" not in line and (known := request_id.get()):
        line["request_id"] = known
    return line


def _with_traceback(logger: Any, method: str, line: EventDict) -> EventDict:
    """A plain one: pretty ones print local variables, and a password may be one."""
    return structlog.processors.format_exc_info(logger, method, line)


def _renderer(log_format: str) -> Processor:
    if log_format == "json":
        return structlog.processors.JSONRenderer(serializer=_json)
    return structlog.dev.ConsoleRenderer(colors=False)


def _json(line: Any, **_: Any) -> str:
    return msgspec.json.encode(line, enc_hook=repr).decode()


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """What nobody caught ends the process or a thread: one line, too."""
    if issubclass(kind, KeyboardInterrupt):
        return
    structlog.get_logger("uncaught").critical("uncaught", exc_info=(kind, error, trace))
