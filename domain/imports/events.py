"""What can happen to an import: a file is taken in, read, applied, and it ends. A row of it is no event of its."""

from typing import ClassVar
from uuid import UUID

from msgspec import Struct

from domain.shared import Actor, Event

POSTAL_INDEX, EGRUL, ORGANISATIONS = "postal-index", "egrul", "organisations"
KINDS = (POSTAL_INDEX, EGRUL, ORGANISATIONS)
FILL, UPDATE, BOTH = "fill", "update", "both"
MODES = (FILL, UPDATE, BOTH)
"""Only what is new, only what is there, or both; what that means for a kind stands in docs/how-to/import.md."""


class Counts(Struct, frozen=True, kw_only=True):
    """Rows by what becomes of them; `unchanged` ones are left as they are, `failed` ones left out."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    vanished: int = 0
    failed: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            added=self.added + other.added,
            changed=self.changed + other.changed,
            unchanged=self.unchanged + other.unchanged,
            vanished=self.vanished + other.vanished,
            failed=self.failed + other.failed,
        )


class ImportStarted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """`object_id` names the file in the object store; `columns` says which field a column of it is, `encoding` how it
    is written, where somebody said so."""

    TOPIC: ClassVar[str] = "import.started.v1"

    kind: str
    mode: str
    name: str
    size: int
    sha256: str
    object_id: UUID
    encoding: str | None = None
    columns: dict[str, str] | None = None


class ImportPreviewed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The file was read; `counts` is what would become of its `total` rows."""

    TOPIC: ClassVar[str] = "import.previewed.v1"

    format: str
    encoding: str
    total: int
    counts: Counts


class ImportApplyBegan(Event, frozen=True, kw_only=True, omit_defaults=True):
    """`applied_by` is who its rows are written as from now on."""

    TOPIC: ClassVar[str] = "import.apply_began.v1"

    kind: str
    applied_by: Actor


class ImportApplied(Event, frozen=True, kw_only=True, omit_defaults=True):
    TOPIC: ClassVar[str] = "import.applied.v1"

    counts: Counts


class ImportCanceled(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What had been applied by then stays."""

    TOPIC: ClassVar[str] = "import.canceled.v1"


class ImportFailed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """`error` is the code of why, `detail` for people."""

    TOPIC: ClassVar[str] = "import.failed.v1"

    error: str
    detail: str


ImportEvent = (
    ImportStarted | ImportPreviewed | ImportApplyBegan | ImportApplied | ImportCanceled | ImportFailed
)
