"""`chancery ledger verify` as an operator types it: what is right, what somebody has tampered with, what is missing."""

import asyncio
import os
from datetime import UTC, date, datetime
from decimal import Decimal

import psycopg
import pytest
from click.testing import CliRunner

from cli.main import chancery
from domain.contract.events import (
    ContractDrafted,
    ContractSigned,
    Credited,
    Invoiced,
    Particulars,
    PaymentRecorded,
    PaymentReversed,
)
from domain.money import Money
from infrastructure.event_store import new_id
from infrastructure.postgres import connect
from projections.contract import CONTRACTS
from projections.ledger import LEDGER
from tests import people
from tests.store import open_store
from workers import checkpoint

ALPHA, ANNA, PAYMENT, BILL = new_id(), new_id(), new_id(), new_id()
NOW = datetime(2026, 5, 3, 10, 20, tzinfo=UTC)


def euros(amount):
    return Money(amount=Decimal(amount), currency="EUR")


def invoiced(number, invoice_id=BILL):
    return Invoiced(
        invoice_id=invoice_id,
        number=number,
        series="F",
        amount=euros("80.00"),
        issued_on=NOW.date(),
        organisation_id=ALPHA,
        seller=Particulars(name="Office", address="1 Quay"),
        buyer=Particulars(name="Alpha"),
    )


PAST = [
    ContractDrafted(kind="sale", organisation_id=ALPHA, contact_id=ANNA, amount=euros("100.00")),
    ContractSigned(signed_by=ANNA, signed_at=NOW, signed_version=1, document_sha256="0" * 64),
    PaymentRecorded(payment_id=PAYMENT, amount=euros("30.00"), paid_on=date(2026, 5, 3)),
    invoiced("F-2026-000001"),
    PaymentReversed(payment_id=PAYMENT, amount=euros("30.00"), reason="bounced"),
    Credited(
        credit_note_id=new_id(),
        number="AV-2026-000001",
        invoice_id=BILL,
        invoice_number="F-2026-000001",
        amount=euros("10.00"),
        issued_on=NOW.date(),
    ),
    PaymentRecorded(payment_id=new_id(), amount=euros("50.00"), paid_on=date(2026, 5, 4)),
]


async def fill(dsn, events, models=(CONTRACTS, LEDGER)):
    async with open_store(dsn) as (store, log):
        await people.append(store, new_id(), *events)
        async with await connect(dsn) as connection:
            for model in models:
                await checkpoint.begin(connection, model, "read")
                at = await checkpoint.load(connection, model.name, "read")
                while stored := await log.read(at.position, 500):
                    at = await checkpoint.advance(connection, model, "read", at, await log.open(stored))


@pytest.fixture
def verify(dsn, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CHANCERY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CHANCERY_DATABASE_URL", dsn)
    return lambda: CliRunner().invoke(chancery, ["ledger", "verify"])


def test_right_figures_are_said_to_be_right(dsn, verify):
    asyncio.run(fill(dsn, PAST))
    asyncio.run(fill(dsn, [PAST[0]]))
    result = verify()
    assert (result.exit_code, result.output) == (
        0,
        "ok: 2 contracts, 2 numbers without a gap, debits and credits the same\n",
    )


MISSTATED = """update read.ledger set view = convert_to(
  jsonb_set(convert_from(view, 'UTF8')::jsonb, '{balance,amount}', '"7.00"')::text, 'UTF8')"""


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("update read.contract set remaining = 0 where paid > 0", "contract"),
        ("update read.balance set paid = paid + 1 where contact_id is null", "balance"),
        ("delete from read.balance where contact_id is not null", "missing"),
        ("update read.ledger set amount = amount + 1 where kind = 'invoice'", "account"),
        ("delete from read.ledger where kind = 'reversal'", "account"),
        (MISSTATED, "statement of"),
    ],
)
def test_what_somebody_changed_is_named(dsn, owner_dsn, verify, harm, said):
    asyncio.run(fill(dsn, PAST))
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert connection.execute(harm).rowcount > 0
    result = verify()
    assert result.exit_code == 2
    assert said in result.output
    assert "differ from the log" in result.output


def test_a_gap_in_the_numbers_and_too_much_money_are_found_in_the_log_itself(dsn, verify):
    asyncio.run(fill(dsn, [*PAST[:2], invoiced("F-2026-000002"), invoiced("F-2026-000003", new_id())]))
    result = verify()
    assert result.exit_code == 2
    assert "F-2026-000002 was given out where F-2026 was at 1" in result.output
    assert "has 160.00 invoiced of 100.00" in result.output


def test_read_models_that_lag_are_compared_where_they_are(dsn, verify):
    asyncio.run(fill(dsn, PAST))
    asyncio.run(fill(dsn, PAST[:2], models=(CONTRACTS,)))
    assert verify().exit_code == 0


def test_without_read_models_nothing_is_called_right(dsn, verify):
    asyncio.run(fill(dsn, PAST, models=(CONTRACTS,)))
    result = verify()
    assert result.exit_code == 3
    assert "no read model yet of: ledger" in result.output


def test_without_a_database_nothing_is_called_right(verify, monkeypatch):
    monkeypatch.delenv("CHANCERY_DATABASE_URL")
    assert verify().exit_code == 3
