"""A disk of a few hundred megabytes that can be filled: a tmpfs that only this process and its children see.

Root mounts it in a mount namespace of its own; anybody else in a user namespace where he may. Both go with the process,
however it ends. Where neither is allowed there is no such disk, and the plan says that it leaves the fault out.
"""

import contextlib
import ctypes
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

_NEWNS, _NEWUSER = 0x00020000, 0x10000000
_REC_PRIVATE = 0x4000 | 0x40000
PIECE, PAGE = 64 << 20, 4 << 10
_libc = ctypes.CDLL(None, use_errno=True)


def mounts_of_our_own() -> str | None:
    """Before the first thread starts. Why not, when it is not allowed here: a child tries it first, since who is
    refused half-way is nobody any more.
    """
    if (child := os.fork()) == 0:
        os._exit(_refused())
    number = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if number == 0:
        _apart()
        return None
    return f"no mounts of our own here ({os.strerror(number)})"


def _refused() -> int:
    """The number of the error; 0 when it works."""
    try:
        _apart()
        with tempfile.TemporaryDirectory() as tried:
            _mount(Path(tried), "1m")
            _done(_libc.umount(os.fsencode(tried)))
    except OSError as error:
        return error.errno or errno.EPERM
    return 0


def _apart() -> None:
    user, group = os.geteuid(), os.getegid()
    _done(_libc.unshare(_NEWNS if user == 0 else _NEWNS | _NEWUSER))
    if user != 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _done(_libc.mount(b"none", b"/", None, _REC_PRIVATE, None))


class SmallDisk:
    """Mounted where `place` says, which is made for it. `size` as tmpfs takes it; a full one takes so much memory."""

    def __init__(self, place: Path, size: str) -> None:
        place.mkdir(mode=0o711)
        self._ballast = place / "ballast"
        _mount(place, size)

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Nothing more goes onto it; what is freed there meanwhile is free, unless `fill` is called again."""
        try:
            self.fill()
            yield
        finally:
            self._ballast.unlink(missing_ok=True)

    def fill(self) -> None:
        """Piece by piece: a piece that does not fit is given back whole."""
        piece = PIECE
        with self._ballast.open("ab") as ballast:
            while piece >= PAGE:
                try:
                    os.posix_fallocate(ballast.fileno(), ballast.seek(0, os.SEEK_END), piece)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    piece //= 2


def _done(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _mount(place: Path, size: str) -> None:
    _done(_libc.mount(b"tmpfs", os.fsencode(place), b"tmpfs", 0, f"size={size},mode=0711".encode()))
