"""What a look-up says when its service fails."""

from collections.abc import Generator
from contextlib import contextmanager

import structlog

from application.lookup import LookupUnavailable
from infrastructure.outside_calls import OutsideFailed

_log = structlog.get_logger("lookup")


@contextmanager
def asked(register: str) -> Generator[None]:
    """Raises LookupUnavailable for OutsideFailed: the caller learns that it failed, the log also why."""
    try:
        yield
    except OutsideFailed as failed:
        _log.warning("lookup.failed", service=failed.service, reason=failed.reason)
        raise LookupUnavailable(f"{register} cannot be asked now.", failed.retry_after) from None
