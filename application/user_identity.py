"""Users as identity providers bring them: one for each (issuer, sub), made once and brought up to date."""

import re
from collections.abc import Callable
from unicodedata import normalize
from uuid import UUID

from msgspec import UNSET, UnsetType, structs

from application.access import Need, Resource, system
from application.context import Context, DryRun
from application.execute import Execute
from application.ports import Answer, Claims, ClaimTaken
from domain.shared import DomainError
from domain.user.account import User
from domain.user.aggregate import USER
from domain.user.commands import ProvisionUser, RecordSync, UserCommand
from domain.user.events import UserEvent, UserProvisioned, person_id
from domain.user.guards import ADMIN, EMAIL, login
from domain.user.identity import check
from domain.user.refusals import EmailTaken, LastAdmin

OWN = Need(right=None)
EMAIL_TAKEN, EMAIL_INVALID, DISPLAY_NAME_INVALID = "email_taken", "email_invalid", "display_name_invalid"
"""Why something a provider says was not taken over: `identities[].last_error`."""

_ADDRESS = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")
_LONGEST_EMAIL, _LONGEST_NAME = 254, 255


class UserIdentities:
    """What `Users` does with those who are known elsewhere."""

    def __init__(self, execute: Execute, claims: Claims) -> None:
        self._execute, self._claims = execute, claims

    async def provision(
        self,
        issuer: str,
        sub: str,
        *,
        email: str | None = None,
        display_name: str | None = None,
        is_active: bool | None = None,
        context: Context,
    ) -> Answer | DryRun:
        """The user whom `issuer` calls `sub`: made (201), brought up to date (200), or as he was (200, no event).

        Only what is given changes. An address or a name that cannot be his leaves what he had, and his identity's
        `last_error` says so: `email_taken`, `email_invalid`, `display_name_invalid`. The white-list of e-mail domains
        does not apply: whom a configured provider knows is admitted by that. `is_active` false deactivates, true
        reactivates; it lifts no block. Who may ask so is the caller's business. Raises IdentityInvalid, LastAdmin.
        """
        check(issuer, sub)
        user_id = person_id(issuer, sub)
        address, name, error = said(email, display_name)
        if address is not None and await self._owner(address) not in (None, user_id):
            address, error = None, EMAIL_TAKEN
        command = ProvisionUser(
            now=self._execute.clock(),
            issuer=issuer,
            sub=sub,
            email=address,
            display_name=name,
            is_active=is_active,
            error=error,
        )
        try:
            return await self._sync(user_id, command, context, upsert=True)
        except EmailTaken:  # between the look and the append
            command = structs.replace(command, email=None, error=EMAIL_TAKEN)
            return await self._sync(user_id, command, context, upsert=True)

    async def synced(self, user_id: UUID, issuer: str) -> None:
        """The identity provider knows this user as we do. Raises UserUnknown, IdentityUnknown."""
        await self._record(user_id, issuer, None)

    async def sync_failed(self, user_id: UUID, issuer: str, error: str) -> None:
        """It could not be told; `error` is a code, no sentence of a stranger's. Raises UserUnknown, IdentityUnknown."""
        await self._record(user_id, issuer, error)

    async def _record(self, user_id: UUID, issuer: str, error: str | None) -> None:
        command = RecordSync(now=self._execute.clock(), issuer=issuer, error=error)
        await self._sync(user_id, command, Context(caller=system(), request_id="identity-sync"))

    async def _sync(
        self, user_id: UUID, command: UserCommand, context: Context, *, upsert: bool = False
    ) -> Answer | DryRun:
        leaves = isinstance(command, ProvisionUser) and command.is_active is False
        return await self._execute(
            USER,
            user_id,
            command,
            context,
            OWN,
            upsert=upsert,
            made=_made,
            resource=of(user_id),
            keep_one=(ADMIN,) if leaves else (),
            taken=_taken,
            none_left=lambda: LastAdmin("The last active administrator stays one."),
        )

    async def _owner(self, email: str) -> UUID | None:
        return await self._claims.owner(EMAIL, login(email)[1], personal=True)


def said(
    email: str | None, display_name: str | None
) -> tuple[str | None, str | None, str | None | UnsetType]:
    """Address and name as we would keep them, and what is wrong with them: UNSET when nothing was said."""
    address, name = (text and (normalize("NFC", text.strip()) or None) for text in (email, display_name))
    if address is None and name is None:
        return None, None, UNSET
    error = None
    if name is not None and (len(name) > _LONGEST_NAME or not name.isprintable()):
        name, error = None, DISPLAY_NAME_INVALID
    if address is not None and not _is_address(address):
        address, error = None, EMAIL_INVALID
    return address, name, error


def _is_address(text: str) -> bool:
    return len(text) <= _LONGEST_EMAIL and text.isprintable() and _ADDRESS.fullmatch(text) is not None


def of(user_id: UUID) -> Callable[[User], Resource]:
    return lambda _: Resource(scopes=frozenset({("user", str(user_id))}))


def _made(events: tuple[UserEvent, ...]) -> bool:
    return any(isinstance(event, UserProvisioned) for event in events)


def _taken(taken: ClaimTaken) -> DomainError:
    assert taken.kind == EMAIL, "an identity belongs to the one user whose id follows from it"
    return EmailTaken("Another account has this e-mail address.")
