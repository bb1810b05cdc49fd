"""Money: an exact decimal in one ISO 4217 currency; no float ever touches it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar

from msgspec import Struct

from domain.shared import DomainError, FieldError, Kind

BOUND = Decimal(10) ** 12
"""Every amount is smaller than this, on either side of zero."""

_BY_DECIMALS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF "
        "CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD "
        "HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT "
        "MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR "
        "SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU "
        "UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}

DECIMALS: Mapping[str, int] = {
    currency: decimals for decimals, currencies in _BY_DECIMALS.items() for currency in currencies.split()
}
"""Currency to the digits of its minor unit (ISO 4217, list one); codes without a minor unit (gold, tests) are none."""


class MoneyInvalid(DomainError):
    """The currency is no ISO 4217 code, or the amount has more decimals than it, or is 10^12 and above."""

    code: ClassVar[str] = "money.invalid"
    kind: ClassVar[Kind] = Kind.INVALID


class Money(Struct, frozen=True, kw_only=True):
    """What stands in events has been through `exact`; whatever came from outside must go through it."""

    amount: Decimal
    currency: str

    def exact(self, at: str) -> "Money":
        """The same with all of its currency's decimals: `5` EUR is `5.00`. `at` points to it. Raises MoneyInvalid."""
        decimals = DECIMALS.get(self.currency)
        if decimals is None:
            raise _invalid(f"{at}/currency", "currency", f"{self.currency} is no ISO 4217 currency.")
        if not self.amount.is_finite() or abs(self.amount) >= BOUND:
            raise _invalid(f"{at}/amount", "too_large", "An amount is smaller than 10^12.")
        written = self.amount.quantize(Decimal(1).scaleb(-decimals))
        if written != self.amount:
            raise _invalid(f"{at}/amount", "decimals", f"{self.currency} has {decimals} decimals.")
        return Money(amount=abs(written) if written.is_zero() else written, currency=self.currency)

    def __add__(self, other: "Money") -> "Money":
        """Raises ValueError across currencies."""
        if other.currency != self.currency:
            raise ValueError(f"{other.currency} put to {self.currency}")
        return Money(amount=self.amount + other.amount, currency=self.currency)

    def __sub__(self, other: "Money") -> "Money":
        """Raises ValueError across currencies: nothing here knows a rate."""
        if other.currency != self.currency:
            raise ValueError(f"{other.currency} taken from {self.currency}")
        return Money(amount=self.amount - other.amount, currency=self.currency)


def nothing_in(currency: str) -> Money:
    """Zero, with the currency's decimals."""
    return Money(amount=Decimal(0), currency=currency).exact("")


def _invalid(pointer: str, code: str, detail: str) -> MoneyInvalid:
    return MoneyInvalid(detail, errors=(FieldError(pointer=pointer, code=code, detail=detail),))
