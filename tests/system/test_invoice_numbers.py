"""Numbers of invoices when several processes give them out at once, and the year ends meanwhile."""

import multiprocessing
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from domain.contract.events import ContractDrafted, ContractSigned, Credited, Invoiced
from domain.money import Money
from domain.number import number_of
from domain.organisation.events import OrganisationAdded
from infrastructure.event_store import new_id
from infrastructure.papers.ledger_check import verify
from tests import biller, people
from tests.store import open_store

pytestmark = pytest.mark.anyio

PROCESSES = 3
ALPHA, ANNA = new_id(), new_id()


async def contracts(dsn, how_many):
    made = [new_id() for _ in range(how_many)]
    amount = Money(amount=Decimal(1_000_000), currency="EUR")
    signed = ContractSigned(
        signed_by=ANNA, signed_at=datetime.now(UTC), signed_version=1, document_sha256="0" * 64
    )
    drafted = ContractDrafted(kind="sale", organisation_id=ALPHA, amount=amount)
    async with open_store(dsn) as (store, _):
        await people.append(store, ALPHA, OrganisationAdded(full_name="Alpha"))
        for each in made:
            await people.append(store, each, drafted, signed)
    return made


@pytest.mark.parametrize("seed", range(2))
async def test_no_gap_and_no_number_twice_whoever_gives_them_out(dsn, seed):
    made = await contracts(dsn, 4)
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=spawning) as processes:
        running = [processes.submit(biller.bill, f"{seed}.{n}", dsn, made) for n in range(PROCESSES)]
        given = sum(each.result(timeout=100) for each in running)
    async with open_store(dsn) as (_, log):
        events = [recorded.event for recorded in await log.open(await log.read(0, 10_000))]
    papers = [event for event in events if isinstance(event, Invoiced | Credited)]
    assert len(papers) == given
    counters = defaultdict(list)
    for paper in papers:
        number = number_of(paper.number)
        assert number.year == paper.issued_on.year
        counters[number.series, number.year].append(number.counter)
    assert {year for _, year in counters} == {2026, 2027}, "midnight passed"
    assert {series for series, _ in counters} == {"F", "PARIS", "AV"}
    for key, found in counters.items():
        assert found == list(range(1, len(found) + 1)), key
    assert (await verify(dsn)).differences == []
