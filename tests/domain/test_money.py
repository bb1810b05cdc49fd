"""Money is exact: what goes in comes out, to the last digit its currency has."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import BOUND, DECIMALS, Money, MoneyInvalid, nothing_in

currencies = st.sampled_from(sorted(DECIMALS))


@st.composite
def moneys(draw, currency=None):
    """Any amount there may be, in any currency, as somebody might type it."""
    currency = currency or draw(currencies)
    decimals = DECIMALS[currency]
    minor = draw(st.integers(-(10 ** (12 + decimals)) + 1, 10 ** (12 + decimals) - 1))
    return Money(amount=Decimal(minor).scaleb(-decimals), currency=currency)


@given(moneys())
def test_an_amount_is_written_with_its_currencys_decimals_and_stays_the_same(money):
    exact = money.exact("")
    assert exact == money
    _, _, fraction = str(exact.amount).partition(".")
    assert len(fraction) == DECIMALS[money.currency]
    assert "E" not in str(exact.amount)
    assert exact.exact("") == exact


@given(moneys())
def test_money_survives_the_log(money):
    written = msgspec.json.encode(money.exact(""))
    read = msgspec.json.decode(written, type=Money)
    assert msgspec.json.encode(read) == written
    assert read == money


@given(currencies.flatmap(lambda currency: st.tuples(moneys(currency), moneys(currency))))
def test_what_is_taken_away_is_missing_to_the_last_digit(pair):
    whole, part = pair
    decimals = DECIMALS[whole.currency]
    minor = int(whole.amount.scaleb(decimals)) - int(part.amount.scaleb(decimals))
    assert (whole - part).amount == Decimal(minor).scaleb(-decimals)
    assert whole - nothing_in(whole.currency) == whole


@given(moneys(), st.integers(1, 9))
def test_a_digit_more_than_the_currency_has_is_refused(money, digit):
    decimals = DECIMALS[money.currency] + 1
    finer = Money(amount=money.amount + Decimal(digit).scaleb(-decimals), currency=money.currency)
    with pytest.raises(MoneyInvalid) as refused:
        finer.exact("/amount")
    assert refused.value.errors[0].pointer == "/amount/amount"


@pytest.mark.parametrize(
    ("amount", "currency", "code"),
    [
        ("12.345", "EUR", "decimals"),
        ("0.5", "JPY", "decimals"),
        ("1.2345", "KWD", "decimals"),
        ("1000000000000", "EUR", "too_large"),
        ("-1000000000000.00", "EUR", "too_large"),
        ("NaN", "EUR", "too_large"),
        ("sNaN", "EUR", "too_large"),
        ("Infinity", "EUR", "too_large"),
        ("1", "EUX", "currency"),
        ("1", "XAU", "currency"),
        ("1", "eur", "currency"),
    ],
)
def test_money_that_is_none_is_refused(amount, currency, code):
    with pytest.raises(MoneyInvalid) as refused:
        Money(amount=Decimal(amount), currency=currency).exact("")
    assert refused.value.errors[0].code == code


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        ("5", "EUR", "5.00"),
        ("-0", "EUR", "0.00"),
        ("1.2", "KWD", "1.200"),
        ("100.0", "JPY", "100"),
        ("999999999999.99", "EUR", "999999999999.99"),
    ],
)
def test_fewer_digits_are_filled_up(amount, currency, written):
    assert str(Money(amount=Decimal(amount), currency=currency).exact("").amount) == written


def test_currencies_do_not_mix():
    with pytest.raises(ValueError, match="USD"):
        nothing_in("EUR") - nothing_in("USD")


def test_the_bound_is_ten_to_the_twelfth():
    assert int(BOUND) == 1_000_000_000_000
