"""One process that issues invoices and credit notes as fast as it can, across the end of a year."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from random import Random
from uuid import UUID

from application.access import system
from application.context import Context
from domain.money import Money
from infrastructure.bootstrap import running
from tests.serving import settings

CALLERS, EACH = 6, 8
MIDNIGHT = datetime(2027, 1, 1, tzinfo=UTC)


def bill(seed: str, dsn: str, contracts: list[UUID]) -> int:
    """Runs in a process of its own; answers how many numbers it was given."""
    return asyncio.run(_bill(Random(seed), dsn, contracts))


def passing(random: Random) -> Iterator[datetime]:
    """A clock that begins before midnight and goes on in jumps of its own until after."""
    for step in count():
        yield MIDNIGHT + timedelta(seconds=step * random.uniform(0.1, 0.3) - CALLERS * EACH / 3)


async def _bill(random: Random, dsn: str, contracts: list[UUID]) -> int:
    async with running(settings(dsn, "")) as office:
        times = passing(random)
        office.execute.clock = lambda: next(times)
        done = await asyncio.gather(*(_caller(office, random, contracts) for _ in range(CALLERS)))
    return sum(done)


async def _caller(office, random: Random, contracts: list[UUID]) -> int:
    given = 0
    for _ in range(EACH):
        context = Context(caller=system(), request_id="bill")
        amount = Money(amount=Decimal(random.randint(1, 5)), currency="EUR")
        series = random.choice(("F", "F", "PARIS"))
        said = await office.invoices.issue(random.choice(contracts), amount, None, series, context)
        given += 1
        if random.random() < 0.3:
            await office.invoices.credit(said.extra["number"], None, None, context)
            given += 1
    return given
