"""What each kind of operation does: `<noun>.<verb>` is the function `<noun>_<verb>` here.

Each may be repeated: an attempt that died may have done its work already.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from infrastructure.bootstrap import System
from infrastructure.operations import Taken

Work = Callable[[System, Taken], Coroutine[Any, Any, None]]


class UnknownOperation(Exception):
    """No function here is named like that."""


def named(kind: str) -> Work:
    """Raises UnknownOperation."""
    work: Work | None = globals().get(kind.replace(".", "_"))
    if work is None or "." not in kind:
        raise UnknownOperation(kind)
    return work
