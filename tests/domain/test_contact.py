"""Contacts: the people of an organisation."""

from uuid import UUID

import pytest

from domain.contact.aggregate import (
    CONTACT,
    ContactIsArchived,
    ContactIsErased,
    ContactNameless,
    ContactUnknown,
    Erased,
)
from domain.contact.commands import AddContact, ArchiveContact, ChangeContact, EraseContact
from domain.contact.events import ContactAdded, ContactArchived, ContactChanged, ContactErased
from domain.contact.guards import OPEN, guards
from domain.shared import Claim, Forgotten, Responsible
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


# --- forgotten -----------------------------------------------------------------------------------------------------

ERASE, ERASED = EraseContact(reason="asked for it"), ContactErased(reason="asked for it")


@pytest.mark.parametrize("before", [(), (ARCHIVED,)])
def test_a_contact_is_forgotten_but_for_whose_he_was(before):
    left = given(CONTACT, ADDED, *before).when(ERASE).then(ERASED)
    assert left == Erased(organisation_id=ALPHA, responsible_id=ANNA)


def test_forgotten_twice_is_forgotten_once():
    given(CONTACT, ADDED, ERASED).when(ERASE).then_nothing()


def test_nobody_is_not_forgotten():
    given(CONTACT).when(ERASE).then_refused(ContactUnknown)


@pytest.mark.parametrize("command", [change(phone="+33 1"), ArchiveContact()])
def test_nothing_more_happens_to_who_was_forgotten(command):
    given(CONTACT, ADDED, ERASED).when(command).then_refused(ContactIsErased)


def test_nothing_new_names_him_and_his_key_goes():
    assert guards(KEVIN, ERASED) == (Claim(kind=OPEN, values=()), Forgotten())
