"""A department's three questions for each command."""

import pytest

from domain.department.aggregate import (
    DEPARTMENT,
    DepartmentCustomIdTaken,
    DepartmentIsArchived,
    DepartmentUnknown,
)
from domain.department.commands import AddDepartment, ArchiveDepartment, ChangeDepartment
from domain.department.events import DepartmentAdded, DepartmentArchived, DepartmentChanged, shipped_id
from tests.scenario import given

SALES = DepartmentAdded(name="Sales", custom_id="sales")


def test_a_department_is_added_as_asked():
    given(DEPARTMENT).when(AddDepartment(name="Sales", custom_id="sales")).then(SALES)


def test_a_department_is_added_once():
    given(DEPARTMENT, SALES).when(AddDepartment(name="Sales")).then_refused(DepartmentCustomIdTaken)


@pytest.mark.parametrize("command", [ChangeDepartment(changes={}), ArchiveDepartment()])
def test_what_is_not_there_is_unknown(command):
    given(DEPARTMENT).when(command).then_refused(DepartmentUnknown)


def test_only_what_changed_is_told():
    asked = ChangeDepartment(changes={"name": "Trade", "custom_id": "sales", "description": None})
    given(DEPARTMENT, SALES).when(asked).then(DepartmentChanged(name="Trade"))


def test_the_same_again_changes_nothing():
    given(DEPARTMENT, SALES).when(ChangeDepartment(changes={"name": "Sales"})).then_nothing()


def test_a_department_is_archived_with_the_reason():
    asked = ArchiveDepartment(reason="merged")
    given(DEPARTMENT, SALES).when(asked).then(DepartmentArchived(reason="merged"))


def test_an_archive_twice_changes_nothing():
    given(DEPARTMENT, SALES, DepartmentArchived()).when(ArchiveDepartment(reason="again")).then_nothing()


def test_what_is_archived_cannot_be_changed():
    asked = ChangeDepartment(changes={"name": "Trade"})
    given(DEPARTMENT, SALES, DepartmentArchived()).when(asked).then_refused(DepartmentIsArchived)


def test_the_ids_of_shipped_departments_are_for_ever():
    assert str(shipped_id("commercial")) == "515b796a-d17a-5f02-874c-04c111c67c42"
