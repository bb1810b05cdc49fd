"""What the peer is sent, and what it answers."""

from datetime import date, datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class Money(BaseModel):
    amount: Decimal = Field(ge=0, max_digits=14, decimal_places=2)
    currency: Literal["EUR", "USD", "GBP"]


class Draft(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["sale"]
    organisation_id: UUID
    title: str | None = Field(default=None, max_length=255)
    amount: Money


class Amend(BaseModel):
    model_config = ConfigDict(extra="forbid")
    amount: Money
    reason: str = Field(min_length=1, max_length=2000)


class Pay(BaseModel):
    model_config = ConfigDict(extra="forbid")
    amount: Money
    paid_on: date
    reference: str | None = Field(default=None, max_length=255)


class Receipt(BaseModel):
    id: UUID
    version: int


class Shown(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: UUID
    version: int
    status: str
    organisation_id: UUID
    title: str | None
    amount: Decimal
    paid: Decimal
    currency: str
    created_at: datetime
    updated_at: datetime
    signed_at: datetime | None
    signed_by: UUID | None
    document_sha256: str | None


class Page(BaseModel):
    data: list[Shown]
    has_more: bool
