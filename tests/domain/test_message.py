"""Dialogs' and messages' three questions: what follows, who is refused, and when nothing changes."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from domain.dialog.aggregate import DIALOG, DialogUnknown, DialogWithOneself, dialog_id
from domain.dialog.commands import OpenDialog, ReadUpTo
from domain.dialog.events import DialogOpened, DialogRead
from domain.message.aggregate import MESSAGE, MessageEmpty, MessageNotToYou, MessageUnknown
from domain.message.commands import ReadMessage, SendMessage
from domain.message.events import MessageRead, MessageSent
from tests.scenario import given

ANNA, BERT, FILE = UUID(int=1), UUID(int=2), UUID(int=3)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
SIDES = {"dialog_id": dialog_id(ANNA, BERT), "sender_id": ANNA, "recipient_id": BERT}
SENT = MessageSent(**SIDES, text="Hello")
OPENED = DialogOpened(user_ids=(ANNA, BERT))
READ = MessageRead(dialog_id=SIDES["dialog_id"], reader_id=BERT, read_at=NOW)


def test_a_dialog_is_opened_once_by_either():
    opened = DialogOpened(user_ids=(ANNA, BERT))
    given(DIALOG).when(OpenDialog(user_id=ANNA, with_user_id=BERT)).then(opened)
    given(DIALOG, opened).when(OpenDialog(user_id=BERT, with_user_id=ANNA)).then_nothing()


def test_a_pair_has_one_dialog_whoever_asks():
    assert dialog_id(ANNA, BERT) == dialog_id(BERT, ANNA) != dialog_id(ANNA, uuid4())


def test_nobody_speaks_with_himself():
    given(DIALOG).when(OpenDialog(user_id=ANNA, with_user_id=ANNA)).then_refused(DialogWithOneself)


@pytest.mark.parametrize(
    "content", [{"text": "Hello"}, {"attachments": (FILE,)}, {"text": "a", "attachments": (FILE,)}]
)
def test_a_message_is_sent_with_text_or_files(content):
    given(MESSAGE).when(SendMessage(**SIDES, **content)).then(MessageSent(**SIDES, **content))


def test_an_empty_message_is_not_sent():
    given(MESSAGE).when(SendMessage(**SIDES)).then_refused(MessageEmpty)


def test_the_recipient_reads_it_once():
    given(MESSAGE, SENT).when(ReadMessage(now=NOW, reader_id=BERT)).then(READ)
    given(MESSAGE, SENT, READ).when(ReadMessage(now=NOW, reader_id=BERT)).then_nothing()


@pytest.mark.parametrize("before", [(SENT,), (SENT, READ)])
def test_the_sender_does_not_read_his_own(before):
    given(MESSAGE, *before).when(ReadMessage(now=NOW, reader_id=ANNA)).then_refused(MessageNotToYou)


def test_what_was_read_with_a_later_one_is_not_read_again():
    given(MESSAGE, SENT).when(ReadMessage(now=NOW, reader_id=BERT, read_before=True)).then_nothing()


def up_to(position: int, reader: UUID = BERT) -> ReadUpTo:
    return ReadUpTo(now=NOW, reader_id=reader, message_id=FILE, up_to=position)


def read(position: int, reader: UUID = BERT) -> DialogRead:
    return DialogRead(reader_id=reader, message_id=FILE, up_to=position, read_at=NOW)


def test_each_side_reads_for_itself_and_never_back():
    given(DIALOG, OPENED).when(up_to(7)).then(read(7))
    given(DIALOG, OPENED, read(7)).when(up_to(9)).then(read(9))
    given(DIALOG, OPENED, read(7)).when(up_to(5, ANNA)).then(read(5, ANNA))
    given(DIALOG, OPENED, read(5, ANNA), read(7)).when(up_to(5, ANNA)).then_nothing()
    given(DIALOG, OPENED, read(5, ANNA), read(7)).when(up_to(6)).then_nothing()


@pytest.mark.parametrize("before", [(), (OPENED,)])
def test_a_dialog_is_read_by_its_two_alone(before):
    given(DIALOG, *before).when(up_to(7, FILE)).then_refused(DialogUnknown)


def test_what_was_not_sent_is_not_read():
    given(MESSAGE).when(ReadMessage(now=NOW, reader_id=BERT)).then_refused(MessageUnknown)
