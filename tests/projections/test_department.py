"""Departments as they are shown: two at once, delivered twice."""

from uuid import UUID

import pytest

from domain.department.events import DepartmentAdded, DepartmentArchived, DepartmentChanged
from projections.department import DEPARTMENTS
from tests.scenario import given

pytestmark = pytest.mark.anyio

ONE, TWO = UUID(int=1), UUID(int=2)


async def test_each_shows_its_own_and_nothing_twice(dsn):
    shown = await given(
        DEPARTMENTS,
        (ONE, DepartmentAdded(name="Sales", custom_id="sales")),
        (TWO, DepartmentAdded(name="Support", description="Who helps.")),
        (ONE, DepartmentChanged(name="Trade", custom_id=None)),
        (TWO, DepartmentArchived(reason="merged")),
    ).delivered(dsn, times=2, batch=3)
    one, two = shown[ONE], shown[TWO]
    assert (one.name, one.custom_id, one.state, one.version) == ("Trade", None, "open", 2)
    assert (two.name, two.description, two.state, two.archived) == ("Support", "Who helps.", "archived", True)
