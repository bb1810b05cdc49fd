"""Reference data as the read models show it: the list that was loaded last, and nothing of the one before."""

import pytest

from domain.reference.events import Entry, ReferenceLoaded, entry_id, list_id
from projections.reference import OKRUGS, REGIONS
from tests.scenario import given

pytestmark = pytest.mark.anyio

MOSCOW, OMSK = Entry(code="77", name="Москва", part_of="1"), Entry(code="55", name="Омская область")


def loaded(kind, *entries):
    return list_id(kind), ReferenceLoaded(kind=kind, entries=entries)


@pytest.mark.parametrize("batch", [1, 500])
async def test_each_entry_is_a_record(dsn, batch):
    facts = loaded("region", MOSCOW, OMSK), loaded("okrug", Entry(code="1", name="Центральный"))
    shown = await given(REGIONS, *facts).delivered(dsn, times=2, batch=batch)
    assert {view.code: (view.name, view.okrug_id, view.version) for view in shown.values()} == {
        "77": ("Москва", "1", 1),
        "55": ("Омская область", None, 1),
    }


@pytest.mark.parametrize("batch", [1, 500])
async def test_what_the_next_list_does_not_name_is_gone(dsn, batch):
    renamed = Entry(code="77", name="Moscow")
    facts = loaded("region", MOSCOW, OMSK), loaded("region", renamed)
    shown = await given(REGIONS, *facts).delivered(dsn, batch=batch)
    assert {key: (view.name, view.version) for key, view in shown.items()} == {
        entry_id("region", "77"): ("Moscow", 2)
    }


async def test_another_kind_of_list_is_none_of_its_business(dsn):
    assert await given(OKRUGS, loaded("region", MOSCOW)).delivered(dsn) == {}
