"""Papers that were set as PDF: kept in the object store under the paper's own id, with their SHA-256."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg_pool import AsyncConnectionPool

from application.file_content import ObjectMissing
from infrastructure.object_store import ObjectStore
from infrastructure.operations import Operations


class Paper(Struct, frozen=True, kw_only=True):
    """One that is there: what it weighs, and what it hashes to."""

    sha256: str
    size: int


class Papers:
    def __init__(self, pool: AsyncConnectionPool[Any], objects: ObjectStore) -> None:
        self._pool, self._objects = pool, objects

    async def find(self, paper_id: UUID) -> Paper | None:
        """None: it is not made yet, or the object store has lost it. Raises StoreUnavailable, Busy."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "select sha256, size from papers where id = %s", (paper_id,), prepare=True
            )
            row = await cursor.fetchone()
        if row is None:
            return None
        with suppress(ObjectMissing):
            return Paper(sha256=row[0], size=await self._objects.size(paper_id))
        return None

    async def ask(self, operation: str, about: dict[str, str], paper_id: UUID, now: datetime) -> None:
        """That it be set, at most once an hour: what was asked when it was issued may have failed for good."""
        occasion = f"{operation} {paper_id} {now:%Y-%m-%dT%H}"
        await Operations(self._pool).ask(operation, about, occasion=occasion)

    async def keep(self, paper_id: UUID, made: bytes) -> Paper:
        """Stores it, and says so, in that order; may be repeated. Raises StoreUnavailable, Busy."""
        paper = Paper(sha256=sha256(made).hexdigest(), size=len(made))

        async def whole() -> AsyncIterator[bytes]:
            yield made

        await self._objects.store(paper_id, whole())
        async with self._pool.connection() as connection:
            await connection.execute(
                "insert into papers (id, sha256, size) values (%s, %s, %s) on conflict (id) do update"
                " set sha256 = excluded.sha256, size = excluded.size, made_at = excluded.made_at",
                (paper_id, paper.sha256, paper.size),
            )
        return paper
