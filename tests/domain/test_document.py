"""Documents of organisations: every version stays."""

from datetime import date
from uuid import UUID

import pytest

from domain.document.aggregate import DOCUMENT, DocumentHasFile, DocumentInvalid
from domain.document.commands import RecordDocument
from domain.document.events import DocumentRecorded, Letter, document_id
from domain.document.guards import guards
from domain.file.guards import BINDING
from domain.shared import Claim
from tests.scenario import given

ALPHA, CHARTER, SCAN, RESCAN = (UUID(int=n) for n in range(1, 5))
DAY, NEXT = date(2026, 3, 1), date(2026, 3, 2)


def record(**fields):
    given_fields = {"date_approved": DAY, **fields}
    return RecordDocument(
        organisation_id=ALPHA, type_id=CHARTER, prefix="charter", latest=DAY, **given_fields
    )


def recorded(number, **fields):
    given_fields = {"date_approved": DAY, **fields}
    return DocumentRecorded(
        organisation_id=ALPHA, type_id=CHARTER, prefix="charter", number=number, **given_fields
    )


FIRST = recorded(1, file_id=SCAN, bound=(SCAN,))


def test_the_first_version_brings_a_file_or_says_that_it_is_confidential():
    given(DOCUMENT).when(record(file_id=SCAN)).then(FIRST)
    given(DOCUMENT).when(record(confidential=True)).then(recorded(1))


@pytest.mark.parametrize(
    ("fields", "pointers"),
    [
        ({}, ["/file_id"]),
        ({"file_id": SCAN, "confidential": True}, ["/confidential"]),
        ({"file_id": SCAN, "date_approved": NEXT}, ["/date_approved"]),
        (
            {"file_id": SCAN, "letter": Letter(sender_date=DAY, received_on=date(2026, 2, 28))},
            ["/letter/received_on"],
        ),
        ({"date_approved": NEXT, "letter": Letter(sender_date=NEXT)}, None),
    ],
)
def test_what_makes_no_sense_is_named_all_at_once(fields, pointers):
    refused = given(DOCUMENT).when(record(**fields)).then_refused(DocumentInvalid)
    expected = pointers or ["/file_id", "/date_approved", "/letter/sender_date"]
    assert [error.pointer for error in refused.errors] == expected


def test_attached_again_it_is_another_version_and_the_files_of_all_stay_bound():
    second = recorded(2, file_id=RESCAN, bound=(SCAN, RESCAN))
    given(DOCUMENT, FIRST).when(record(file_id=RESCAN)).then(second)
    assert guards(UUID(int=9), second) == (Claim(kind=BINDING, values=(str(SCAN), str(RESCAN))),)


def test_attached_again_without_a_file_it_keeps_the_one_of_before():
    given(DOCUMENT, FIRST).when(record(comment="stamped")).then(
        recorded(2, file_id=SCAN, comment="stamped", bound=(SCAN,))
    )


def test_the_same_again_changes_nothing():
    given(DOCUMENT, FIRST).when(record()).then_nothing()
    given(DOCUMENT, FIRST).when(record(file_id=SCAN)).then_nothing()
    given(DOCUMENT, recorded(1)).when(record(confidential=True)).then_nothing()


def test_the_mark_confidential_never_replaces_a_file_silently():
    given(DOCUMENT, FIRST).when(record(confidential=True)).then_refused(DocumentHasFile, file_id=str(SCAN))
    given(DOCUMENT, FIRST).when(record(confidential=True, replace=True)).then(recorded(2, bound=(SCAN,)))


def test_a_document_of_a_type_has_one_stream():
    assert document_id(ALPHA, CHARTER) == document_id(ALPHA, CHARTER) != document_id(CHARTER, ALPHA)
