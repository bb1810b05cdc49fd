"""Amounts of contracts: what may stand as one, and what may be paid, invoiced or credited of one."""

from msgspec.structs import replace

from domain.contract.events import Terms
from domain.contract.refusals import (
    AmountMissing,
    AmountNegative,
    AmountNotPositive,
    AmountUnwanted,
    CurrencyDiffers,
)
from domain.money import Money
from domain.shared import DomainError, FieldError

SALE, COOPERATION = "sale", "cooperation"


def judged(terms: Terms) -> Terms:
    """The terms with their amount written out. Raises AmountMissing, AmountUnwanted, and what `owed` raises."""
    if terms.amount is None:
        if terms.kind == SALE:
            raise wrong(AmountMissing, "missing", "A sale has an amount.")
        return terms
    if terms.kind == COOPERATION:
        raise wrong(AmountUnwanted, "unwanted", "A cooperation agreement has no amount.")
    return replace(terms, amount=owed(terms.amount))


def owed(amount: Money) -> Money:
    """Raises MoneyInvalid, AmountNegative."""
    exact = amount.exact("/amount")
    if exact.amount < 0:
        raise wrong(AmountNegative, "negative", "A contract's amount is zero or more.")
    return exact


def part_of(whole: Money | None, amount: Money) -> Money:
    """Of a contract's amount. Raises AmountUnwanted, MoneyInvalid, AmountNotPositive, CurrencyDiffers."""
    if whole is None:
        raise wrong(AmountUnwanted, "unwanted", "A cooperation agreement has no amount.")
    exact = amount.exact("/amount")
    if exact.amount <= 0:
        raise wrong(AmountNotPositive, "not_positive", "This is more than nothing, or it is not.")
    return in_currency(exact, whole.currency)


def in_currency(amount: Money, currency: str) -> Money:
    """Raises CurrencyDiffers."""
    if amount.currency != currency:
        raise wrong(CurrencyDiffers, "currency", f"The signed currency is {currency}.")
    return amount


def wrong(refusal: type[DomainError], code: str, detail: str, *, at: str = "/amount") -> DomainError:
    return refusal(detail, errors=(FieldError(pointer=at, code=code, detail=detail),))
