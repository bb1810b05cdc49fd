"""GET of look-ups: what registers of other people know, to spare typing."""

from typing import Annotated, Protocol

from litestar import Router, get
from litestar.params import QueryParameter
from msgspec import Struct

from api import answers
from api.answers import Answer
from api.auth import caller_of
from api.conditions import min_position
from api.fields import END
from api.lists import LIST_PROBLEMS, PageToken
from api.openapi import problems
from api.outages import RegisterUnavailable
from api.problems import ParameterInvalid
from api.queries.records import Asked, Clock, MinPosition
from application.access import require
from application.lookup import SHORTEST, Entries, Locality, Lookups, Name, sought
from domain.shared import FieldError
from projections.keyset import PageTokenMalformed, PageTokenMismatch

CREATE = "organisation:create"

Q = Annotated[
    str,
    QueryParameter(
        name="q",
        min_length=SHORTEST,
        max_length=255,
        description="An INN (10 or 12 digits), OGRN (13 or 15) or KPP (9); else words of the name, "
        f"at least {SHORTEST} characters.",
    ),
]
Siren = Annotated[str, QueryParameter(name="siren", pattern=f"^[0-9]{{9}}{END}", description="Nine digits.")]
Nic = Annotated[
    str | None,
    QueryParameter(
        name="nic", pattern=f"^[0-9]{{5}}{END}", description="Five digits: one establishment only."
    ),
]
PostalCode = Annotated[
    str,
    QueryParameter(
        name="postal_code",
        pattern=f"^[0-9]{{5,6}}{END}",
        description="Five digits: France. Six digits: Russia.",
    ),
]


class Progress(Protocol):
    async def written(self, position: int) -> int: ...


class Localities(Struct, frozen=True, kw_only=True):
    """The places a postal code stands for."""

    data: list[Locality]


def routes(lookups: Lookups, progress: Progress, clock: Clock) -> Router:
    async def allowed(request: Asked, at_least: str | None) -> list[answers.Header]:
        """The position at which `already_added` is true at least. Raises Forbidden, ConditionMalformed, BeyondHead."""
        require(caller_of(request), CREATE, clock())
        head = await progress.written(min_position(at_least) or 0)
        return [(b"x-projection-position", b"%d" % head)]

    @get(
        "/egrul",
        responses=problems(
            RegisterUnavailable, LIST_PROBLEMS[PageTokenMalformed], LIST_PROBLEMS[PageTokenMismatch]
        ),
    )
    async def egrul_lookup(
        request: Asked, q: Q, page_token: PageToken = None, at_least: MinPosition = None
    ) -> Answer[Entries]:
        """The Russian register of legal entities, by number or by words of the name; the best fits first, 20 a page."""
        what = sought(q)
        if isinstance(what, Name) and len(what.text) < SHORTEST:
            short = FieldError(pointer="/q", code="too_short", detail=f"At least {SHORTEST} characters.")
            raise ParameterInvalid(errors=(short,))
        headers = await allowed(request, at_least)
        return answers.json_answer(await lookups.egrul(what, page_token), headers=headers)

    @get("/siren", responses=problems(RegisterUnavailable))
    async def siren_lookup(
        request: Asked, siren: Siren, nic: Nic = None, at_least: MinPosition = None
    ) -> Answer[Entries]:
        """A French company's establishments. `source` says whether the public service told, or the file we keep."""
        headers = await allowed(request, at_least)
        return answers.json_answer(await lookups.siren(siren, nic), headers=headers)

    @get("/commune", responses=problems(RegisterUnavailable))
    async def commune_lookup(
        request: Asked, postal_code: PostalCode, at_least: MinPosition = None
    ) -> Answer[Localities]:
        """The places a postal code stands for."""
        headers = await allowed(request, at_least)
        found = Localities(data=list(await lookups.localities(postal_code)))
        return answers.json_answer(found, headers=headers)

    return Router("/lookups", route_handlers=[egrul_lookup, siren_lookup, commune_lookup], tags=["Look-ups"])
