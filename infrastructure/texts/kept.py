"""The texts of files, beside the log: what was read of them, until the file goes."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from psycopg_pool import AsyncConnectionPool


class KeptTexts:
    """Implements application.file_text.Kept."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    async def keep(self, file_id: UUID, text: str) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(
                "insert into file_texts (file_id, text) values (%s, %s)"
                " on conflict (file_id) do update set text = excluded.text",
                (file_id, text),
            )

    async def forget(self, file_id: UUID) -> None:
        async with self._pool.connection() as connection:
            await connection.execute("delete from file_texts where file_id = %s", (file_id,))

    async def some(self, file_ids: Collection[UUID], characters: int) -> dict[UUID, str]:
        """How the texts of these files begin."""
        async with self._pool.connection() as connection:
            rows = await connection.execute(
                "select file_id, left(text, %s) from file_texts where file_id = any(%s)",
                (characters, list(file_ids)),
            )
            return dict(await rows.fetchall())
