"""An export's life: requested, then the first word on how it ended counts."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from domain.export.aggregate import EXPORT, ExportExists, ExportUnknown
from domain.export.commands import CompleteExport, FailExport, RequestExport
from domain.export.events import ExportCompleted, ExportFailed, ExportRequested
from tests.scenario import given

ASKED = {"list": "users", "format": "csv", "requested_by": UUID(int=1), "requested_as": "user"}
FILE = {
    "rows": 2,
    "true_at": 7,
    "size": 90,
    "sha256": "00" * 32,
    "object_id": UUID(int=2),
    "sight": "ff",
    "expires_at": datetime(2026, 3, 2, tzinfo=UTC),
}
WHY = {"error": "forbidden", "detail": "This needs the right user:view."}


def test_an_export_is_requested():
    given(EXPORT).when(RequestExport(**ASKED)).then(ExportRequested(**ASKED))


def test_it_is_requested_once():
    given(EXPORT, ExportRequested(**ASKED)).when(RequestExport(**ASKED)).then_refused(ExportExists)


def test_it_is_completed():
    given(EXPORT, ExportRequested(**ASKED)).when(CompleteExport(**FILE)).then(ExportCompleted(**FILE))


def test_it_fails():
    given(EXPORT, ExportRequested(**ASKED)).when(FailExport(**WHY)).then(ExportFailed(**WHY))


@pytest.mark.parametrize("end", [ExportCompleted(**FILE), ExportFailed(**WHY)])
@pytest.mark.parametrize("command", [CompleteExport(**FILE), FailExport(**WHY)])
def test_what_has_ended_stays_so(end, command):
    given(EXPORT, ExportRequested(**ASKED), end).when(command).then_nothing()


@pytest.mark.parametrize("command", [CompleteExport(**FILE), FailExport(**WHY)])
def test_what_nobody_asked_for_does_not_end(command):
    given(EXPORT).when(command).then_refused(ExportUnknown)
