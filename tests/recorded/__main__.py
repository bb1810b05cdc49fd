"""`python -m tests.recorded` plays the story on a Chancery of its own and keeps what it wrote under the release's name.

Once for each release, from its own code. A recorded store is never edited and never recorded again: somebody's is so.
"""

import io
import lzma
import shutil
import tempfile
from collections.abc import Iterable
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import anyio
import httpx
import msgspec
import psycopg
from rich.console import Console

from cli.running import Stack
from cli.story import Story
from infrastructure.event_codec import event_classes
from infrastructure.migrations import migrations
from infrastructure.postgres import connect
from infrastructure.settings_sources import running_stack
from projections.projection import discover
from tests import whole
from tests.recorded.stores import FOLDER, KEK, Facts, run
from tests.recorded.story import play
from workers.places import LIVE, OPTIONS
from workers.row_digests import snapshot

SETTING = {"CHANCERY_KEY_ENCRYPTION_KEY": KEK}
WITHOUT = {"postal_index", "epoch"}
"""Nouns that are not in it: megabytes of codes, and what befalls a store that was set back."""


def record(folder: Path) -> None:
    """Raises FileExistsError where this release has one already."""
    folder.mkdir()
    with tempfile.TemporaryDirectory(prefix="chancery-recorded-") as place:
        Path(place).chmod(0o711)
        with whole.up(Path(place), **SETTING) as chancery:
            _play(chancery)
            _settle(chancery)
            with chancery.superuser() as admin:
                facts = anyio.run(_facts, running_stack(chancery.data_dir), admin, _keys(chancery))
                _keep(folder, facts, admin.info.dsn + f" password={admin.info.password}")


def _play(chancery: whole.Chancery) -> None:
    stack = Stack(
        url=chancery.url,
        admin_email=whole.ADMIN,
        admin_password=whole.PASSWORD,
        environ=whole.ENVIRONMENT | SETTING | {"CHANCERY_DATA_DIR": str(chancery.data_dir)},
        folder=chancery.data_dir.parent,
        child=chancery.child,
    )
    with httpx.Client(base_url=chancery.url, timeout=30) as client:
        play(Story(client, stack, Console(file=io.StringIO())))


def _settle(chancery: whole.Chancery) -> None:
    """Until every event is in every read model and under a signed checkpoint, and no job is left."""
    with chancery.superuser() as admin:
        if not whole.wait_until(lambda: admin.execute(SETTLED).fetchone() == (True,), 60):
            raise TimeoutError("it does not settle")


SETTLED = """
  with log as (select max(notification_id) as head from stored_events)
  select (select min(position) from projections where place = 'read') = head
    and (select max(size) from audit.checkpoints where note is not null) = head
    and not exists (select from operations where state in ('queued', 'running')) from log"""


def _keys(chancery: whole.Chancery) -> list[str]:
    return [key["vkey"] for key in httpx.get(f"{chancery.url}/api/v1/audit/keys").json()["data"]]


async def _facts(running: dict[str, str], admin: psycopg.Connection, keys: list[str]) -> Facts:
    models = {}
    async with await connect(running["database_url"], options=OPTIONS) as connection:
        for model in discover().values():
            _, tables = await snapshot(connection, model, LIVE)
            models[model.name] = (model.version, {each.table: (each.count, each.sha256) for each in tables})
    topics = dict(
        admin.execute("select topic, count(*) from stored_events group by topic order by topic").fetchall()
    )
    if missing := nouns(event_classes()) - nouns(topics) - WITHOUT:
        raise LookupError(f"not in the story: {', '.join(sorted(missing))}")
    newest = admin.execute(
        "select note from audit.checkpoints where note is not null order by size desc limit 1"
    )
    return Facts(
        release=version("chancery"),
        events=sum(topics.values()),
        topics=topics,
        checkpoint=newest.fetchone()[0],
        keys=keys,
        migrations={number: sha256(text.encode()).hexdigest() for number, text in migrations()},
        models=models,
    )


def nouns(topics: Iterable[str]) -> set[str]:
    return {topic.partition(".")[0] for topic in topics}


def _keep(folder: Path, facts: Facts, url: str) -> None:
    dump = run("pg_dump", url, "--no-comments")
    (folder / "store.sql.xz").write_bytes(lzma.compress(dump, preset=9 | lzma.PRESET_EXTREME))
    (folder / "facts.json").write_bytes(msgspec.json.format(msgspec.json.encode(facts)) + b"\n")


if __name__ == "__main__":
    made = FOLDER / version("chancery")
    try:
        record(made)
    except BaseException:
        if not (made / "facts.json").exists():
            shutil.rmtree(made, ignore_errors=True)
        raise
    for path in made.iterdir():
        print(f"{path.stat().st_size} bytes: {path}")  # noqa: T201
