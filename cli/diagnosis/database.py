"""PostgreSQL: durable, migrated, with the right clock, and a role of ours that may do what it must and no more."""

import time
from collections.abc import Iterator

import psycopg
from cryptography.exceptions import InvalidTag

from cli.diagnosis.finding import Finding, judged, line, well, wrong
from infrastructure.backup.mark import standing_in_the_way
from infrastructure.migrations.files import migrations
from infrastructure.migrations.standing import compare
from infrastructure.personal_data import wrapping_of
from infrastructure.settings import Settings

OLDEST = 180_000
"""server_version_num of the oldest that is tested."""
SKEW = 2.0
"""Seconds that two clocks may differ."""
START = "start `chancery up`, or set its URL"
DURABLE = ("fsync", "synchronous_commit", "full_page_writes", "data_checksums")


def database(settings: Settings) -> Iterator[Finding]:
    if not settings.database_url:
        yield wrong("PostgreSQL", "is not running", START)
        return
    try:
        with psycopg.connect(settings.database_url, connect_timeout=5, autocommit=True) as ours:
            yield _version(ours)
            yield from _durable(ours)
            yield _clock(ours)
            yield from _migrated(ours)
            yield _too_wide(ours)
            yield _too_narrow(ours)
            yield _restored(ours)
            yield _key(ours, settings)
    except psycopg.Error as error:
        yield wrong("PostgreSQL", line(error), "look at its log, and at CHANCERY_DATABASE_URL")


def _show(connection: psycopg.Connection, name: str) -> str:
    row = connection.execute("select current_setting(%s, true)", (name,)).fetchone()
    return str(row[0]) if row else ""


def _version(connection: psycopg.Connection) -> Finding:
    return judged(
        "PostgreSQL",
        f"answers, version {_show(connection, 'server_version')}",
        "upgrade it to PostgreSQL 18: older ones are not tested",
        good=connection.info.server_version >= OLDEST,
    )


def _durable(connection: psycopg.Connection) -> Iterator[Finding]:
    for name in DURABLE:
        value, fix = _show(connection, name), f"`alter system set {name} = on`, and reload"
        if name == "data_checksums":
            fix = "stop PostgreSQL and run `pg_checksums --enable`: a disk that lies is not noticed without"
        yield judged(name, value, f"{fix}: else a power cut loses events", good=value != "off")


def _clock(connection: psycopg.Connection) -> Finding:
    before = time.time()
    row = connection.execute("select extract(epoch from clock_timestamp())::float8").fetchone()
    assert row is not None
    skew = row[0] - (before + time.time()) / 2
    return judged(
        "clock",
        f"PostgreSQL's is {skew:+.1f} s off ours",
        "`timedatectl set-ntp true` on both machines: sessions and grants end by these clocks",
        good=abs(skew) < SKEW,
    )


def _migrated(connection: psycopg.Connection) -> Iterator[Finding]:
    found = compare(connection, migrations())
    if found.refused:
        yield wrong(
            "migrations", found.refused, "install the release that it names; `chancery upgrade --check`"
        )
        return
    said = f"{', '.join(map(str, found.missing))} missing" if found.missing else "all applied"
    yield judged("migrations", said, "`chancery migrate`", good=not found.missing)


def _too_wide(connection: psycopg.Connection) -> Finding:
    """What this role could do to the log, if somebody had its password."""
    row = connection.execute(_MAY).fetchone()
    assert row is not None
    role, may = row
    fix = f'`alter role "{role}" nosuperuser nocreaterole nocreatedb`'
    if "owns the log" in may or "is a superuser" in may:
        fix = "`create role chancery_app login`, set CHANCERY_DATABASE_URL to it, then `chancery migrate`"
    elif "may write to stored_events" in may:
        fix = f'`revoke insert, update, delete, truncate on stored_events from "{role}"`'
    return judged("role", ", ".join(may) or f"{role} may not change the log but by append", fix, good=not may)


def _too_narrow(connection: psycopg.Connection) -> Finding:
    missing = [what for what, may in connection.execute(_MUST) if not may]
    said = f"it may not {', '.join(missing)}" if missing else "may do what it must"
    return judged("rights of the role", said, "`chancery migrate` grants them again", good=not missing)


def _restored(connection: psycopg.Connection) -> Finding:
    waits = standing_in_the_way(connection)
    return judged("restore", waits or "nothing waits", "do what it wants, in that order", good=waits is None)


def _key(connection: psycopg.Connection, settings: Settings) -> Finding:
    """Whether our key-encryption key opens what was wrapped last."""
    what = "key-encryption key"
    if not settings.key_encryption_key:
        return wrong(
            what, "is not set", "set CHANCERY_KEY_ENCRYPTION_KEY_FILE; `chancery up` makes one by itself"
        )
    row = connection.execute(_WRAPPED).fetchone()
    if row is None:
        return well(what, "nothing was wrapped under it yet")
    try:
        wrapping_of(settings).unwrap(bytes(row[1]), row[0].bytes)
    except InvalidTag:
        fix = "set CHANCERY_KEY_ENCRYPTION_KEY_FILE to the key this log began with: it lies with the backup's keys"
        return wrong(what, "is not the one that people's keys are wrapped under", fix)
    return well(what, "opens people's keys")


_WRAPPED = (
    """select subject_id, wrapped from subject_keys where wrapped is not null order by made_at desc limit 1"""
)
_MAY = """select r.rolname, array_remove(array[
    case when r.rolsuper then 'is a superuser' end,
    case when pg_has_role(r.oid, c.relowner, 'member') and not r.rolsuper then 'owns the log' end,
    case when r.rolcreaterole then 'may create roles' end,
    case when r.rolcreatedb then 'may create databases' end,
    case when not pg_has_role(r.oid, c.relowner, 'member') and has_table_privilege(r.oid, c.oid,
      'insert, update, delete, truncate') then 'may write to stored_events' end], null)
  from pg_roles r, pg_class c where r.rolname = current_user and c.oid = 'stored_events'::regclass"""
_MUST = """select v.what, v.may from (values
  ('call append', coalesce((select bool_or(has_function_privilege(oid, 'execute')) from pg_proc
    where proname = 'append' and pronamespace = 'public'::regnamespace), false)),
  ('make read models', has_schema_privilege('read', 'create'))) as v(what, may)
  union all
  select 'write to ' || t, bool_and(has_table_privilege(t, p))
    from unnest(array['operations', 'projections', 'alarms']) t, unnest(array['insert', 'update', 'delete']) p
    group by t
  union all
  select 'read ' || t, has_table_privilege(t, 'select') from unnest(array['stored_events', 'subject_keys']) t
  order by 1"""
