"""What a password must be, as rules in data: length, and not what anybody would try first."""

from typing import ClassVar
from unicodedata import normalize

from msgspec import Struct

from domain.shared import DomainError, FieldError, Kind


class PasswordRefused(DomainError):
    """The password does not keep the rules; GET /auth/password-policy lists them."""

    code: ClassVar[str] = "password.refused"
    kind: ClassVar[Kind] = Kind.INVALID


class PasswordPolicy(Struct, frozen=True, kw_only=True):
    """Lengths in code points, counted after NFKC (NIST SP 800-63B-4, 3.1.1.2); no composition rules."""

    min_length: int = 12
    max_length: int = 256

    def check(self, password: str, *, pointer: str, own: tuple[str | None, ...] = ()) -> None:
        """`own`: what stands in the profile and must not be the password or most of it. Raises PasswordRefused."""
        form = normalize("NFKC", password)
        wrong = []
        if len(form) < self.min_length:
            wrong.append(("too_short", f"At least {self.min_length} characters."))
        if len(form) > self.max_length:
            wrong.append(("too_long", f"At most {self.max_length} characters."))
        if any(
            word and len(word) > 3 and word.lower() in form.lower() and len(word) * 2 > len(form)
            for word in own
        ):
            wrong.append(("own_name", "Not your own name or e-mail address."))
        if wrong:
            errors = tuple(FieldError(pointer=pointer, code=code, detail=detail) for code, detail in wrong)
            raise PasswordRefused("The password does not keep the rules.", errors=errors)
