"""Invoices as PDF: set once by a job, kept in the object store under the invoice's id, with their SHA-256."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct
from psycopg_pool import AsyncConnectionPool

from application.file_content import ObjectMissing
from domain.contract.events import Invoiced
from domain.shared import Recorded
from infrastructure.event_log import EventLog
from infrastructure.object_store import ObjectStore
from infrastructure.operations import Operations
from infrastructure.papers.typesetting import pdf

RENDER = "invoice.render"


class Paper(Struct, frozen=True, kw_only=True):
    """One that is there: what it weighs, and what it hashes to."""

    sha256: str
    size: int


class InvoicePapers:
    def __init__(self, pool: AsyncConnectionPool[Any], log: EventLog, objects: ObjectStore) -> None:
        self._pool, self._log, self._objects = pool, log, objects

    async def find(self, invoice_id: UUID) -> Paper | None:
        """None: it is not made yet, or the object store has lost it. Raises StoreUnavailable, Busy."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "select sha256, size from invoice_papers where invoice_id = %s", (invoice_id,), prepare=True
            )
            row = await cursor.fetchone()
        if row is None:
            return None
        with suppress(ObjectMissing):
            return Paper(sha256=row[0], size=await self._objects.size(invoice_id))
        return None

    async def ask(self, contract_id: UUID, invoice_id: UUID, now: datetime) -> None:
        """That it be set, at most once an hour: what was asked when it was issued may have failed for good."""
        about = {"contract_id": str(contract_id), "invoice_id": str(invoice_id)}
        await Operations(self._pool).ask(RENDER, about, occasion=f"{RENDER} {invoice_id} {now:%Y-%m-%dT%H}")

    async def make(self, contract_id: UUID, invoice_id: UUID) -> Paper:
        """Sets it, stores it, and says so, in that order; may be repeated. Raises StoreUnavailable, Busy."""
        recorded = await self._issued(contract_id, invoice_id)
        made = await asyncio.to_thread(pdf, "invoice", content(recorded))
        paper = Paper(sha256=sha256(made).hexdigest(), size=len(made))

        async def whole() -> AsyncIterator[bytes]:
            yield made

        await self._objects.store(invoice_id, whole())
        async with self._pool.connection() as connection:
            await connection.execute(
                "insert into invoice_papers (invoice_id, sha256, size) values (%s, %s, %s)"
                " on conflict (invoice_id) do update set sha256 = excluded.sha256, size = excluded.size,"
                " made_at = excluded.made_at",
                (invoice_id, paper.sha256, paper.size),
            )
        return paper

    async def _issued(self, contract_id: UUID, invoice_id: UUID) -> Recorded[Invoiced]:
        for recorded in await self._log.open(await self._log.stream(contract_id)):
            if isinstance(recorded.event, Invoiced) and recorded.event.invoice_id == invoice_id:
                return recorded  # type: ignore[return-value]  # as its event says
        raise LookupError(f"contract {contract_id} has no invoice {invoice_id}")


def content(recorded: Recorded[Invoiced]) -> dict[str, Any]:
    """What stands on it: the event, and where the log holds it."""
    facts: dict[str, Any] = msgspec.to_builtins(recorded.event)
    return facts | {
        "contract_id": str(recorded.stream_id),
        "event_id": str(recorded.event_id),
        "position": recorded.position,
    }
