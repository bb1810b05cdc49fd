"""Payments of contracts: recorded, and reversed when they were none."""

from datetime import date
from uuid import UUID

from application.access import Need
from application.context import Context, DryRun
from application.contract import VIEW, of
from application.execute import Execute
from application.ports import Answer, NewId
from domain.contract.aggregate import CONTRACT
from domain.contract.commands import RecordPayment, ReversePayment
from domain.money import Money

PAY = Need(right="contract:pay", view=VIEW)


class Payments:
    """A payment stands in its contract's stream, so that two at once are judged one after the other."""

    def __init__(self, execute: Execute, new_id: NewId) -> None:
        self._execute, self._new_id = execute, new_id

    async def record(
        self, contract_id: UUID, amount: Money, paid_on: date, reference: str | None, context: Context
    ) -> Answer | DryRun:
        """The answer's `id` is the payment's."""
        payment_id = self._new_id()
        command = RecordPayment(
            payment_id=payment_id,
            amount=amount,
            paid_on=paid_on,
            reference=reference,
            now=self._execute.clock(),
        )
        told = {"id": str(payment_id), "contract_id": str(contract_id)}
        return await self._execute(
            CONTRACT, contract_id, command, context, PAY, resource=of, makes=True, extra=told
        )

    async def reverse(
        self, contract_id: UUID, payment_id: UUID, reason: str, context: Context
    ) -> Answer | DryRun:
        command = ReversePayment(payment_id=payment_id, reason=reason)
        told = {"id": str(payment_id), "contract_id": str(contract_id)}
        return await self._execute(CONTRACT, contract_id, command, context, PAY, resource=of, extra=told)
