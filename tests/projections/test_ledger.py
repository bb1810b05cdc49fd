"""The ledger, payments and invoices as read models: sums that follow what happens, twice delivered or not."""

from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from domain.contract.events import (
    ContractAmended,
    ContractCanceled,
    ContractChanged,
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
from projections.contract import CONTRACTS
from projections.invoice import INVOICES
from projections.ledger import LEDGER
from projections.payment import PAYMENTS
from tests.scenario import GivenFacts, given

pytestmark = pytest.mark.anyio

ALPHA, BETA, ANNA, BORIS, PAYMENT, OTHER, BILL, NOTE = (UUID(int=number) for number in range(1, 9))
NOW = datetime(2026, 5, 3, 10, 20, tzinfo=UTC)
DAY = date(2026, 5, 3)


def euros(amount):
    return Money(amount=Decimal(amount), currency="EUR")


def drafted(amount="100.00", organisation_id=ALPHA, contact_id=ANNA, currency="EUR"):
    return ContractDrafted(
        kind="sale",
        organisation_id=organisation_id,
        contact_id=contact_id,
        amount=Money(amount=Decimal(amount), currency=currency),
    )


SIGNED = ContractSigned(signed_by=BORIS, signed_at=NOW, signed_version=1, document_sha256="0" * 64)


def paid(amount, payment_id=PAYMENT):
    return PaymentRecorded(payment_id=payment_id, amount=euros(amount), paid_on=DAY, reference="VIR")


def reversed_(amount, payment_id=PAYMENT):
    return PaymentReversed(payment_id=payment_id, amount=euros(amount), reason="bounced")


def invoiced(amount, invoice_id=BILL, number="F-2026-000001"):
    return Invoiced(
        invoice_id=invoice_id,
        number=number,
        series="F",
        amount=euros(amount),
        issued_on=DAY,
        organisation_id=ALPHA,
        seller=Particulars(name="Office", address="1 Quay"),
        buyer=Particulars(name="Alpha"),
        title="Site",
    )


def credited(amount):
    return Credited(
        credit_note_id=NOTE,
        number="AV-2026-000001",
        invoice_id=BILL,
        invoice_number="F-2026-000001",
        amount=euros(amount),
        issued_on=DAY,
    )


class Balances(GivenFacts):
    """What the sums are, instead of the postings."""

    async def shown(self, connection):
        rows = await connection.execute(
            "select organisation_id, contact_id, currency, amount, paid, invoiced from read.balance"
        )
        return {tuple(key): tuple(map(str, sums)) async for *key, a, b, c in rows for sums in [(a, b, c)]}


def balances(*facts):
    return Balances(LEDGER, facts)


@pytest.mark.parametrize("batch", [1, 3, 500])
async def test_what_an_organisation_owes_is_kept_posting_by_posting(dsn, batch):
    one, two = new_id(), new_id()
    facts = [
        (one, drafted()),
        (two, drafted("50.00")),
        (one, SIGNED),
        (two, SIGNED),
        (one, invoiced("80.00")),
        (one, paid("30.00")),
        (two, paid("50.00", OTHER)),
        (one, credited("10.00")),
        (one, reversed_("30.00")),
    ]
    shown = await given(LEDGER, *facts).delivered(dsn, times=2, batch=batch)
    lines = sorted(shown.values(), key=lambda line: line.position)
    assert [(line.kind, str(line.amount.amount), str(line.balance.amount)) for line in lines] == [
        ("invoice", "80.00", "80.00"),
        ("payment", "30.00", "50.00"),
        ("payment", "50.00", "0.00"),
        ("credit_note", "10.00", "-10.00"),
        ("reversal", "30.00", "20.00"),
    ]
    assert [(line.debit_account, line.credit_account) for line in lines] == [
        ("receivable", "revenue"),
        ("cash", "receivable"),
        ("cash", "receivable"),
        ("revenue", "receivable"),
        ("receivable", "cash"),
    ]
    assert lines[0].number == "F-2026-000001"
    assert lines[1].reference == "VIR"


@pytest.mark.parametrize("batch", [1, 2, 500])
async def test_sums_are_kept_of_organisation_and_contact_and_currency(dsn, batch):
    one, two, three = new_id(), new_id(), new_id()
    facts = [
        (one, drafted()),
        (two, drafted("7", contact_id=None, currency="JPY")),
        (three, drafted("1.00", BETA)),
        (one, SIGNED),
        (two, SIGNED),
        (one, paid("30.00")),
        (one, invoiced("80.00")),
        (one, ContractAmended(amount=euros("90.00"), reason="less")),
    ]
    assert await balances(*facts).delivered(dsn, times=2, batch=batch) == {
        (ALPHA, None, "EUR"): ("90.00", "30.00", "80.00"),
        (ALPHA, ANNA, "EUR"): ("90.00", "30.00", "80.00"),
        (ALPHA, None, "JPY"): ("7", "0", "0"),
    }, "what is not signed counts nowhere"


@pytest.mark.parametrize("batch", [1, 500])
async def test_a_contract_that_gets_another_contact_or_is_canceled_takes_its_sums_along(dsn, batch):
    one, two = new_id(), new_id()
    facts = [
        (one, drafted()),
        (one, SIGNED),
        (one, paid("30.00")),
        (one, ContractChanged(contact_id=BORIS)),
        (two, drafted()),
        (two, SIGNED),
        (two, ContractCanceled(reason="no")),
    ]
    assert await balances(*facts).delivered(dsn, batch=batch) == {
        (ALPHA, None, "EUR"): ("100.00", "30.00", "0.00"),
        (ALPHA, BORIS, "EUR"): ("100.00", "30.00", "0.00"),
    }


async def test_a_contract_shows_what_is_paid_invoiced_and_remains(dsn):
    one, other = new_id(), new_id()
    facts = [
        (one, drafted()),
        (other, drafted()),
        (one, SIGNED),
        (one, paid("30.00")),
        (one, invoiced("80.00")),
    ]
    shown = await given(CONTRACTS, *facts, (one, credited("10.00"))).delivered(dsn, times=2)
    assert (shown[one].paid, shown[one].remaining, shown[one].invoiced, shown[one].balance) == (
        euros("30.00"),
        euros("70.00"),
        euros("70.00"),
        euros("40.00"),
    ), "of 70 invoiced 30 are paid"
    assert (shown[other].paid, shown[other].remaining, shown[other].balance) == (
        euros("0.00"),
        euros("100.00"),
        euros("0.00"),
    )


async def test_a_reversal_and_an_amendment_move_what_remains(dsn):
    one = new_id()
    facts = [
        (one, drafted()),
        (one, SIGNED),
        (one, paid("30.00")),
        (one, reversed_("30.00")),
        (one, paid("5.00", OTHER)),
    ]
    amended = ContractAmended(amount=euros("20.00"), reason="less")
    shown = await given(CONTRACTS, *facts, (one, amended)).delivered(dsn)
    assert (shown[one].paid, shown[one].remaining) == (euros("5.00"), euros("15.00"))


async def test_an_unsigned_contract_may_change_its_currency(dsn):
    one = new_id()
    yen = Money(amount=Decimal(7), currency="JPY")
    shown = await given(CONTRACTS, (one, drafted()), (one, ContractChanged(amount=yen))).delivered(dsn)
    assert shown[one].remaining == yen
    assert shown[one].paid == Money(amount=Decimal(0), currency="JPY")


async def test_a_payment_stays_when_it_is_reversed(dsn):
    one, two = new_id(), new_id()
    facts = [(one, drafted()), (one, SIGNED), (one, paid("30.00")), (two, drafted()), (two, SIGNED)]
    facts += [(two, paid("1.00", OTHER)), (one, reversed_("30.00"))]
    shown = await given(PAYMENTS, *facts).delivered(dsn, times=2)
    assert {key: each.state for key, each in shown.items()} == {PAYMENT: "reversed", OTHER: "recorded"}
    assert shown[PAYMENT].reverse_reason == "bounced"
    assert (shown[PAYMENT].contract_id, shown[PAYMENT].amount) == (one, euros("30.00"))


async def test_an_invoice_shows_its_credit_notes_and_closes_when_nothing_is_left(dsn):
    one, second = new_id(), new_id()
    facts = [(one, drafted()), (one, SIGNED), (one, invoiced("50.00"))]
    facts += [(one, invoiced("50.00", second, "F-2026-000002")), (one, credited("20.00"))]
    shown = await given(INVOICES, *facts).delivered(dsn, times=2)
    assert (shown[BILL].state, shown[BILL].credited, shown[second].state) == (
        "partly_credited",
        euros("20.00"),
        "issued",
    )
    assert [note.number for note in shown[BILL].credit_notes] == ["AV-2026-000001"]


async def test_an_invoice_wholly_credited_is_not_open(dsn):
    one = new_id()
    facts = [(one, drafted()), (one, SIGNED), (one, invoiced("50.00")), (one, credited("50.00"))]
    shown = await given(INVOICES, *facts).delivered(dsn)
    assert (shown[BILL].state, shown[BILL].open) == ("credited", False)
