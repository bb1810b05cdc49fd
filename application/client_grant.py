"""Rights to other systems' modules, given and taken by those systems' programs, to people as an issuer calls them."""

from collections.abc import Callable
from uuid import UUID

from msgspec import Struct, convert, structs

from application.access import Caller, Need, Resource, require, require_passing
from application.catalogue import SCOPES
from application.context import Context, DryRun
from application.execute import Execute
from application.grant import GIVE, Grants, about
from application.outside import Provisioning
from application.ports import Answer
from application.proof import Account
from application.session import Accounts
from domain.grant.aggregate import GRANT, GrantUnknown, Standing
from domain.grant.commands import RevokeGrant
from domain.grant.events import Grant, GrantGiven, Right, Subject
from domain.shared import Event
from domain.user.events import person_id
from domain.user.refusals import UserIsBlocked, UserIsDeactivated, UserIsErased, UserNotFound

TAKE = Need(right="grant:revoke")
FREE = Need(right=None, by="client")
"""What an API client may do with rights held in scopes of other systems, since nothing here is judged by them."""


class Person(Struct, frozen=True, kw_only=True):
    """As another system names him, and what it says of him. Without an issuer: by the first configured one, or by his
    id here.
    """

    sub: str
    issuer: str | None = None
    email: str | None = None
    display_name: str | None = None


class People:
    """Who is meant by a subject. `default`: the issuer where none is named."""

    def __init__(self, accounts: Accounts, default: str) -> None:
        self._accounts, self.default = accounts, default

    def id(self, sub: str, issuer: str | None) -> UUID:
        """Of the user whom an issuer calls so, be there one yet or not."""
        return person_id(issuer or self.default, sub)

    async def account(self, sub: str, issuer: str | None) -> Account | None:
        found = await self._accounts.account(self.id(sub, issuer))
        if found is None and issuer is None and (own := _uuid(sub)) is not None:
            found = await self._accounts.account(own)
        return found

    async def known(self, sub: str, issuer: str | None) -> UUID:
        """His id. Raises UserNotFound."""
        if (found := await self.account(sub, issuer)) is None:
            raise UserNotFound("No user has this subject with that issuer.")
        return found.user_id


class ClientGrants:
    def __init__(self, execute: Execute, grants: Grants, users: Provisioning, people: People) -> None:
        self._execute, self._grants, self._users, self._people = execute, grants, users, people

    async def give(
        self, right: Callable[[Subject], Grant], person: Person, context: Context
    ) -> Answer | DryRun:
        """To a user who is made when nobody knows him yet; what is said of him is taken over.

        Nobody is let in again by this. Raises GrantInvalid, Forbidden, UserIsDeactivated, UserIsBlocked.
        """
        if (kept := await self._execute.admit(context, None)) is not None:
            return kept
        account = await self._people.account(person.sub, person.issuer)
        theirs = self._people.id(person.sub, person.issuer)
        user_id = theirs if account is None else account.user_id
        grant = right(Subject(type="user", id=user_id))
        need = self._need(grant, context.caller, GIVE)
        await self._grants.check(grant)
        if account is not None:
            _may_act(account)
        news = (person.email, person.display_name) != (None, None) and user_id == theirs
        first = await self._provision(person, context) if account is None or news else ()
        if account is None and context.dry_run:
            return DryRun((*first, convert(grant, GrantGiven, from_attributes=True)))
        return await self._grants.give(grant, context, need)

    async def _provision(self, person: Person, context: Context) -> tuple[Event, ...]:
        """What it would append in a dry run."""
        made = await self._users.provision(
            person.issuer or self._people.default,
            person.sub,
            email=person.email,
            display_name=person.display_name,
            context=structs.replace(context, key=None, if_match=None),
        )
        return made.events if isinstance(made, DryRun) else ()

    async def revoke(
        self, right: Callable[[Subject], Right], person: Person, reason: str, context: Context
    ) -> Answer | DryRun | None:
        """None: there was nothing to take. Otherwise 201 when something was taken. Raises UserNotFound, Forbidden."""
        if (kept := await self._execute.admit(context, None)) is not None:
            return kept
        held = right(Subject(type="user", id=await self._people.known(person.sub, person.issuer)))
        need = self._need(held, context.caller, TAKE)

        def resource(_: Standing) -> Resource:
            return Resource() if need.right is None else about(held)

        try:
            return await self._execute(
                GRANT,
                held.stream_id,
                RevokeGrant(now=self._execute.clock(), reason=reason),
                context,
                need,
                upsert=True,
                resource=resource,
            )
        except GrantUnknown:
            return None

    def _need(self, right: Right, caller: Caller, otherwise: Need) -> Need:
        """Free scopes are every API client's; ours are for one who could pass that right on, as a person could.

        Raises Forbidden, before anything is made.
        """
        assert caller.actor.kind == "client", "people give rights by POST /grants"
        if right.scope_type not in SCOPES:
            return FREE
        now, asked = self._execute.clock(), about(right)
        assert otherwise.right is not None
        assert asked.passing is not None
        require_passing(caller, require(caller, otherwise.right, now, asked), asked.passing, now)
        return otherwise


def _may_act(account: Account) -> None:
    if account.state == "blocked":
        raise UserIsBlocked("This account is blocked; a grant does not let anybody in.")
    if account.state == "erased":
        raise UserIsErased("This person was forgotten.")
    if account.state != "active":
        raise UserIsDeactivated("This account is deactivated; a grant does not let anybody in again.")


def _uuid(text: str) -> UUID | None:
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None
