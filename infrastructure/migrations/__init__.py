"""Numbered SQL, applied once each, in order, under a lock; then the application's role gets its least privileges."""

import time
from collections.abc import Sequence

import psycopg
import structlog
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from infrastructure.backup.mark import standing_in_the_way
from infrastructure.migrations.applying import PATIENCE, Blocked, Refused, Said, alone, run
from infrastructure.migrations.files import Migration
from infrastructure.migrations.files import migrations as migrations
from infrastructure.migrations.standing import compare
from infrastructure.settings import Settings

LOOK_SECONDS, SAY_SECONDS = 0.1, 10.0

_log = structlog.get_logger("migrations")

GRANTS = """
grant usage on schema public to {role};
grant select on all tables in schema public to {role};
grant insert, update, delete on projections, refreshes, signing_keys, operations to {role};
grant insert, update, delete on sign_in_failures to {role};
grant insert, update, delete on issuer_keys, provider_wishes to {role};
grant update (password_hash) on credentials to {role};
grant insert, update, delete on client_uses, rate_limits, alarms to {role};
grant update (hash) on client_keys to {role};
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
grant insert, update on kept_outside to {role};
"""


FUNCTIONS = """
do $$
declare
  each regprocedure;
begin
  for each in select oid from pg_proc where pronamespace = 'public'::regnamespace
      and proname in ('append', 'append_as_given', 'apply_guards') loop
    execute format('revoke execute on function %s from public', each);
  end loop;
  for each in select oid from pg_proc where pronamespace = 'public'::regnamespace
      and proname in ('append', 'append_as_given') loop
    execute format('grant execute on function %s to %I', each, {role});
  end loop;
end $$
"""
"""Each by its name and every signature it has: while processes of two releases work, there may be two."""


def _say(what: str) -> None:
    _log.warning("migrations.wait", reason=what)


def migrate(
    owner_url: str,
    app_role: str,
    files: Sequence[Migration] | None = None,
    *,
    said: Said = _say,
    patience: float = PATIENCE,
) -> int:
    """Bring the database up to date; returns how many migrations ran. A second caller waits and finds nothing to do.

    A store that a newer release has brought on is left as it is: what that one added, this one need not know. Raises
    Refused, Blocked.
    """
    files = migrations() if files is None else files
    with alone(owner_url, said) as connection:
        found = compare(connection, files)
        if found.refused and (found.missing or found.changed):
            raise Refused(found.refused)
        if found.refused:
            _log.warning("store.newer", reason=found.refused)
            return 0
        missing = [file for file in files if file.number in found.missing]
        held = next((at for at, file in enumerate(missing) if file.number in found.waiting), len(missing))
        run(owner_url, missing[:held], _rights(app_role), fresh=found.fresh, said=said, patience=patience)
    if held < len(missing):
        raise Blocked(
            f"migration {missing[held].number} takes away what processes before {missing[held].not_before} use,"
            " and such are connected: stop them first"
        )
    return len(missing)


def _rights(app_role: str) -> sql.Composed:
    return sql.SQL(GRANTS).format(role=sql.Identifier(app_role)) + sql.SQL(FUNCTIONS).format(role=app_role)


def apply(settings: Settings) -> int:
    """Migrate as the owner and grant the app's role what it needs; returns how many migrations ran."""
    app_role = conninfo_to_dict(settings.database_url)["user"]
    return migrate(settings.database_owner_url, str(app_role))


def wait_until_migrated(url: str) -> None:
    """Wait for a database that answers and has every migration we know: it may be starting, or somebody migrates it,
    or restores a backup.

    So processes need no order of their start, and none dies because it was quicker than its database. Blocks: call it
    before there is a loop, and signals end the process as ever.
    """
    wanted, said = {each.number for each in migrations()}, time.monotonic() - SAY_SECONDS + 2
    while missing := _missing(url, wanted):
        if said + SAY_SECONDS < time.monotonic():
            said = time.monotonic()
            _log.warning("database.awaited", missing=missing)
        time.sleep(LOOK_SECONDS)


def _missing(url: str, wanted: set[int]) -> str:
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            done = {number for (number,) in connection.execute("select number from migrations")}
            if done >= wanted:
                return standing_in_the_way(connection) or ""
    except psycopg.OperationalError as error:
        return str(error).strip().partition("\n")[0]
    except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
        return "every migration"
    return ", ".join(f"migration {number}" for number in sorted(wanted - done))
