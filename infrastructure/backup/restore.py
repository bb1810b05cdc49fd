"""Bringing a backup back, into an empty database and an empty bucket only.

Objects go first, which nobody sees without a database; then the whole database in one transaction, together with the
mark that keeps it from being served before its epoch and the keys. So a restore that was interrupted can be repeated.
"""

from pathlib import Path

import psycopg
from msgspec import Struct, structs

from infrastructure.backup import manifest as told
from infrastructure.backup.manifest import DUMP, SECRETS, BackupRefused, Distrusted, KeysManifest, Manifest
from infrastructure.backup.objects import Bucket, copy_in
from infrastructure.backup.programs import programs, server_major
from infrastructure.embedded.folder import write_private
from infrastructure.migrations import apply
from infrastructure.migrations.files import migrations
from infrastructure.personal_data import wrapping_of
from infrastructure.settings import GENERATED, Settings


class Restored(Struct, frozen=True, kw_only=True):
    manifest: Manifest
    objects: int
    settings: Settings
    """With the secrets that came back."""


def restore(settings: Settings, folder: Path, keys: Path, *, moved: bool = False) -> Restored:
    """`keys`: the folder of the very same backup. `moved`: nothing was written after it was made.

    The backup must have been verified. Raises BackupRefused, with everything as it was, but for objects of this backup.
    """
    manifest, kept = told.read(folder), told.read_keys(keys)
    if kept.backup != manifest.id:
        raise BackupRefused(f"{keys} has the keys of another backup.")
    settings = _with_secrets(settings, manifest, kept, keys)
    if unknown := set(manifest.migrations) - {each.number for each in migrations()}:
        raise BackupRefused(
            f"A later version of Chancery made it: migration {min(unknown)} is not known here."
        )
    major = server_major(settings.database_owner_url)
    if major < manifest.postgres:
        raise BackupRefused(f"It is of PostgreSQL {manifest.postgres}, and this server is {major}.")
    bucket = Bucket(settings) if settings.s3_endpoint else None
    _empty_database(settings)
    if bucket is not None:
        _empty_bucket(bucket, folder)
    elif manifest.objects:
        raise BackupRefused(f"It has {manifest.objects} objects, and there is no bucket: set S3_ENDPOINT.")
    _install(settings, kept)
    count = copy_in(bucket, folder) if bucket is not None else 0
    programs(major).load(
        settings.database_owner_url,
        [(folder / DUMP, ()), (keys / SECRETS, ("--data-only",))],
        _LAST.format(
            backup=manifest.id, position=manifest.position, epoch=manifest.epoch, moved=moved
        ).encode(),
    )
    apply(settings)
    return Restored(manifest=manifest, objects=count, settings=settings)


def _with_secrets(settings: Settings, manifest: Manifest, kept: KeysManifest, keys: Path) -> Settings:
    """The settings with what `up` had made where the backup was; a secret that an operator has set stands.

    Raises Distrusted when that is not the key-encryption key the backup was made under.
    """
    names = {part.name for part in kept.parts}.intersection(GENERATED)
    brought = {name: (keys / name).read_text() for name in names if settings.sources.get(name) in _REPLACED}
    settings = structs.replace(
        settings, **brought, sources=settings.sources | dict.fromkeys(brought, "generated")
    )
    try:
        told.authentic(manifest, wrapping_of(settings))
        told.authentic(kept, wrapping_of(settings))
    except (Distrusted, ValueError):
        raise Distrusted(
            "The key-encryption key here is not the one it was made under: set CHANCERY_KEY_ENCRYPTION_KEY to that."
        ) from None
    return settings


def _install(settings: Settings, kept: KeysManifest) -> None:
    """What `up` had made where the backup was, in the data directory here, in the place of what it has made since."""
    names = {part.name for part in kept.parts}.intersection(GENERATED)
    secrets = settings.data_dir / "secrets"
    for name in names:
        if settings.sources.get(name) == "generated":
            secrets.mkdir(parents=True, mode=0o700, exist_ok=True)
            write_private(secrets / name, getattr(settings, name))


def _empty_database(settings: Settings) -> None:
    """Raises BackupRefused, with what is there."""
    with psycopg.connect(settings.database_owner_url, connect_timeout=5) as connection:
        found = [name for (name,) in connection.execute(_THERE)]
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise BackupRefused(
            f"The database is not empty: it has {', '.join(found[:3])}{more}. Nothing was changed."
        )


def _empty_bucket(bucket: Bucket, folder: Path) -> None:
    """Objects of this backup may be there, from a restore that was interrupted. Raises BackupRefused."""
    ours = {content.name for content in told.contents(folder)}
    others = [str(found.object_name) for found in bucket.listed() if found.object_name not in ours]
    if others:
        raise BackupRefused(
            f"The bucket is not empty: it has {len(others)} other objects, one is {others[0]}. Nothing was changed."
        )


_REPLACED = ("default", "generated", None)
"""Where a secret stands that nobody has set here."""
_THERE = """
select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname not in ('information_schema', 'pg_catalog', 'pg_toast') and n.nspname not like 'pg\\_%'
    and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
  order by n.nspname <> 'public', c.relname <> 'stored_events', 1"""
_LAST = """
delete from public.projections where place in ('read', 'read_next', 'read_prev');
do $$ declare f regprocedure; begin
  for f in select oid from pg_proc where pronamespace = 'public'::regnamespace and proname ~ '^apply_guards' loop
    execute 'revoke execute on function ' || f || ' from public';
  end loop;
end $$;
insert into public.restores (backup, position, epoch, moved) values ('{backup}', {position}, '{epoch}', {moved});
"""
