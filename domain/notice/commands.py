"""What one may ask of a notice."""

from typing import Any

from domain.notice.events import Details
from domain.shared import Command


class PublishNotice(Details, Command, frozen=True, kw_only=True):
    kind: str


class ChangeNotice(Command, frozen=True, kw_only=True):
    """`changes` holds field names of Details with their new values."""

    changes: dict[str, Any]


class WithdrawNotice(Command, frozen=True, kw_only=True):
    reason: str


NoticeCommand = PublishNotice | ChangeNotice | WithdrawNotice
