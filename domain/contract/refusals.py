"""The rules of contracts that say no."""

from typing import ClassVar

from domain.shared import DomainError, Kind


class ContractUnknown(DomainError):
    """No contract has this id, or it is not yours to know."""

    code: ClassVar[str] = "contract.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class CustomIdTaken(DomainError):
    """Another contract has this custom id; upper and lower case are the same."""

    code: ClassVar[str] = "contract.custom_id_taken"
    kind: ClassVar[Kind] = Kind.CONFLICT


class AlreadySigned(DomainError):
    """Somebody else has signed it; who signed it himself and signs again changes nothing."""

    code: ClassVar[str] = "contract.already_signed"
    kind: ClassVar[Kind] = Kind.CONFLICT


class NotSigned(DomainError):
    """Only a signed contract is amended, paid, invoiced and has a certificate or occasions; others are just changed."""

    code: ClassVar[str] = "contract.not_signed"
    kind: ClassVar[Kind] = Kind.CONFLICT


class SignedAmountFirm(DomainError):
    """A signed amount changes by amendment only: POST /contracts/{id}/amend."""

    code: ClassVar[str] = "contract.signed_amount_firm"
    kind: ClassVar[Kind] = Kind.CONFLICT


class SignedTermsFirm(DomainError):
    """Kind and organisation of a signed contract are firm; another agreement is another contract."""

    code: ClassVar[str] = "contract.signed_terms_firm"
    kind: ClassVar[Kind] = Kind.CONFLICT


class ContractIsCanceled(DomainError):
    """A canceled contract is final: it can be archived, and nothing else."""

    code: ClassVar[str] = "contract.canceled"
    kind: ClassVar[Kind] = Kind.CONFLICT


class ContractIsArchived(DomainError):
    """An archived contract cannot be changed."""

    code: ClassVar[str] = "contract.archived"
    kind: ClassVar[Kind] = Kind.CONFLICT


class NotSettled(DomainError):
    """A signed contract with money still to come is not filed away: it is paid or canceled first."""

    code: ClassVar[str] = "contract.not_settled"
    kind: ClassVar[Kind] = Kind.CONFLICT


class AmountMissing(DomainError):
    """A sale has an amount."""

    code: ClassVar[str] = "contract.amount_missing"
    kind: ClassVar[Kind] = Kind.INVALID


class AmountUnwanted(DomainError):
    """A cooperation agreement has no amount."""

    code: ClassVar[str] = "contract.amount_unwanted"
    kind: ClassVar[Kind] = Kind.INVALID


class AmountNegative(DomainError):
    """A contract's amount is zero or more."""

    code: ClassVar[str] = "contract.amount_negative"
    kind: ClassVar[Kind] = Kind.INVALID


class CurrencyDiffers(DomainError):
    """An amendment, a payment, an invoice keep the currency that was signed."""

    code: ClassVar[str] = "contract.currency_differs"
    kind: ClassVar[Kind] = Kind.INVALID


class AmountBelowPaid(DomainError):
    """An amendment leaves at least what has been paid; reverse payments first."""

    code: ClassVar[str] = "contract.amount_below_paid"
    kind: ClassVar[Kind] = Kind.INVALID


class AmountBelowInvoiced(DomainError):
    """An amendment leaves at least what has been invoiced; credit invoices first."""

    code: ClassVar[str] = "contract.amount_below_invoiced"
    kind: ClassVar[Kind] = Kind.INVALID


class IsPaid(DomainError):
    """A contract on which money was paid is not canceled: its payments are reversed first."""

    code: ClassVar[str] = "contract.paid"
    kind: ClassVar[Kind] = Kind.CONFLICT


class IsInvoiced(DomainError):
    """A contract with an invoice that is not wholly credited is not canceled: it is credited first."""

    code: ClassVar[str] = "contract.invoiced"
    kind: ClassVar[Kind] = Kind.CONFLICT


class AmountNotPositive(DomainError):
    """A payment, an invoice and a credit note are each of more than nothing."""

    code: ClassVar[str] = "contract.amount_not_positive"
    kind: ClassVar[Kind] = Kind.INVALID


class PaymentTooLarge(DomainError):
    """Nobody pays more than what remains of the contract's amount."""

    code: ClassVar[str] = "contract.payment_too_large"
    kind: ClassVar[Kind] = Kind.INVALID


class PaymentToCome(DomainError):
    """A payment is recorded when it was made; its day is not after today anywhere (UTC+14)."""

    code: ClassVar[str] = "contract.payment_to_come"
    kind: ClassVar[Kind] = Kind.INVALID


class PaymentUnknown(DomainError):
    """No payment of this contract has this id."""

    code: ClassVar[str] = "contract.payment_unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class PaymentIsReversed(DomainError):
    """A payment is reversed once, as a whole."""

    code: ClassVar[str] = "contract.payment_reversed"
    kind: ClassVar[Kind] = Kind.CONFLICT


class InvoiceTooLarge(DomainError):
    """Invoices come to no more than the contract's amount."""

    code: ClassVar[str] = "contract.invoice_too_large"
    kind: ClassVar[Kind] = Kind.INVALID


class ParticularsMissing(DomainError):
    """An invoice names its seller and its buyer; `errors` says what is not known of them."""

    code: ClassVar[str] = "contract.particulars_missing"
    kind: ClassVar[Kind] = Kind.INVALID


class InvoiceUnknown(DomainError):
    """No invoice has this id or number, or it is not yours to know."""

    code: ClassVar[str] = "contract.invoice_unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class InvoiceIsCredited(DomainError):
    """Nothing is left to credit: credit notes have taken back all of this invoice."""

    code: ClassVar[str] = "contract.invoice_credited"
    kind: ClassVar[Kind] = Kind.CONFLICT


class CreditTooLarge(DomainError):
    """Credit notes come to no more than their invoice."""

    code: ClassVar[str] = "contract.credit_too_large"
    kind: ClassVar[Kind] = Kind.INVALID


class OccasionUnknown(DomainError):
    """No occasion has this id, or it is not yours to know."""

    code: ClassVar[str] = "contract.occasion_unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class OccasionIsWithdrawn(DomainError):
    """A withdrawn occasion is neither changed nor assigned."""

    code: ClassVar[str] = "contract.occasion_withdrawn"
    kind: ClassVar[Kind] = Kind.CONFLICT


class OccasionTimesWrong(DomainError):
    """An occasion begins before it ends, both in a year from 1900 to 9998."""

    code: ClassVar[str] = "contract.occasion_times"
    kind: ClassVar[Kind] = Kind.INVALID


class OccasionAttached(DomainError):
    """A contract with an occasion is not canceled, and not archived before it is over; `occasions` names them."""

    code: ClassVar[str] = "contract.occasion_attached"
    kind: ClassVar[Kind] = Kind.CONFLICT
