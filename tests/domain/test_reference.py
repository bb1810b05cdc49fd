"""Reference data: a list is loaded as a whole."""

import pytest

from domain.reference.aggregate import REFERENCE, ReferenceInvalid
from domain.reference.commands import LoadReference
from domain.reference.events import Entry, ReferenceLoaded, entry_id, list_id
from tests.scenario import given

NORTH, SOUTH = Entry(code="1", name="North"), Entry(code="2", name="South", part_of="1")


def loaded(*entries):
    return ReferenceLoaded(kind="region", entries=entries)


def load(*entries):
    return LoadReference(kind="region", entries=entries)


def test_a_list_is_loaded():
    given(REFERENCE).when(load(NORTH, SOUTH)).then(loaded(NORTH, SOUTH))


def test_the_same_list_again_changes_nothing():
    given(REFERENCE, loaded(NORTH)).when(load(NORTH)).then()


def test_another_list_takes_its_place():
    given(REFERENCE, loaded(NORTH, SOUTH)).when(load(SOUTH)).then(loaded(SOUTH))


@pytest.mark.parametrize("entries", [(), (NORTH, NORTH)])
def test_an_empty_list_and_a_code_twice_are_refused(entries):
    given(REFERENCE).when(load(*entries)).then_refused(ReferenceInvalid)


def test_an_entry_has_one_id_wherever_it_is_loaded():
    assert entry_id("region", "1") == entry_id("region", "1") != entry_id("okrug", "1")
    assert list_id("region") != list_id("okrug")
