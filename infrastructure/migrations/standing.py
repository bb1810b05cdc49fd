"""How the store and this release's migrations compare."""

from collections.abc import Sequence
from typing import Any

import psycopg
from msgspec import Struct

from infrastructure.migrations.files import Migration
from infrastructure.release import RELEASE, older, release_of

PROCESSES = """select application_name from pg_stat_activity
  where datname = current_database() and pid <> pg_backend_pid() and application_name like 'chancery%'"""


class Standing(Struct, frozen=True, kw_only=True):
    """`missing`: yet to run. `unknown`: ran, and this release has no such file; with the release that ran it, empty for
    one that did not say. `changed`: the file is not the one that ran. `waiting`: missing, and would disturb who is
    connected. `older`: the releases before this one that are.
    """

    applied: int
    missing: tuple[int, ...]
    unknown: tuple[tuple[int, str], ...]
    changed: tuple[int, ...]
    waiting: tuple[int, ...]
    older: tuple[str, ...]

    @property
    def fresh(self) -> bool:
        """Nothing has ever run here, so nobody works on it."""
        return not self.applied

    @property
    def refused(self) -> str:
        """Why this release must leave the store alone; empty: it need not."""
        if self.unknown:
            number, release = self.unknown[-1]
            by = f"release {release}" if release else "another release"
            return (
                f"The store has migration {number}, which {by} ran and release {RELEASE} does not know:"
                f" upgrade with {by}, or a newer one."
            )
        if self.changed:
            return (
                f"Migration {', '.join(map(str, self.changed))} is not what ran on this store:"
                " a file was edited, or the store belongs to another edition of Chancery."
            )
        return ""


def compare(connection: psycopg.Connection[Any], files: Sequence[Migration]) -> Standing:
    """Changes nothing; any role that may read will do."""
    ran = _ran(connection)
    texts = {file.number: file.sha256 for file in files}
    missing = [file for file in files if file.number not in ran]
    others = _others(connection)
    return Standing(
        applied=len(ran),
        missing=tuple(file.number for file in missing),
        unknown=tuple((number, ran[number][1]) for number in sorted(ran) if number not in texts),
        changed=tuple(
            number
            for number, (sha256, _) in sorted(ran.items())
            if sha256 and texts.get(number, sha256) != sha256
        ),
        waiting=tuple(
            file.number
            for file in missing
            if file.not_before is not None and any(older(other, file.not_before) for other in others)
        ),
        older=tuple(other for other in others if older(other, RELEASE)),
    )


def _ran(connection: psycopg.Connection[Any]) -> dict[int, tuple[str, str]]:
    """Number to the file's sha256 and the release; both empty where 0.1.0 ran it, which kept neither."""
    columns = {
        name
        for (name,) in connection.execute(
            "select attname from pg_attribute where attrelid = to_regclass('migrations') and attnum > 0"
        )
    }
    if not columns:
        return {}
    kept = "coalesce(sha256, ''), coalesce(release, '')" if "sha256" in columns else "'', ''"
    rows = connection.execute(f"select number, {kept} from migrations".encode())
    return {number: (sha256, release) for number, sha256, release in rows}


def _others(connection: psycopg.Connection[Any]) -> list[str]:
    """Releases whose processes are connected, each once."""
    said = {release_of(name) for (name,) in connection.execute(PROCESSES)}
    return sorted(release for release in said if release is not None)
