"""Postal codes as the read model shows them."""

from uuid import UUID

import pytest

from domain.postal_index.events import PostalCode, PostalIndexLoaded, batch_id, code_id
from projections.address import ADDRESSES
from tests.scenario import given

pytestmark = pytest.mark.anyio

IMPORT = UUID(int=1)
OMSK, MOSCOW = (
    PostalCode(code="644000", region_code="55", locality="ОМСК"),
    PostalCode(code="101000", region_code="77", locality="МОСКВА"),
)


def loaded(number, *codes, vanished=()):
    event = PostalIndexLoaded(import_id=IMPORT, number=number, codes=codes, vanished=vanished)
    return batch_id(IMPORT, number), event


def shown_as(view):
    return view.region_code, view.locality, view.version, view.archived


@pytest.mark.parametrize("batch", [1, 500])
async def test_a_code_lies_where_it_was_loaded_last(dsn, batch):
    moved = PostalCode(code="644000", region_code="99", locality="БАЙКОНУР")
    facts = loaded(1, OMSK, MOSCOW), loaded(2, moved)
    shown = await given(ADDRESSES, *facts).delivered(dsn, times=2, batch=batch)
    assert shown_as(shown[code_id("644000")]) == ("99", "БАЙКОНУР", 2, False)
    assert shown_as(shown[code_id("101000")]) == ("77", "МОСКВА", 1, False)


@pytest.mark.parametrize("batch", [1, 500])
async def test_a_code_that_has_left_the_index_is_archived_until_it_comes_back(dsn, batch):
    facts = [loaded(1, OMSK, MOSCOW), loaded(2, vanished=("644000", "101000", "000000")), loaded(3, MOSCOW)]
    shown = await given(ADDRESSES, *facts).delivered(dsn, batch=batch)
    assert shown_as(shown[code_id("644000")]) == ("55", "ОМСК", 2, True)
    assert shown_as(shown[code_id("101000")]) == ("77", "МОСКВА", 3, False)
    assert len(shown) == 2, "what was never there does not vanish"
