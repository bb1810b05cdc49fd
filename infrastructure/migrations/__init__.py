"""Numbered SQL, applied once each, in order, under a lock; then the application's role gets its least privileges."""

from importlib.resources import files

import psycopg
from psycopg import sql

LOCK = 4241

GRANTS = """
grant usage on schema public to {role};
grant select on all tables in schema public to {role};
grant insert, update, delete on projections, refreshes, signing_keys, operations to {role};
grant execute on function append, append_as_given to {role};
revoke execute on function append, append_as_given, apply_guards from public;
grant create, usage on schema read, read_next, read_prev to {role};
grant usage on schema audit to {role};
grant select, insert, update on all tables in schema audit to {role};
"""


def migrations() -> list[tuple[int, str]]:
    """(number, SQL) of every migration, in order."""
    found = [f for f in files(__package__).iterdir() if f.name.endswith(".sql")]
    return sorted((int(f.name.split("_")[0]), f.read_text(encoding="utf-8")) for f in found)


def migrate(owner_url: str, app_role: str) -> int:
    """Bring the database up to date; returns how many migrations ran. A second caller waits and finds nothing to do."""
    with psycopg.connect(owner_url) as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
        connection.execute(
            "create table if not exists migrations"
            " (number int primary key, applied_at timestamptz not null default now())"
        )
        done = {number for (number,) in connection.execute("select number from migrations")}
        pending = [(number, text) for number, text in migrations() if number not in done]
        for number, text in pending:
            connection.execute(text.encode())
            connection.execute("insert into migrations (number) values (%s)", (number,))
        connection.execute(
            sql.SQL(GRANTS).format(role=sql.Identifier(app_role)).as_string(connection).encode()
        )
    return len(pending)
