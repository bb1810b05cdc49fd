"""What one may ask of the postal index."""

from uuid import UUID

from domain.postal_index.events import PostalCode
from domain.shared import Command


class LoadPostalIndex(Command, frozen=True, kw_only=True):
    """One batch of an import; the batches of one import are numbered from 1."""

    import_id: UUID
    number: int
    codes: tuple[PostalCode, ...] = ()
    vanished: tuple[str, ...] = ()


PostalIndexCommand = LoadPostalIndex
