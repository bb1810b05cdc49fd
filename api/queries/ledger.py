"""GET of what an organisation owes: its balance, and the statement of how that came about."""

from typing import Any
from uuid import UUID

from litestar import Router, get
from msgspec import Struct
from psycopg_pool import AsyncConnectionPool

from api.answers import Answer, Page, json_answer
from api.auth import caller_of
from api.conditions import min_position
from api.lists import LIST_PARAMETERS, Lists, Wanted
from api.problems import NotFound
from api.queries.organisation import OrganisationSight
from api.queries.records import Asked, Clock, MinPosition, Progress, Read, Records
from api.refs import Ref, id_of
from domain.money import Money
from projections.conditions import where
from projections.ledger import LEDGER, Sums, balances
from projections.posting import LISTING, Posting


class Balance(Struct, frozen=True, kw_only=True):
    """In one currency, of signed contracts that are not canceled.

    `amount`: what was agreed, `remaining`: of it not yet paid. `debit`: what was invoiced, less credit notes, `credit`:
    what was paid, less reversals, and `balance`: the one less the other, so what is owed on invoices.
    """

    currency: str
    amount: Money
    paid: Money
    remaining: Money
    invoiced: Money
    debit: Money
    credit: Money
    balance: Money


class ContactBalance(Balance, frozen=True, kw_only=True):
    """Of the contracts made with that contact."""

    contact_id: UUID


class OrganisationBalance(Struct, frozen=True, kw_only=True):
    """One for each currency; none where nothing was signed. `contacts`: the same, of each contact."""

    organisation_id: UUID
    balances: list[Balance]
    contacts: list[ContactBalance]


def routes(
    records: Records,
    organisations: Read,
    progress: Progress,
    pool: AsyncConnectionPool[Any],
    lists: Lists,
    clock: Clock,
) -> Router:
    sight = OrganisationSight(clock)

    async def of(request: Asked, ref: str, at_least: str | None) -> UUID:
        """Raises NotFound."""
        organisation_id = id_of(ref)
        await records.others(at_least, organisations)
        found = await organisations(organisation_id)
        if not found.version or not sight.sees(caller_of(request), found.view):
            raise NotFound
        return organisation_id

    @get("/{ref:str}/balance")
    async def balance(request: Asked, ref: Ref, at_least: MinPosition = None) -> Answer[OrganisationBalance]:
        """What an organisation owes, and what of its contracts is still to be paid."""
        organisation_id = await of(request, ref, at_least)
        if (wanted := min_position(at_least)) is not None:
            await progress.reached(LEDGER.name, wanted)
        async with pool.connection() as connection:
            position, rows = await balances(connection, organisation_id)
        shown = OrganisationBalance(
            organisation_id=organisation_id,
            balances=[Balance(**_figures(currency, sums)) for who, currency, sums in rows if who is None],
            contacts=[
                ContactBalance(contact_id=who, **_figures(currency, sums))
                for who, currency, sums in rows
                if who is not None
            ],
        )
        return json_answer(shown, headers=[(b"x-projection-position", b"%d" % position)])

    @get("/{ref:str}/statement", dependencies=LIST_PARAMETERS)
    async def statement(
        request: Asked, ref: Ref, wanted: Wanted, at_least: MinPosition = None
    ) -> Answer[Page[Posting]]:
        """Invoices, credit notes, payments and reversals as they came, each with what was owed after it."""
        organisation_id = await of(request, ref, at_least)
        of_it = where("{column} = %s", "organisation_id", organisation_id)
        return await lists.page(request, LISTING, wanted, at_least=at_least, scope=of_it)

    return Router("/organisations", route_handlers=[balance, statement])


def _figures(currency: str, sums: Sums) -> dict[str, Any]:
    named = {
        "amount": sums.amount,
        "paid": sums.paid,
        "remaining": sums.amount - sums.paid,
        "invoiced": sums.invoiced,
        "debit": sums.invoiced,
        "credit": sums.paid,
        "balance": sums.invoiced - sums.paid,
    }
    figures = {name: Money(amount=amount, currency=currency) for name, amount in named.items()}
    return {"currency": currency, **figures}
