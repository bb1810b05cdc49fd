"""GET of certificates of signatures."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec
from litestar import Router, get
from msgspec import Struct

from api.answers import Answer
from api.auth import caller_of
from api.openapi import problems
from api.papers import MAKING, paper_answer
from api.problems import NotFound
from api.queries.contract import ContractSight
from api.queries.file import Contents
from api.queries.records import Asked, Clock, IfNoneMatch, MinPosition, Read, Records
from api.refs import Ref, Refs
from domain.contract.refusals import NotSigned
from infrastructure.papers.kept import Paper


class Papers(Protocol):
    async def find(self, contract_id: UUID) -> Paper | None: ...
    async def ask(self, contract_id: UUID, now: datetime) -> None: ...


class _Signature(Struct, frozen=True):
    signed_at: datetime | None


_signature = msgspec.json.Decoder(_Signature)


def routes(
    records: Records, contracts: Read, papers: Papers, contents: Contents, refs: Refs, clock: Clock
) -> Router:
    sight = ContractSight(clock)

    @get("/{ref:str}/certificate", media_type="*/*", responses=problems(NotSigned) | MAKING)
    async def contract_certificate(
        request: Asked, ref: Ref, at_least: MinPosition = None, if_none_match: IfNoneMatch = None
    ) -> Answer[bytes]:
        """The certificate of its signature, a PDF/A-3b that carries the evidence: always the same bytes.

        202 until it is made, which takes a signed checkpoint over the signature.
        """
        contract_id = await refs.id("contract", ref)
        await records.others(at_least, contracts)
        found = await contracts(contract_id)
        if not found.version or not sight.sees(caller_of(request), found.view):
            raise NotFound
        if _signature.decode(found.view).signed_at is None:
            raise NotSigned("Nobody has signed this contract.")
        paper = await papers.find(contract_id)
        if paper is None:
            await papers.ask(contract_id, clock())
        name = f"certificate-{contract_id}.pdf"
        return paper_answer(contents, contract_id, name, paper, found.position, if_none_match)

    return Router("/contracts", route_handlers=[contract_certificate], tags=["Contracts"])
