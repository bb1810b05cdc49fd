"""A record that a read model cannot take a change of, as a mistake in its code would have it."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import psycopg
from psycopg import sql

WHY = "nobody thought of such a record"
_FAILS = """
create function read.refuse() returns trigger language plpgsql as $$
begin
  raise exception {why};
end $$;
create trigger refuse before insert or update on read.{table} for each row
  when (new.id = {id} and new.version > 1) execute function read.refuse();
"""


@contextmanager
def refusing(database: psycopg.Connection, table: str, record: UUID | str) -> Iterator[None]:
    """Until it is left, no change of the record that was there can be written; `database` is the application's."""
    known = {"why": sql.Literal(WHY), "table": sql.Identifier(table), "id": sql.Literal(str(record))}
    database.execute(sql.SQL(_FAILS).format(**known))
    try:
        yield
    finally:
        database.execute("drop function if exists read.refuse() cascade")
