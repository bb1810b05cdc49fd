"""The kinds of value that bodies are made of, each with its limit, its form and an example."""

from datetime import date, datetime
from typing import Annotated, TypeAlias, TypeVar
from uuid import UUID

from msgspec import Meta, Struct, UnsetType

T = TypeVar("T")

END = r"(?![\s\S])"
"""The end of the text in Python and JSON Schema alike: `$` lets a newline through, `\\Z` is Python's."""
_UUID = "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"


class Verbatim:
    """The mark of a text that is taken as typed: neither trimmed nor brought into NFC."""


VERBATIM = Verbatim()


class AtMostBytes:
    """The mark of a text whose form in UTF-8 has a limit, too."""

    def __init__(self, size: int) -> None:
        self.size = size


class Body(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """What a request carries. Every body and everything nested in one descends from this."""


class Nothing(Body, frozen=True, kw_only=True):
    """The body of a command that needs none: absent, or `{}`. One whose every field is optional descends from this."""


Change: TypeAlias = T | UnsetType | None
"""A field of a PATCH, `= UNSET`: absent leaves it, null clears it."""

Name = Annotated[str, Meta(min_length=1, max_length=128, examples=["Marie Curie"])]
Title = Annotated[str, Meta(min_length=1, max_length=255, examples=["Maintenance of the north site"])]
LongText = Annotated[
    str, Meta(min_length=1, max_length=10_000, examples=["Agreed by telephone this morning."])
]
ChatText = Annotated[str, Meta(min_length=1, max_length=4_096, examples=["Hello!"])]
Reason = Annotated[str, Meta(min_length=1, max_length=2_000, examples=["Asked for by the customer."])]
Identifier = Annotated[str, Meta(min_length=1, max_length=120, examples=["732829320"])]

CustomId = Annotated[
    str,
    Meta(
        pattern=rf"^(?!{_UUID}{END})[A-Za-z0-9][A-Za-z0-9._-]{{0,119}}{END}",
        examples=["north-site.2026"],
        description="letters, digits, dots, underscores and hyphens, at most 120, and no UUID",
    ),
]
_BLANK = r"\s\x00-\x20\x7f-\xa0\ufeff"
"""What Python and JSON Schema (ECMA 262) each call white space, so that both mean the same; and control characters."""
Email = Annotated[
    str,
    Meta(
        pattern=rf"^[^@{_BLANK}]{{1,64}}@[^@{_BLANK}.]+(\.[^@{_BLANK}.]+)+{END}",
        max_length=254,
        examples=["marie.curie@example.org"],
        description="an e-mail address such as marie.curie@example.org",
    ),
]
Phone = Annotated[
    str,
    Meta(
        pattern=rf"^[+]?[0-9][0-9 ().-]{{3,30}}{END}",
        examples=["+33 1 40 20 50 50"],
        description="a telephone number such as +33 1 40 20 50 50",
    ),
]
Password = Annotated[
    str,
    Meta(min_length=1, max_length=1_024, examples=["correct horse battery staple"]),
    VERBATIM,
    AtMostBytes(1_024),
]
Secret = Annotated[str, Meta(min_length=1, max_length=8_192, examples=["shown-once"]), VERBATIM]

Amount = Annotated[
    str,
    Meta(
        pattern=rf"^-?(0|[1-9][0-9]{{0,11}})(\.[0-9]{{1,4}})?{END}",
        examples=["12500.00"],
        description='an amount as text, such as "12500.00"',
    ),
]
Currency = Annotated[
    str, Meta(pattern=rf"^[A-Z]{{3}}{END}", examples=["EUR"], description="an ISO 4217 code such as EUR")
]
Day = Annotated[date, Meta(examples=["2026-03-01"])]
Instant = Annotated[datetime, Meta(tz=True, examples=["2026-03-01T09:30:00Z"])]
Id = Annotated[UUID, Meta(examples=["01981c5e-7a3b-7c11-9d55-2f6b8a4e1c07"])]
Count = Annotated[int, Meta(ge=0, le=2_147_483_647, examples=[3])]


class Money(Body, frozen=True, kw_only=True):
    """An amount below 10^12 with the currency's own decimals, as text so that no float ever touches it."""

    amount: Amount
    currency: Currency
