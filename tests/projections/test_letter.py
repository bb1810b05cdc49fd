"""Letters as the read model shows them: what is awaited follows from what answers them."""

from datetime import date
from uuid import UUID

import pytest

from domain.letter.events import (
    LetterChanged,
    LetterDrafted,
    LetterFellDue,
    LetterRegistered,
    LetterSigned,
    LetterWithdrawn,
)
from projections.letter import LETTERS
from tests.scenario import given

pytestmark = pytest.mark.anyio

ALPHA, ANNA, ONE, TWO, REPLY = (UUID(int=n) for n in range(1, 6))
DAY = date(2026, 3, 1)


def registered(number, **fields):
    told = {"organisation_ids": (ALPHA,), "subject": "On the north site", "received_on": DAY, "due_on": DAY}
    return LetterRegistered(**{"number": f"IN-2026-{number:05d}"} | told | fields)


FIRST, SECOND = (ONE, registered(1)), (TWO, registered(2))
ANSWER = REPLY, LetterDrafted(organisation_ids=(ALPHA,), subject="Our answer to that", parent_id=ONE)
SIGNED = REPLY, LetterSigned(number="OUT-2026-00001", signed_on=DAY, signed_by=ANNA)


async def shown(dsn, *facts, batch=500, times=1):
    return await given(LETTERS, *facts).delivered(dsn, batch=batch, times=times)


def answered(views):
    return [views[each].answered for each in (ONE, TWO)]


@pytest.mark.parametrize("batch", [1, 2, 500])
async def test_a_letter_is_answered_by_one_with_a_number(dsn, batch):
    drafted = await shown(dsn, FIRST, SECOND, ANSWER, batch=batch, times=2)
    assert answered(drafted) == [False, False]
    assert (drafted[REPLY].state, drafted[REPLY].number, drafted[ONE].awaited_on) == ("draft", None, DAY)


@pytest.mark.parametrize("batch", [1, 2, 500])
async def test_once_its_answer_is_signed_nothing_is_awaited(dsn, batch):
    views = await shown(dsn, FIRST, SECOND, ANSWER, SIGNED, batch=batch, times=2)
    assert answered(views) == [True, False]
    assert (views[REPLY].state, views[REPLY].number, views[REPLY].signed_by) == (
        "signed",
        "OUT-2026-00001",
        ANNA,
    )
    assert (views[ONE].awaited_on, views[ONE].version, views[TWO].awaited_on) == (None, 1, DAY)


@pytest.mark.parametrize("batch", [1, 2, 500])
async def test_an_answer_that_moves_answers_another_letter(dsn, batch):
    moved = REPLY, LetterChanged(parent_id=TWO)
    assert answered(await shown(dsn, FIRST, SECOND, ANSWER, SIGNED, moved, batch=batch)) == [False, True]


@pytest.mark.parametrize("batch", [1, 500])
async def test_an_answer_that_answers_nothing_any_more_leaves_the_letter_open(dsn, batch):
    loose = REPLY, LetterChanged(parent_id=None)
    assert answered(await shown(dsn, FIRST, SECOND, ANSWER, SIGNED, loose, batch=batch)) == [False, False]


@pytest.mark.parametrize("batch", [1, 500])
async def test_a_withdrawn_answer_is_none_and_a_withdrawn_letter_awaits_none(dsn, batch):
    gone = REPLY, LetterWithdrawn(reason="sent to the wrong people")
    views = await shown(dsn, FIRST, SECOND, ANSWER, SIGNED, gone, (TWO, gone[1]), batch=batch)
    assert answered(views) == [False, False]
    assert (views[REPLY].number, views[REPLY].withdraw_reason) == (
        "OUT-2026-00001",
        "sent to the wrong people",
    )
    assert (views[ONE].awaited_on, views[TWO].awaited_on) == (DAY, None)


async def test_a_correction_leaves_the_rest(dsn):
    views = await shown(dsn, FIRST, (ONE, LetterChanged(subject="On the south site", due_on=None)), SECOND)
    assert (views[ONE].subject, views[ONE].due_on, views[ONE].version) == ("On the south site", None, 2)
    assert views[TWO].subject == "On the north site"


@pytest.mark.parametrize("batch", [1, 500])
async def test_what_is_due_is_to_be_told_once_and_again_for_another_day(dsn, batch):
    told, later = (ONE, LetterFellDue(due_on=DAY, user_ids=(ANNA,))), date(2026, 4, 1)
    moved = (TWO, LetterChanged(due_on=later)), (ONE, LetterChanged(due_on=later))
    views = await shown(dsn, FIRST, SECOND, told, moved[0], batch=batch, times=2)
    assert [views[each].falls_due_on for each in (ONE, TWO)] == [None, later]
    assert (views[ONE].told_due, views[ONE].awaited_on) == ((DAY,), DAY)


async def test_a_day_that_was_told_is_no_other_for_being_moved_away_and_back(dsn):
    told, later = (ONE, LetterFellDue(due_on=DAY)), date(2026, 4, 1)
    away, back = (ONE, LetterChanged(due_on=later)), (ONE, LetterChanged(due_on=DAY))
    views = await shown(dsn, FIRST, told, away, back)
    assert (views[ONE].falls_due_on, views[ONE].awaited_on) == (None, DAY)
