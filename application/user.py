"""Accounts of people: what staff and the people themselves may do with them."""

from functools import partial
from typing import Any, ClassVar, Protocol
from uuid import UUID

import msgspec

from application.access import AccessError, Caller, Need, system
from application.context import Context, DryRun
from application.execute import Execute
from application.password import PasswordPolicy
from application.password_change import NewPassword, own_words
from application.ports import NOTHING_ELSE, Answer, Claims, ClaimTaken, NewId, Reliance, Secrets
from application.proof import Passwords
from application.user_identity import OWN, UserIdentities, of
from domain.department.guards import OPEN
from domain.file.guards import BINDING
from domain.shared import Actor, DomainError, FieldError, Kind, Origin
from domain.user.aggregate import USER
from domain.user.commands import (
    BlockUser,
    ChangeDepartment,
    ChangeRole,
    ChangeUser,
    DeactivateUser,
    ReactivateUser,
    RegisterUser,
    UnblockUser,
    UserCommand,
)
from domain.user.events import administrator_id
from domain.user.guards import ADMIN, EMAIL, login
from domain.user.refusals import DepartmentNotOpen, EmailTaken, LastAdmin, StaffNumberTaken

VIEW = "user:view"


class RegistrationClosed(AccessError):
    """Accounts are opened by staff here."""

    code: ClassVar[str] = "registration_closed"


class EmailDomainRefused(DomainError):
    """Only e-mail addresses of certain domains may have an account here."""

    code: ClassVar[str] = "user.email_domain_refused"
    kind: ClassVar[Kind] = Kind.INVALID


class Portraits(Protocol):
    """What files are, to a user who wants one as his avatar."""

    async def avatar(self, file_id: UUID, user_id: UUID) -> Reliance:
        """That it is an image of the user's own, complete and free. Raises what is wrong with it."""
        ...

    def taken(self, taken: ClaimTaken) -> DomainError: ...


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """Who may have an account: whether strangers may open one, and at which exact e-mail domains (none: any)."""

    open: bool
    domains: tuple[str, ...] = ()

    def check(self, email: str) -> None:
        """Letter for letter, but for case: no subdomain, no look-alike. Raises EmailDomainRefused."""
        domain = email.rpartition("@")[2]
        if self.domains and not (domain.isascii() and domain.lower() in self.domains):
            wrong = FieldError(
                pointer="/email", code="domain", detail="No account can have an address there."
            )
            raise EmailDomainRefused("This e-mail domain is not admitted.", errors=(wrong,))


class Users(UserIdentities):
    def __init__(
        self,
        execute: Execute,
        claims: Claims,
        passwords: Passwords,
        policy: PasswordPolicy,
        admission: Admission,
        new_id: NewId,
        new_password: NewPassword,
        portraits: Portraits,
    ) -> None:
        super().__init__(execute, claims)
        self._passwords, self._policy = passwords, policy
        self._admission, self._portraits = admission, portraits
        self._new_id, self._new_password = new_id, new_password

    async def register(
        self, command: RegisterUser, password: str, *, request_id: str, origin: Origin | None
    ) -> Answer | DryRun:
        """A stranger opens an account. Raises RegistrationClosed, PasswordRefused."""
        if not self._admission.open:
            raise RegistrationClosed("Accounts are opened by staff here.")
        self._admission.check(command.email)
        self._policy.check(password, pointer="/password", own=own_words(command))
        user_id = self._new_id()
        himself = Caller(actor=Actor(kind="user", id=user_id))
        context = Context(caller=himself, request_id=request_id, origin=origin)
        return await self._add(user_id, command, context, OWN, await self._passwords.hash(password))

    async def create(self, command: RegisterUser, context: Context) -> Answer | DryRun:
        """By staff, with a temporary password that is shown once."""
        if (answer := await self._execute.admit(context, "user:create")) is not None:
            return answer
        self._admission.check(command.email)
        temporary = self._new_password()
        password_hash = "" if context.dry_run else await self._passwords.hash(temporary)
        command = msgspec.structs.replace(command, must_change_password=True, by_role=_role(context))
        once = {"temporary_password": temporary}
        need = Need(right="user:create")
        return await self._add(self._new_id(), command, context, need, password_hash, once=once)

    async def _add(
        self,
        user_id: UUID,
        command: RegisterUser,
        context: Context,
        need: Need,
        password_hash: str,
        *,
        once: dict[str, Any] | None = None,
        upsert: bool = False,
    ) -> Answer | DryRun:
        return await self._execute(
            USER,
            user_id,
            command,
            context,
            need,
            new=not upsert,
            upsert=upsert,
            relies=partial(self._open, command.department_id),
            secrets=Secrets(password_hash=(user_id, password_hash)),
            once=once,
            taken=_taken,
        )

    async def change(self, user_id: UUID, changes: dict[str, Any], context: Context) -> Answer | DryRun:
        command = ChangeUser(changes=changes, by_role=_role(context))
        return await self._change(user_id, command, context, Need(right="user:edit", view=VIEW))

    async def change_own(self, changes: dict[str, Any], context: Context) -> Answer | DryRun:
        return await self._change(context.caller.actor.id, ChangeUser(changes=changes), context, OWN)

    async def change_role(self, user_id: UUID, role: str, context: Context) -> Answer | DryRun:
        need = Need(right="user:role", view=VIEW, step_up=True)
        return await self._lasting(user_id, ChangeRole(role=role, by_role=_role(context)), context, need)

    async def block(self, user_id: UUID, reason: str, context: Context) -> Answer | DryRun:
        need = Need(right="user:block", view=VIEW, step_up=True)
        return await self._lasting(user_id, BlockUser(reason=reason, by_role=_role(context)), context, need)

    async def unblock(self, user_id: UUID, context: Context) -> Answer | DryRun:
        command = UnblockUser(by_role=_role(context))
        return await self._do(user_id, command, context, Need(right="user:unblock", view=VIEW))

    async def deactivate(self, user_id: UUID, context: Context) -> Answer | DryRun:
        need = Need(right="user:deactivate", view=VIEW, step_up=True)
        return await self._lasting(user_id, DeactivateUser(by_role=_role(context)), context, need)

    async def leave(self, context: Context) -> Answer | DryRun:
        """The user deactivates himself."""
        need = Need(right=None, step_up=True)
        return await self._lasting(context.caller.actor.id, DeactivateUser(), context, need)

    async def reactivate(self, user_id: UUID, context: Context) -> Answer | DryRun:
        command = ReactivateUser(by_role=_role(context))
        return await self._do(user_id, command, context, Need(right="user:reactivate", view=VIEW))

    async def change_department(
        self, user_id: UUID, department_id: UUID | None, context: Context
    ) -> Answer | DryRun:
        """Its rights are his from the next request on. Raises DepartmentNotOpen, DepartmentOfOneself."""
        command = ChangeDepartment(
            department_id=department_id, by_role=_role(context), himself=user_id == context.caller.actor.id
        )
        return await self._execute(
            USER,
            user_id,
            command,
            context,
            Need(right="user:department", view=VIEW),
            resource=of(user_id),
            relies=partial(self._open, department_id),
        )

    async def _open(self, department_id: UUID | None) -> Reliance:
        """That people may be put into it. Raises DepartmentNotOpen."""
        if department_id is None:
            return NOTHING_ELSE
        if await self._claims.owner(OPEN, str(department_id)) is None:
            wrong = FieldError(
                pointer="/department_id", code="unknown", detail="No open department has this id."
            )
            raise DepartmentNotOpen("There is no such department to belong to.", errors=(wrong,))
        return Reliance(require=((OPEN, str(department_id), department_id),))

    async def ensure_admin(self, email: str, password_hash: str) -> UUID | None:
        """The first administrator; None when there was one made for this e-mail before, or it has an account.

        His id follows from the e-mail, so he is never made again: not when he has another address, role or password
        by now, nor when he was blocked, deactivated or erased.
        """
        if await self._owner(email) is not None:
            return None
        user_id = administrator_id(login(email)[1])
        command = RegisterUser(email=email, role="admin", first_name="First", last_name="Administrator")
        context = Context(caller=system(), request_id="bootstrap")
        try:
            await self._add(user_id, command, context, Need(right="user:create"), password_hash, upsert=True)
        except EmailTaken:
            return None
        return user_id

    async def _lasting(
        self, user_id: UUID, command: UserCommand, context: Context, need: Need
    ) -> Answer | DryRun:
        """What could take the last administrator away: append sees to it that another one stays."""
        return await self._execute(
            USER,
            user_id,
            command,
            context,
            need,
            resource=of(user_id),
            keep_one=(ADMIN,),
            none_left=lambda: LastAdmin("The last active administrator stays one."),
        )

    async def _change(
        self, user_id: UUID, command: ChangeUser, context: Context, need: Need
    ) -> Answer | DryRun:
        """A new avatar is an image of the user's own, bound by this very change."""

        async def reliance() -> Reliance:
            if (email := command.changes.get("email")) is not None:
                self._admission.check(email)
            file_id = command.changes.get("avatar_file_id")
            return NOTHING_ELSE if file_id is None else await self._portraits.avatar(UUID(file_id), user_id)

        return await self._execute(
            USER, user_id, command, context, need, resource=of(user_id), relies=reliance, taken=self._taken
        )

    def _taken(self, taken: ClaimTaken) -> DomainError:
        return self._portraits.taken(taken) if taken.kind == BINDING else _taken(taken)

    async def _do(self, user_id: UUID, command: UserCommand, context: Context, need: Need) -> Answer | DryRun:
        return await self._execute(USER, user_id, command, context, need, resource=of(user_id), taken=_taken)


def _role(context: Context) -> str:
    return context.caller.role or "user"


def _taken(taken: ClaimTaken) -> DomainError:
    if taken.kind == EMAIL:
        return EmailTaken("Another account has this e-mail address.")
    return StaffNumberTaken("Another account has this staff number.")
