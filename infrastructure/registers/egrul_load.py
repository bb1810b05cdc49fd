"""Loading the register of Russian legal entities into `lookup.egrul`: all of it anew, or what the files speak of."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Literal

import psycopg
from msgspec import Struct, field
from psycopg import Connection, sql

from infrastructure.postgres import EGRUL
from infrastructure.registers.egrul_file import EgrulFile, Extract
from infrastructure.registers.egrul_words import words
from infrastructure.release import named

Mode = Literal["fill", "update"]
EVERY = 1_000
"""Legal entities between two words on progress."""
SHOWN = 100
"""Problems that are named; all are counted."""

_OPTIONS = "-c jit=off -c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c lock_timeout=10s"
_COLUMNS = "ref, ogrn, inn, kpp, full_name, short_name, address, postal_code, region_code, is_main"

_ARRIVED = """
create temporary table arrived (
  said bigint not null,          -- of two extracts on one OGRN the later counts, and of one day the one read last
  ref text, ogrn text not null, inn text, kpp text, full_name text, short_name text, address text, postal_code text,
  region_code text, is_main boolean, folded text
) on commit drop
"""
_TABLE = """
create table lookup.{table} (
  ref text not null, ogrn text not null, inn text, kpp text, full_name text not null, short_name text,
  address text not null, postal_code text, region_code text not null, is_main boolean not null,
  words tsvector not null
)
"""
_INDEXES = (
    "create unique index on lookup.{table} (ref)",
    "create index on lookup.{table} (ogrn)",
    "create index on lookup.{table} (inn)",
    "create index on lookup.{table} (kpp)",
    "create index on lookup.{table} using gin (words)",
)
_TAKE = f"""
insert into lookup.{{table}} ({_COLUMNS}, words)
  select {_COLUMNS}, to_tsvector('pg_catalog.russian', folded) from arrived a
  where ref is not null and not exists (select from arrived b where b.ogrn = a.ogrn and b.said > a.said)
"""
_TOLD = """
insert into lookup.registers (name, entries, valid_as_of)
  values ('egrul', (select count(*) from lookup.egrul), %s)
  on conflict (name) do update set entries = excluded.entries, loaded_at = clock_timestamp(),
    valid_as_of = case when %s then excluded.valid_as_of else greatest(registers.valid_as_of, excluded.valid_as_of) end
  returning entries, valid_as_of
"""


class EgrulBusy(Exception):
    """Another load of the register is going on."""


class EgrulEmpty(Exception):
    """The files hold no legal entity: the register stays as it is."""


class Problem(Struct, frozen=True, kw_only=True):
    """A legal entity that was left out, and why."""

    file: str
    ogrn: str
    detail: str


class Progress(Struct, kw_only=True):
    """How far a load is, and at its end what it did."""

    files: int = 0
    bytes_read: int = 0
    entities: int = 0
    branches: int = 0
    gone: int = 0
    """Entities that exist no more: they are not found any longer."""
    left_out: int = 0
    problems: list[Problem] = field(default_factory=list)
    encodings: dict[str, str] = field(default_factory=dict)
    """By file, as each says of itself."""
    entries: int = 0
    valid_as_of: date | None = None


def load(
    url: str, files: Iterable[EgrulFile], mode: Mode, progress: Callable[[Progress], None] = lambda _: None
) -> Progress:
    """One transaction: searches see the register as it was until all of it is there. Blocks; run it in a thread.

    `fill` replaces everything, `update` every OGRN that the files speak of. What `progress` raises ends the load with
    nothing changed. Raises EgrulFileRefused, EgrulBusy, EgrulEmpty.
    """
    done = Progress()
    with psycopg.connect(url, options=_OPTIONS, application_name=named("chancery egrul")) as connection:
        locked = connection.execute("select pg_try_advisory_xact_lock(%s)", (EGRUL,)).fetchone()
        if locked != (True,):
            raise EgrulBusy("Another load of the register is going on; wait until it has ended.")
        connection.execute(_ARRIVED)
        with (
            connection.cursor() as cursor,
            cursor.copy(f"copy arrived (said, {_COLUMNS}, folded) from stdin") as copy,
        ):
            for row in _rows(files, done, progress):
                copy.write_row(row)
        if not done.entities + done.gone:
            raise EgrulEmpty("The files hold no legal entity; the register stays as it is.")
        progress(done)
        connection.execute("analyze arrived")
        connection.execute("set local maintenance_work_mem = '128MB'")
        whole = mode == "fill" or not _is_there(connection)
        if whole:
            _replace(connection)
        else:
            connection.execute("delete from lookup.egrul where ogrn in (select ogrn from arrived)")
            connection.execute(_TAKE.format(table="egrul").encode())
        as_of = done.valid_as_of or datetime.now(UTC).date()
        told = connection.execute(_TOLD, (as_of, whole)).fetchone()
        assert told is not None
        done.entries, done.valid_as_of = told
    return done


class EgrulPresent:
    """Of which legal entities the register knows now; for one thread."""

    def __init__(self, connection: Connection[tuple[object, ...]]) -> None:
        self._connection, self._there = connection, _is_there(connection)

    def __call__(self, ogrns: Sequence[str]) -> set[str]:
        """Those of these."""
        if not self._there:
            return set()
        found = self._connection.execute(
            "select distinct ogrn from lookup.egrul where ogrn = any(%s)", (list(ogrns),)
        )
        return {str(ogrn) for (ogrn,) in found.fetchall()}

    def count(self) -> int:
        """How many there are, without their branches."""
        if not self._there:
            return 0
        row = self._connection.execute("select count(*) from lookup.egrul where is_main").fetchone()
        assert row is not None
        return int(str(row[0]))


@contextmanager
def present(url: str) -> Generator[EgrulPresent]:
    with psycopg.connect(
        url, autocommit=True, options=_OPTIONS, application_name=named("chancery egrul")
    ) as connection:
        yield EgrulPresent(connection)


def _rows(
    files: Iterable[EgrulFile], done: Progress, progress: Callable[[Progress], None]
) -> Iterator[tuple[object, ...]]:
    number = before = 0
    for file in files:
        for extract in file:
            number += 1
            done.bytes_read = before + file.bytes_read
            if extract.problem is not None:
                done.left_out += 1
                if len(done.problems) < SHOWN:
                    done.problems.append(Problem(file=file.name, ogrn=extract.ogrn, detail=extract.problem))
                continue
            done.entities += bool(extract.registered)
            done.branches += max(0, len(extract.registered) - 1)
            done.gone += not extract.registered
            yield from _of(extract, extract.made_on.toordinal() << 40 | number)
            if number % EVERY == 0:
                progress(done)
        before += file.bytes_read
        done.bytes_read = before
        done.files += 1
        done.encodings[file.name] = file.encoding
        if file.valid_as_of is not None:
            done.valid_as_of = max(done.valid_as_of or date.min, file.valid_as_of)
        progress(done)


def _of(extract: Extract, said: int) -> Iterator[tuple[object, ...]]:
    if not extract.registered:
        yield (said, None, extract.ogrn, *(None,) * 9)
    for each in extract.registered:
        yield (
            said,
            extract.ogrn if each.is_main else f"{extract.ogrn}-{each.kpp}",
            extract.ogrn,
            extract.inn,
            each.kpp,
            each.full_name,
            each.short_name,
            each.place.text,
            each.place.postal_code,
            each.place.region_code,
            each.is_main,
            words(f"{each.full_name} {each.short_name or ''}"),
        )


def _is_there(connection: Connection[tuple[object, ...]]) -> bool:
    return connection.execute("select to_regclass('lookup.egrul') is not null").fetchone() == (True,)


def _replace(connection: Connection[tuple[object, ...]]) -> None:
    """Made beside the present one; that is locked for the moment of the change only."""
    connection.execute(sql.SQL(_TABLE).format(table=sql.Identifier("egrul_next")))
    connection.execute(sql.SQL(_TAKE).format(table=sql.Identifier("egrul_next")))
    for index in _INDEXES:
        connection.execute(sql.SQL(index).format(table=sql.Identifier("egrul_next")))
    connection.execute("analyze lookup.egrul_next")
    connection.execute("drop table if exists lookup.egrul")
    connection.execute("alter table lookup.egrul_next rename to egrul")
