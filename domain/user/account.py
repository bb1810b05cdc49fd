"""The states of an account: active, blocked, deactivated or erased; what it keeps meanwhile; who outside it is."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct


class Identity(Struct, frozen=True, kw_only=True):
    """Who a user is to an identity provider. `synced_at`: when the log last heard of it; `last_error`: a code."""

    issuer: str
    synced_at: datetime
    last_error: str | None = None


class Nothing(Struct, frozen=True):
    """Nobody, yet."""


class Account(Struct, frozen=True, kw_only=True):
    """What stays the same from state to state. `mail`: which notices he gets by mail, None: all there are."""

    role: str
    email: str | None = None
    staff_number: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    patronymic: str | None = None
    phone: str | None = None
    job_title: str | None = None
    avatar_file_id: UUID | None = None
    display_name: str | None = None
    department_id: UUID | None = None
    identities: tuple[Identity, ...] = ()
    mail: tuple[str, ...] | None = None
    language: str | None = None


class Active(Account, frozen=True, kw_only=True):
    pass


class Blocked(Account, frozen=True, kw_only=True):
    pass


class Deactivated(Account, frozen=True, kw_only=True):
    pass


class Erased(Struct, frozen=True, kw_only=True):
    """He was forgotten: all that is left is that there was an account, and what role it had."""

    role: str


Someone = Active | Blocked | Deactivated
User = Nothing | Someone | Erased
