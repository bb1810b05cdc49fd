"""Contacts: the people of an organisation."""

from uuid import UUID

import pytest

from domain.contact.aggregate import CONTACT, ContactIsArchived, ContactNameless, ContactUnknown
from domain.contact.commands import AddContact, ArchiveContact, ChangeContact
from domain.contact.events import ContactAdded, ContactArchived, ContactChanged
from domain.contact.guards import OPEN, guards
from domain.shared import Claim, Responsible
from tests.scenario import given

ALPHA, ANNA, BORIS, KEVIN = (UUID(int=n) for n in range(1, 5))
ADDED = ContactAdded(
    organisation_id=ALPHA,
    first_name="Kevin",
    last_name="Casey",
    email="kevin@example.org",
    responsible_id=ANNA,
)
ARCHIVED = ContactArchived(reason="left")


def change(**changes):
    return ChangeContact(changes=changes)


# --- add -------------------------------------------------------------------------------------------------------


def test_a_contact_is_added_to_an_organisation():
    command = AddContact(
        organisation_id=ALPHA,
        first_name="Kevin",
        last_name="Casey",
        email="kevin@example.org",
        responsible_id=ANNA,
    )
    given(CONTACT).when(command).then(ADDED)


def test_one_name_is_enough_but_one_there_must_be():
    given(CONTACT).when(AddContact(organisation_id=ALPHA, last_name="Casey")).then(
        ContactAdded(organisation_id=ALPHA, last_name="Casey")
    )
    refused = given(CONTACT).when(AddContact(organisation_id=ALPHA)).then_refused(ContactNameless)
    assert [error.pointer for error in refused.errors] == ["/last_name"]


# --- change ----------------------------------------------------------------------------------------------------


def test_only_what_is_another_value_changes():
    changed = ContactChanged(phone="+33 1", email=None)
    given(CONTACT, ADDED).when(change(first_name="Kevin", phone="+33 1", email=None)).then(changed)


def test_the_same_again_changes_nothing():
    given(CONTACT, ADDED).when(change(first_name="Kevin", responsible_id=str(ANNA))).then_nothing()


@pytest.mark.parametrize(
    ("happened", "changes", "refusal"),
    [
        ((), {"phone": "1"}, ContactUnknown),
        ((ADDED, ARCHIVED), {"phone": "1"}, ContactIsArchived),
        ((ADDED,), {"first_name": None, "last_name": None}, ContactNameless),
    ],
)
def test_a_change_is_refused(happened, changes, refusal):
    given(CONTACT, *happened).when(change(**changes)).then_refused(refusal)


# --- archive ---------------------------------------------------------------------------------------------------


def test_a_contact_is_archived_once():
    given(CONTACT, ADDED).when(ArchiveContact(reason="left")).then(ARCHIVED)
    given(CONTACT, ADDED, ARCHIVED).when(ArchiveContact()).then_nothing()
    given(CONTACT).when(ArchiveContact()).then_refused(ContactUnknown)


# --- guards ----------------------------------------------------------------------------------------------------


def test_the_guards_know_whose_contact_it_is_and_who_answers_for_it():
    here = Claim(kind=OPEN, values=(f"{ALPHA}:{KEVIN}",))
    assert guards(KEVIN, ADDED) == (here, Responsible(user_id=ANNA))
    assert guards(KEVIN, ContactChanged(responsible_id=BORIS)) == (Responsible(user_id=BORIS),)
    assert guards(KEVIN, ContactChanged(phone="1")) == ()
    assert guards(KEVIN, ARCHIVED) == (Claim(kind=OPEN, values=()),)
