"""Mail on its way: whom the settings name, what a mail looks like, what becomes of it at servers of any manners."""

import asyncio
import socket
from datetime import UTC, datetime
from uuid import UUID

import pytest

from infrastructure.mail.delivery import InDoubt, Mailer, NotNow, Patience, Refused
from infrastructure.mail.server import server_of
from infrastructure.mail.writing import Mail, NoAddress, written
from infrastructure.neighbours import MAIL, Neighbours, neighbours
from infrastructure.registers.outside_calls import OutsideFailed
from infrastructure.settings import Settings
from infrastructure.tasks import end
from tests import mailbox
from tests.waiting import until

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
SENDER = "chancery@office.example"
ONE = UUID(int=1)
HASTY = Patience(reach=0.3)


def mail(to="anna@example.org", **fields):
    return Mail(**{"id": ONE, "to": to, "subject": "A message waits", "text": "Hello.\n"} | fields)


def mailer(url, patience=Patience()):  # noqa: B008 - frozen
    return Mailer(server_of(url), SENDER, lambda: NOW, patience)


async def yes():
    return True


# --- whom the settings name ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "host", "port", "security"),
    [
        ("smtp://mail.example", "mail.example", 25, "offered"),
        ("smtp://mail.example:2525/", "mail.example", 2525, "offered"),
        ("smtp://mail.example?starttls=never", "mail.example", 25, "never"),
        ("smtp://mail.example?starttls=required", "mail.example", 25, "required"),
        ("smtp://anna:secret@mail.example", "mail.example", 587, "required"),
        ("smtp://anna:secret@127.0.0.1:25", "127.0.0.1", 25, "offered"),
        ("smtp://anna:secret@localhost?starttls=never", "localhost", 587, "never"),
        ("smtps://anna:secret@mail.example", "mail.example", 465, "tls"),
        ("smtps://[::1]:4650", "::1", 4650, "tls"),
    ],
)
def test_a_password_travels_protected_and_tls_is_taken_where_it_is_offered(url, host, port, security):
    server = server_of(url)
    assert (server.host, server.port, server.security) == (host, port, security)


def test_user_and_password_are_percent_decoded_and_never_shown():
    server = server_of("smtps://an%40na:p%40ss%2Fw@mail.example")
    assert (server.user, server.password) == ("an@na", "p@ss/w")
    assert "p@ss" not in repr(server)
    assert "an@na" not in repr(server)


@pytest.mark.parametrize(
    "url",
    [
        "http://mail.example",
        "smtp://",
        "smtp://anna@mail.example",
        "smtp://:secret@mail.example",
        "smtp://mail.example/inbox",
        "smtp://mail.example?starttls=maybe",
        "smtp://mail.example?tls=yes",
        "smtps://mail.example?starttls=required",
        "smtp://anna:secret@mail.example?starttls=never",
        "smtp://anna:secret@mail.example?starttls=offered",
        "smtp://mail.example?ca=/nowhere/ca.pem",
        "smtp://mail.example:99999",
        "smtp://anna:secret",
        "smtp://anna:secret@mail.example\u2100",
        "smtps://anna:secret@[mail.example",
    ],
)
def test_a_url_that_makes_no_sense_is_refused_without_its_secrets(url):
    with pytest.raises(ValueError, match=r"\w") as refused:
        server_of(url)
    assert "secret" not in str(refused.value)


# --- what a mail looks like ------------------------------------------------------------------------------------


def test_headers_say_who_when_and_what_and_that_nobody_wrote_it():
    said = written(mail(), SENDER, NOW).content.decode()
    for line in (
        "From: Chancery <chancery@office.example>",
        "To: anna@example.org",
        "Subject: A message waits",
        "Date: Sun, 01 Mar 2026 09:30:00 +0000",
        f"Message-ID: <{ONE}@office.example>",
        "Auto-Submitted: auto-generated",
    ):
        assert f"\r\n{line}\r\n" in f"\r\n{said}"


@pytest.mark.parametrize("text", ["Hello.\n", "Вас ждёт сообщение\n", "..\n.\nà bientôt\n" + "x" * 3_000])
async def test_a_text_arrives_as_it_was_written(text):
    async with mailbox.opened() as box:
        await mailer(box.url).send(mail(subject="Écrit: Вас ждёт", text=text), yes)
    (got,) = box.mails
    assert (got["subject"], got.get_content().replace("\r\n", "\n")) == (
        "Écrit: Вас ждёт",
        text if text.endswith("\n") else f"{text}\n",
    )


@pytest.mark.parametrize(
    "to",
    [
        "anna@example.org\r\nBcc: all@example.org",
        "anna@example.org>\r\nDATA",
        "anna\n@example.org",
        "a b@example.org",
        "<anna>@example.org",
        '"anna"@example.org',
        "anna,boris@example.org",
        "anna@boris@example.org",
        "anna@exa mple.org",
        "anna@-example.org",
        "anna@",
        "@example.org",
        "anna",
        "",
        "anna\x00@example.org",
    ],
)
def test_nothing_gets_into_the_headers_or_the_envelope_by_an_address(to):
    with pytest.raises(NoAddress):
        written(mail(to=to), SENDER, NOW)


def test_a_subject_of_several_lines_is_a_mistake_of_ours():
    with pytest.raises(ValueError, match=r"linefeed or carriage return|newline"):
        written(mail(subject="One\r\nBcc: all@example.org"), SENDER, NOW)


async def test_a_domain_in_any_script_goes_as_the_dns_has_it():
    async with mailbox.opened() as box:
        await mailer(box.url).send(mail(to="anna@пример.рф"), yes)
    assert box.envelopes == [(SENDER, ["anna@xn--e1afmkfd.xn--p1ai"])]


async def test_a_local_part_in_any_script_needs_a_server_that_takes_it():
    async with mailbox.opened() as box:
        await mailer(box.url).send(mail(to="анна@пример.рф"), yes)
    assert box.envelopes == [(SENDER, ["анна@xn--e1afmkfd.xn--p1ai"])]
    assert str(box.mails[0]["to"]) == "анна@xn--e1afmkfd.xn--p1ai"


# --- servers of any manners ------------------------------------------------------------------------------------


async def refused(box, kind, says, **patience):
    """What sending raises, and whether the mail was handed over by then."""
    handed = []

    async def hand_over():
        handed.append(True)
        return True

    box.says = says
    with pytest.raises(kind) as raised:
        await mailer(box.url, Patience(**patience)).send(mail(), hand_over)
    return str(raised.value), bool(handed)


@pytest.mark.parametrize("word", ["MAIL", "RCPT"])
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("450 4.2.1 later, anna@example.org", NotNow),
        ("550 5.1.1 no anna@example.org here", Refused),
        (mailbox.CUT, OutsideFailed),
        ("999 what", OutsideFailed),
    ],
)
async def test_what_goes_wrong_before_the_mail_is_certainly_not_sent(word, answer, kind):
    async with mailbox.opened() as box:
        said, handed = await refused(box, kind, {word: answer})
        assert (handed, box.mails) == (False, [])
        assert "anna" not in said


@pytest.mark.parametrize("word", ["MAIL", "RCPT"])
async def test_a_server_that_hangs_before_the_mail_is_certainly_without_it(word):
    async with mailbox.opened() as box:
        _, handed = await refused(box, OutsideFailed, {word: mailbox.NEVER}, reach=0.3)
        assert (handed, box.mails) == (False, [])


@pytest.mark.parametrize(("answer", "kind"), [("451 4.3.0 busy", NotNow), ("554 5.7.1 spam", Refused)])
async def test_a_mail_that_the_server_says_no_to_was_not_taken(answer, kind):
    async with mailbox.opened() as box:
        box.keeps = False
        said, handed = await refused(box, kind, {"DATA": answer})
        assert (handed, said) == (True, f"the mail: {answer[:3]}")


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("answer", [mailbox.CUT, "999 what"])
async def test_without_an_answer_to_the_mail_nobody_knows(answer, keeps):
    async with mailbox.opened() as box:
        box.keeps = keeps
        _, handed = await refused(box, InDoubt, {"DATA": answer})
        assert (handed, len(box.mails)) == (True, int(keeps))


async def test_a_server_that_hangs_over_the_mail_is_not_waited_for_long_and_nobody_knows():
    async with mailbox.opened() as box:
        _, handed = await refused(box, InDoubt, {"DATA": mailbox.NEVER}, answer=0.3)
        assert handed


async def test_where_the_lease_is_lost_nothing_is_handed_over():
    async def no():
        return False

    async with mailbox.opened() as box:
        with pytest.raises(RuntimeError, match="lease"):
            await mailer(box.url).send(mail(), no)
        assert box.mails == []


async def test_nobody_there_is_told_and_after_five_times_nobody_asks_for_a_while():
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # taken, and not listening
        away = mailer(f"smtp://127.0.0.1:{reserved.getsockname()[1]}")
        for _ in range(5):
            with pytest.raises(OutsideFailed, match="to connect"):
                await away.send(mail(), yes)
        with pytest.raises(OutsideFailed, match="left alone"):
            await away.send(mail(), yes)


async def test_a_server_that_says_nothing_at_all_is_not_waited_for_long():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(OutsideFailed, match="to connect"):
            await mailer(f"smtp://127.0.0.1:{silent.getsockname()[1]}", HASTY).send(mail(), yes)


# --- protected -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """What a server shows, and the file that whoever believes it has."""
    return mailbox.certificate(tmp_path_factory.mktemp("mail"))


SIGNED_IN = f"{mailbox.USER}:p%40ss%20word%3A1"


async def test_tls_from_the_first_byte_with_user_and_password(shown):
    context, believed = shown
    async with mailbox.opened(over_tls=context, signing_in=True) as box:
        url = f"smtps://{SIGNED_IN}@127.0.0.1:{box.port}?ca={believed}"
        await mailer(url).send(mail(), yes)
        assert await mailer(url).probe() == "answers, over TLS, signed in"
    assert (len(box.mails), box.signed_in) == (1, [mailbox.USER] * 2)


async def test_starttls_comes_before_user_and_password(shown):
    context, believed = shown
    async with mailbox.opened(start_tls=context, signing_in=True) as box:
        url = f"smtp://{SIGNED_IN}@127.0.0.1:{box.port}?starttls=required&ca={believed}"
        await mailer(url).send(mail(), yes)
    assert (len(box.mails), box.signed_in) == (1, [mailbox.USER])


@pytest.mark.parametrize("options", ["starttls=required", "starttls=offered"])
async def test_a_certificate_that_nobody_vouches_for_is_not_believed(shown, options):
    context, _ = shown
    async with mailbox.opened(start_tls=context) as box:
        with pytest.raises(OutsideFailed, match="to connect"):
            await mailer(f"{box.url}?{options}").send(mail(), yes)
        assert box.mails == []


async def test_where_tls_is_required_and_not_offered_nothing_is_sent():
    async with mailbox.opened() as box:
        with pytest.raises(OutsideFailed, match="to connect"):
            await mailer(f"{box.url}?starttls=required").send(mail(), yes)
        assert box.mails == []


async def test_a_wrong_password_is_told_without_it_and_may_be_mended():
    async with mailbox.opened(signing_in=True) as box:
        wrong = mailer(f"smtp://chancery:wrong-one@127.0.0.1:{box.port}")
        with pytest.raises(OutsideFailed, match="535") as refused:
            await wrong.send(mail(), yes)
    assert "wrong-one" not in str(refused.value)


async def test_a_probe_says_how_it_is_and_sends_nothing():
    async with mailbox.opened() as box:
        assert await mailer(box.url).probe() == "answers, in the clear"
    assert (box.mails, box.asked) == ([], 0)


# --- whether it is there ---------------------------------------------------------------------------------------


def neighbour(url):
    return neighbours(Settings(smtp_url=url))[MAIL]


async def test_readyz_hears_whether_a_server_greets_and_says_goodbye_to_it(shown):
    context, believed = shown
    async with mailbox.opened() as box:
        assert await neighbour(box.url).alive()
        assert (box.asked, box.mails) == (0, [])
    assert not await neighbour(box.url).alive()
    async with mailbox.opened(over_tls=context) as box:
        assert await neighbour(f"smtps://127.0.0.1:{box.port}?ca={believed}").alive()
        assert not await neighbour(f"smtps://127.0.0.1:{box.port}").alive()


async def test_readyz_says_that_mail_is_not_set_up_and_otherwise_what_was_found():
    assert Neighbours(Settings()).alive == {MAIL: None}
    async with mailbox.opened() as box:
        watched = Neighbours(Settings(smtp_url=box.url))
        assert watched.alive == {}
        looking = asyncio.create_task(watched.run())
        await until(lambda: watched.alive == {MAIL: True})
        await end(looking)
