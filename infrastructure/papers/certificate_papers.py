"""Certificates of signatures: made by a job when one is first asked for, of what the log alone holds, and kept."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from functools import reduce
from typing import Any
from uuid import UUID

from psycopg_pool import AsyncConnectionPool

from domain.contract.aggregate import CONTRACT, Nothing
from domain.contract.document import document
from domain.contract.events import ContractSigned
from domain.organisation import aggregate as organisation
from domain.shared import Event, Recorded, Rules
from domain.user.account import Active, Blocked, Deactivated
from domain.user.aggregate import USER
from domain.user.events import UserErased
from infrastructure.event_log import EventLog
from infrastructure.papers.certificate import Evidence, page, set_by
from infrastructure.papers.kept import Paper, Papers
from projections.audit_tree import first_proof
from projections.leaf import leaf

RENDER = "certificate.render"
SIGNED_WITHIN = 5.0
"""Seconds that a certificate waits for its checkpoint, which comes within one; then it is tried again later."""


class NotSigned(Exception):
    """Nobody has signed this contract."""


class NoCheckpoint(Exception):
    """No signed checkpoint covers the signature yet."""


class CertificatePapers:
    """A contract is signed once, so its certificate is named by its id."""

    def __init__(self, pool: AsyncConnectionPool[Any], log: EventLog, papers: Papers) -> None:
        self._pool, self._log, self._papers = pool, log, papers

    async def find(self, contract_id: UUID) -> Paper | None:
        """None: it is not made yet, or the object store has lost it. Raises StoreUnavailable, Busy."""
        return await self._papers.find(contract_id)

    async def ask(self, contract_id: UUID, now: datetime) -> None:
        """That it be made, at most once an hour."""
        await self._papers.ask(RENDER, {"contract_id": str(contract_id)}, contract_id, now)

    async def make(self, contract_id: UUID) -> Paper:
        """Makes and keeps it; may be repeated. Who is erased meanwhile does not stand on it when this is done.

        Raises NotSigned, NoCheckpoint, StoreUnavailable, Busy.
        """
        evidence = await self.evidence(contract_id)
        while True:
            paper = await self._papers.keep(contract_id, await asyncio.to_thread(page, evidence))
            made, evidence = evidence, await self.evidence(contract_id)
            if made == evidence:
                return paper

    async def evidence(self, contract_id: UUID) -> Evidence:
        """Always the same, but for what became of the signer's name. Raises NotSigned, NoCheckpoint."""
        past = await self._log.open(await self._log.stream(contract_id))
        found = next((each for each in past if isinstance(each.event, ContractSigned)), None)
        if found is None:
            raise NotSigned(str(contract_id))
        signed: Any = found.event
        before = _folded(CONTRACT, past[: signed.signed_version])
        assert not isinstance(before, Nothing)
        terms = before.paper.terms
        return Evidence(
            set_by=set_by(),
            document=document(contract_id, signed.signed_version, terms),
            leaf=leaf(found),
            proof=await self._proof(found.position),
            signer=await self._signer(signed.signed_by, found.position),
            organisation=await self._organisation(terms.organisation_id, found.position),
        )

    async def _proof(self, position: int) -> str:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SIGNED_WITHIN
        while True:
            async with self._pool.connection() as connection:
                proof = await first_proof(connection, position)
            if proof is not None:
                return proof.text()
            if loop.time() > deadline:
                raise NoCheckpoint(f"position {position}")
            await asyncio.sleep(0.1)

    async def _signer(self, user_id: UUID, position: int) -> str | None:
        """As he was called then, unless he was erased since, whatever a remembered key could still open."""
        if any(each.topic == UserErased.TOPIC for each in await self._log.stream(user_id)):
            return None
        match await self._then(USER, user_id, position):
            case (Active() | Blocked() | Deactivated()) as user:
                names = " ".join(filter(None, (user.first_name, user.patronymic, user.last_name)))
                return user.display_name or names or user.email
            case _:
                return None

    async def _organisation(self, organisation_id: UUID, position: int) -> str | None:
        known = await self._then(organisation.ORGANISATION, organisation_id, position)
        return None if isinstance(known, organisation.Nothing) else known.details.full_name

    async def _then(self, rules: Rules[Any, Any, Any], stream_id: UUID, position: int) -> Any:
        """The record as it was at that position; of another noun's nothing. Erased fields are None."""
        stored = await self._log.stream(stream_id, up_to=position)
        mine = [each for each in stored if each.topic.partition(".")[0] == rules.noun]
        return _folded(rules, await self._log.open(mine))


def _folded(rules: Rules[Any, Any, Any], past: Sequence[Recorded[Event]]) -> Any:
    return reduce(rules.evolve, (each.event for each in past), rules.initial)
