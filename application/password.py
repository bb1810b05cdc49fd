"""What a password must be, as rules in data: length, and not what anybody would try first."""

from collections.abc import Collection, Iterator
from typing import ClassVar, Literal
from unicodedata import normalize

from msgspec import Struct

from domain.shared import DomainError, FieldError, Kind

Character = Literal["upper", "lower", "digit", "special", "digit_or_special"]

_SAID: dict[Character, str] = {
    "upper": "At least one capital letter.",
    "lower": "At least one small letter.",
    "digit": "At least one digit.",
    "special": "At least one special character.",
    "digit_or_special": "At least one digit or special character.",
}


class PasswordRefused(DomainError):
    """The password does not keep the rules; GET /auth/password-policy lists them."""

    code: ClassVar[str] = "password.refused"
    kind: ClassVar[Kind] = Kind.INVALID


class PasswordPolicy(Struct, frozen=True, kw_only=True):
    """Lengths in code points, counted after NFKC; no composition rules by default (NIST SP 800-63B-4, 3.1.1.2).

    `special_characters`: which ones count as special; none named: all but letters, digits and spaces. `common`: folded,
    refused as a whole. `product`: what everybody knows who sees the sign-in page.
    """

    min_length: int = 12
    max_length: int = 256
    needs: tuple[Character, ...] = ()
    special_characters: str = ""
    forbidden_characters: str = ""
    common: Collection[str] = frozenset()
    product: str = "Chancery"

    def check(
        self, password: str, *, pointer: str, own: tuple[str | None, ...] = (), is_old: bool = False
    ) -> None:
        """`own`: what stands in the profile and must not be most of the password. `is_old`: it is the present one.

        Raises PasswordRefused with everything that is wrong.
        """
        wrong = list(self._wrong(form(password), own))
        if is_old:
            wrong.append(("unchanged", "Not the present one again."))
        if wrong:
            errors = tuple(FieldError(pointer=pointer, code=code, detail=detail) for code, detail in wrong)
            raise PasswordRefused("The password does not keep the rules.", errors=errors)

    def _wrong(self, text: str, own: tuple[str | None, ...]) -> Iterator[tuple[str, str]]:
        if len(text) < self.min_length:
            yield "too_short", f"At least {self.min_length} characters."
        if len(text) > self.max_length:
            yield "too_long", f"At most {self.max_length} characters."
        for kind in self.needs:
            if not any(self._is(kind, each) for each in text):
                yield f"needs_{kind}", _SAID[kind]
        if any(each in self.forbidden_characters for each in text):
            yield "forbidden_character", f"None of {self.forbidden_characters}"
        folded = fold(text)
        if folded in self.common:
            yield "common", "Too many people use this password."
        if _mostly(folded, own):
            yield "own_name", "Not your own name, e-mail address or staff number."
        if _mostly(folded, (self.product,)):
            yield "product_name", f"Not the name {self.product}."

    def _is(self, kind: Character, each: str) -> bool:
        match kind:
            case "upper":
                return each.isupper()
            case "lower":
                return each.islower()
            case "digit":
                return each.isdigit()
            case "special":
                return (
                    each in self.special_characters
                    if self.special_characters
                    else not (each.isalnum() or each.isspace())
                )
            case "digit_or_special":
                return self._is("digit", each) or self._is("special", each)


def form(password: str) -> str:
    """In which it is judged and hashed: the same on every keyboard (NIST SP 800-63B-4, 3.1.1.2)."""
    return normalize("NFKC", password)


def fold(password: str) -> str:
    """The form in which passwords are compared with what is known: letter case and width make none less common."""
    return normalize("NFKC", normalize("NFKC", password).casefold())


def _mostly(folded: str, words: tuple[str | None, ...]) -> bool:
    """Whether these words, of four letters at least, make up more than half of it. An address is its parts, too."""
    rest = folded
    parts = {fold(part) for word in words if word for part in (word, word.partition("@")[0])}
    for part in sorted(parts, key=len, reverse=True):
        if len(part) > 3:
            rest = rest.replace(part, "")
    return len(rest) * 2 < len(folded)
