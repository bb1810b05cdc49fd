"""The postal index: loaded in batches, each once."""

from uuid import UUID

from domain.postal_index.aggregate import POSTAL_INDEX
from domain.postal_index.commands import LoadPostalIndex
from domain.postal_index.events import PostalCode, PostalIndexLoaded, batch_id, code_id
from tests.scenario import given

IMPORT = UUID(int=1)
OMSK = PostalCode(code="644000", region_code="55", locality="ОМСК")


def test_a_batch_is_loaded():
    command = LoadPostalIndex(import_id=IMPORT, number=1, codes=(OMSK,), vanished=("644001",))
    given(POSTAL_INDEX).when(command).then(
        PostalIndexLoaded(import_id=IMPORT, number=1, codes=(OMSK,), vanished=("644001",))
    )


def test_a_batch_that_was_loaded_before_and_an_empty_one_change_nothing():
    loaded = PostalIndexLoaded(import_id=IMPORT, number=1, codes=(OMSK,))
    again = LoadPostalIndex(import_id=IMPORT, number=1, codes=(OMSK,))
    given(POSTAL_INDEX, loaded).when(again).then_nothing()
    given(POSTAL_INDEX).when(LoadPostalIndex(import_id=IMPORT, number=2)).then_nothing()


def test_batches_and_codes_have_ids_of_their_own():
    assert batch_id(IMPORT, 1) == batch_id(IMPORT, 1) != batch_id(IMPORT, 2)
    assert code_id("644000") != code_id("644001")
