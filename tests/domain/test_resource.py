"""Information resources of organisations."""

from datetime import date
from uuid import UUID

import pytest

from domain.resource.aggregate import RESOURCE, ResourceInvalid, ResourceIsRetired, ResourceUnknown
from domain.resource.commands import AddResource, ChangeResource, RetireResource
from domain.resource.events import ResourceAdded, ResourceChanged, ResourceRetired
from tests.scenario import given

ALPHA, SCIENCE = UUID(int=1), UUID(int=2)
TODAY, TOMORROW = date(2026, 3, 1), date(2026, 3, 2)
ADDED = ResourceAdded(organisation_id=ALPHA, name="Registry", category=2, address="644000 Omsk")
RETIRED = ResourceRetired(organisation_id=ALPHA, reason="replaced")


def change(**changes):
    return ChangeResource(changes=changes, latest=TODAY)


def test_a_resource_is_added_to_an_organisation():
    command = AddResource(
        organisation_id=ALPHA, name="Registry", category=2, address="644000 Omsk", latest=TODAY
    )
    given(RESOURCE).when(command).then(ADDED)


@pytest.mark.parametrize(
    ("dates", "pointers"),
    [
        ({"fstec_added_on": TOMORROW}, ["/fstec_added_on"]),
        ({"fstec_added_on": TODAY, "fstec_updated_on": date(2026, 2, 28)}, ["/fstec_updated_on"]),
        (
            {"fstec_added_on": TOMORROW, "fstec_updated_on": date(2026, 3, 3)},
            ["/fstec_added_on", "/fstec_updated_on"],
        ),
    ],
)
def test_its_dates_are_not_in_the_future_and_in_order(dates, pointers):
    command = AddResource(organisation_id=ALPHA, name="Registry", latest=TODAY, **dates)
    refused = given(RESOURCE).when(command).then_refused(ResourceInvalid)
    assert [error.pointer for error in refused.errors] == pointers
    days = {name: day.isoformat() for name, day in dates.items()}
    given(RESOURCE, ADDED).when(change(**days)).then_refused(ResourceInvalid)


def test_only_what_is_another_value_changes_and_its_owner_is_named():
    wanted = change(name="Registry", is_okii=True, industry_ids=[str(SCIENCE)], address=None)
    changed = ResourceChanged(organisation_id=ALPHA, is_okii=True, industry_ids=(SCIENCE,), address=None)
    given(RESOURCE, ADDED).when(wanted).then(changed)
    given(RESOURCE, ADDED, changed).when(wanted).then_nothing()


def test_a_resource_is_retired_once():
    given(RESOURCE, ADDED).when(RetireResource(reason="replaced")).then(RETIRED)
    given(RESOURCE, ADDED, RETIRED).when(RetireResource()).then_nothing()


def test_what_is_retired_or_was_never_added_is_not_changed():
    given(RESOURCE, ADDED, RETIRED).when(change(name="X")).then_refused(ResourceIsRetired)
    given(RESOURCE).when(change(name="X")).then_refused(ResourceUnknown)
    given(RESOURCE).when(RetireResource()).then_refused(ResourceUnknown)
