"""The ledger: every movement of money, and what each organisation and contact owes, kept as sums."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, assert_never
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace
from psycopg import AsyncConnection, AsyncCursor

from domain.contract.events import (
    ContractAmended,
    ContractArchived,
    ContractCanceled,
    ContractChanged,
    ContractDrafted,
    ContractEvent,
    ContractSigned,
    Credited,
    Invoiced,
    MoneyEvent,
    OccasionEvent,
    PaymentRecorded,
    PaymentReversed,
)
from domain.money import Money
from domain.shared import Recorded, Stored
from projections.posting import COLUMNS, Posting, posting
from projections.projection import Batch, Rows

NOTHING = Decimal(0)


class Sums(Struct, frozen=True):
    """Of signed contracts: their amounts, what was paid, what was invoiced less what was credited."""

    amount: Decimal = NOTHING
    paid: Decimal = NOTHING
    invoiced: Decimal = NOTHING

    def plus(self, other: "Sums", sign: int = 1) -> "Sums":
        return Sums(
            self.amount + sign * other.amount,
            self.paid + sign * other.paid,
            self.invoiced + sign * other.invoiced,
        )


class Held(Struct, frozen=True, kw_only=True):
    """What the ledger must know of a contract to place what happens to it."""

    organisation_id: UUID
    contact_id: UUID | None
    amount: Money | None
    counts: bool = False
    paid: Decimal = NOTHING
    invoiced: Decimal = NOTHING

    @property
    def sums(self) -> Sums:
        if self.amount is None or not self.counts:
            return Sums()
        return Sums(self.amount.amount, self.paid, self.invoiced)


Party = tuple[UUID, UUID | None, str]
"""An organisation, of it one contact or (None) all, and a currency."""


def parties(held: Held | None) -> tuple[Party, ...]:
    """Whose balances it belongs to."""
    if held is None or held.amount is None:
        return ()
    whole = (held.organisation_id, None, held.amount.currency)
    return (whole,) if held.contact_id is None else (whole, (held.organisation_id, held.contact_id, whole[2]))


def fold(held: Held | None, event: ContractEvent) -> Held:
    if isinstance(event, ContractDrafted):
        return Held(organisation_id=event.organisation_id, contact_id=event.contact_id, amount=event.amount)
    assert held is not None
    if isinstance(event, OccasionEvent):
        return held
    match event:
        case ContractChanged():
            new = {name: getattr(event, name) for name in ("organisation_id", "contact_id", "amount")}
            return replace(held, **{name: value for name, value in new.items() if value is not UNSET})
        case ContractSigned():
            return replace(held, counts=True)
        case ContractCanceled():
            return replace(held, counts=False)
        case ContractAmended():
            return replace(held, amount=event.amount)
        case PaymentRecorded():
            return replace(held, paid=held.paid + event.amount.amount)
        case PaymentReversed():
            return replace(held, paid=held.paid - event.amount.amount)
        case Invoiced():
            return replace(held, invoiced=held.invoiced + event.amount.amount)
        case Credited():
            return replace(held, invoiced=held.invoiced - event.amount.amount)
        case ContractArchived():
            return held
        case _:
            assert_never(event)


class Ledger(Rows[Posting]):
    """Three tables: the postings, what is held of each contract, and the sums of each party."""

    def __init__(self) -> None:
        super().__init__(name="ledger", version=1, view=Posting, columns=COLUMNS)
        self.tables = ("ledger", "ledger_contract", "balance")
        self.halts = "balances would be wrong without saying so"
        self._held = msgspec.json.Decoder(Held).decode

    def ddl(self, schema: str) -> str:
        return (
            f"{super().ddl(schema)}\n"
            f'create table "{schema}".ledger_contract (id uuid primary key, held bytea not null);\n'
            f'create table "{schema}".balance (organisation_id uuid not null, contact_id uuid, currency text not null,'
            " amount numeric not null, paid numeric not null, invoiced numeric not null,"
            " unique nulls not distinct (organisation_id, contact_id, currency));"
        )

    def takes(self, stored: Stored) -> bool:
        return stored.topic.startswith("contract.")

    async def apply(self, cursor: AsyncCursor[Any], schema: str, batch: Batch) -> None:
        mine = [
            each for each in batch if isinstance(each, Recorded) and isinstance(each.event, ContractEvent)
        ]
        if not mine:
            return
        held = await self._contracts(cursor, schema, {each.stream_id for each in mine})
        sums = await self._balances(cursor, schema, mine, held)
        before, posted = dict(sums), []
        for recorded in mine:
            known = held.get(recorded.stream_id)
            after = held[recorded.stream_id] = fold(known, recorded.event)
            if isinstance(recorded.event, MoneyEvent):
                owing = sums.get((after.organisation_id, None, recorded.event.amount.currency), Sums())
                owed = owing.invoiced - owing.paid
                posted.append(posting(recorded, after.organisation_id, owed))
            for sign, side in ((-1, known), (1, after)):
                for party in parties(side):
                    assert side is not None
                    sums[party] = sums.get(party, Sums()).plus(side.sums, sign)
        if posted:
            await self.keep(cursor, schema, posted)
        await self._keep_contracts(cursor, schema, {each.stream_id for each in mine}, held)
        changed = {party: new for party, new in sums.items() if new != before.get(party)}
        await self._keep_balances(cursor, schema, changed)

    async def _contracts(
        self, cursor: AsyncCursor[Any], schema: str, ids: Iterable[UUID]
    ) -> dict[UUID, Held]:
        await cursor.execute(
            f'select id, held from "{schema}".ledger_contract where id = any(%s)'.encode(), (list(ids),)
        )
        return {key: self._held(held) for key, held in await cursor.fetchall()}

    async def _balances(
        self,
        cursor: AsyncCursor[Any],
        schema: str,
        mine: Sequence[Recorded[Any]],
        held: dict[UUID, Held],
    ) -> dict[Party, Sums]:
        """Of every organisation that the batch could touch."""
        named = {each.organisation_id for each in held.values()}
        named |= {
            each.event.organisation_id
            for each in mine
            if isinstance(each.event, ContractDrafted | ContractChanged)
            and each.event.organisation_id is not UNSET
        }
        await cursor.execute(
            "select organisation_id, contact_id, currency, amount, paid, invoiced"
            f' from "{schema}".balance where organisation_id = any(%s)'.encode(),
            (list(named),),
        )
        return {(o, c, currency): Sums(*figures) for o, c, currency, *figures in await cursor.fetchall()}

    async def _keep_contracts(
        self, cursor: AsyncCursor[Any], schema: str, ids: set[UUID], held: dict[UUID, Held]
    ) -> None:
        await cursor.execute(
            f'insert into "{schema}".ledger_contract select * from unnest(%s::uuid[], %s::bytea[])'
            " on conflict (id) do update set held = excluded.held".encode(),
            (list(ids), [msgspec.json.encode(held[key], order="deterministic") for key in ids]),
        )

    async def _keep_balances(self, cursor: AsyncCursor[Any], schema: str, changed: dict[Party, Sums]) -> None:
        """Who has nothing has no row, however it came to be so."""
        if not changed:
            return
        organisations, contacts, currencies = zip(*changed, strict=True)
        figures = [
            [
                Money(amount=getattr(each, name), currency=party[2]).exact("").amount
                for party, each in changed.items()
            ]
            for name in Sums.__struct_fields__
        ]
        await cursor.execute(
            f'insert into "{schema}".balance select * from'
            " unnest(%s::uuid[], %s::uuid[], %s::text[], %s::numeric[], %s::numeric[], %s::numeric[])"
            " on conflict (organisation_id, contact_id, currency) do update set amount = excluded.amount,"
            " paid = excluded.paid, invoiced = excluded.invoiced".encode(),
            (list(organisations), list(contacts), list(currencies), *figures),
        )
        await cursor.execute(
            f'delete from "{schema}".balance where organisation_id = any(%s)'
            " and amount = 0 and paid = 0 and invoiced = 0".encode(),
            (list(organisations),),
        )


LEDGER = Ledger()


async def balances(
    connection: AsyncConnection[Any], organisation_id: UUID
) -> tuple[int, list[tuple[UUID | None, str, Sums]]]:
    """Of the organisation as a whole (None) and of each contact, in each currency; and the position it is true at."""
    cursor = await connection.execute(
        "select p.position, b.currency, b.contact_id, b.amount, b.paid, b.invoiced from projections p"
        " left join read.balance b on b.organisation_id = %s where p.name = 'ledger' and p.place = 'read'"
        " order by b.contact_id nulls first, b.currency",
        (organisation_id,),
        prepare=True,
    )
    rows = await cursor.fetchall()
    found = [(who, currency, Sums(*figures)) for _, currency, who, *figures in rows if currency is not None]
    return (rows[0][0] if rows else 0), found
