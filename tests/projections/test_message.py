"""Dialogs and messages as the read models show them: always two, so that a lost condition is noticed."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.dialog.aggregate import dialog_id
from domain.dialog.events import DialogOpened, DialogRead
from domain.message.events import MessageRead, MessageSent
from domain.user.events import UserErased, UserRegistered
from infrastructure.postgres import connect
from projections import message
from projections.dialog import DIALOGS
from projections.message import MESSAGES
from tests.scenario import given

pytestmark = pytest.mark.anyio

ANNA, BERT, CARL, FIRST, SECOND, THIRD = (UUID(int=number) for number in range(1, 7))
WITH_BERT, WITH_CARL = dialog_id(ANNA, BERT), dialog_id(ANNA, CARL)
NOW = datetime(2026, 5, 3, 10, 20, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def sent(sender, recipient, text):
    dialog_between = dialog_id(sender, recipient)
    return MessageSent(dialog_id=dialog_between, sender_id=sender, recipient_id=recipient, text=text)


FACTS = (
    (WITH_BERT, DialogOpened(user_ids=(ANNA, BERT))),
    (WITH_CARL, DialogOpened(user_ids=(CARL, ANNA))),
    (FIRST, sent(ANNA, BERT, "one")),
    (SECOND, sent(ANNA, BERT, "two")),
    (THIRD, sent(CARL, ANNA, "three")),
    (FIRST, MessageRead(dialog_id=WITH_BERT, reader_id=BERT, read_at=NOW)),
)


async def waiting(dsn) -> list[dict[UUID, int]]:
    """For Anna, Bert and Carl."""
    async with await connect(dsn) as connection:
        found = await message.unread(connection, [ANNA, BERT, CARL])
    return [found[each] for each in (ANNA, BERT, CARL)]


@pytest.mark.parametrize("batch", [1, 500])
async def test_a_dialog_shows_what_was_said_last(dsn, batch):
    shown = await given(DIALOGS, *FACTS).delivered(dsn, times=2, batch=batch)
    assert [shown[each].last_message.text for each in (WITH_BERT, WITH_CARL)] == ["two", "three"]


@pytest.mark.parametrize("batch", [1, 2, 500])
async def test_what_waits_is_counted_for_each_in_each_dialog(dsn, batch):
    await given(MESSAGES, *FACTS).delivered(dsn, times=2, batch=batch)
    assert await waiting(dsn) == [{WITH_CARL: 1}, {WITH_BERT: 1}, {}]


def read_up_to(reader, position):
    dialog_read = DialogRead(reader_id=reader, message_id=FIRST, up_to=position, read_at=LATER)
    return (WITH_BERT, dialog_read)


@pytest.mark.parametrize("at_once", [1, 500])
@pytest.mark.parametrize("batch", [1, 4, 500])
async def test_one_fact_reads_all_that_was_sent_to_one_side_before(dsn, batch, at_once, monkeypatch):
    monkeypatch.setattr("projections.message.AT_ONCE", at_once)
    back, after = UUID(int=70), UUID(int=71)
    again = (SECOND, MessageRead(dialog_id=WITH_BERT, reader_id=BERT, read_at=NOW))
    facts = (
        *FACTS,
        (back, sent(BERT, ANNA, "back")),
        read_up_to(BERT, 7),
        (after, sent(ANNA, BERT, "after")),
    )
    shown = await given(MESSAGES, *facts, again).delivered(dsn, times=2, batch=batch)
    assert {key: (each.state, each.read_at) for key, each in shown.items()} == {
        FIRST: ("read", NOW),
        SECOND: ("read", LATER),
        THIRD: ("unread", None),
        back: ("unread", None),
        after: ("unread", None),
    }
    assert (shown[SECOND].version, shown[SECOND].position) == (2, 10)
    assert await waiting(dsn) == [{WITH_CARL: 1, WITH_BERT: 1}, {WITH_BERT: 1}, {}]


@pytest.mark.parametrize("batch", [1, 500])
async def test_a_mark_before_a_message_leaves_it_and_one_after_all_leaves_nothing(dsn, batch):
    facts = (*FACTS, read_up_to(BERT, 3), read_up_to(BERT, 4), read_up_to(ANNA, 4))
    shown = await given(MESSAGES, *facts).delivered(dsn, times=2, batch=batch)
    assert (shown[SECOND].read_at, shown[THIRD].read_at) == (LATER, None)
    assert await waiting(dsn) == [{WITH_CARL: 1}, {}, {}]


@pytest.mark.parametrize("batch", [1, 500])
async def test_a_message_is_read_for_itself_alone(dsn, batch):
    shown = await given(MESSAGES, *FACTS).delivered(dsn, times=2, batch=batch)
    assert {key: (each.state, each.read_at) for key, each in shown.items()} == {
        FIRST: ("read", NOW),
        SECOND: ("unread", None),
        THIRD: ("unread", None),
    }


@pytest.mark.parametrize("at_once", [1, 500])
@pytest.mark.parametrize("batch", [1, 500])
async def test_who_was_forgotten_said_nothing_and_what_others_said_stays(dsn, batch, at_once, monkeypatch):
    monkeypatch.setattr("projections.projection.AT_ONCE", at_once)
    known = (ANNA, UserRegistered(email="anna@example.org", role="user"))
    facts = (known, *FACTS, (ANNA, UserErased(reason="asked for it")))
    messages = await given(MESSAGES, *facts).delivered(dsn, times=2, batch=batch)
    assert {key: each.text for key, each in messages.items()} == {FIRST: None, SECOND: None, THIRD: "three"}
    assert messages[FIRST].state == "read"


@pytest.mark.parametrize("batch", [1, 500])
async def test_a_dialog_forgets_what_was_said_last_by_who_was_forgotten_alone(dsn, batch):
    known = (ANNA, UserRegistered(email="anna@example.org", role="user"))
    facts = (known, *FACTS, (ANNA, UserErased(reason="asked for it")))
    shown = await given(DIALOGS, *facts).delivered(dsn, times=2, batch=batch)
    assert (shown[WITH_BERT].last_message.text, shown[WITH_CARL].last_message.text) == (None, "three")
    assert shown[WITH_BERT].last_message.id == SECOND
