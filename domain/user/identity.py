"""What an identity provider says of a user: taken over where it can be, noted where it cannot."""

from datetime import timedelta

from msgspec import UnsetType, convert, structs

from domain.shared import FieldError
from domain.user.account import Deactivated, Erased, Identity, Nothing, Someone, User
from domain.user.commands import ProvisionUser, RecordSync
from domain.user.events import (
    UserChanged,
    UserDeactivated,
    UserEvent,
    UserProvisioned,
    UserReactivated,
    UserRegistered,
    UserSynced,
)
from domain.user.refusals import IdentityInvalid, IdentityUnknown, UserIsErased

LONGEST_ISSUER, LONGEST_SUB = 512, 255
"""In code points. A subject: OpenID Connect Core 1.0, 2."""
NEWS = timedelta(days=1)
"""How long after the last note a sync that changed nothing is noted again: not every request is worth an event."""


def check(issuer: str, sub: str) -> None:
    """Whether both are what a provider may say: visible characters, within their lengths. Raises IdentityInvalid.

    They are compared as they stand, so nothing of them is trimmed or brought into another form.
    """
    wrong = [
        FieldError(pointer=f"/{name}", code="identity", detail=f"1 to {longest} visible characters.")
        for name, text, longest in (("issuer", issuer, LONGEST_ISSUER), ("sub", sub, LONGEST_SUB))
        if not (0 < len(text) <= longest and text.isprintable() and text == text.strip())
    ]
    if wrong:
        raise IdentityInvalid("No identity provider would name anybody so.", errors=tuple(wrong))


def provision(user: User, command: ProvisionUser) -> tuple[UserEvent, ...]:
    """Only what the provider says is changed; that it was in touch is told with changes, and else once a day."""
    check(command.issuer, command.sub)
    if isinstance(user, Erased):  # his id follows from issuer and subject: there is no other for him
        raise UserIsErased("This person was forgotten.")
    if isinstance(user, Nothing):
        came = UserProvisioned(
            issuer=command.issuer,
            sub=command.sub,
            email=command.email,
            display_name=command.display_name,
            synced_at=command.now,
            error=None if isinstance(command.error, UnsetType) else command.error,
        )
        return (came, UserDeactivated()) if command.is_active is False else (came,)
    changes = (*_profile(user, command), *_standing(user, command))
    before = _identity(user, command.issuer)
    error = before.last_error if isinstance(command.error, UnsetType) else command.error
    return _noted(before, RecordSync(now=command.now, issuer=command.issuer, error=error), changes)


def record(user: Someone, command: RecordSync) -> tuple[UserEvent, ...]:
    return _noted(_identity(user, command.issuer), command, ())


def heard(user: Someone, event: UserRegistered | UserProvisioned | UserSynced) -> Someone:
    if isinstance(event, UserRegistered):
        return user
    now = Identity(issuer=event.issuer, synced_at=event.synced_at, last_error=event.error)
    others = tuple(each for each in user.identities if each.issuer != event.issuer)
    return structs.replace(user, identities=(now, *others))


def _profile(user: Someone, command: ProvisionUser) -> tuple[UserEvent, ...]:
    said = {"email": command.email, "display_name": command.display_name}
    new = {n: value for n, value in said.items() if value is not None and value != getattr(user, n)}
    return (convert(new, UserChanged),) if new else ()


def _standing(user: Someone, command: ProvisionUser) -> tuple[UserEvent, ...]:
    """A block is ours: no provider lifts it."""
    if command.is_active is False and not isinstance(user, Deactivated):
        return (UserDeactivated(),)
    if command.is_active is True and isinstance(user, Deactivated):
        return (UserReactivated(role=user.role),)
    return ()


def _identity(user: Someone, issuer: str) -> Identity:
    found = next((each for each in user.identities if each.issuer == issuer), None)
    if found is None:
        raise IdentityUnknown("This account has no identity with that issuer.")
    return found


def _noted(before: Identity, command: RecordSync, changes: tuple[UserEvent, ...]) -> tuple[UserEvent, ...]:
    old = command.now - before.synced_at >= NEWS
    if not (changes or old or command.error != before.last_error):
        return ()
    return (*changes, UserSynced(issuer=command.issuer, synced_at=command.now, error=command.error))
