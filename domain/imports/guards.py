"""What an import keeps: its kind while it is at work, so that two never are, and its file while it needs it."""

from typing import assert_never
from uuid import UUID

from domain.imports.events import (
    ImportApplied,
    ImportApplyBegan,
    ImportCanceled,
    ImportEvent,
    ImportFailed,
    ImportPreviewed,
    ImportStarted,
)
from domain.shared import Claim, Guard

RUNNING = "import.running"
"""The kind that is being read or applied; a preview that waits for somebody's word keeps nobody off."""
OBJECT = "import.object"
"""Whose an object in the store is."""


def guards(stream_id: UUID, event: ImportEvent) -> tuple[Guard, ...]:
    match event:
        case ImportStarted():
            kept = Claim(kind=OBJECT, values=(str(event.object_id),))
            return Claim(kind=RUNNING, values=(event.kind,)), kept
        case ImportPreviewed():
            return (Claim(kind=RUNNING, values=()),)
        case ImportApplyBegan():
            return (Claim(kind=RUNNING, values=(event.kind,)),)
        case ImportApplied() | ImportCanceled() | ImportFailed():
            return Claim(kind=RUNNING, values=()), Claim(kind=OBJECT, values=())
        case _:
            assert_never(event)
