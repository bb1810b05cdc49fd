"""`chancery doctor` on mail: not set up, well, away, and what was given up."""

import asyncio

import psycopg
import pytest

from cli import doctor
from infrastructure.settings import Settings
from tests import mailbox

pytestmark = pytest.mark.anyio


async def found(**settings):
    """What it says, by name."""
    findings = await asyncio.to_thread(lambda: list(doctor.mail(Settings(**settings))))
    return {each.what: each for each in findings}


async def test_that_mail_is_not_set_up_is_said_and_no_fault():
    ((what, finding),) = (await found()).items()
    assert (what, finding.well, finding.said) == ("mail", True, "not set up: none is queued or sent")


async def test_a_server_that_takes_our_password_is_well():
    async with mailbox.opened(signing_in=True) as box:
        url = f"smtp://{mailbox.USER}:p%40ss%20word%3A1@127.0.0.1:{box.port}"
        finding = (await found(smtp_url=url, mail_from="office@example.org"))["mail"]
    assert (finding.well, finding.said) == (True, "answers, in the clear, signed in, from office@example.org")


async def test_what_is_wrong_is_said_without_the_password():
    async with mailbox.opened(signing_in=True) as box:
        finding = (await found(smtp_url=f"smtp://{mailbox.USER}:wrong-one@127.0.0.1:{box.port}"))["mail"]
    assert (finding.well, "535" in finding.said) == (False, True)
    assert "wrong-one" not in str(finding)
    assert not (await found(smtp_url=box.url))["mail"].well


async def test_mails_that_were_given_up_today_are_counted(dsn, owner_dsn):
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        owner.execute(
            "insert into operations (id, kind, about, state, ended_at) select gen_random_uuid(), kind, '{}', 'failed',"
            " now() - ago from (values ('mail.send', interval '1 hour'), ('mail.send', interval '2 days'),"
            " ('export.run', interval '1 hour')) as v(kind, ago)"
        )
    async with mailbox.opened() as box:
        finding = (await found(smtp_url=box.url, database_url=dsn))["mail given up"]
    assert (finding.well, finding.said) == (False, "1 in 24 hours")
