"""What one may ask of a check: that what it found is recorded."""

from domain.check.events import ModelDigest
from domain.shared import Command


class CompleteCheck(Command, frozen=True, kw_only=True):
    size: int
    root: bytes
    models: tuple[ModelDigest, ...]
    rebuilt: tuple[str, ...]
    differing: int
    differences: tuple[str, ...]
    seconds: int


CheckCommand = CompleteCheck
