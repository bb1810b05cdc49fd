"""Types of organisation documents."""

from uuid import UUID

from application.document_type import prefix_of
from domain.document_type.aggregate import DOCUMENT_TYPE, DocumentTypeUnknown, PrefixFirm
from domain.document_type.commands import AddDocumentType, ChangeDocumentType
from domain.document_type.events import DocumentTypeAdded, DocumentTypeChanged
from domain.document_type.guards import PREFIX, guards
from domain.shared import Claim
from tests.scenario import given

ADDED = DocumentTypeAdded(name="Charter", prefix="Charter")


def test_a_type_is_added_and_its_prefix_is_its_own():
    given(DOCUMENT_TYPE).when(AddDocumentType(name="Charter", prefix="Charter")).then(ADDED)
    assert guards(UUID(int=1), ADDED) == (Claim(kind=PREFIX, values=("charter",)),)
    assert guards(UUID(int=1), DocumentTypeChanged(name="X")) == ()


def test_its_name_and_rank_change_and_its_prefix_does_not():
    changed = DocumentTypeChanged(name="Statutes", is_main=True)
    wanted = ChangeDocumentType(changes={"name": "Statutes", "is_main": True, "prefix": "Charter"})
    given(DOCUMENT_TYPE, ADDED).when(wanted).then(changed)
    given(DOCUMENT_TYPE, ADDED, changed).when(wanted).then_nothing()
    moved = ChangeDocumentType(changes={"prefix": "statutes"})
    given(DOCUMENT_TYPE, ADDED).when(moved).then_refused(PrefixFirm)
    given(DOCUMENT_TYPE).when(moved).then_refused(DocumentTypeUnknown)


def test_a_prefix_is_made_of_consonants():
    assert prefix_of("Соглашение о сотрудничестве") == "sglshnstrdnchstv"
    assert prefix_of("Charter of the Society") == "chrtrfthscty"
    assert prefix_of("Ааа") == "document"
    assert len(prefix_of("b" * 40)) == 18
