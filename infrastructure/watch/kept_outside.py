"""When a backup, or one of people's keys, was last written: doctor and `/metrics` tell when that is too long ago."""

import psycopg

BACKUP, SUBJECT_KEYS = "backup", "subject keys"


def note(url: str, what: str) -> None:
    """It has just been written whole."""
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        connection.execute(
            "insert into kept_outside (what) values (%s)"
            " on conflict (what) do update set at = clock_timestamp()",
            (what,),
        )
