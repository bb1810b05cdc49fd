"""Invoices and credit notes as PDF: set once by a job from what the log says of them, and of nothing else."""

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from domain.contract.events import Credited, Invoiced
from domain.shared import Event, Recorded
from infrastructure.event_log import EventLog
from infrastructure.papers.kept import Paper, Papers
from infrastructure.papers.typesetting import pdf

INVOICE, CREDIT_NOTE = "invoice.render", "credit_note.render"


class InvoicePapers:
    """A paper is named by the id of the invoice or of the credit note that it is."""

    def __init__(self, log: EventLog, papers: Papers) -> None:
        self._log, self._papers = log, papers

    async def find(self, paper_id: UUID) -> Paper | None:
        """None: it is not made yet, or the object store has lost it. Raises StoreUnavailable, Busy."""
        return await self._papers.find(paper_id)

    async def ask_invoice(self, contract_id: UUID, invoice_id: UUID, now: datetime) -> None:
        """That it be set, at most once an hour."""
        about = {"contract_id": str(contract_id), "invoice_id": str(invoice_id)}
        await self._papers.ask(INVOICE, about, invoice_id, now)

    async def ask_credit_note(self, contract_id: UUID, credit_note_id: UUID, now: datetime) -> None:
        """That it be set, at most once an hour."""
        about = {"contract_id": str(contract_id), "credit_note_id": str(credit_note_id)}
        await self._papers.ask(CREDIT_NOTE, about, credit_note_id, now)

    async def make(self, contract_id: UUID, paper_id: UUID) -> Paper:
        """Sets it and keeps it; may be repeated. Raises LookupError, StoreUnavailable, Busy."""
        past = await self._log.open(await self._log.stream(contract_id))
        template, stands = content(past, paper_id)
        return await self._papers.keep(paper_id, await asyncio.to_thread(pdf, template, stands))


def content(past: list[Recorded[Event]], paper_id: UUID) -> tuple[str, dict[str, Any]]:
    """The template, and what stands on that paper of a contract: its event, and where the log holds it.

    A credit note names the parties as the invoice that it takes back does. Raises LookupError.
    """
    issued = {each.event.invoice_id: each.event for each in past if isinstance(each.event, Invoiced)}
    for recorded in past:
        match recorded.event:
            case Invoiced(invoice_id=found) if found == paper_id:
                return "invoice", _facts(recorded)
            case Credited(credit_note_id=found, invoice_id=invoice_id) if found == paper_id:
                named = ("seller", "buyer", "custom_id", "title")
                told = msgspec.to_builtins(issued[invoice_id])
                parties = {name: told[name] for name in named if name in told}
                return "credit_note", _facts(recorded) | parties | {"invoiced_on": told["issued_on"]}
            case _:
                continue
    raise LookupError(f"this contract has no invoice or credit note {paper_id}")


def _facts(recorded: Recorded[Event]) -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.to_builtins(recorded.event)
    return facts | {
        "contract_id": str(recorded.stream_id),
        "event_id": str(recorded.event_id),
        "position": recorded.position,
    }
