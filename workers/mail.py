"""Mails that follow from events: written when they are sent, from what is true and wanted then."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from functools import partial, reduce
from uuid import UUID

from application.access import may
from application.letter_thread import VIEW, within
from application.reactions import AWAY
from domain.shared import SYSTEM, Actor
from domain.user.account import Account, Active, User
from domain.user.aggregate import USER
from domain.user.notifications import ACCOUNT, LETTER_DUE, MESSAGE_NEW, chosen
from infrastructure.bootstrap import System, clock
from infrastructure.mail import texts
from infrastructure.mail.delivery import InDoubt, NotNow
from infrastructure.mail.texts import Text
from infrastructure.mail.writing import Mail
from infrastructure.operations import Operations, Taken
from infrastructure.registers.outside_calls import OutsideFailed
from projections.letter import LETTERS
from projections.message import MESSAGES, oldest_unread

MOST_ATTEMPTS = 34
"""The last some 24 hours after the first: notices that are older help nobody."""


class To:
    """Whom a mail is for, as he is now, and what it is about."""

    def __init__(self, system: System, user_id: UUID, user: Account, taken: Taken) -> None:
        self.system, self.id, self.user = system, user_id, user
        self.operation_id, self.about = taken.id, taken.about
        self.language = texts.in_language(user.language)
        self.address = user.email

    def link(self, path: str) -> str:
        return f"{self.system.settings.base_url}/api/v1{path}"


async def send(system: System, taken: Taken) -> None:
    """Raises NotNow, OutsideFailed, Behind: to be tried again; Refused, NoAddress, InDoubt: never."""
    if system.mailer is None:  # its setting was taken away since
        return
    if taken.handed_over:
        raise InDoubt("an attempt before this one did not live to hear whether it was taken")
    to = await _recipient(system, taken)
    text = None if to is None else await WRITERS[taken.about["notice"]](to)
    if to is None or text is None or to.address is None:
        return
    foot = texts.FOOT[to.language].format(link=to.link("/me/notifications"))
    mail = Mail(id=taken.id, to=to.address, subject=text.subject, text=f"{text.body}\n-- \n{foot}\n")
    operations = Operations(system.pool)
    try:
        await system.mailer.send(mail, partial(operations.hand_over, taken))
    except (NotNow, OutsideFailed):
        await operations.hand_back(taken)
        raise


async def _recipient(system: System, taken: Taken) -> To | None:
    """None: he is blocked, gone or forgotten, or does not want to be told."""
    user_id = UUID(taken.about["user_id"])
    user: User = (await system.store.load(USER, user_id, fresh=True)).state
    if not isinstance(user, Active) or taken.about["notice"] not in chosen(user.mail):
        return None
    return To(system, user_id, user, taken)


async def message_new(to: To) -> Text | None:
    """He is told of the first that he has not read for a while, and of no other before he has. Raises Behind."""
    system, dialog_id = to.system, UUID(to.about["dialog_id"])
    await system.reached(MESSAGES.name, await system.log.head())
    async with system.pool.connection() as connection:
        message = await oldest_unread(connection, dialog_id, to.id)
        if message is None or message.sent_at > clock() - AWAY:
            return None
        cursor = await connection.execute(MARK, (to.id, dialog_id, message.id, to.operation_id))
        if cursor.rowcount == 0:  # another has told him
            return None
    text = texts.MESSAGE[to.language]
    link = to.link(f"/dialogs/{dialog_id}/messages")
    return text.filled(sender=await _name(to, message.sender_id), link=link)


MARK = b"""insert into mail_marks as m (user_id, dialog_id, message_id, operation_id) values (%s, %s, %s, %s)
  on conflict (user_id, dialog_id) do update set message_id = excluded.message_id, operation_id = excluded.operation_id
  where m.message_id <> excluded.message_id or m.operation_id = excluded.operation_id"""


async def _name(to: To, user_id: UUID) -> str:
    if user_id == SYSTEM:
        return "Chancery"
    sender: User = (await to.system.store.load(USER, user_id)).state
    if not isinstance(sender, Account):
        return texts.NOBODY[to.language]
    names = " ".join(filter(None, (sender.first_name, sender.last_name)))
    return sender.display_name or names or texts.NOBODY[to.language]


async def letter_due(to: To) -> Text | None:
    """Whoever may not view it any more is not told, nor anybody of one that has its answer, or another day, by now.

    Raises Behind.
    """
    letter_id, system = UUID(to.about["letter_id"]), to.system
    await system.reached(LETTERS.name, await system.log.head())
    letter = LETTERS.decode((await system.records[LETTERS.name](letter_id)).view)
    caller = await system.actors.caller(Actor(kind="user", id=to.id))
    if caller is None or may(caller, VIEW, within(letter.organisation_ids), clock()) is None:
        return None
    if letter.awaited_on != date.fromisoformat(to.about["due_on"]):
        return None
    number, text = letter.number or texts.DRAFT[to.language], texts.LETTER[to.language]
    return text.filled(number=number, day=to.about["due_on"], link=to.link(f"/letters/{letter_id}"))


async def account(to: To) -> Text | None:
    what = to.about["what"]
    if what == "email_changed":
        to.address = await _address_before(to)
    return texts.ACCOUNT[what][to.language]


async def _address_before(to: To) -> str | None:
    past = [each.event for each in await to.system.recorded(to.id) if each.version < to.about["version"]]
    before: User = reduce(USER.evolve, past, USER.initial)  # type: ignore[arg-type]
    return before.email if isinstance(before, Account) else None


WRITERS: Mapping[str, Callable[[To], Awaitable[Text | None]]] = {
    MESSAGE_NEW: message_new,
    LETTER_DUE: letter_due,
    ACCOUNT: account,
}
