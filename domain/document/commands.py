"""What one may ask of a document. `latest`: the last day that is not the future, anywhere on Earth."""

from datetime import date
from uuid import UUID

from domain.document.events import Paper
from domain.shared import Command


class RecordDocument(Paper, Command, frozen=True, kw_only=True):
    """With neither a file nor `confidential` the file of before stays. `replace`: the marker may take its place."""

    organisation_id: UUID
    type_id: UUID
    confidential: bool = False
    replace: bool = False
    prefix: str = ""
    is_main: bool = False
    latest: date = date.max


DocumentCommand = RecordDocument
