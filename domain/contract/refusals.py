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
    """Only a signed contract is amended; an unsigned one is simply changed."""

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
    """An amendment keeps the currency that was signed."""

    code: ClassVar[str] = "contract.currency_differs"
    kind: ClassVar[Kind] = Kind.INVALID
