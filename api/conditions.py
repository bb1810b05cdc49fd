"""What a caller makes a request depend on: a version, a position, a key."""

import re

from api.problems import Problem, Unavailable


class ConditionMalformed(Problem):
    """If-Match or X-Min-Position has a form that cannot be read."""

    code, status = "condition.malformed", 400


class PositionUnknown(Problem):
    """X-Min-Position lies above the last position there is."""

    code, status = "position.unknown", 400


class KeyMissing(Problem):
    """This command needs an Idempotency-Key, so that repeating it is safe."""

    code, status = "idempotency_key_missing", 400


class KeyMalformed(Problem):
    """An Idempotency-Key has 1 to 255 visible ASCII characters."""

    code, status = "idempotency_key_malformed", 400


class ProjectionBehind(Unavailable):
    """What you wrote is safe but cannot be read yet; ask again in a second."""

    code, status = "projection_behind", 503

    def __init__(self, position: int, detail: str | None = None, *, retry_after: int = 1) -> None:
        super().__init__(detail, retry_after=retry_after, projection_position=position)


_VERSION = re.compile(r'(?:W/)?"v([1-9][0-9]{0,17})(?:-[0-9a-f]+)?"')
_POSITION = re.compile(r"[0-9]{1,18}")
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def expected_version(if_match: str | None) -> int | None:
    """The version a command insists on; None without a header, and for `*`: commands need a record anyway.

    `"v17"` and a record's whole ETag `"v17-9f2c..."` mean the same; a proxy's `W/` is overlooked, since the
    version alone is compared. Raises ConditionMalformed, also for a list: a command has one base.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    found = _VERSION.fullmatch(if_match.strip())
    if found is None:
        raise ConditionMalformed('If-Match takes one ETag such as "v17", quotes included.')
    return int(found[1])


def min_position(value: str | None) -> int | None:
    """The position a read waits for. Raises ConditionMalformed."""
    if value is None:
        return None
    if not _POSITION.fullmatch(value):
        raise ConditionMalformed("X-Min-Position is a position: a whole number.")
    return int(value)


def idempotency_key(value: str | None, *, required: bool = False) -> str | None:
    """The key without the quotes some clients put around it. Raises KeyMissing, KeyMalformed."""
    if value is None:
        if required:
            raise KeyMissing
        return None
    bare = value[1:-1] if len(value) > 2 and value[0] == value[-1] == '"' else value
    if not _KEY.fullmatch(bare):
        raise KeyMalformed
    return bare
