"""What can happen to a person with an account."""

from typing import ClassVar
from uuid import UUID

from domain.shared import Event, Personal


class UserRegistered(Event, frozen=True, kw_only=True, omit_defaults=True):
    TOPIC: ClassVar[str] = "user.registered.v1"

    email: Personal[str] = None
    staff_number: str | None = None
    first_name: Personal[str] = None
    last_name: Personal[str] = None
    patronymic: Personal[str] = None
    phone: Personal[str] = None
    department_id: UUID | None = None
    job_title: str | None = None
    role: str
    must_change_password: bool = False


class UserSignedOut(Event, frozen=True, kw_only=True, omit_defaults=True):
    """All sessions of the user ended at once."""

    TOPIC: ClassVar[str] = "user.signed_out.v1"


UserEvent = UserRegistered | UserSignedOut
