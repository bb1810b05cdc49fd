"""What a user keeps for himself: his logins; and what every request asks of him: role and state."""

from typing import assert_never
from uuid import UUID

from domain.shared import Claim, Guard, Principal, SessionsEnded
from domain.user.events import UserEvent, UserRegistered, UserSignedOut

LOGIN = "user.login"
ADMIN = "user.admin"
ACTIVE = "user.active"
"""Claims that others rely on: who may be named where an active user is needed, and that one admin always stays."""


def login(text: str) -> str:
    """The form under which a login is unique: trimmed, lower case."""
    return text.strip().lower()


def guards(stream_id: UUID, event: UserEvent) -> tuple[Guard, ...]:
    match event:
        case UserRegistered():
            logins = tuple(login(text) for text in (event.email, event.staff_number) if text)
            admin = (str(stream_id),) if event.role == "admin" else ()
            return (
                Claim(kind=LOGIN, values=logins, personal=True),
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
