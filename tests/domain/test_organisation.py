"""An organisation's three questions for each command: what follows, who is refused, and when nothing changes."""

from uuid import UUID

import pytest

from domain.organisation.aggregate import (
    ORGANISATION,
    OrganisationDuplicate,
    OrganisationIsArchived,
    OrganisationUnknown,
)
from domain.organisation.commands import AddOrganisation, ArchiveOrganisation, ChangeOrganisation
from domain.organisation.events import (
    Identifiers,
    OrganisationAdded,
    OrganisationArchived,
    OrganisationChanged,
)
from tests.scenario import given

ADDED = OrganisationAdded(full_name="Alpha", identifiers=Identifiers(inn="7700000001", kpp="770001001"))
ARCHIVED = OrganisationArchived(reason="merged")


def test_an_organisation_is_added_as_asked():
    given(ORGANISATION).when(AddOrganisation(full_name="Alpha", is_gov=True)).then(
        OrganisationAdded(full_name="Alpha", is_gov=True)
    )


@pytest.mark.parametrize("before", [(ADDED,), (ADDED, ARCHIVED)])
def test_an_id_is_taken_once(before):
    given(ORGANISATION, *before).when(AddOrganisation(full_name="Beta")).then_refused(OrganisationDuplicate)


def test_only_what_changed_is_told():
    given(ORGANISATION, ADDED).when(ChangeOrganisation(changes={"full_name": "Alpha", "is_gov": True})).then(
        OrganisationChanged(is_gov=True)
    )


def test_identifiers_merge_member_by_member():
    given(ORGANISATION, ADDED).when(ChangeOrganisation(changes={"identifiers": {"kpp": None}})).then(
        OrganisationChanged(identifiers=Identifiers(inn="7700000001"))
    )


def test_a_change_to_what_is_so_already_changes_nothing():
    given(ORGANISATION, ADDED).when(ChangeOrganisation(changes={"full_name": "Alpha"})).then_nothing()


def test_what_changed_stays_changed():
    manager = UUID(int=1)
    state = (
        given(ORGANISATION, ADDED, OrganisationChanged(short_name="A"))
        .when(ChangeOrganisation(changes={"account_manager_id": str(manager)}))
        .then(OrganisationChanged(account_manager_id=manager))
    )
    assert (state.details.short_name, state.details.account_manager_id) == ("A", manager)


def test_an_organisation_is_archived_with_its_reason():
    given(ORGANISATION, ADDED).when(ArchiveOrganisation(reason="merged")).then(ARCHIVED)


def test_archiving_twice_changes_nothing():
    given(ORGANISATION, ADDED, ARCHIVED).when(ArchiveOrganisation(reason="again")).then_nothing()


def test_an_archived_organisation_is_not_changed():
    given(ORGANISATION, ADDED, ARCHIVED).when(ChangeOrganisation(changes={"is_gov": True})).then_refused(
        OrganisationIsArchived
    )


@pytest.mark.parametrize("command", [ChangeOrganisation(changes={}), ArchiveOrganisation()])
def test_what_was_never_added_is_unknown(command):
    given(ORGANISATION).when(command).then_refused(OrganisationUnknown)
