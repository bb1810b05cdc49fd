"""How much is let in at once: of each kind so much, and whoever comes on top is told so before any work is done.

A storm of one kind takes no place from another. What tells how the process is (health, figures) is always let in.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import structlog
from msgspec import Struct

from api import metrics
from api.problems import Overloaded, Stopping
from infrastructure.settings_parts import Limits

Kind = Literal["commands", "reads", "uploads", "sign-ins"]

READING = frozenset({"GET", "HEAD", "OPTIONS"})
_log = structlog.get_logger("api.admission")


class Place(Struct):
    """One request that was let in. `leave` may be called more than once: who streams gives his place back early."""

    admission: "Admission"
    kind: Kind | None

    def leave(self) -> None:
        if self.kind is not None:
            self.admission.inside[self.kind] -= 1
            self.kind = None


class Admission:
    """Of one process. `inside`: what is in flight now, by kind.

    `stopping`: once it says so, reads go on and nothing else begins; what is in flight is finished.
    """

    def __init__(self, most: Mapping[Kind, int], *, stopping: Callable[[], bool] = lambda: False) -> None:
        self.most, self.stopping = dict(most), stopping
        self.inside: dict[Kind, int] = dict.fromkeys(most, 0)
        # bounded: by the kinds there are
        self._full: set[Kind] = set()

    def enter(self, scope: Mapping[str, Any]) -> Place:
        """Raises Overloaded, Stopping."""
        kind = kind_of(scope)
        if kind is None:
            return Place(self, None)
        if kind != "reads" and self.stopping():
            raise Stopping
        if self.inside[kind] >= self.most[kind]:
            self._refuse(kind)
        if kind in self._full and self.inside[kind] * 2 <= self.most[kind]:
            self._full.discard(kind)
            _log.info("no longer full", kind=kind)
        self.inside[kind] += 1
        return Place(self, kind)

    def _refuse(self, kind: Kind) -> None:
        metrics.overloaded(kind)
        if kind not in self._full:  # a line for the storm, not for each of it
            self._full.add(kind)
            _log.warning("full", kind=kind, most=self.most[kind])
        raise Overloaded(f"This process has {self.most[kind]} {kind} in flight and takes no more now.")


def admission_of(limits: Limits, stopping: Callable[[], bool] = lambda: False) -> Admission:
    return Admission(
        {
            "commands": limits.commands_at_once,
            "reads": limits.reads_at_once,
            "uploads": limits.uploads_at_once,
            "sign-ins": limits.sign_ins_at_once,
        },
        stopping=stopping,
    )


def kind_of(scope: Mapping[str, Any]) -> Kind | None:
    """What a request asks for, as its first line and headers tell; None: how the process is, or what it is."""
    path: str = scope["path"]
    if not path.startswith("/api/"):
        return None
    if scope["method"] in READING:
        return "reads"
    if path.startswith("/api/v1/auth/"):
        return "sign-ins"
    return "uploads" if scope["h"].get(b"content-type", b"").startswith(b"multipart/") else "commands"
