"""Documents and their types as the read models show them."""

from datetime import date
from uuid import UUID

import pytest

from domain.document.events import DocumentRecorded
from domain.document_type.events import DocumentTypeAdded, DocumentTypeChanged
from projections.document import DOCUMENTS
from projections.document_type import DOCUMENT_TYPES
from tests.scenario import given

pytestmark = pytest.mark.anyio

ALPHA, CHARTER, SCAN, RESCAN, ONE, TWO = (UUID(int=n) for n in range(1, 7))


def recorded(number, **fields):
    return DocumentRecorded(
        organisation_id=ALPHA,
        type_id=CHARTER,
        prefix="charter",
        number=number,
        date_approved=date(2026, 3, number),
        **fields,
    )


@pytest.mark.parametrize("batch", [1, 500])
async def test_the_newest_version_is_shown_with_all_before_it(dsn, batch):
    facts = (ONE, recorded(1, file_id=SCAN)), (TWO, recorded(1)), (ONE, recorded(2, comment="lost"))
    shown = await given(DOCUMENTS, *facts).delivered(dsn, times=2, batch=batch)
    one, two = shown[ONE], shown[TWO]
    assert (one.confidential, one.file_id, one.comment, one.version) == (True, None, "lost", 2)
    assert [(each.number, each.file_id, each.confidential) for each in one.versions] == [
        (1, SCAN, False),
        (2, None, True),
    ]
    assert (two.version, len(two.versions)) == (1, 1)


async def test_a_type_is_shown_as_it_is_now(dsn):
    facts = (
        (ONE, DocumentTypeAdded(name="Charter", prefix="charter")),
        (TWO, DocumentTypeAdded(name="Licence", prefix="licence")),
        (ONE, DocumentTypeChanged(is_main=True)),
    )
    shown = await given(DOCUMENT_TYPES, *facts).delivered(dsn, times=2)
    assert [(shown[key].name, shown[key].is_main) for key in (ONE, TWO)] == [
        ("Charter", True),
        ("Licence", False),
    ]
