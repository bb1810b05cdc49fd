"""Registers without a gap and without a double: two processes at once, over a year's end; the office's own calendar."""

from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context

import psycopg
import pytest

from application.access import system
from application.context import Context
from domain.letter.commands import RegisterLetter
from domain.number import number_of
from domain.organisation.events import OrganisationAdded
from infrastructure import guard_check
from infrastructure.bootstrap import running
from infrastructure.event_store import new_id
from tests import registrar
from tests.people import append
from tests.serving import settings
from tests.store import WRAPPING, open_store

pytestmark = pytest.mark.anyio
PROCESSES, LETTERS = 2, 90


async def test_two_processes_leave_no_gap_and_give_no_number_twice(dsn, owner_dsn):
    organisation_id = new_id()
    async with open_store(dsn) as (store, _):
        await append(store, organisation_id, OrganisationAdded(full_name="Alpha"))
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as processes:
        running_ = [
            processes.submit(registrar.register, f"clerks {n}", dsn, organisation_id, LETTERS)
            for n in range(PROCESSES)
        ]
        told = [number for each in running_ for number in each.result(90)]
    with psycopg.connect(owner_dsn) as connection:
        rows = connection.execute(
            "select value, owner from claims where kind = 'letter.number' order by value"
        ).fetchall()
        (stored,) = connection.execute(
            "select count(*) from stored_events where topic in ('letter.registered.v1', 'letter.signed.v1')"
        ).fetchone()
    assert len(set(told)) == len(told) > PROCESSES * LETTERS // 3, "nobody got a number that another one got"
    claimed = {number_of(each).claim for each in told}
    assert claimed <= {value for value, _ in rows}, "what somebody was told stands in the register"
    assert len({owner for _, owner in rows}) == len(rows) == stored, "each letter has one number"
    registers = Counter(value.partition(":")[0] for value, _ in rows)
    assert registers.keys() == {"IN-2026", "IN-2027", "OUT-2026", "OUT-2027"}
    assert [value for value, _ in rows] == [
        f"{register}:{counter:012d}"
        for register in sorted(registers)
        for counter in range(1, registers[register] + 1)
    ], "every register is counted from 1, without a gap"
    assert await guard_check.verify(owner_dsn, WRAPPING) == [], "the log says so, too"


@pytest.mark.parametrize(("zone", "year"), [("Pacific/Auckland", 2027), ("America/New_York", 2026)])
async def test_the_year_is_that_of_the_office_own_calendar(dsn, zone, year):
    organisation_id = new_id()
    async with running(settings(dsn, "", time_zone=zone)) as office:
        await append(office.execute._store, organisation_id, OrganisationAdded(full_name="Alpha"))
        office.execute.clock = lambda: datetime(2026, 12, 31, 18, tzinfo=UTC)
        command = RegisterLetter(
            organisation_ids=(organisation_id,),
            subject="On the north site",
            received_on=registrar.DAY,
        )
        answer = await office.letters.register(command, Context(caller=system(), request_id="test"))
    assert answer.extra["number"] == f"IN-{year}-00001"
