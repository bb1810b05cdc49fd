"""What a user keeps for himself: his logins; and what every request asks of him: role and state."""

from typing import assert_never
from uuid import UUID

from domain.shared import Claim, Guard, Principal, SessionsEnded
from domain.user.events import UserEvent, UserRegistered, UserSignedOut

EMAIL = "user.email"
STAFF_NUMBER = "user.staff_number"
ADMIN = "user.admin"
ACTIVE = "user.active"
"""Claims that others rely on: who may be named where an active user is needed, and that one admin always stays."""


def login(text: str) -> tuple[str, str]:
    """The claim under which a login is unique: its kind, and its form, trimmed and in lower case.

    An e-mail address has an @, a staff number has none.
    """
    form = text.strip().lower()
    return (EMAIL if "@" in form else STAFF_NUMBER), form


def logins(kind: str, text: str | None) -> Claim:
    return Claim(kind=kind, values=(login(text)[1],) if text else (), personal=kind == EMAIL)


def guards(stream_id: UUID, event: UserEvent) -> tuple[Guard, ...]:
    match event:
        case UserRegistered():
            admin = (str(stream_id),) if event.role == "admin" else ()
            return (
                logins(EMAIL, event.email),
                logins(STAFF_NUMBER, event.staff_number),
                Claim(kind=ADMIN, values=admin),
                Claim(kind=ACTIVE, values=(str(stream_id),)),
                Principal(
                    role=event.role,
                    state="active",
                    department_id=event.department_id,
                    must_change_password=event.must_change_password,
                ),
            )
        case UserSignedOut():
            return (SessionsEnded(),)
        case _:
            assert_never(event)
