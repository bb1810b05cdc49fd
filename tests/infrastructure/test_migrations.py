"""Numbered SQL: once each, one upgrade at a time, beside commands that never notice."""

import asyncio
import time
from contextlib import asynccontextmanager

import psycopg
import pytest

from infrastructure.embedded.postgres import APP
from infrastructure.migrations import migrate, migrations
from infrastructure.migrations.applying import STALL, Blocked, Refused
from infrastructure.migrations.files import Migration
from infrastructure.migrations.standing import compare
from infrastructure.postgres import connect
from infrastructure.release import RELEASE, named, older, release_of
from tests.people import registered
from tests.store import open_store
from tests.waiting import until

pytestmark = pytest.mark.anyio

WRITERS = 4
ADD = Migration(9001, "alter table claims add column note text")
INDEX = Migration(
    9002, "-- outside a transaction\ncreate index concurrently if not exists claims_note on claims (note)"
)
DROP_INDEX = Migration(9005, "-- outside a transaction\ndrop index concurrently if exists claims_note")
DROP = Migration(9006, "-- What 9001 added.\n-- not before 0.2.0\nalter table claims drop column note")


@pytest.fixture
def owner(owner_dsn):
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        yield connection


def up(owner_dsn, *more, **how):
    return migrate(owner_dsn, APP, [*migrations(), *more], **how)


def numbers(owner):
    return [number for (number,) in owner.execute("select number from migrations order by number")]


def columns(owner, table="claims"):
    rows = owner.execute(
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0", (table,)
    )
    return {name for (name,) in rows}


def test_each_runs_once_and_what_ran_is_kept_with_its_checksum_and_release(owner_dsn, owner):
    assert up(owner_dsn, ADD) == 1
    assert up(owner_dsn, ADD) == 0
    kept = {number: rest for number, *rest in owner.execute("select number, sha256, release from migrations")}
    assert kept == {each.number: [each.sha256, RELEASE] for each in [*migrations(), ADD]}


def test_numbers_are_unique():
    found = [number for number, _ in migrations()]
    assert found == sorted(set(found))


def test_what_may_stand_outside_a_transaction_holds_up_nobody():
    """Each of these waits without others behind it; everything else belongs into a transaction with limits."""
    harmless = ("create index concurrently if not exists ", "create unique index concurrently if not exists ")
    harmless += ("drop index concurrently if exists ", "reindex index concurrently ", "do $$")
    for migration in migrations():
        if migration.outside:
            statement = "\n".join(
                line for line in migration.text.lower().splitlines() if not line.startswith("--")
            )
            assert statement.lstrip().startswith(harmless), migration.number


# --- beside commands -------------------------------------------------------------------------------------------


class Traffic:
    """Commands without a pause, through the append that everybody uses. `done`: how long each took, in seconds."""

    def __init__(self, store):
        self._store, self.done = store, []

    async def write(self):
        while True:
            began = time.perf_counter()
            await registered(self._store)
            self.done.append(time.perf_counter() - began)

    async def more(self, number):
        """Until as many more were accepted."""
        enough = len(self.done) + number
        await until(lambda: len(self.done) >= enough)


@asynccontextmanager
async def traffic(dsn):
    """A command that fails fails the test."""
    async with open_store(dsn) as opened:
        made = Traffic(opened.store)
        writers = [asyncio.create_task(made.write()) for _ in range(WRITERS)]
        try:
            yield made
            assert not any(writer.done() for writer in writers)
        finally:
            for writer in writers:
                writer.cancel()
            await asyncio.gather(*writers, return_exceptions=True)


def replaced(owner):
    """`append` as it is, written anew, and beside it one that takes a parameter more: what the next release calls."""
    row = owner.execute(
        "select pg_get_functiondef(oid), pg_get_function_arguments(oid), pg_get_function_result(oid), pronargs"
        " from pg_proc where proname = 'append'"
    ).fetchone()
    body, arguments, result, count = row
    passed = ", ".join(f"${number}" for number in range(1, count + 1))
    wrapped = (
        f"create function append({arguments}, note text) returns {result} language sql volatile security definer"
        f" set search_path = public, pg_temp as $$ select * from append({passed}) $$"
    )
    return Migration(9003, f"{body};\n{wrapped}"), Migration(
        9004, f"-- not before 0.2.0\ndrop function append({types(owner)}, text)"
    )


def types(owner):
    (said,) = owner.execute(
        "select string_agg(format_type(t, null), ', ' order by n) from pg_proc,"
        " unnest(proargtypes) with ordinality as a(t, n) where proname = 'append' and pronargs ="
        " (select min(pronargs) from pg_proc where proname = 'append')"
    ).fetchone()
    return said


async def test_expand_and_contract_hold_up_no_command(owner_dsn, dsn, owner):
    """A reader who stays in his transaction keeps the migration from its lock, and no command may wait behind it."""
    anew, gone = replaced(owner)
    said = []
    async with traffic(dsn) as flow:
        await flow.more(200)
        quiet = max(flow.done)
        with psycopg.connect(owner_dsn) as reader:
            reader.execute("select count(*) from claims")
            expanding = asyncio.create_task(
                asyncio.to_thread(up, owner_dsn, ADD, INDEX, anew, said=said.append)
            )
            await until(lambda: said)
            await flow.more(200)
            assert not expanding.done()
        assert await expanding == 3
        assert said[0].startswith("migration 9001 lets others pass: ")
        call = (
            f"select head from append({', '.join('null::' + each for each in types(owner).split(', '))}{{}})"
        )
        async with await connect(dsn) as next_release:
            assert await (await next_release.execute(call.format(", 'a note'").encode())).fetchone()
        await flow.more(50)
        assert await asyncio.to_thread(up, owner_dsn, ADD, INDEX, anew, gone, DROP_INDEX, DROP) == 3
        await flow.more(50)
        assert max(flow.done) < 10 * quiet + 2  # 200 ms are promised; `python -m bench upgrade` measures them
    assert "note" not in columns(owner)
    assert owner.execute("select count(*) from pg_proc where proname = 'append'").fetchone() == (1,)


async def test_a_migration_that_keeps_its_locks_too_long_leaves_nothing_and_commands_go_on(
    owner_dsn, dsn, owner
):
    slow = Migration(9001, f"{ADD.text}; select pg_sleep(60)")
    async with traffic(dsn) as flow:
        with pytest.raises(
            Blocked,
            match=f"migration 9001: (it held its locks for {STALL} ms|canceling statement due to lock)",
        ):
            await asyncio.to_thread(up, owner_dsn, slow, patience=1)
        await flow.more(50)
    assert "note" not in columns(owner)
    assert 9001 not in numbers(owner)


def test_who_stands_in_the_way_for_long_is_named(owner_dsn, owner):
    with psycopg.connect(owner_dsn, application_name="a long report") as reader:
        pid = reader.execute(
            "select pg_backend_pid() from claims right join (values (1)) as one on true"
        ).fetchone()[0]
        with pytest.raises(
            Blocked, match=rf"migration 9001: .*; open for long: process {pid} \(a long report\) for "
        ):
            up(owner_dsn, ADD, patience=1.5)
    assert up(owner_dsn, ADD) == 1


# --- interrupted, twice, in the wrong order --------------------------------------------------------------------


def test_interrupted_it_goes_on_behind_what_is_done(owner_dsn, owner):
    wrong = Migration(9003, "alter table claims add column other int; select 1 / 0")
    with pytest.raises(Blocked, match="migration 9003: division by zero"):
        up(owner_dsn, ADD, INDEX, wrong)
    assert numbers(owner)[-2:] == [9001, 9002]
    assert "other" not in columns(owner)
    assert up(owner_dsn, ADD, INDEX, Migration(9003, "alter table claims add column other int")) == 1
    assert {"note", "other"} <= columns(owner)


def test_an_index_whose_making_was_interrupted_is_made_anew(owner_dsn, owner):
    up(owner_dsn, ADD)
    owner.execute(INDEX.text)
    owner.execute("drop index claims_note")
    with psycopg.connect(owner_dsn) as writer:
        writer.execute("insert into claims (kind, value, owner) values ('test', '1', gen_random_uuid())")
        hasty = psycopg.connect(owner_dsn, autocommit=True, options="-c statement_timeout=100ms")
        with hasty, pytest.raises(psycopg.errors.QueryCanceled):  # it waits for the writer
            hasty.execute(INDEX.text)
    assert valid(owner) == (False,)
    assert up(owner_dsn, ADD, INDEX) == 1
    assert valid(owner) == (True,)


def valid(owner):
    return owner.execute(
        "select indisvalid from pg_index where indexrelid = to_regclass('claims_note')"
    ).fetchone()


async def test_of_two_upgrades_at_once_one_says_that_it_waits_and_then_finds_nothing_to_do(owner_dsn, owner):
    said = ([], [])
    with psycopg.connect(owner_dsn) as reader:
        reader.execute("select count(*) from claims")
        first = asyncio.create_task(asyncio.to_thread(up, owner_dsn, ADD, INDEX, said=said[0].append))
        await until(lambda: said[0])
        second = asyncio.create_task(asyncio.to_thread(up, owner_dsn, ADD, INDEX, said=said[1].append))
        await until(lambda: said[1])
        assert said[1][0] == "another upgrade is under way; waiting until it has ended"
    assert await first == 2
    assert await second == 0


def test_a_release_that_does_not_know_what_ran_changes_nothing(owner_dsn, owner):
    up(owner_dsn, ADD)
    assert up(owner_dsn) == 0
    refusal = f"The store has migration 9001, which release {RELEASE} ran and release {RELEASE} does not know"
    assert compare(owner, migrations()).refused.startswith(refusal)
    with pytest.raises(Refused, match=refusal):
        up(owner_dsn, Migration(9000, "alter table claims add column elsewhere int"))
    assert "elsewhere" not in columns(owner)


def test_an_edited_file_is_refused(owner_dsn, owner):
    up(owner_dsn, ADD)
    with pytest.raises(Refused, match="Migration 9001 is not what ran on this store"):
        up(owner_dsn, Migration(9001, f"{ADD.text} default ''"), INDEX)
    assert 9002 not in numbers(owner)


def test_what_older_processes_use_is_taken_away_when_they_have_ended(owner_dsn, owner):
    up(owner_dsn, ADD)
    with psycopg.connect(owner_dsn, application_name="chancery work"):
        with pytest.raises(Blocked, match=r"migration 9006 takes away what processes before 0\.2\.0 use"):
            up(owner_dsn, ADD, INDEX, DROP)
        assert numbers(owner)[-1] == 9002
        assert compare(owner, [ADD, DROP]).older == ("",)
    with psycopg.connect(owner_dsn, application_name="chancery work 0.2.0"):
        assert up(owner_dsn, ADD, INDEX, DROP) == 1


def test_a_connection_says_what_it_does_and_for_which_release():
    assert release_of(named("chancery tile copy")) == RELEASE
    assert release_of("chancery") == release_of("chancery audit_log") == ""
    assert release_of("chancery relay 0.10.0") == "0.10.0"
    assert release_of("psql") is None
    assert older("", "0.1.0")
    assert older("0.9.0", "0.10.0")
    assert not older("1.0.0", "1.0.0")
