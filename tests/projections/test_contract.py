"""Contracts as the read model shows them: always two in a test, so that a lost condition is noticed."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest

from domain.contract.events import (
    ContractAmended,
    ContractArchived,
    ContractCanceled,
    ContractChanged,
    ContractDrafted,
    ContractSigned,
)
from domain.money import Money
from domain.shared import SYSTEM
from projections.contract import CONTRACTS
from tests.scenario import given

pytestmark = pytest.mark.anyio

SALE, COOPERATION, ALPHA, BETA, ANNA = (UUID(int=number) for number in range(1, 6))
NOW = datetime(2026, 5, 3, 10, 20, tzinfo=UTC)


def euros(amount):
    return Money(amount=Decimal(amount), currency="EUR")


BOTH = (
    (
        SALE,
        ContractDrafted(kind="sale", organisation_id=ALPHA, amount=euros("100.00"), account_manager_id=ANNA),
    ),
    (COOPERATION, ContractDrafted(kind="cooperation", organisation_id=BETA, title="Together")),
)
SIGNED = ContractSigned(signed_by=ANNA, signed_at=NOW, signed_version=1, document_sha256="ab")


@pytest.mark.parametrize("batch", [1, 500])
async def test_a_signature_and_an_amendment_are_shown_on_their_contract_only(dsn, batch):
    amended = ContractAmended(amount=euros("120.50"), reason="more work")
    facts = (*BOTH, (SALE, SIGNED), (SALE, amended))
    shown = await given(CONTRACTS, *facts).delivered(dsn, times=2, batch=batch)
    sale, cooperation = shown[SALE], shown[COOPERATION]
    assert (sale.status, sale.signed_by, sale.signed_at, sale.version) == ("signed", ANNA, NOW, 3)
    assert (sale.amount, sale.remaining, sale.paid, sale.invoiced) == (
        euros("120.50"),
        euros("120.50"),
        euros("0.00"),
        euros("0.00"),
    )
    (amendment,) = msgspec.to_builtins(sale.amendments)
    assert amendment == {
        "from": {"amount": "100.00", "currency": "EUR"},
        "to": {"amount": "120.50", "currency": "EUR"},
        "at": amendment["at"],
        "by": str(SYSTEM),
        "reason": "more work",
    }
    assert (cooperation.status, cooperation.signed_by, cooperation.amendments, cooperation.version) == (
        "unsigned",
        None,
        (),
        1,
    )


async def test_a_cooperation_agreement_shows_no_money(dsn):
    shown = await given(CONTRACTS, *BOTH, (SALE, ContractChanged(kind="cooperation", amount=None))).delivered(
        dsn
    )
    for contract in shown.values():
        assert (contract.amount, contract.remaining, contract.paid, contract.invoiced) == (
            None,
            None,
            None,
            None,
        )


async def test_an_unsigned_amount_that_changed_remains_as_changed(dsn):
    changed = ContractChanged(amount=Money(amount=Decimal(7), currency="JPY"))
    shown = await given(CONTRACTS, *BOTH, (SALE, changed)).delivered(dsn)
    assert str(shown[SALE].remaining.amount) == "7"
    assert shown[SALE].paid == Money(amount=Decimal(0), currency="JPY")


async def test_a_canceled_contract_keeps_its_status_when_it_is_archived(dsn):
    facts = (*BOTH, (SALE, ContractCanceled(reason="no need")), (SALE, ContractArchived()))
    shown = await given(CONTRACTS, *facts).delivered(dsn)
    assert (shown[SALE].status, shown[SALE].cancel_reason, shown[SALE].archived) == (
        "canceled",
        "no need",
        True,
    )
    assert (shown[COOPERATION].status, shown[COOPERATION].archived) == ("unsigned", False)
