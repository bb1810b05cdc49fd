"""Any export, verified: which kind it is, its first line says."""

from collections.abc import Iterable

from infrastructure.audit.form import SELECTION
from infrastructure.audit.report import Report
from infrastructure.audit.signed_note import Note, Verifier
from infrastructure.audit.verify import Examiner
from infrastructure.audit.verify_selection import SelectionExaminer

_SELECTION = f'{{"format":"{SELECTION}"'.encode()


def examiner_for(
    first: bytes, trusted: Iterable[Verifier] = (), kept: Note | None = None
) -> Examiner | SelectionExaminer:
    """Who takes the lines of an export whose first line is this."""
    return (SelectionExaminer if is_selection(first) else Examiner)(trusted, kept)


def is_selection(first: bytes) -> bool:
    return first.startswith(_SELECTION)


def examined(lines: Iterable[bytes], trusted: Iterable[Verifier] = (), kept: Note | None = None) -> Report:
    """What an export is worth, whole or a selection. Nothing is raised, whatever it holds."""
    lines = iter(lines)
    first = next(lines, b"")
    examiner = examiner_for(first, trusted, kept)
    if first:
        examiner.take(first)
    for line in lines:
        examiner.take(line)
    return examiner.report()
