"""What a user keeps for himself: his logins; and what every request asks of him: role and state."""

from typing import assert_never
from uuid import UUID

from msgspec import UnsetType

from domain.file.guards import BINDING
from domain.shared import Claim, Forgotten, Guard, Principal, SessionsEnded
from domain.user.events import (
    UserBlocked,
    UserChanged,
    UserDeactivated,
    UserDepartmentChanged,
    UserErased,
    UserEvent,
    UserExported,
    UserNotificationsChanged,
    UserPasswordChanged,
    UserPasswordReset,
    UserProvisioned,
    UserReactivated,
    UserRegistered,
    UserRoleChanged,
    UserSignedOut,
    UserSynced,
    UserUnblocked,
)

EMAIL = "user.email"
STAFF_NUMBER = "user.staff_number"
IDENTITY = "user.identity"
ADMIN = "user.admin"
ACTIVE = "user.active"
"""Claims that others rely on: who may be named where an active user is needed, and that one admin always stays."""


def login(text: str) -> tuple[str, str]:
    """The claim under which a login is unique: its kind, and its form, trimmed and in lower case.

    An e-mail address has an @, a staff number has none.
    """
    form = text.strip().lower()
    return (EMAIL if "@" in form else STAFF_NUMBER), form


def guards(stream_id: UUID, event: UserEvent) -> tuple[Guard, ...]:
    match event:
        case UserRegistered():
            principal = Principal(
                role=event.role,
                state="active",
                department_id=event.department_id,
                must_change_password=event.must_change_password,
            )
            claims = (logins(EMAIL, event.email), logins(STAFF_NUMBER, event.staff_number))
            return (*claims, *standing(stream_id, event.role), principal)
        case UserProvisioned():
            principal = Principal(
                role=event.role, state="active", department_id=None, must_change_password=False
            )
            claims = (identity(event.issuer, event.sub), logins(EMAIL, event.email))
            return (*claims, *standing(stream_id, event.role), principal)
        case UserChanged():
            changed = ((EMAIL, event.email), (STAFF_NUMBER, event.staff_number))
            named = tuple(logins(kind, text) for kind, text in changed if not isinstance(text, UnsetType))
            return (*named, *portrait(event.avatar_file_id))
        case UserPasswordChanged():
            return Principal(must_change_password=False), SessionsEnded(keep=event.kept_session_id)
        case UserPasswordReset():
            return Principal(must_change_password=True), SessionsEnded()
        case UserRoleChanged():
            role = event.role if event.active else None
            return (*standing(stream_id, role), Principal(role=event.role), SessionsEnded())
        case UserBlocked():
            return (*standing(stream_id, None), Principal(state="blocked"), SessionsEnded())
        case UserDeactivated():
            return (*standing(stream_id, None), Principal(state="deactivated"), SessionsEnded())
        case UserUnblocked() | UserReactivated():
            return (*standing(stream_id, event.role), Principal(state="active"))
        case UserDepartmentChanged():
            return (Principal(department_id=event.department_id),)
        case UserSignedOut():
            return (SessionsEnded(),)
        case UserErased():
            return forgotten(stream_id)
        case UserSynced() | UserExported() | UserNotificationsChanged():
            return ()
        case _:
            assert_never(event)


def logins(kind: str, text: str | None) -> Claim:
    return Claim(kind=kind, values=(login(text)[1],) if text else (), personal=kind == EMAIL)


def identity(issuer: str, sub: str | None) -> Claim:
    return Claim(kind=IDENTITY, values=() if sub is None else (f"{issuer}\n{sub}",), personal=True)


def forgotten(user_id: UUID) -> tuple[Guard, ...]:
    """He lets go of all that was his; his address and his staff number are free for another account."""
    let_go = (EMAIL, STAFF_NUMBER, IDENTITY, BINDING)
    principal = Principal(state="erased", department_id=None, must_change_password=False)
    claims = tuple(Claim(kind=kind, values=()) for kind in let_go)
    return (*claims, *standing(user_id, None), principal, SessionsEnded(), Forgotten())


def portrait(file_id: UUID | None | UnsetType) -> tuple[Guard, ...]:
    """The avatar is bound to its user, so that it is nobody else's and is not cleaned up."""
    if isinstance(file_id, UnsetType):
        return ()
    return (Claim(kind=BINDING, values=() if file_id is None else (str(file_id),)),)


def standing(user_id: UUID, role: str | None) -> tuple[Guard, ...]:
    """Who may act, and who may as an administrator; None: he may not act at all."""
    active = () if role is None else (str(user_id),)
    return Claim(kind=ADMIN, values=active if role == "admin" else ()), Claim(kind=ACTIVE, values=active)
