"""Occasions as the read model shows them, two of one contract: each by its own id."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.contract.events import (
    ContractDrafted,
    OccasionAdded,
    OccasionAssigned,
    OccasionChanged,
    OccasionWithdrawn,
)
from domain.shared import SYSTEM
from projections.contract import CONTRACTS
from projections.occasion import OCCASIONS
from tests.scenario import given

pytestmark = pytest.mark.anyio

CONTRACT, FAIR, DINNER, ALPHA, SACHA = (UUID(int=number) for number in range(1, 6))
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def added(occasion_id, title):
    return CONTRACT, OccasionAdded(
        occasion_id=occasion_id,
        organisation_id=ALPHA,
        title=title,
        starts_at=NOON,
        ends_at=NOON + HOUR,
        place="Hall 3",
    )


DRAFTED = (CONTRACT, ContractDrafted(kind="cooperation", organisation_id=ALPHA))
PAST = (
    DRAFTED,
    added(FAIR, "Fair"),
    added(DINNER, "Dinner"),
    (
        CONTRACT,
        OccasionAssigned(occasion_id=FAIR, user_id=SACHA, title="Fair", starts_at=NOON, ends_at=NOON + HOUR),
    ),
    (
        CONTRACT,
        OccasionChanged(occasion_id=FAIR, starts_at=NOON - HOUR, ends_at=NOON, place=None, assigned_to=SACHA),
    ),
    (CONTRACT, OccasionWithdrawn(occasion_id=DINNER, reason="rain")),
)


@pytest.mark.parametrize("batch", [1, 500])
async def test_each_shows_what_became_of_it_and_at_which_version(dsn, batch):
    shown = await given(OCCASIONS, *PAST).delivered(dsn, times=2, batch=batch)
    assert set(shown) == {FAIR, DINNER}
    fair, dinner = shown[FAIR], shown[DINNER]
    assert (fair.contract_id, fair.organisation_id, fair.added_by) == (CONTRACT, ALPHA, SYSTEM)
    assert (fair.starts_at, fair.ends_at, fair.place, fair.title) == (NOON - HOUR, NOON, None, "Fair")
    assert (fair.assigned_to, fair.version, fair.sequence, fair.state) == (SACHA, 5, 2, "planned")
    assert (dinner.assigned_to, dinner.version, dinner.sequence) == (None, 6, 1)
    assert (dinner.state, dinner.archived, dinner.withdraw_reason) == ("withdrawn", True, "rain")


async def test_a_contract_shows_those_that_stand(dsn):
    shown = await given(CONTRACTS, *PAST).delivered(dsn, times=2)
    assert shown[CONTRACT].occasions == (FAIR,)
