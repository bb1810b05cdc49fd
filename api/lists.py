"""Lists over HTTP: the parameters each takes, the records a caller may view, and a page as the answer."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any

from litestar import Request
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter
from msgspec import Raw
from psycopg_pool import AsyncConnectionPool

from api import answers
from api.answers import Answer
from api.conditions import min_position
from api.errors import Refusal, refusal
from api.problems import Problem
from domain.shared import FieldError
from projections import lists
from projections.conditions import Condition, ListRefused
from projections.lists import LARGEST_PAGE, PAGE_SIZE, Listing, ListQuery

LIST_PROBLEMS: Mapping[type[ListRefused], type[Problem]] = {
    refused: type(
        refused.__name__, (Problem,), {"__doc__": refused.__doc__, "code": refused.code, "status": 400}
    )
    for refused in ListRefused.__subclasses__()
}
"""Each way a list refuses, as a problem: derived, so that the catalogue and the OpenAPI document know them all."""


@refusal.register
def _of_list(error: ListRefused) -> Refusal:
    fault = FieldError(pointer=f"/{error.parameter}", code=error.code, detail=error.detail)
    place = {} if error.column is None else {"column": error.column}
    return Refusal(code=error.code, status=400, detail=error.detail, errors=(fault,), extra=place)


def _asked(name: str, description: str) -> Any:
    return QueryParameter(name=name, description=description)


Filter = Annotated[str, _asked("filter", 'Which records: `status=signed AND (region=77 OR tags:"vip")`.')]
OrderBy = Annotated[str, _asked("order_by", "Fields, each up (`asc`) or down: `signed_at desc, number`.")]
PageSize = Annotated[int, _asked("page_size", f"From 1; above {LARGEST_PAGE} counts as {LARGEST_PAGE}.")]
PageToken = Annotated[str | None, _asked("page_token", "The `next_page_token` of the page before.")]
IncludeTotal = Annotated[bool, _asked("include_total", "Count the records of all pages, too.")]
Fields = Annotated[str, _asked("fields", "Only these members of each record: `id,full_name`.")]
ShowArchived = Annotated[bool, _asked("show_archived", "Archived records, too.")]


def list_query(
    *,
    filter_: Filter = "",
    order_by: OrderBy = "",
    page_size: PageSize = PAGE_SIZE,
    page_token: PageToken = None,
    include_total: IncludeTotal = False,
    fields: Fields = "",
    show_archived: ShowArchived = False,
) -> ListQuery:
    """The parameters of every list, as one."""
    return ListQuery(
        filter=filter_,
        order_by=order_by,
        page_size=page_size,
        page_token=page_token,
        include_total=include_total,
        fields=fields,
        show_archived=show_archived,
    )


LIST_PARAMETERS: Mapping[str, Provide] = {"wanted": Provide(list_query, sync_to_thread=False)}
"""`@get("/", dependencies=LIST_PARAMETERS)`, and the handler takes `wanted: Wanted`."""
Wanted = NamedDependency[ListQuery]


class Lists:
    """Pages of any read model. `known` tells how far one is, `reached` waits until it is that far.

    `parked`: of how many streams it lacks something.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool[Any],
        known: Callable[[str], int],
        reached: Callable[[str, int], Awaitable[None]],
        parked: Callable[[str], int] = lambda _: 0,
    ) -> None:
        self._pool, self._known, self._reached, self._parked = pool, known, reached, parked

    async def page(
        self,
        request: Request[Any, Any, Any],
        listing: Listing,
        query: ListQuery,
        *,
        at_least: str | None = None,
        scope: Condition | None = None,
        hidden: frozenset[str] = frozenset(),
    ) -> Answer[Any]:
        """One page. `at_least` is X-Min-Position; `scope` and `hidden` are what the caller may view, and may not.

        Raises ConditionMalformed, ListRefused, and what `reached` raises.
        """
        if (position := min_position(at_least)) is not None:
            await self._reached(listing.name, position)
        known = self._known(
            listing.name
        )  # before the rows: they may know more than the header says, never less
        async with self._pool.connection() as connection:
            found = await lists.page(connection, listing, query, scope=scope, hidden=hidden)
        return answers.page(
            [Raw(row) for row in found.rows],
            projection_position=known,
            url=answers.asked(request),
            next_page_token=found.next_page_token,
            total=found.total,
            parked=self._parked(listing.name),
        )

    async def counts(
        self, asked: Sequence[lists.Asked], *, at_least: str | None = None
    ) -> tuple[int, tuple[int, ...]]:
        """The position that all of them are true at, at least, and how many records each has.

        Raises ConditionMalformed, ListRefused, and what `reached` raises.
        """
        names = {each.listing.name for each in asked}
        if (position := min_position(at_least)) is not None:
            for name in names:
                await self._reached(name, position)
        known = min(map(self._known, names))
        async with self._pool.connection() as connection:
            return known, await lists.counts(connection, asked)
