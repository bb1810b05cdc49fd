"""A contract's three questions for each command, and every wrong way from state to state."""

from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from uuid import UUID

import msgspec
import pytest

from domain.contract.aggregate import CONTRACT
from domain.contract.commands import (
    AmendContract,
    ArchiveContract,
    CancelContract,
    ChangeContract,
    DraftContract,
    ReassignContract,
    SignContract,
)
from domain.contract.document import document
from domain.contract.events import (
    ContractAmended,
    ContractArchived,
    ContractCanceled,
    ContractChanged,
    ContractDrafted,
    ContractSigned,
    Terms,
)
from domain.contract.guards import CUSTOM_ID, PAPER, PARTY, guards
from domain.contract.refusals import (
    AlreadySigned,
    AmountMissing,
    AmountNegative,
    AmountUnwanted,
    ContractIsArchived,
    ContractIsCanceled,
    ContractUnknown,
    CurrencyDiffers,
    CustomIdTaken,
    NotSettled,
    NotSigned,
    SignedAmountFirm,
    SignedTermsFirm,
)
from domain.money import Money, MoneyInvalid
from domain.shared import Claim, ClaimAdded, Responsible
from tests.scenario import given

NOW = datetime(2026, 5, 3, 10, 20, tzinfo=UTC)
CONTRACT_ID, ALPHA, BETA, ANNA, BORIS, CARLA = (UUID(int=number) for number in range(1, 7))


def euros(amount):
    return Money(amount=Decimal(amount), currency="EUR")


def signed(by, version):
    terms = Terms(kind="sale", organisation_id=ALPHA, title="Site", amount=euros("100.00"))
    return ContractSigned(
        signed_by=by,
        signed_at=NOW,
        signed_version=version,
        document_sha256=sha256(document(CONTRACT_ID, version, terms)).hexdigest(),
        title="Site",
        account_manager_id=BORIS,
        organisation_id=ALPHA,
        kind="sale",
    )


DRAFTED = ContractDrafted(
    kind="sale",
    organisation_id=ALPHA,
    title="Site",
    amount=euros("100.00"),
    drafted_by=ANNA,
    account_manager_id=BORIS,
)
COOPERATION = ContractDrafted(
    kind="cooperation", organisation_id=ALPHA, drafted_by=ANNA, account_manager_id=ANNA
)
SIGNED = signed(BORIS, 1)
CANCELED = ContractCanceled(reason="no need", organisation_id=ALPHA)
ARCHIVED = ContractArchived(reason="old")

CHANGE = ChangeContract(changes={"title": "Other"})
SIGN = SignContract(contract_id=CONTRACT_ID, signed_by=BORIS, now=NOW)
SIGN_TOO = SignContract(contract_id=CONTRACT_ID, signed_by=CARLA, now=NOW)
AMEND = AmendContract(amount=euros("120"), reason="more work")
CANCEL = CancelContract(reason="no need")
ARCHIVE = ArchiveContract(reason="old", now=NOW)


# --- draft -----------------------------------------------------------------------------------------------------


def test_a_contract_is_drafted_as_asked_and_its_amount_written_out():
    given(CONTRACT).when(
        DraftContract(
            kind="sale",
            organisation_id=ALPHA,
            custom_id="N-1",
            amount=euros("12500"),
            due_on=date(2026, 12, 31),
            drafted_by=ANNA,
            manager_id=BORIS,
        )
    ).then(
        ContractDrafted(
            kind="sale",
            organisation_id=ALPHA,
            custom_id="N-1",
            amount=euros("12500.00"),
            due_on=date(2026, 12, 31),
            drafted_by=ANNA,
            account_manager_id=BORIS,
        )
    )


def test_where_nobody_manages_the_organisation_the_drafter_answers():
    given(CONTRACT).when(DraftContract(kind="cooperation", organisation_id=ALPHA, drafted_by=ANNA)).then(
        COOPERATION
    )


@pytest.mark.parametrize(
    ("kind", "amount", "refusal"),
    [
        ("sale", None, AmountMissing),
        ("cooperation", euros("1"), AmountUnwanted),
        ("sale", euros("-0.01"), AmountNegative),
        ("sale", euros("1.005"), MoneyInvalid),
        ("sale", Money(amount=Decimal(1), currency="ZZZ"), MoneyInvalid),
        ("sale", euros(10**12), MoneyInvalid),
    ],
)
def test_an_amount_that_cannot_be_is_not_drafted(kind, amount, refusal):
    refused = (
        given(CONTRACT)
        .when(DraftContract(kind=kind, organisation_id=ALPHA, amount=amount))
        .then_refused(refusal)
    )
    assert refused.errors[0].pointer.startswith("/amount")


def test_a_sale_may_be_for_nothing():
    given(CONTRACT).when(DraftContract(kind="sale", organisation_id=ALPHA, amount=euros("0"))).then(
        ContractDrafted(kind="sale", organisation_id=ALPHA, amount=euros("0.00"))
    )


def test_an_id_is_taken_once():
    given(CONTRACT, DRAFTED).when(DraftContract(kind="cooperation", organisation_id=BETA)).then_refused(
        CustomIdTaken
    )


# --- change ----------------------------------------------------------------------------------------------------


def test_only_what_changed_is_told():
    changes = {"title": "Site", "due_on": "2026-12-31", "amount": {"amount": "100", "currency": "EUR"}}
    given(CONTRACT, DRAFTED).when(ChangeContract(changes=changes)).then(
        ContractChanged(due_on=date(2026, 12, 31))
    )


def test_an_unsigned_amount_is_changed_and_written_out():
    changes = {"amount": {"amount": "7", "currency": "JPY"}}
    given(CONTRACT, DRAFTED).when(ChangeContract(changes=changes)).then(
        ContractChanged(amount=Money(amount=Decimal(7), currency="JPY"))
    )


def test_a_sale_becomes_a_cooperation_only_without_its_amount():
    before = given(CONTRACT, DRAFTED)
    before.when(ChangeContract(changes={"kind": "cooperation"})).then_refused(AmountUnwanted)
    before.when(ChangeContract(changes={"kind": "cooperation", "amount": None})).then(
        ContractChanged(kind="cooperation", amount=None)
    )
    before.when(ChangeContract(changes={"amount": None})).then_refused(AmountMissing)


def test_a_contract_that_moves_gets_the_manager_of_its_new_organisation_else_its_drafter():
    move = {"organisation_id": str(BETA)}
    given(CONTRACT, DRAFTED).when(ChangeContract(changes=move, manager_id=CARLA)).then(
        ContractChanged(organisation_id=BETA, account_manager_id=CARLA)
    )
    given(CONTRACT, DRAFTED).when(ChangeContract(changes=move)).then(
        ContractChanged(organisation_id=BETA, account_manager_id=ANNA)
    )


def test_a_change_to_what_is_so_already_changes_nothing():
    changes = {"organisation_id": str(ALPHA), "kind": "sale", "title": "Site", "custom_id": None}
    for past in ((DRAFTED,), (DRAFTED, SIGNED)):
        given(CONTRACT, *past).when(ChangeContract(changes=changes, manager_id=CARLA)).then_nothing()


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"amount": {"amount": "99.00", "currency": "EUR"}}, SignedAmountFirm),
        ({"amount": {"amount": "100.00", "currency": "USD"}}, SignedAmountFirm),
        ({"amount": None}, SignedAmountFirm),
        ({"kind": "cooperation"}, SignedTermsFirm),
        ({"organisation_id": str(BETA)}, SignedTermsFirm),
    ],
)
def test_what_was_signed_is_firm(changes, refusal):
    given(CONTRACT, DRAFTED, SIGNED).when(ChangeContract(changes=changes)).then_refused(refusal)


def test_what_keeps_an_office_in_order_changes_after_the_signature():
    changes = {"title": "North site", "due_on": "2027-01-31", "custom_id": "N-2"}
    given(CONTRACT, DRAFTED, SIGNED).when(ChangeContract(changes=changes)).then(
        ContractChanged(title="North site", due_on=date(2027, 1, 31), custom_id="N-2")
    )


# --- sign ------------------------------------------------------------------------------------------------------


def test_a_signature_says_who_when_and_what():
    given(CONTRACT, DRAFTED).when(SIGN).then(SIGNED)


def test_what_is_signed_is_the_contract_as_it_is_now():
    state = given(CONTRACT, DRAFTED, ContractChanged(title="Other")).when(
        ChangeContract(changes={"title": "Site"})
    )
    state.then(ContractChanged(title="Site"))
    happened = (DRAFTED, ContractChanged(title="Other"), ContractChanged(title="Site"))
    given(CONTRACT, *happened).when(SIGN).then(signed(BORIS, 3))


def test_the_document_is_the_same_bytes_for_everybody():
    terms = Terms(
        kind="sale", organisation_id=ALPHA, title="Ж", amount=euros("1.00"), due_on=date(2026, 1, 2)
    )
    assert document(CONTRACT_ID, 3, terms).decode() == (
        '{"amount":{"amount":"1.00","currency":"EUR"},"contact_id":null,"custom_id":null,"due_on":"2026-01-02",'
        f'"id":"{CONTRACT_ID}","kind":"sale","organisation_id":"{ALPHA}","title":"Ж","version":3}}'
    )
    assert msgspec.json.decode(document(CONTRACT_ID, 3, terms), type=Terms) == terms


def test_who_signed_signs_again_in_vain_and_anybody_else_is_refused():
    for past in ((DRAFTED, SIGNED), (DRAFTED, SIGNED, ContractAmended(amount=euros("1.00"), reason="less"))):
        given(CONTRACT, *past).when(SIGN).then_nothing()
        given(CONTRACT, *past).when(SIGN_TOO).then_refused(AlreadySigned)


# --- amend -----------------------------------------------------------------------------------------------------


def test_a_signed_amount_is_amended_with_a_reason():
    amended = ContractAmended(amount=euros("120.00"), reason="more work")
    given(CONTRACT, DRAFTED, SIGNED).when(AMEND).then(amended)
    given(CONTRACT, DRAFTED, SIGNED, amended).when(AMEND).then_nothing()


@pytest.mark.parametrize(
    ("past", "amount", "refusal"),
    [
        ((DRAFTED,), euros("120"), NotSigned),
        ((DRAFTED, SIGNED), euros("-1"), AmountNegative),
        ((DRAFTED, SIGNED), euros("1.001"), MoneyInvalid),
        ((DRAFTED, SIGNED), Money(amount=Decimal(100), currency="USD"), CurrencyDiffers),
        ((COOPERATION, SIGNED), euros("1"), AmountUnwanted),
    ],
)
def test_what_cannot_be_amended_is_not(past, amount, refusal):
    given(CONTRACT, *past).when(AmendContract(amount=amount, reason="so")).then_refused(refusal)


# --- cancel and archive ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("past", [(DRAFTED,), (DRAFTED, SIGNED), (COOPERATION, SIGNED)])
def test_signed_or_not_a_contract_is_canceled(past):
    given(CONTRACT, *past).when(CANCEL).then(CANCELED)


@pytest.mark.parametrize("past", [(DRAFTED, CANCELED), (DRAFTED, SIGNED, CANCELED)])
@pytest.mark.parametrize("command", [CHANGE, ChangeContract(changes={}), SIGN, SIGN_TOO, AMEND, CANCEL])
def test_canceled_is_final(past, command):
    given(CONTRACT, *past).when(command).then_refused(ContractIsCanceled)


FREE = ContractDrafted(kind="sale", organisation_id=ALPHA, amount=euros("0.00"))


@pytest.mark.parametrize(
    "past",
    [(DRAFTED,), (DRAFTED, CANCELED), (DRAFTED, SIGNED, CANCELED), (COOPERATION, SIGNED), (FREE, SIGNED)],
)
def test_what_nothing_more_is_expected_of_is_archived(past):
    given(CONTRACT, *past).when(ARCHIVE).then(ARCHIVED)
    given(CONTRACT, *past, ARCHIVED).when(ARCHIVE).then_nothing()


def test_a_signed_contract_with_money_to_come_is_not_archived():
    given(CONTRACT, DRAFTED, SIGNED).when(ARCHIVE).then_refused(NotSettled)


@pytest.mark.parametrize("past", [(DRAFTED, ARCHIVED), (DRAFTED, CANCELED, ARCHIVED)])
@pytest.mark.parametrize("command", [CHANGE, SIGN, AMEND, CANCEL])
def test_an_archived_contract_is_not_touched(past, command):
    given(CONTRACT, *past).when(command).then_refused(ContractIsArchived)


@pytest.mark.parametrize("command", [CHANGE, SIGN, AMEND, CANCEL, ARCHIVE])
def test_what_was_never_drafted_is_unknown(command):
    given(CONTRACT).when(command).then_refused(ContractUnknown)


# --- another answers for it ------------------------------------------------------------------------------------


def test_an_open_contract_follows_who_answers_for_its_party():
    moved = ContractChanged(account_manager_id=CARLA)
    given(CONTRACT, DRAFTED).when(ReassignContract(manager_id=CARLA)).then(moved)
    given(CONTRACT, DRAFTED, SIGNED).when(ReassignContract(manager_id=CARLA)).then(moved)
    given(CONTRACT, DRAFTED, moved).when(ReassignContract(manager_id=CARLA)).then_nothing()


@pytest.mark.parametrize("over", [(CANCELED,), (ARCHIVED,)])
def test_a_contract_that_is_over_stays_with_whom_it_was(over):
    given(CONTRACT, DRAFTED, *over).when(ReassignContract(manager_id=CARLA)).then_nothing()
    given(CONTRACT).when(ReassignContract(manager_id=CARLA)).then_nothing()


# --- guards ----------------------------------------------------------------------------------------------------


def test_a_custom_id_is_claimed_whatever_its_case_and_let_go_when_cleared():
    (claim, organisation, contact, responsible) = guards(
        CONTRACT_ID, msgspec.structs.replace(DRAFTED, custom_id="North-1")
    )
    assert claim == Claim(kind=CUSTOM_ID, values=("north-1",))
    assert organisation == Claim(kind=PARTY["organisation_id"], values=(f"{ALPHA}:{CONTRACT_ID}",))
    assert contact == Claim(kind=PARTY["contact_id"], values=())
    assert responsible == Responsible(user_id=BORIS)
    assert guards(CONTRACT_ID, ContractChanged(custom_id=None)) == (Claim(kind=CUSTOM_ID, values=()),)


def test_what_says_nothing_of_custom_id_and_manager_leaves_them():
    for event in (ContractChanged(title="x"), CANCELED, ARCHIVED):
        assert guards(CONTRACT_ID, event) == ()


def test_signed_it_owns_its_certificate():
    assert guards(CONTRACT_ID, SIGNED) == (ClaimAdded(kind=PAPER, value=str(CONTRACT_ID)),)


def test_who_answers_for_it_follows_the_contract():
    moved = ContractChanged(organisation_id=BETA, account_manager_id=CARLA)
    there = Claim(kind=PARTY["organisation_id"], values=(f"{BETA}:{CONTRACT_ID}",))
    assert guards(CONTRACT_ID, moved) == (there, Responsible(user_id=CARLA))
