"""Numbered SQL, applied once each, in order, under a lock; then the application's role gets its least privileges."""

import time
from importlib.resources import files

import psycopg
import structlog
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from infrastructure.settings import Settings

LOCK = 4241
LOOK_SECONDS, SAY_SECONDS = 0.1, 10.0

_log = structlog.get_logger("migrations")

GRANTS = """
grant usage on schema public to {role};
grant select on all tables in schema public to {role};
grant insert, update, delete on projections, refreshes, signing_keys, operations to {role};
grant insert, update, delete on sign_in_failures to {role};
grant insert, update, delete on issuer_keys, provider_wishes to {role};
grant update (password_hash) on credentials to {role};
grant execute on function append, append_as_given to {role};
grant insert, update, delete on client_uses, rate_limits, alarms to {role};
grant update (hash) on client_keys to {role};
revoke execute on function append, append_as_given, apply_guards from public;
grant create, usage on schema read, read_next, read_prev to {role};
grant usage on schema audit to {role};
grant select, insert, update on all tables in schema audit to {role};
grant create, usage on schema lookup to {role};
grant select, insert, update on lookup.registers to {role};
grant insert, update on papers to {role};
grant insert, update, delete on file_texts to {role};
grant insert, update, delete on import_progress, import_failed_rows to {role};
grant insert, update, delete on mail_marks to {role};
grant insert, delete on parked_streams to {role};
"""


def migrations() -> list[tuple[int, str]]:
    """(number, SQL) of every migration, in order."""
    found = [f for f in files(__name__).iterdir() if f.name.endswith(".sql")]
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


def apply(settings: Settings) -> int:
    """Migrate as the owner and grant the app's role what it needs; returns how many migrations ran."""
    app_role = conninfo_to_dict(settings.database_url)["user"]
    return migrate(settings.database_owner_url, str(app_role))


def wait_until_migrated(url: str) -> None:
    """Wait for a database that answers and has every migration we know: it may be starting, or somebody migrates it.

    So processes need no order of their start, and none dies because it was quicker than its database. Blocks: call it
    before there is a loop, and signals end the process as ever.
    """
    wanted, said = {number for number, _ in migrations()}, time.monotonic() - SAY_SECONDS + 2
    while missing := _missing(url, wanted):
        if said + SAY_SECONDS < time.monotonic():
            said = time.monotonic()
            _log.warning("database.awaited", missing=missing)
        time.sleep(LOOK_SECONDS)


def _missing(url: str, wanted: set[int]) -> str:
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            done = {number for (number,) in connection.execute("select number from migrations")}
    except psycopg.OperationalError as error:
        return str(error).strip().partition("\n")[0]
    except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
        return "every migration"
    return ", ".join(f"migration {number}" for number in sorted(wanted - done))
