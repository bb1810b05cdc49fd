"""Dialogs and messages as the read models show them: always two, so that a lost condition is noticed."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from domain.dialog.aggregate import dialog_id
from domain.dialog.events import DialogOpened
from domain.message.events import MessageRead, MessageSent
from domain.user.events import UserErased, UserRegistered
from infrastructure.postgres import connect
from projections import dialog
from projections.dialog import DIALOGS
from projections.message import MESSAGES
from tests.scenario import given

pytestmark = pytest.mark.anyio

ANNA, BERT, CARL, FIRST, SECOND, THIRD = (UUID(int=number) for number in range(1, 7))
WITH_BERT, WITH_CARL = dialog_id(ANNA, BERT), dialog_id(ANNA, CARL)
NOW = datetime(2026, 5, 3, 10, 20, tzinfo=UTC)


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


@pytest.mark.parametrize("batch", [1, 500])
async def test_a_dialog_counts_for_each_side_what_waits_and_shows_what_was_said_last(dsn, batch):
    shown = await given(DIALOGS, *FACTS).delivered(dsn, times=2, batch=batch)
    bert, carl = shown[WITH_BERT], shown[WITH_CARL]
    assert (bert.waiting(ANNA), bert.waiting(BERT), bert.last_message.text) == (0, 1, "two")
    assert (carl.waiting(ANNA), carl.waiting(CARL), carl.last_message.text) == (1, 0, "three")
    async with await connect(dsn) as connection:
        assert await dialog.unread(connection, ANNA) == {WITH_CARL: 1}
        assert await dialog.unread(connection, CARL) == {}


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
    assert (shown[WITH_BERT].last_message.id, shown[WITH_BERT].waiting(BERT)) == (SECOND, 1)
