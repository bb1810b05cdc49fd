"""Running migrations while commands are being written: whoever wants the same tables never waits longer than `STALL`.

A lock that others stand in the way of is waited for `LOCK_WAIT` and then asked for again later: all others queue up
behind who waits. A transaction that has its locks may keep them for `STALL` in all, else PostgreSQL ends it.
"""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
import structlog
from psycopg import errors, sql

from infrastructure.migrations.files import Migration
from infrastructure.release import RELEASE, named

LOCK = 4241
LOCK_WAIT, STALL = 50, 150
"""Milliseconds: below the 200 that a command may be held up."""
PATIENCE = 60.0
"""Seconds one migration is tried before whoever stands in its way is named."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
LOOK_SECONDS = 0.1

IN_USE = f"-c lock_timeout={LOCK_WAIT} -c transaction_timeout={STALL}"
BOOKS = """create table if not exists migrations (
  number int primary key, applied_at timestamptz not null default now());
alter table migrations add column if not exists sha256 text, add column if not exists release text"""
OPEN_LONG = """select pid, application_name, date_trunc('second', clock_timestamp() - xact_start) from pg_stat_activity
  where datname = current_database() and pid <> pg_backend_pid()
    and xact_start < clock_timestamp() - interval '1 second'
  order by xact_start limit 3"""

Said = Callable[[str], None]
_log = structlog.get_logger("migrations")


class Refused(Exception):
    """This release must leave the store alone."""


class Blocked(Exception):
    """A migration failed, got no locks, or could not do with them as shortly as it must. Those before it are done."""


@contextmanager
def alone(url: str, said: Said) -> Generator[psycopg.Connection[Any]]:
    """One upgrade at a time; a second one says so, and waits. The lock is a session's, so it ends with its process.

    It is asked for again and again, in no transaction: an index that is built concurrently waits for all that are open.
    """
    with psycopg.connect(url, autocommit=True, application_name=named("chancery upgrade")) as connection:
        told = False
        while connection.execute("select pg_try_advisory_lock(%s)", (LOCK,)).fetchone() != (True,):
            if not told:
                told = True
                said("another upgrade is under way; waiting until it has ended")
            time.sleep(LOOK_SECONDS)
        yield connection


def run(
    url: str,
    missing: Sequence[Migration],
    rights: sql.Composed,
    *,
    fresh: bool,
    said: Said,
    patience: float = PATIENCE,
) -> None:
    """What is missing, in order, each in a transaction of its own; the rights come with the last one.

    Interrupted, it is run again and goes on behind what is done. Of a store that nobody works on yet all of it is one
    transaction, without limits. Raises Blocked.
    """
    limits = "" if fresh else IN_USE

    def tried(what: str, attempt: Callable[[], None]) -> None:
        _tried(what, url, patience, said, attempt)

    if not missing:
        tried("the rights of the application's role", partial(_in_one, url, limits, (), rights))
        return
    tried("the list of migrations", partial(_write, url, limits, BOOKS))
    for step in _steps(missing, together=fresh):
        what = f"migration {', '.join(str(each.number) for each in step)}"
        if step[0].outside:
            tried(what, partial(_outside, url, step[0]))
        last = rights if step[-1] is missing[-1] else None
        tried(what, partial(_in_one, url, limits, step, last))
        _log.info("migrations.applied", numbers=[each.number for each in step])


def _steps(missing: Sequence[Migration], *, together: bool) -> list[list[Migration]]:
    steps: list[list[Migration]] = []
    for migration in missing:
        if together and steps and not migration.outside and not steps[-1][-1].outside:
            steps[-1].append(migration)
        else:
            steps.append([migration])
    return steps


def _write(url: str, limits: str, text: str) -> None:
    with psycopg.connect(url, options=limits, application_name=named("chancery upgrade")) as connection:
        connection.execute(text.encode())


def _in_one(url: str, limits: str, step: Sequence[Migration], rights: sql.Composed | None) -> None:
    with psycopg.connect(url, options=limits, application_name=named("chancery upgrade")) as connection:
        for migration in step:
            if not migration.outside:
                connection.execute(migration.text.encode())
            connection.execute(
                "insert into migrations (number, sha256, release) values (%s, %s, %s)",
                (migration.number, migration.sha256, RELEASE),
            )
        if rights is not None:
            connection.execute(rights)


def _outside(url: str, migration: Migration) -> None:
    """It takes as long as it takes, and holds up nobody: what may stand here waits without others behind it."""
    with psycopg.connect(url, autocommit=True, application_name=named("chancery upgrade")) as connection:
        if migration.built_index is not None:
            _drop_invalid(connection, migration.built_index)
        connection.execute(migration.text.encode())


def _drop_invalid(connection: psycopg.Connection[Any], index: str) -> None:
    """What an interrupted build has left: it is kept up, and used by nobody."""
    left = connection.execute(
        "select from pg_index where indexrelid = to_regclass(%s) and not indisvalid", (index,)
    ).fetchone()
    if left is not None:
        connection.execute(sql.SQL("drop index concurrently if exists {}").format(sql.Identifier(index)))


def _tried(what: str, url: str, patience: float, said: Said, attempt: Callable[[], None]) -> None:
    until, pause, told = time.monotonic() + patience, FIRST_PAUSE, False
    while True:
        try:
            attempt()
        except (errors.LockNotAvailable, errors.TransactionTimeout, errors.DeadlockDetected) as error:
            if time.monotonic() > until:
                raise Blocked(
                    f"{what}: {_why(error)}; {_in_the_way(url)}. Nothing of it has happened."
                ) from error
            if not told:
                told = True
                said(f"{what} lets others pass: {_why(error)}")
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        except psycopg.Error as error:
            raise Blocked(f"{what}: {str(error).strip()}") from error
        else:
            return


def _why(error: psycopg.Error) -> str:
    match error:
        case errors.TransactionTimeout():
            return f"it held its locks for {STALL} ms and was not done"
        case _:
            return str(error).partition("\n")[0]


def _in_the_way(url: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        open_long = connection.execute(OPEN_LONG).fetchall()
    if not open_long:
        return "no transaction has been open for long, so it asks for too much at once"
    return "open for long: " + ", ".join(f"process {pid} ({name}) for {age}" for pid, name, age in open_long)
