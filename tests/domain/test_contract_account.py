"""Payments, invoices and credit notes of a contract: the right events, every no, and quiet where nothing is to do."""

from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest
from hypothesis import given as whatever
from hypothesis import strategies as st

from domain.contract.aggregate import CONTRACT
from domain.contract.commands import (
    AmendContract,
    ArchiveContract,
    CancelContract,
    IssueCreditNote,
    IssueInvoice,
    RecordPayment,
    ReversePayment,
)
from domain.contract.events import (
    ContractAmended,
    ContractArchived,
    ContractCanceled,
    ContractDrafted,
    ContractSigned,
    Credited,
    Invoiced,
    Particulars,
    PaymentRecorded,
    PaymentReversed,
)
from domain.contract.guards import INVOICE, NUMBER, PAPER, guards
from domain.contract.refusals import (
    AmountBelowInvoiced,
    AmountBelowPaid,
    AmountNotPositive,
    AmountUnwanted,
    ContractIsArchived,
    ContractIsCanceled,
    ContractUnknown,
    CreditTooLarge,
    CurrencyDiffers,
    InvoiceIsCredited,
    InvoiceTooLarge,
    InvoiceUnknown,
    IsInvoiced,
    IsPaid,
    NotSettled,
    NotSigned,
    ParticularsMissing,
    PaymentIsReversed,
    PaymentToCome,
    PaymentTooLarge,
    PaymentUnknown,
)
from domain.money import Money, MoneyInvalid
from domain.shared import ClaimAdded, DomainError
from tests.scenario import given

NOW = datetime(2026, 5, 3, 10, 20, tzinfo=UTC)
TODAY = NOW.date()
CONTRACT_ID, ALPHA, ANNA, FIRST, SECOND, BILL, NOTE = (UUID(int=number) for number in range(1, 8))


def euros(amount):
    return Money(amount=Decimal(amount), currency="EUR")


DRAFTED = ContractDrafted(kind="sale", organisation_id=ALPHA, title="Site", amount=euros("100.00"))
COOPERATION = ContractDrafted(kind="cooperation", organisation_id=ALPHA)
SIGNED = ContractSigned(signed_by=ANNA, signed_at=NOW, signed_version=1, document_sha256="0" * 64)
CANCELED, ARCHIVED = ContractCanceled(reason="no need"), ContractArchived()
SELLER, BUYER = Particulars(name="Office", address="1 Quay"), Particulars(name="Alpha")


def pay(amount, payment_id=FIRST, **fields):
    given_ = {"paid_on": TODAY, "now": NOW, **fields}
    return RecordPayment(payment_id=payment_id, amount=amount, **given_)


def paid(amount, payment_id=FIRST):
    return PaymentRecorded(payment_id=payment_id, amount=euros(amount), paid_on=TODAY)


def invoice(amount, **fields):
    wish = IssueInvoice(
        invoice_id=BILL,
        number="F-2026-000001",
        series="F",
        amount=amount,
        issued_on=TODAY,
        seller=SELLER,
        buyer=BUYER,
    )
    return msgspec.structs.replace(wish, **fields)


def invoiced(amount, invoice_id=BILL, number="F-2026-000001"):
    return Invoiced(
        invoice_id=invoice_id,
        number=number,
        series="F",
        amount=euros(amount),
        issued_on=TODAY,
        organisation_id=ALPHA,
        seller=SELLER,
        buyer=BUYER,
        title="Site",
    )


def credit(amount=None, invoice_id=BILL):
    return IssueCreditNote(
        credit_note_id=NOTE, number="AV-2026-000001", invoice_id=invoice_id, amount=amount, issued_on=TODAY
    )


def credited(amount):
    return Credited(
        credit_note_id=NOTE,
        number="AV-2026-000001",
        invoice_id=BILL,
        invoice_number="F-2026-000001",
        amount=euros(amount),
        issued_on=TODAY,
    )


REVERSE = ReversePayment(payment_id=FIRST, reason="bounced")
REVERSED = PaymentReversed(payment_id=FIRST, amount=euros("40.00"), reason="bounced")
TOUCHES = [pay(euros(1)), REVERSE, invoice(euros(1)), credit(), credit(euros(1))]


# --- pay and reverse --------------------------------------------------------------------------------------------


def test_a_signed_contract_is_paid_in_parts_up_to_the_last_cent():
    given(CONTRACT, DRAFTED, SIGNED).when(pay(euros("40"))).then(paid("40.00"))
    given(CONTRACT, DRAFTED, SIGNED, paid("40.00")).when(pay(euros("60.00"), SECOND, reference="VIR 7")).then(
        msgspec.structs.replace(paid("60.00", SECOND), reference="VIR 7")
    )


@pytest.mark.parametrize(
    ("past", "wish", "refusal"),
    [
        ((DRAFTED,), pay(euros(1)), NotSigned),
        ((DRAFTED, SIGNED), pay(euros(0)), AmountNotPositive),
        ((DRAFTED, SIGNED), pay(euros("-0.01")), AmountNotPositive),
        ((DRAFTED, SIGNED), pay(euros("0.001")), MoneyInvalid),
        ((DRAFTED, SIGNED), pay(euros("100.01")), PaymentTooLarge),
        ((DRAFTED, SIGNED, paid("40.00")), pay(euros("60.01"), SECOND), PaymentTooLarge),
        ((DRAFTED, SIGNED), pay(Money(amount=Decimal(1), currency="USD")), CurrencyDiffers),
        ((DRAFTED, SIGNED), pay(Money(amount=Decimal(1), currency="ZZZ")), MoneyInvalid),
        ((DRAFTED, SIGNED), pay(euros(1), paid_on=date(2026, 5, 5)), PaymentToCome),
        ((COOPERATION, SIGNED), pay(euros(1)), AmountUnwanted),
    ],
)
def test_what_cannot_be_paid_is_not(past, wish, refusal):
    given(CONTRACT, *past).when(wish).then_refused(refusal)


def test_a_day_that_has_begun_somewhere_is_not_to_come():
    late = datetime(2026, 5, 3, 11, 0, tzinfo=UTC)
    tomorrow = date(2026, 5, 4)
    given(CONTRACT, DRAFTED, SIGNED).when(pay(euros(1), paid_on=tomorrow, now=late)).then(
        msgspec.structs.replace(paid("1.00"), paid_on=tomorrow)
    )


def test_a_payment_is_reversed_once_and_may_then_be_made_again():
    past = (DRAFTED, SIGNED, paid("40.00"))
    given(CONTRACT, *past).when(REVERSE).then(REVERSED)
    given(CONTRACT, *past, REVERSED).when(REVERSE).then_refused(PaymentIsReversed)
    given(CONTRACT, *past, REVERSED).when(pay(euros("100"), SECOND)).then(paid("100.00", SECOND))


def test_a_payment_that_was_not_made_is_not_reversed():
    given(CONTRACT, DRAFTED, SIGNED, paid("40.00", SECOND)).when(REVERSE).then_refused(PaymentUnknown)


# --- invoice and credit -----------------------------------------------------------------------------------------


def test_an_invoice_says_who_sells_what_to_whom():
    given(CONTRACT, DRAFTED, SIGNED).when(invoice(euros("30"), due_on=date(2026, 6, 3))).then(
        msgspec.structs.replace(invoiced("30.00"), due_on=date(2026, 6, 3))
    )


@pytest.mark.parametrize(
    ("past", "wish", "refusal"),
    [
        ((DRAFTED,), invoice(euros(1)), NotSigned),
        ((DRAFTED, SIGNED), invoice(euros(0)), AmountNotPositive),
        ((DRAFTED, SIGNED), invoice(euros("1.001")), MoneyInvalid),
        ((DRAFTED, SIGNED), invoice(euros("100.01")), InvoiceTooLarge),
        ((DRAFTED, SIGNED, invoiced("70.00")), invoice(euros("30.01")), InvoiceTooLarge),
        ((DRAFTED, SIGNED), invoice(Money(amount=Decimal(1), currency="USD")), CurrencyDiffers),
        ((COOPERATION, SIGNED), invoice(euros(1)), AmountUnwanted),
        ((DRAFTED, SIGNED), invoice(euros(1), seller=Particulars(name="")), ParticularsMissing),
        ((DRAFTED, SIGNED), invoice(euros(1), buyer=Particulars(name=" ")), ParticularsMissing),
    ],
)
def test_what_cannot_be_invoiced_is_not(past, wish, refusal):
    given(CONTRACT, *past).when(wish).then_refused(refusal)


def test_everything_that_an_invoice_lacks_is_named_at_once():
    refused = (
        given(CONTRACT, DRAFTED, SIGNED)
        .when(invoice(euros(1), seller=Particulars(name=""), buyer=Particulars(name="")))
        .then_refused(ParticularsMissing)
    )
    assert {each.pointer for each in refused.errors} == {"/seller/name", "/seller/address", "/buyer/name"}


def test_where_the_buyers_address_is_required_an_invoice_names_it():
    signed = given(CONTRACT, DRAFTED, SIGNED)
    refused = signed.when(invoice(euros(1), address_required=True)).then_refused(ParticularsMissing)
    assert [each.pointer for each in refused.errors] == ["/buyer/address"]
    addressed = Particulars(name="Alpha", address="2 Quay")
    issued = msgspec.structs.replace(invoiced("1.00"), buyer=addressed)
    signed.when(invoice(euros(1), address_required=True, buyer=addressed)).then(issued)


def test_what_is_credited_may_be_invoiced_again():
    past = (DRAFTED, SIGNED, invoiced("100.00"))
    given(CONTRACT, *past).when(credit(euros("30"))).then(credited("30.00"))
    given(CONTRACT, *past, credited("30.00")).when(invoice(euros("30"), invoice_id=NOTE)).then(
        invoiced("30.00", NOTE)
    )
    given(CONTRACT, *past, credited("30.00")).when(credit()).then(credited("70.00"))


@pytest.mark.parametrize(
    ("wish", "refusal"),
    [
        (credit(euros("70.01")), CreditTooLarge),
        (credit(euros(0)), AmountNotPositive),
        (credit(euros("-1")), AmountNotPositive),
        (credit(euros("1.001")), MoneyInvalid),
        (credit(Money(amount=Decimal(1), currency="USD")), CurrencyDiffers),
        (credit(invoice_id=SECOND), InvoiceUnknown),
    ],
)
def test_what_cannot_be_credited_is_not(wish, refusal):
    past = (DRAFTED, SIGNED, invoiced("100.00"), credited("30.00"))
    given(CONTRACT, *past).when(wish).then_refused(refusal)


def test_an_invoice_is_credited_as_a_whole_once():
    past = (DRAFTED, SIGNED, invoiced("100.00"), credited("100.00"))
    for wish in (credit(), credit(euros(1))):
        given(CONTRACT, *past).when(wish).then_refused(InvoiceIsCredited)


# --- what the account lets a contract do ------------------------------------------------------------------------


def test_a_contract_is_canceled_when_neither_money_nor_an_invoice_stands():
    cancel = CancelContract(reason="no need")
    canceled = ContractCanceled(reason="no need", organisation_id=ALPHA)
    paid_up = (DRAFTED, SIGNED, paid("40.00"))
    given(CONTRACT, *paid_up).when(cancel).then_refused(IsPaid)
    given(CONTRACT, *paid_up, REVERSED).when(cancel).then(canceled)
    billed = (DRAFTED, SIGNED, invoiced("100.00"))
    given(CONTRACT, *billed).when(cancel).then_refused(IsInvoiced, invoices=["F-2026-000001"])
    given(CONTRACT, *billed, credited("99.99")).when(cancel).then_refused(IsInvoiced)
    given(CONTRACT, *billed, credited("100.00")).when(cancel).then(canceled)


def test_an_amendment_leaves_what_was_paid_and_invoiced():
    past = (DRAFTED, SIGNED, paid("40.00"), invoiced("50.00"))

    def amend(amount):
        return given(CONTRACT, *past).when(AmendContract(amount=euros(amount), reason="less"))

    amend("39.99").then_refused(AmountBelowPaid)
    amend("49.99").then_refused(AmountBelowInvoiced)
    amend("50").then(ContractAmended(amount=euros("50.00"), reason="less"))


def test_what_is_paid_is_archived_and_no_sooner():
    archive = ArchiveContract(now=NOW)
    given(CONTRACT, DRAFTED, SIGNED, paid("99.99")).when(archive).then_refused(NotSettled)
    given(CONTRACT, DRAFTED, SIGNED, paid("100.00")).when(archive).then(ContractArchived())


@pytest.mark.parametrize("wish", TOUCHES)
def test_what_is_over_is_not_touched(wish):
    given(CONTRACT, DRAFTED, SIGNED, CANCELED).when(wish).then_refused(ContractIsCanceled)
    given(CONTRACT, DRAFTED, SIGNED, paid("100.00"), ARCHIVED).when(wish).then_refused(ContractIsArchived)
    given(CONTRACT, DRAFTED).when(wish).then_refused(NotSigned)
    given(CONTRACT).when(wish).then_refused(ContractUnknown)


# --- guards -----------------------------------------------------------------------------------------------------


def test_an_invoice_claims_its_id_and_its_number_a_credit_note_its_number():
    assert guards(CONTRACT_ID, invoiced("1.00")) == (
        ClaimAdded(kind=INVOICE, value=str(BILL)),
        ClaimAdded(kind=NUMBER, value="F-2026:000000000001"),
    )
    assert guards(CONTRACT_ID, credited("1.00")) == (
        ClaimAdded(kind=NUMBER, value="AV-2026:000000000001"),
        ClaimAdded(kind=PAPER, value=str(UUID(int=7))),
    )
    assert guards(CONTRACT_ID, paid("1.00")) == guards(CONTRACT_ID, REVERSED) == ()


# --- whatever happens -------------------------------------------------------------------------------------------

cents = st.integers(-200, 12_000).map(lambda amount: euros(Decimal(amount) / 100))
some_id = st.integers(1, 4).map(lambda number: UUID(int=100 + number))
wishes = st.one_of(
    st.builds(pay, cents, some_id),
    st.builds(ReversePayment, payment_id=some_id, reason=st.just("so")),
    st.builds(lambda amount, key: invoice(amount, invoice_id=key), cents, some_id),
    st.builds(credit, st.one_of(st.none(), cents), some_id),
    st.builds(AmendContract, amount=cents, reason=st.just("so")),
)


@whatever(st.lists(wishes, max_size=30))
def test_whatever_is_asked_nobody_pays_or_is_invoiced_more_than_the_contract_or_less_than_nothing(asked):
    contract = CONTRACT.evolve(CONTRACT.evolve(CONTRACT.initial, DRAFTED), SIGNED)
    for wish in asked:
        known = contract.paper.account
        if isinstance(wish, RecordPayment) and wish.payment_id in known.payments:
            continue  # ids are made, never taken from a caller
        if isinstance(wish, IssueInvoice) and wish.invoice_id in known.invoices:
            continue
        try:
            events = CONTRACT.decide(contract, wish)
        except DomainError:
            continue
        for event in events:
            contract = CONTRACT.evolve(contract, event)
        amount, account = contract.paper.terms.amount.amount, contract.paper.account
        assert 0 <= account.paid <= amount
        assert 0 <= account.invoiced <= amount
        standing = [each.amount.amount for each in account.payments.values() if not each.reversed]
        assert account.paid == sum(standing)
        assert account.invoiced == sum(each.uncredited.amount for each in account.invoices.values())
