"""Contacts as the read model shows them."""

from uuid import UUID

import pytest

from domain.contact.events import ContactAdded, ContactArchived, ContactChanged
from projections.contact import CONTACTS
from tests.scenario import given

pytestmark = pytest.mark.anyio

ALPHA, KEVIN, MARIE, ANNA = (UUID(int=n) for n in range(1, 5))
BOTH = (
    (KEVIN, ContactAdded(organisation_id=ALPHA, first_name="Kevin", last_name="Casey", responsible_id=ANNA)),
    (MARIE, ContactAdded(organisation_id=ALPHA, last_name="Curie")),
)


@pytest.mark.parametrize("batch", [1, 500])
async def test_a_change_is_shown_on_its_contact_only(dsn, batch):
    changed = ContactChanged(email="kevin@example.org", responsible_id=None)
    shown = await given(CONTACTS, *BOTH, (KEVIN, changed)).delivered(dsn, times=2, batch=batch)
    assert (shown[KEVIN].email, shown[KEVIN].responsible_id, shown[KEVIN].version) == (
        "kevin@example.org",
        None,
        2,
    )
    assert (shown[MARIE].email, shown[MARIE].name, shown[MARIE].version) == (None, "Curie", 1)


async def test_an_archived_contact_stays_and_says_so(dsn):
    shown = await given(CONTACTS, *BOTH, (MARIE, ContactArchived(reason="left"))).delivered(dsn)
    assert (shown[KEVIN].state, shown[MARIE].state) == ("active", "archived")
