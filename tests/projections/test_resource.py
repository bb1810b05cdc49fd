"""Information resources as the read model shows them, and the regions their addresses lie in."""

from uuid import UUID

import pytest

from domain.postal_index.events import PostalCode, PostalIndexLoaded, batch_id
from domain.resource.events import ResourceAdded, ResourceChanged, ResourceRetired
from projections.regions import postal_codes
from projections.resource import RESOURCES
from tests.scenario import given

pytestmark = pytest.mark.anyio

ALPHA, ONE, TWO, IMPORT = (UUID(int=n) for n in range(1, 5))
FIRST = ONE, ResourceAdded(organisation_id=ALPHA, name="One", address="г. Омск, 644000, и 101000 Москва")
SECOND = TWO, ResourceAdded(organisation_id=ALPHA, name="Two", address="ул. Ленина 5")


def loaded(number, **regions):
    codes = tuple(PostalCode(code=code[1:], region_code=region) for code, region in regions.items())
    return batch_id(IMPORT, number), PostalIndexLoaded(import_id=IMPORT, number=number, codes=codes)


def test_postal_codes_are_six_digits_and_no_part_of_a_longer_number():
    assert postal_codes("644000; 101000,644000 и 7707083893 12345") == ["644000", "101000"]
    assert postal_codes(None) == []


@pytest.mark.parametrize("batch", [1, 2, 500])
async def test_regions_follow_from_the_postal_codes_whatever_came_first(dsn, batch):
    index = loaded(1, c644000="55", c101000="77")
    before = await given(RESOURCES, index, FIRST, SECOND).delivered(dsn, times=2, batch=batch)
    assert (before[ONE].region_codes, before[TWO].region_codes) == (("55", "77"), ())


@pytest.mark.parametrize("batch", [1, 2, 500])
async def test_when_a_code_moves_the_resources_that_name_it_move_too(dsn, batch):
    facts = FIRST, SECOND, loaded(1, c644000="55"), loaded(2, c644000="99", c123456="01")
    shown = await given(RESOURCES, *facts).delivered(dsn, batch=batch)
    assert (shown[ONE].region_codes, shown[ONE].version, shown[TWO].region_codes) == (("99",), 1, ())


@pytest.mark.parametrize("batch", [1, 500])
async def test_another_address_lies_in_other_regions(dsn, batch):
    moved = ResourceChanged(organisation_id=ALPHA, address="101000 Moscow")
    facts = FIRST, SECOND, loaded(1, c644000="55", c101000="77"), (ONE, moved)
    shown = await given(RESOURCES, *facts).delivered(dsn, batch=batch)
    assert (shown[ONE].region_codes, shown[ONE].version) == (("77",), 2)


async def test_a_retired_resource_stays_and_says_so(dsn):
    retired = ONE, ResourceRetired(organisation_id=ALPHA)
    shown = await given(RESOURCES, FIRST, SECOND, retired).delivered(dsn)
    assert (shown[ONE].state, shown[ONE].archived, shown[TWO].archived) == ("retired", True, False)
