"""Organisations as the read model shows them: always two in a test, so that a lost condition is noticed."""

from uuid import UUID

import pytest

from domain.organisation.events import (
    Identifiers,
    Management,
    OrganisationAdded,
    OrganisationArchived,
    OrganisationChanged,
)
from projections.organisation import ORGANISATIONS
from tests.scenario import given

pytestmark = pytest.mark.anyio

ALPHA, BETA = UUID(int=1), UUID(int=2)
BOTH = (
    (ALPHA, OrganisationAdded(full_name="Alpha")),
    (BETA, OrganisationAdded(full_name="Beta", is_gov=True)),
)


@pytest.mark.parametrize("batch", [1, 500])
async def test_a_change_is_shown_on_its_organisation_only(dsn, batch):
    changed = OrganisationChanged(short_name="A", identifiers=Identifiers(inn="7700000001"))
    shown = await given(ORGANISATIONS, *BOTH, (ALPHA, changed)).delivered(dsn, times=2, batch=batch)
    assert (shown[ALPHA].short_name, shown[ALPHA].identifiers.inn, shown[ALPHA].version) == (
        "A",
        "7700000001",
        2,
    )
    assert (shown[BETA].short_name, shown[BETA].identifiers.inn, shown[BETA].version) == (None, None, 1)
    assert (shown[ALPHA].full_name, shown[BETA].full_name) == ("Alpha", "Beta")


async def test_a_change_to_null_clears(dsn):
    steps = [OrganisationChanged(region_code="77"), OrganisationChanged(region_code=None)]
    shown = await given(ORGANISATIONS, *BOTH, *((BETA, step) for step in steps)).delivered(dsn)
    assert shown[BETA].region_code is None


async def test_who_heads_it_is_shown_opened(dsn):
    changed = OrganisationChanged(management=Management(name="Anna"))
    shown = await given(ORGANISATIONS, *BOTH, (ALPHA, changed)).delivered(dsn)
    assert (shown[ALPHA].management, shown[BETA].management) == (Management(name="Anna"), None)


async def test_an_archived_organisation_stays_and_says_so(dsn):
    shown = await given(ORGANISATIONS, *BOTH, (ALPHA, OrganisationArchived(reason="merged"))).delivered(dsn)
    assert (shown[ALPHA].state, shown[BETA].state) == ("archived", "active")
