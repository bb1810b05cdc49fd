"""The peer's tables, as SQLAlchemy 2 maps them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, Index, Numeric, String, func
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    type_annotation_map = {datetime: TIMESTAMP(timezone=True), Decimal: Numeric(14, 2)}  # noqa: RUF012


def now() -> datetime:
    return datetime.now(UTC)


class User(Base):
    __tablename__ = "users"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    active: Mapped[bool] = mapped_column(default=True)


class SignIn(Base):
    __tablename__ = "sessions"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id), index=True)
    proved_at: Mapped[datetime] = mapped_column(default=now)
    ended_at: Mapped[datetime | None]


class Grant(Base):
    """`organisation_id` None: everywhere."""

    __tablename__ = "grants"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id), index=True)
    permission: Mapped[str] = mapped_column(String(64))
    organisation_id: Mapped[UUID | None]
    expires_at: Mapped[datetime | None]


class Organisation(Base):
    __tablename__ = "organisations"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    full_name: Mapped[str] = mapped_column(String(255))
    archived_at: Mapped[datetime | None]


class Contract(Base):
    __tablename__ = "contracts"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey(Organisation.id), index=True)
    title: Mapped[str | None] = mapped_column(String(255))
    amount: Mapped[Decimal]
    paid: Mapped[Decimal] = mapped_column(default=Decimal(0))
    currency: Mapped[str] = mapped_column(String(3))
    status: Mapped[str] = mapped_column(String(16), default="unsigned")
    version: Mapped[int] = mapped_column(default=1)
    drafted_by: Mapped[UUID] = mapped_column(ForeignKey(User.id))
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
    signed_at: Mapped[datetime | None]
    signed_by: Mapped[UUID | None]
    document_sha256: Mapped[str | None] = mapped_column(String(64))
    __table_args__ = (
        Index("contracts_newest", "created_at", "id"),
        Index("contracts_status", "status", "created_at", "id"),
    )


class Amendment(Base):
    __tablename__ = "amendments"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    contract_id: Mapped[UUID] = mapped_column(ForeignKey(Contract.id), index=True)
    before: Mapped[Decimal]
    after: Mapped[Decimal]
    reason: Mapped[str] = mapped_column(String(2000))


class Payment(Base):
    __tablename__ = "payments"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    contract_id: Mapped[UUID] = mapped_column(ForeignKey(Contract.id), index=True)
    amount: Mapped[Decimal]
    paid_on: Mapped[datetime]
    reference: Mapped[str | None] = mapped_column(String(255))


class AuditEntry(Base):
    """Who did what to what, from where, allowed by what."""

    __tablename__ = "audit_entries"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    user_id: Mapped[UUID]
    session_id: Mapped[UUID]
    grant_id: Mapped[UUID]
    address: Mapped[str | None] = mapped_column(String(45))
    action: Mapped[str] = mapped_column(String(64))
    record_id: Mapped[UUID] = mapped_column(index=True)
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
