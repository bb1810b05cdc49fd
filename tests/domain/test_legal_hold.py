"""Legal holds: placed on somebody, released once."""

from uuid import UUID

import pytest

from domain.legal_hold.aggregate import LEGAL_HOLD, LegalHoldExists, LegalHoldUnknown
from domain.legal_hold.commands import PlaceLegalHold, ReleaseLegalHold
from domain.legal_hold.events import LegalHoldPlaced, LegalHoldReleased, Subject
from domain.legal_hold.guards import ON, guards
from domain.shared import Claim
from tests.scenario import given

ANNA, HOLD = (UUID(int=n) for n in range(1, 3))
PLACE = PlaceLegalHold(subject=Subject(type="user", id=ANNA), reason="case 12/2026")
PLACED = LegalHoldPlaced(subject=PLACE.subject, reason=PLACE.reason)
RELEASED = LegalHoldReleased(reason="settled")


def test_a_hold_is_placed_on_somebody():
    given(LEGAL_HOLD).when(PLACE).then(PLACED)


def test_an_id_that_is_taken_is_no_new_hold():
    given(LEGAL_HOLD, PLACED).when(PLACE).then_refused(LegalHoldExists)


def test_a_hold_is_released():
    given(LEGAL_HOLD, PLACED).when(ReleaseLegalHold(reason="settled")).then(RELEASED)


def test_a_hold_that_is_released_stays_so():
    given(LEGAL_HOLD, PLACED, RELEASED).when(ReleaseLegalHold()).then_nothing()


def test_what_was_never_placed_is_not_released():
    given(LEGAL_HOLD).when(ReleaseLegalHold()).then_refused(LegalHoldUnknown)


@pytest.mark.parametrize(("event", "values"), [(PLACED, (f"{ANNA}:{HOLD}",)), (RELEASED, ())])
def test_while_it_is_in_force_it_has_a_claim_of_its_own(event, values):
    assert guards(HOLD, event) == (Claim(kind=ON, values=values),)
