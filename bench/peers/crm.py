"""Contracts as a competent engineer would keep them with FastAPI, SQLAlchemy 2 and asyncpg.

`python -m bench.peers.crm <database url> <port> <file>`; into the file it writes `{"token", "organisation_id"}`.

Tables are overwritten, and beside each change there is an audit row in the same transaction. It has a token bound to a
session that can be ended, a user who can be blocked, rights by organisation, row locks, foreign keys, a durable
transaction for each command. It does without what Chancery does besides: idempotency keys, If-Match, history, proof,
personal fields sealed.
"""

import asyncio
import json
import secrets
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import jwt
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from bench.peers.bodies import Amend, Draft, Money, Page, Pay, Receipt, Shown
from bench.peers.tables import (
    Amendment,
    AuditEntry,
    Base,
    Contract,
    Grant,
    Organisation,
    Payment,
    SignIn,
    User,
)

ALGORITHM, FRESH = "HS256", timedelta(minutes=5)
PERMISSIONS = ("contract:create", "contract:view", "contract:sign", "contract:amend", "contract:pay")
POOL = 20
"""Connections: more bring nothing on a machine of a few cores."""

app = FastAPI()
engine = create_async_engine(
    sys.argv[1].replace("postgresql://", "postgresql+asyncpg://"), pool_size=POOL, max_overflow=0
)
sessions = async_sessionmaker(engine, expire_on_commit=False)
secret = secrets.token_bytes(32)
bearer = HTTPBearer()


class Caller(BaseModel):
    model_config = ConfigDict(frozen=True)
    user_id: UUID
    session_id: UUID
    proved_at: datetime
    grants: dict[str, list[tuple[UUID | None, UUID]]]
    address: str | None

    def require(self, permission: str, organisation_id: UUID) -> UUID:
        """The grant that allows it."""
        for scope, grant_id in self.grants.get(permission, ()):
            if scope is None or scope == organisation_id:
                return grant_id
        raise HTTPException(403, "forbidden")


async def transaction() -> AsyncIterator[AsyncSession]:
    """Committed before the answer is sent: FastAPI would do it after by itself."""
    async with sessions() as session, session.begin():
        yield session


Session = Annotated[AsyncSession, Depends(transaction, scope="function")]


async def caller(
    request: Request,
    session: Session,
    given: Annotated[HTTPAuthorizationCredentials, Depends(bearer)],
) -> Caller:
    """From one statement: the session is open, its user active, and what he may."""
    try:
        claims = jwt.decode(
            given.credentials, secret, [ALGORITHM], options={"require": ["exp", "sub", "sid"]}
        )
    except jwt.InvalidTokenError:
        raise HTTPException(401, "invalid token") from None
    rows = await session.execute(
        select(User.id, SignIn.id, SignIn.proved_at, Grant.permission, Grant.organisation_id, Grant.id)
        .join(SignIn, SignIn.user_id == User.id)
        .outerjoin(
            Grant,
            (Grant.user_id == User.id)
            & (Grant.expires_at.is_(None) | (Grant.expires_at > datetime.now(UTC))),
        )
        .where(SignIn.id == UUID(claims["sid"]), SignIn.ended_at.is_(None), User.active)
    )
    found = rows.all()
    if not found:
        raise HTTPException(401, "session ended")
    grants: dict[str, list[tuple[UUID | None, UUID]]] = {}
    for *_, permission, scope, grant_id in found:
        grants.setdefault(permission, []).append((scope, grant_id))
    user_id, session_id, proved_at, *_ = found[0]
    address = request.client.host if request.client else None
    return Caller(user_id=user_id, session_id=session_id, proved_at=proved_at, grants=grants, address=address)


Who = Annotated[Caller, Depends(caller)]


def audited(who: Caller, grant_id: UUID, action: str, record_id: UUID, **data: Any) -> AuditEntry:
    return AuditEntry(
        user_id=who.user_id,
        session_id=who.session_id,
        grant_id=grant_id,
        address=who.address,
        action=action,
        record_id=record_id,
        data=data,
    )


async def locked(session: AsyncSession, contract_id: UUID) -> Contract:
    found = await session.get(Contract, contract_id, with_for_update=True)
    if found is None:
        raise HTTPException(404, "no such contract")
    return found


def signed(contract: Contract, money: Money) -> None:
    if contract.status != "signed":
        raise HTTPException(409, "not signed")
    if money.currency != contract.currency:
        raise HTTPException(422, "another currency")


@app.post("/contracts", status_code=201)
async def draft(body: Draft, who: Who, session: Session) -> Receipt:
    grant_id = who.require("contract:create", body.organisation_id)
    organisation = await session.get(Organisation, body.organisation_id)
    if organisation is None or organisation.archived_at is not None:
        raise HTTPException(422, "no such organisation")
    contract = Contract(
        organisation_id=organisation.id,
        title=body.title,
        amount=body.amount.amount,
        currency=body.amount.currency,
        drafted_by=who.user_id,
    )
    session.add(contract)
    await session.flush()
    session.add(audited(who, grant_id, "contract.drafted", contract.id, **body.model_dump(mode="json")))
    return Receipt(id=contract.id, version=contract.version)


@app.post("/contracts/{contract_id}/sign")
async def sign(contract_id: UUID, who: Who, session: Session) -> Receipt:
    contract = await locked(session, contract_id)
    grant_id = who.require("contract:sign", contract.organisation_id)
    if datetime.now(UTC) - who.proved_at > FRESH:
        raise HTTPException(401, "step up")
    if contract.status != "unsigned":
        raise HTTPException(409, contract.status)
    terms = Shown.model_validate(contract).model_dump_json().encode()
    contract.status, contract.version = "signed", contract.version + 1
    contract.signed_at, contract.signed_by = datetime.now(UTC), who.user_id
    contract.document_sha256 = sha256(terms).hexdigest()
    evidence = {"document_sha256": contract.document_sha256, "proved_at": who.proved_at.isoformat()}
    session.add(audited(who, grant_id, "contract.signed", contract.id, **evidence))
    return Receipt(id=contract.id, version=contract.version)


@app.post("/contracts/{contract_id}/amend")
async def amend(contract_id: UUID, body: Amend, who: Who, session: Session) -> Receipt:
    contract = await locked(session, contract_id)
    grant_id = who.require("contract:amend", contract.organisation_id)
    signed(contract, body.amount)
    if body.amount.amount < contract.paid:
        raise HTTPException(422, "below what was paid")
    session.add(
        Amendment(
            contract_id=contract.id, before=contract.amount, after=body.amount.amount, reason=body.reason
        )
    )
    contract.amount, contract.version = body.amount.amount, contract.version + 1
    session.add(audited(who, grant_id, "contract.amended", contract.id, **body.model_dump(mode="json")))
    return Receipt(id=contract.id, version=contract.version)


@app.post("/contracts/{contract_id}/payments", status_code=201)
async def pay(contract_id: UUID, body: Pay, who: Who, session: Session) -> Receipt:
    contract = await locked(session, contract_id)
    grant_id = who.require("contract:pay", contract.organisation_id)
    signed(contract, body.amount)
    if not 0 < body.amount.amount <= contract.amount - contract.paid:
        raise HTTPException(422, "more than remains")
    payment = Payment(
        contract_id=contract.id,
        amount=body.amount.amount,
        paid_on=datetime.combine(body.paid_on, datetime.min.time(), UTC),
        reference=body.reference,
    )
    contract.paid, contract.version = contract.paid + body.amount.amount, contract.version + 1
    session.add(payment)
    session.add(
        audited(who, grant_id, "contract.payment_recorded", contract.id, **body.model_dump(mode="json"))
    )
    return Receipt(id=contract.id, version=contract.version)


@app.get("/contracts/{contract_id}")
async def read(contract_id: UUID, who: Who, session: Session) -> Shown:
    contract = await session.get(Contract, contract_id)
    if contract is None:
        raise HTTPException(404, "no such contract")
    who.require("contract:view", contract.organisation_id)
    return Shown.model_validate(contract)


@app.get("/contracts")
async def listed(who: Who, session: Session, status: str | None = None, page_size: int = 25) -> Page:
    scopes = [scope for scope, _ in who.grants.get("contract:view", ())]
    asked = select(Contract).order_by(Contract.created_at.desc(), Contract.id.desc()).limit(page_size + 1)
    if None not in scopes:
        asked = asked.where(Contract.organisation_id.in_(scopes))
    if status is not None:
        asked = asked.where(Contract.status == status)
    found = (await session.scalars(asked)).all()
    return Page(
        data=[Shown.model_validate(each) for each in found[:page_size]], has_more=len(found) > page_size
    )


async def prepared() -> dict[str, str]:
    """Tables, a user with his rights, an organisation; what a caller needs of it."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    user, organisation = User(email="admin@example.org"), Organisation(full_name="Alpha")
    async with sessions() as session, session.begin():
        session.add_all([user, organisation])
        await session.flush()
        opened = SignIn(user_id=user.id)
        session.add_all([opened, *(Grant(user_id=user.id, permission=each) for each in PERMISSIONS)])
    await engine.dispose()
    claims = {"sub": str(user.id), "sid": str(opened.id), "exp": datetime.now(UTC) + timedelta(hours=1)}
    return {"token": jwt.encode(claims, secret, ALGORITHM), "organisation_id": str(organisation.id)}


if __name__ == "__main__":
    Path(sys.argv[3]).write_text(json.dumps(asyncio.run(prepared())))
    uvicorn.run(
        app, port=int(sys.argv[2]), loop="uvloop", http="httptools", access_log=False, log_level="warning"
    )
