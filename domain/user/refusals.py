"""The rules of accounts that say no."""

from typing import ClassVar

from domain.shared import DomainError, Kind


class UserUnknown(DomainError):
    """No user has this id, or it is not yours to know."""

    code: ClassVar[str] = "user.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class UserNotFound(DomainError):
    """No user has this subject with that issuer."""

    code: ClassVar[str] = "user_not_found"
    kind: ClassVar[Kind] = Kind.MISSING


class EmailTaken(DomainError):
    """Another account has this e-mail address."""

    code: ClassVar[str] = "user.email_taken"
    kind: ClassVar[Kind] = Kind.CONFLICT


class StaffNumberTaken(DomainError):
    """Another account has this staff number."""

    code: ClassVar[str] = "user.staff_number_taken"
    kind: ClassVar[Kind] = Kind.CONFLICT


class AboveYou(DomainError):
    """A moderator touches no administrator, and nobody gives or takes a role above his own."""

    code: ClassVar[str] = "user.above_you"
    kind: ClassVar[Kind] = Kind.FORBIDDEN


class LastAdmin(DomainError):
    """The last active administrator stays one."""

    code: ClassVar[str] = "user.last_admin"
    kind: ClassVar[Kind] = Kind.CONFLICT


class UserIsDeactivated(DomainError):
    """A deactivated account must be reactivated first."""

    code: ClassVar[str] = "user.deactivated"
    kind: ClassVar[Kind] = Kind.CONFLICT


class UserIsBlocked(DomainError):
    """A blocked account must be unblocked first."""

    code: ClassVar[str] = "user.blocked"
    kind: ClassVar[Kind] = Kind.CONFLICT


class UserIsErased(DomainError):
    """The person was forgotten: the account is empty, and stays so."""

    code: ClassVar[str] = "user.erased"
    kind: ClassVar[Kind] = Kind.CONFLICT


class IdentityInvalid(DomainError):
    """An issuer or subject that no identity provider would name: empty, too long, or not made of visible characters."""

    code: ClassVar[str] = "user.identity_invalid"
    kind: ClassVar[Kind] = Kind.INVALID


class IdentityUnknown(DomainError):
    """The account has no identity with this issuer."""

    code: ClassVar[str] = "user.identity_unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class DepartmentOfOneself(DomainError):
    """A department is rights: like a grant, nobody but an administrator gives himself another one."""

    code: ClassVar[str] = "user.department_of_oneself"
    kind: ClassVar[Kind] = Kind.FORBIDDEN


class DepartmentNotOpen(DomainError):
    """A user's department must exist and not be archived."""

    code: ClassVar[str] = "user.department_not_open"
    kind: ClassVar[Kind] = Kind.INVALID
