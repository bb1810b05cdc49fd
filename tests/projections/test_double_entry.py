"""Double entry, whatever happened: debits are credits at every position, and every sum follows from the events."""

from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal
from random import Random

import pytest

from domain.contract.aggregate import CONTRACT
from domain.contract.commands import (
    AmendContract,
    CancelContract,
    DraftContract,
    IssueCreditNote,
    IssueInvoice,
    RecordPayment,
    ReversePayment,
    SignContract,
)
from domain.contract.events import Credited, Invoiced, MoneyEvent, Particulars, PaymentRecorded
from domain.money import Money
from domain.shared import DomainError
from infrastructure.event_store import new_id
from infrastructure.papers.books import Books
from projections.ledger import LEDGER
from tests.scenario import GivenFacts

pytestmark = pytest.mark.anyio

NOW, DAY = datetime(2026, 5, 3, 10, 20, tzinfo=UTC), date(2026, 5, 3)
ANNA, ALPHA, BETA = new_id(), new_id(), new_id()
SELLER, BUYER = Particulars(name="Office", address="1 Quay"), Particulars(name="Alpha")
STEPS = 250


def wish(random, contract_id, contract, number):
    """Anything one may ask of a contract's money, sensible or not."""
    account, currency = contract.paper.account, contract.paper.terms.amount.currency
    amount = Money(amount=Decimal(random.randint(-5, 400)), currency=currency)
    match random.randrange(8):
        case 0:
            return SignContract(contract_id=contract_id, signed_by=ANNA, now=NOW)
        case 1 | 2:
            return RecordPayment(payment_id=new_id(), amount=amount, paid_on=DAY, now=NOW)
        case 3:
            return ReversePayment(payment_id=random.choice([*account.payments, new_id()]), reason="so")
        case 4 | 5:
            return IssueInvoice(
                invoice_id=new_id(),
                number=f"F-2026-{number:06d}",
                series="F",
                amount=amount,
                issued_on=DAY,
                seller=SELLER,
                buyer=BUYER,
            )
        case 6:
            return IssueCreditNote(
                credit_note_id=new_id(),
                number=f"AV-2026-{number:06d}",
                invoice_id=random.choice([*account.invoices, new_id()]),
                amount=random.choice([None, amount]),
                issued_on=DAY,
            )
        case _:
            return random.choice([AmendContract(amount=amount, reason="so"), CancelContract(reason="so")])


def happened(seed):
    """What the rules let happen to six contracts of two organisations in two currencies, in some order."""
    random, facts, contracts = Random(seed), [], {}
    for nth in range(6):
        organisation_id = (ALPHA, BETA)[nth % 2]
        amount = Money(amount=Decimal(1000), currency="JPY" if nth > 3 else "EUR")
        drafted = CONTRACT.decide(
            CONTRACT.initial, DraftContract(kind="sale", organisation_id=organisation_id, amount=amount)
        )
        key = new_id()
        facts += [(key, event) for event in drafted]
        contracts[key] = CONTRACT.evolve(CONTRACT.initial, drafted[0])
    for number in range(1, STEPS + 1):
        key = random.choice(list(contracts))
        try:
            events = CONTRACT.decide(contracts[key], wish(random, key, contracts[key], number))
        except DomainError:
            continue
        for event in events:
            facts.append((key, event))
            contracts[key] = CONTRACT.evolve(contracts[key], event)
    return facts


class Entries(GivenFacts):
    """The postings in order, and the sums of each party."""

    async def shown(self, connection):
        lines = sorted((await super().shown(connection)).values(), key=lambda line: line.position)
        rows = await connection.execute(
            "select organisation_id, contact_id, currency, amount, paid, invoiced from read.balance"
        )
        return lines, {tuple(key): sums async for *key, a, b, c in rows for sums in [(a, b, c)]}


@pytest.mark.parametrize("seed", range(5))
async def test_debits_are_credits_at_every_position_and_sums_follow_from_the_events(dsn, seed):
    facts = happened(seed)
    lines, sums = await Entries(LEDGER, facts).delivered(dsn, batch=7)
    money = [
        (position, key, event)
        for position, (key, event) in enumerate(facts, 1)
        if isinstance(event, MoneyEvent)
    ]
    assert [line.position for line in lines] == [position for position, _, _ in money]
    assert {type(event) for _, _, event in money} >= {Invoiced, Credited, PaymentRecorded}, "a dull seed"
    debits, credits_, owed = (defaultdict(Decimal) for _ in range(3))
    books = Books()
    for line in lines:
        currency = line.amount.currency
        debits[currency, line.debit_account] += line.amount.amount
        credits_[currency, line.credit_account] += line.amount.amount
        owed[currency, line.organisation_id] = line.balance.amount
        for each in {currency for currency, _ in owed}:
            debited = sum(amount for (of, _), amount in debits.items() if of == each)
            assert debited == sum(amount for (of, _), amount in credits_.items() if of == each)
            receivable = debits[each, "receivable"] - credits_[each, "receivable"]
            assert receivable == sum(amount for (of, _), amount in owed.items() if of == each)
    for key, event in facts:
        assert [each for each in books.take(key, event) if "was given out" not in each] == []
    assert sums == books.balances()
    assert {(who, of): amount for (of, who), amount in owed.items()} == {
        party: amount for party, (amount,) in books.owed.items()
    }
