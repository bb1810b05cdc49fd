"""What all look-ups at a service do: say that it failed, and bring its texts into our form."""

import unicodedata
from collections.abc import Generator
from contextlib import contextmanager

import structlog

from application.lookup import LookupUnavailable
from infrastructure.registers.outside_calls import OutsideFailed

_log = structlog.get_logger("lookup")


def tidy(text: str | None) -> str | None:
    """As texts are stored: NFC, one space between words and none around; None when nothing is left."""
    return None if text is None else " ".join(unicodedata.normalize("NFC", text).split()) or None


@contextmanager
def asked(register: str) -> Generator[None]:
    """Raises LookupUnavailable for OutsideFailed: the caller learns that it failed, the log also why."""
    try:
        yield
    except OutsideFailed as failed:
        _log.warning("lookup.failed", service=failed.service, reason=failed.reason)
        raise LookupUnavailable(f"{register} cannot be asked now.", failed.retry_after) from None
