"""Mails that follow from events: to whom, when, in which words, and never twice, whatever the server does."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from msgspec import structs

from domain.dialog.aggregate import dialog_id
from domain.dialog.events import DialogOpened, DialogRead
from domain.letter.events import (
    LetterChanged,
    LetterDrafted,
    LetterFellDue,
    LetterRegistered,
    LetterSigned,
    LetterWithdrawn,
)
from domain.message.events import MessageRead, MessageSent
from domain.shared import SYSTEM
from domain.user.events import (
    UserBlocked,
    UserChanged,
    UserDeactivated,
    UserErased,
    UserNotificationsChanged,
    UserPasswordChanged,
    UserPasswordReset,
    UserRegistered,
)
from infrastructure.bootstrap import System, running
from infrastructure.event_store import new_id
from infrastructure.operations import Operations
from infrastructure.postgres import connect
from tests import mailbox, servers
from tests.people import append
from tests.serving import Follower, settings
from tests.waiting import until
from workers import jobs
from workers.mail import MOST_ATTEMPTS
from workers.reactor import Reactor

pytestmark = pytest.mark.anyio
DAY = date(2026, 3, 15)
NOW = datetime.now(UTC)


@dataclass
class Post:
    """A whole Chancery that has a mail server, and how far its reactor has come."""

    system: System
    box: mailbox.Mailbox
    owner: psycopg.Connection
    follower: Follower
    position: int = 0

    async def age(self) -> None:
        """All that was written was written ten minutes ago, as the read models know."""
        await self.follower()
        async with self.system.pool.connection() as connection:
            await connection.execute(
                "update read.message set created_at = created_at - interval '10 minutes'"
            )

    async def person(self, *rights, **fields) -> UUID:
        user_id = new_id()
        told = {"email": f"{user_id}@example.org", "first_name": "Anna", "last_name": "Berg", "role": "user"}
        await append(self.system.store, user_id, UserRegistered(**told | fields))
        for right in rights:
            self.owner.execute(
                "insert into rights values (%s, 'user', %s, 'global', '*', %s, %s, false, null, null)",
                (uuid4(), user_id, *right.split(":")),
            )
        return user_id

    async def happens(self, stream_id, *events, expected=1) -> None:
        await append(self.system.store, stream_id, *events, expected=expected)

    async def follow(self, *, mail=True, times=1, **changed) -> None:
        """The reactor comes to the log's end."""
        system = self.system
        reactor = Reactor(
            system.log, None, system.dialogs, system.contracts, system.brought_letters, mail=mail
        )
        recorded = await system.log.open(await system.log.read(self.position, 1000))
        async with await connect(system.settings.database_url) as connection:
            for each in recorded * times:
                await reactor.react(connection, structs.replace(each, **changed))
        self.position = await system.log.head()

    async def deliver(self) -> None:
        """Whatever is queued is due now, and each has one attempt, with read models as far as the log."""
        await self.follower()
        await known(self.system)
        self.owner.execute("update operations set run_at = clock_timestamp(), offered_at = null")
        asked = Operations(self.system.pool)
        for operation_id in await asked.due():
            await jobs.perform(self.system, asked, operation_id)

    async def told(self, user_id) -> list:
        """What he has been sent, after all that is queued was delivered."""
        await self.follow()
        await self.deliver()
        return self.mails(user_id)

    def mails(self, user_id, address=None) -> list:
        return [each for each in self.box.mails if each["to"] == (address or f"{user_id}@example.org")]

    def queued(self, user_id) -> list:
        """(state, attempt, error) of the mails to him."""
        query = "select state, attempt, last_error from operations where about ->> 'user_id' = %s order by id"
        return self.owner.execute(query, (str(user_id),)).fetchall()


async def known(system) -> None:
    """The process has heard how far its read models are."""
    head = await system.log.head()
    await until(lambda: all(system.positions.known.get(name, 0) >= head for name in ("letter", "message")))


@pytest.fixture(scope="module")
async def chancery(cluster):
    async with mailbox.opened() as box:
        with (
            servers.database(cluster) as addresses,
            psycopg.connect(addresses.owner, autocommit=True) as owner,
        ):
            url = f"{box.url}?starttls=never"
            async with running(settings(addresses.app, "", smtp_url=url)) as system:
                follower = Follower(system)
                yield Post(system, box, owner, follower)
                await follower.close()


@pytest.fixture
async def post(chancery):
    """The same, with a server of good manners and nothing left to do."""
    chancery.box.says, chancery.box.keeps = {}, True
    chancery.system.mailer._breaker._failed = 0
    await chancery.follow(mail=False)
    yield chancery
    chancery.owner.execute("delete from operations")


# --- messages --------------------------------------------------------------------------------------------------


async def talking(post, *, sender=None):
    """Two with a dialog, and a way for the first to write to the other."""
    anna = await post.person() if sender is None else sender
    boris = await post.person(first_name="Boris", last_name="Ivanov")
    dialog = dialog_id(anna, boris)
    await post.happens(dialog, DialogOpened(user_ids=(anna, boris)), expected=0)

    async def write(text="Something private") -> UUID:
        message_id = new_id()
        sent = MessageSent(dialog_id=dialog, sender_id=anna, recipient_id=boris, text=text)
        await post.happens(message_id, sent, expected=0)
        return message_id

    return boris, dialog, write


async def looked_after(post, user_id) -> int:
    """How often he has been told when all that was sent is ten minutes old."""
    await post.follow()
    await post.age()
    await post.deliver()
    post.owner.execute("delete from operations")  # the next five minutes begin
    return len(post.mails(user_id))


async def test_a_message_that_was_not_read_is_told_of_after_a_while(post):
    boris, dialog, write = await talking(post)
    await write()
    await post.follow(times=2)
    operation_id, after, about = post.owner.execute(
        "select id, run_at - made_at, about from operations"
    ).fetchone()
    assert timedelta(minutes=9) < after <= timedelta(minutes=10, seconds=1)
    assert about == {"user_id": str(boris), "notice": "message.new", "dialog_id": str(dialog)}
    assert await looked_after(post, boris) == 1
    (mail,) = post.mails(boris)
    assert (mail["subject"], mail["message-id"]) == (
        "A message waits for you",
        f"<{operation_id}@testserver>",
    )
    said = mail.get_content()
    assert "Anna" in said
    assert f"/api/v1/dialogs/{dialog}/messages" in said
    assert "private" not in said


async def test_a_message_that_was_read_meanwhile_is_not_told_of(post):
    boris, dialog, write = await talking(post)
    one, other = await write(), await write()
    await post.happens(one, MessageRead(dialog_id=dialog, reader_id=boris, read_at=NOW))
    read = DialogRead(reader_id=boris, message_id=other, up_to=await post.system.log.head(), read_at=NOW)
    await post.happens(dialog, read)
    assert await looked_after(post, boris) == 0


async def test_a_message_of_just_now_is_left_to_those_who_are_there(post):
    boris, _, write = await talking(post)
    await write()
    assert await post.told(boris) == []


async def test_many_messages_in_a_while_are_looked_after_once_also_by_another_reactor(post):
    boris, _, write = await talking(post)
    for _ in range(5):
        await write()
    before = post.position
    for _ in range(2):
        post.position = before
        await post.follow(times=2, recorded_at=NOW)
    assert len(post.queued(boris)) == 1


async def test_one_is_told_of_a_dialog_once_until_one_has_read_it(post):
    boris, dialog, write = await talking(post)
    first = await write()
    await write()
    assert await looked_after(post, boris) == 1
    await write()
    assert await looked_after(post, boris) == 1
    read = DialogRead(reader_id=boris, message_id=first, up_to=await post.system.log.head(), read_at=NOW)
    await post.happens(dialog, read)
    await write()
    assert await looked_after(post, boris) == 2


async def test_what_chancery_itself_writes_is_told_of_and_nobody_tells_chancery(post):
    boris, _, write = await talking(post, sender=SYSTEM)
    await write("Contract C-7 was signed.")
    assert await looked_after(post, boris) == 1
    assert post.mails(boris)[0].get_content().startswith("Chancery has written to you")
    sent = MessageSent(dialog_id=dialog_id(SYSTEM, boris), sender_id=boris, recipient_id=SYSTEM, text="Ok")
    await post.happens(new_id(), sent, expected=0)
    await post.follow()
    assert post.queued(SYSTEM) == []


# --- letters ---------------------------------------------------------------------------------------------------

CAME = LetterRegistered(
    number="IN-2026-00042", organisation_ids=(uuid4(),), subject="Names", received_on=DAY, due_on=DAY
)


async def due(post, *people, first=CAME):
    letter_id, event = new_id(), LetterFellDue(due_on=DAY, user_ids=people)
    number = post.owner.execute("select count(*) + 1 from claims where kind = 'letter.number'").fetchone()[0]
    numbered = {"number": f"IN-2026-{number:05d}"} if isinstance(first, LetterRegistered) else {}
    first = structs.replace(first, **numbered)
    await post.happens(letter_id, first, event, expected=0)
    return letter_id, numbered.get("number")


async def test_who_answers_for_a_letter_is_told_that_it_is_due_in_his_language(post):
    anna, boris = await post.person("letter:view"), await post.person("letter:view")
    await post.happens(boris, UserNotificationsChanged(language="ru"))
    letter_id, number = await due(post, anna, boris)
    (english,) = await post.told(anna)
    assert english["subject"] == f"Letter {number} is due"
    assert "by 2026-03-15" in english.get_content()
    assert f"/api/v1/letters/{letter_id}" in english.get_content()
    assert "Names" not in english.get_content()
    (russian,) = post.mails(boris)
    assert russian["subject"] == f"Срок ответа на письмо {number}"
    assert "Вы сами выбираете" in russian.get_content()


async def test_a_draft_has_no_number_to_name(post):
    anna = await post.person("letter:view")
    await post.happens(anna, UserNotificationsChanged(language="fr"))
    await due(post, anna, first=LetterDrafted(organisation_ids=(uuid4(),), due_on=DAY))
    (mail,) = await post.told(anna)
    assert mail["subject"] == "La lettre (un brouillon) attend sa réponse"


@pytest.mark.parametrize("then", [LetterWithdrawn(reason="twice"), LetterChanged(due_on=date(2026, 4, 1))])
async def test_a_letter_that_is_not_due_any_more_is_not_told_of(post, then):
    anna = await post.person("letter:view")
    letter_id, _ = await due(post, anna)
    await post.happens(letter_id, then, expected=2)
    assert await post.told(anna) == []
    assert post.queued(anna) == [("done", 1, None)]


async def test_a_letter_that_was_answered_meanwhile_is_not_told_of(post):
    anna = await post.person("letter:view")
    letter_id, _ = await due(post, anna)
    await post.follow()
    draft = LetterDrafted(organisation_ids=(uuid4(),), parent_id=letter_id)
    signed = LetterSigned(number=f"OUT-2026-{post.position % 100_000:05d}", signed_on=DAY, signed_by=anna)
    await post.happens(new_id(), draft, signed, expected=0)
    await post.deliver()
    assert post.mails(anna) == []


async def test_who_may_not_view_the_letter_any_more_is_not_told(post):
    anna = await post.person("letter:view")
    await due(post, anna)
    post.owner.execute("delete from rights where subject_id = %s", (anna,))
    assert await post.told(anna) == []


# --- accounts --------------------------------------------------------------------------------------------------


async def test_a_new_password_and_a_reset_one_are_told(post):
    anna = await post.person()
    await post.happens(anna, UserPasswordChanged(), UserPasswordReset())
    subjects = {mail["subject"] for mail in await post.told(anna)}
    assert subjects == {"Your password was changed", "Your password was reset by staff"}


async def test_another_address_is_told_at_the_one_before(post):
    anna = await post.person()
    await post.happens(
        anna, UserChanged(phone="+33 1 40 20 50 50"), UserChanged(email=f"new-{anna}@example.org")
    )
    (mail,) = await post.told(anna)
    assert mail["subject"] == "Your account has another e-mail address now"
    assert post.mails(anna, f"new-{anna}@example.org") == []
    assert len(post.queued(anna)) == 1


# --- who is told nothing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "then",
    [
        UserBlocked(reason="left"),
        UserDeactivated(),
        UserErased(reason="asked for"),
        UserNotificationsChanged(mail=()),
        UserNotificationsChanged(mail=("message.new", "letter.due")),
    ],
)
async def test_who_is_blocked_gone_forgotten_or_does_not_want_it_is_told_nothing(post, then):
    anna = await post.person()
    await post.happens(anna, UserPasswordChanged())
    await post.follow()
    await post.happens(anna, then, expected=2)
    await post.deliver()
    assert post.mails(anna) == []
    assert post.queued(anna) == [("done", 1, None)]


async def test_an_account_without_an_address_is_told_nothing_and_one_of_no_use_is_given_up(post):
    nobody, odd = await post.person(email=None), await post.person(email="a<b@example.org")
    for each in (nobody, odd):
        await post.happens(each, UserPasswordChanged())
    await post.told(nobody)
    assert post.queued(nobody) == [("done", 1, None)]
    ((state, attempt, error),) = post.queued(odd)
    assert (state, attempt) == ("failed", 1)
    assert "NoAddress" in error
    assert "a<b" not in error


async def test_without_a_mail_server_none_is_queued(post):
    anna = await post.person()
    await post.happens(anna, UserPasswordChanged())
    await post.follow(mail=False)
    assert post.queued(anna) == []


async def test_what_happened_more_than_a_day_ago_is_not_told(post):
    anna = await post.person()
    await post.happens(anna, UserPasswordChanged())
    await post.follow(recorded_at=NOW - timedelta(days=1, minutes=1))
    assert post.queued(anna) == []


# --- never twice -----------------------------------------------------------------------------------------------


async def changed(post):
    anna = await post.person()
    await post.happens(anna, UserPasswordChanged())
    await post.follow()
    return anna


async def test_a_server_that_says_later_is_asked_later_with_the_same_message(post):
    anna = await changed(post)
    for word in ("RCPT", "DATA"):
        post.box.says, post.box.keeps = {word: "451 later"}, False
        await post.deliver()
    (operation_id,) = post.owner.execute("select id from operations").fetchone()
    assert [state for state, *_ in post.queued(anna)] == ["queued"]
    assert post.mails(anna) == []
    post.box.says = {}
    await post.deliver()
    (mail,) = post.mails(anna)
    assert mail["message-id"] == f"<{operation_id}@testserver>"
    assert post.queued(anna) == [("done", 3, None)]


async def test_pauses_grow_and_after_a_day_it_is_given_up(post):
    anna = await changed(post)
    post.box.says = {"RCPT": "450 later"}
    post.owner.execute("update operations set attempt = %s", (MOST_ATTEMPTS - 2,))
    await post.deliver()
    (pause,) = post.owner.execute("select run_at - clock_timestamp() from operations").fetchone()
    assert timedelta(minutes=59) < pause <= timedelta(hours=1)
    await post.deliver()
    assert post.queued(anna) == [("failed", MOST_ATTEMPTS, "NotNow: the envelope: 450")]


async def test_a_server_that_says_never_is_not_asked_again(post):
    anna = await changed(post)
    post.box.says = {"RCPT": f"550 5.1.1 no {anna}@example.org here"}
    await post.deliver()
    assert post.queued(anna) == [("failed", 1, "Refused: the envelope: 550")]


@pytest.mark.parametrize("kept", [True, False])
async def test_cut_off_after_the_mail_it_is_not_sent_again(post, kept):
    anna = await changed(post)
    post.box.says, post.box.keeps = {"DATA": mailbox.CUT}, kept
    await post.deliver()
    post.box.says = {}
    await post.deliver()
    assert len(post.mails(anna)) == int(kept)
    ((state, attempt, error),) = post.queued(anna)
    assert (state, attempt) == ("failed", 1)
    assert error.startswith("InDoubt")


async def test_a_worker_that_dies_over_the_mail_leaves_it_in_doubt(post):
    anna = await changed(post)
    asked = Operations(post.system.pool)
    (operation_id,) = await asked.due()
    taken = await asked.take(operation_id)
    assert await asked.hand_over(taken)
    post.owner.execute("update operations set leased_until = clock_timestamp() - interval '1 hour'")
    await post.deliver()
    assert post.mails(anna) == []
    ((state, attempt, error),) = post.queued(anna)
    assert (state, attempt) == ("failed", 2)
    assert error.startswith("InDoubt")


async def test_two_attempts_at_once_hand_it_over_once(post):
    await changed(post)
    asked = Operations(post.system.pool)
    (operation_id,) = await asked.due()
    frozen = await asked.take(operation_id)
    post.owner.execute("update operations set leased_until = clock_timestamp() - interval '1 hour'")
    second = await asked.take(operation_id)
    assert [await asked.hand_over(each) for each in (frozen, second)] == [False, True]


async def test_no_name_address_or_word_of_anybody_stands_in_the_queue(post):
    boris, _, write = await talking(post)
    await write()
    odd = await changed(post)
    post.box.says = {"RCPT": f"550 no {odd}@example.org here"}
    await post.age()
    await post.deliver()
    rows = str(post.owner.execute("select * from operations").fetchall()) + str(
        post.owner.execute("select * from mail_marks").fetchall()
    )
    assert str(boris) in rows
    assert not [word for word in ("@", "Boris", "Ivanov", "Anna", "Berg", "private") if word in rows]
