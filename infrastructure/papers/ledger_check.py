"""`chancery ledger verify`: every amount made again from the log, and laid beside what the read models show."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct
from psycopg import AsyncConnection, IsolationLevel

from domain.shared import Event
from infrastructure.event_codec import event_classes
from infrastructure.papers.books import Books
from infrastructure.postgres import connect

PAGE = 5_000
Figures = tuple[tuple[Any, ...], Sequence[Decimal]]
"""What something is called, and its amounts."""


class Difference(Struct, frozen=True):
    """One figure that the log and a read model, or the log and a rule, see differently."""

    about: str
    detail: str

    def __str__(self) -> str:
        return f"{self.about}: {self.detail}"


class Report(Struct, kw_only=True):
    """What was compared, and what differs. `missing`: read models that have not been made yet."""

    events: int = 0
    contracts: int = 0
    numbers: int = 0
    differences: list[Difference] = []
    missing: list[str] = []


async def verify(url: str) -> Report:
    """From one snapshot, each read model at its own position: writers and projectors may go on meanwhile."""
    async with await connect(url, options="-c jit=off", name="chancery ledger") as connection:
        await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        await connection.set_read_only(True)
        async with connection.transaction():
            return await _verify(connection)


async def _verify(connection: AsyncConnection[Any]) -> Report:
    report, books = Report(), Books()
    due = await _positions(connection)
    report.missing = [name for name in READ_MODELS if name not in due]
    waiting = sorted((due[of], name) for name, (of, _, _) in COMPARED.items() if of in due)
    async for position, contract_id, event in _money(connection):
        while waiting and position > waiting[0][0]:
            await _compare(connection, waiting.pop(0)[1], books, report)
        report.differences += [
            Difference(f"position {position}", each) for each in books.take(contract_id, event)
        ]
        report.events += 1
    for _, name in waiting:
        await _compare(connection, name, books, report)
    report.contracts, report.numbers = len(books.accounts), sum(books.counters.values())
    return report


async def _positions(connection: AsyncConnection[Any]) -> dict[str, int]:
    cursor = await connection.execute(
        "select name, position from projections where place = 'read' and name = any(%s)",
        (READ_MODELS,),
    )
    return dict(await cursor.fetchall())


async def _money(connection: AsyncConnection[Any]) -> AsyncIterator[tuple[int, UUID, Event]]:
    """What happened to contracts, in order."""
    classes = {topic: each for topic, each in event_classes().items() if topic.startswith("contract.")}
    async with connection.cursor(name="ledger") as cursor:
        cursor.itersize = PAGE
        await cursor.execute(
            "select notification_id, originator_id, topic, state from stored_events where topic = any(%s)"
            " order by notification_id",
            (list(classes),),
        )
        async for position, contract_id, topic, state in cursor:
            yield position, contract_id, msgspec.json.decode(state, type=classes[topic])


async def _compare(connection: AsyncConnection[Any], name: str, books: Books, report: Report) -> None:
    _, query, expected = COMPARED[name]
    wanted = dict(expected(books))
    async with connection.cursor(name=f"shown_{name}") as cursor:
        await cursor.execute(query.encode())
        async for *key, figures in cursor:
            about = f"{name} {' '.join(str(part) for part in key if part is not None)}"
            right = wanted.pop(tuple(key), None)
            if right is None:
                report.differences.append(Difference(about, "extra, the log knows nothing of it"))
            elif list(right) != list(figures):
                said = f"shows {_told(figures)}, the log says {_told(right)}"
                report.differences.append(Difference(about, said))
    for key in wanted:
        about = f"{name} {' '.join(str(part) for part in key if part is not None)}"
        report.differences.append(Difference(about, "missing"))


def _told(figures: Sequence[Decimal]) -> str:
    return " / ".join(map(str, figures))


def _of_contracts(books: Books) -> Iterator[Figures]:
    for contract_id, account in books.accounts.items():
        if account.amount is not None:
            left, owed = account.amount - account.paid, account.invoiced - account.paid
            yield (contract_id,), (account.amount, account.paid, left, account.invoiced, owed)


SHOWN_CONTRACTS = (
    "select id, array[amount, paid, remaining, invoiced, balance] from read.contract where amount is not null"
)
SHOWN_BALANCES = (
    "select organisation_id, contact_id, currency, array[amount, paid, invoiced] from read.balance"
)
SHOWN_STATEMENTS = """select distinct on (organisation_id, currency) organisation_id, currency,
    array[(convert_from(view, 'UTF8')::jsonb -> 'balance' ->> 'amount')::numeric]
  from read.ledger order by organisation_id, currency, entry desc"""
SHOWN_ACCOUNTS = """select account, currency, array[sum(debit), sum(credit)] from (
    select convert_from(view, 'UTF8')::jsonb ->> 'debit_account', currency, amount, 0 from read.ledger
    union all
    select convert_from(view, 'UTF8')::jsonb ->> 'credit_account', currency, 0, amount from read.ledger)
  as sides (account, currency, debit, credit) group by account, currency"""

COMPARED: Mapping[str, tuple[str, str, Callable[[Books], Iterable[Figures]]]] = {
    "contract": ("contract", SHOWN_CONTRACTS, _of_contracts),
    "balance": ("ledger", SHOWN_BALANCES, lambda books: books.balances().items()),
    "statement of": ("ledger", SHOWN_STATEMENTS, lambda books: books.owed.items()),
    "account": ("ledger", SHOWN_ACCOUNTS, lambda books: books.totals.items()),
}
"""What is compared: of which read model, how it is shown there, what the books say."""
READ_MODELS = sorted({of for of, _, _ in COMPARED.values()})
