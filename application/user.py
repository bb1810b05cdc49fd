"""Accounts of people: what staff and the people themselves may do with them."""

from uuid import UUID

from application.access import Need, system
from application.execute import Context, Execute
from application.ports import Answer, Claims, ClaimTaken, NewId, Secrets
from domain.shared import DomainError
from domain.user.aggregate import USER, EmailTaken
from domain.user.commands import RegisterUser
from domain.user.guards import EMAIL, login


class Users:
    def __init__(self, execute: Execute, claims: Claims, new_id: NewId) -> None:
        self._execute, self._claims, self._new_id = execute, claims, new_id

    async def ensure_admin(self, email: str, password_hash: str) -> UUID | None:
        """The first administrator; None when the e-mail has an account already, whatever became of it since."""
        if await self._claims.owner(EMAIL, login(email)[1], personal=True) is not None:
            return None
        user_id = self._new_id()
        try:
            answer = await self._execute(
                USER,
                user_id,
                RegisterUser(email=email, role="admin", first_name="First", last_name="Administrator"),
                Context(caller=system(), request_id="bootstrap"),
                Need(right="user:create"),
                new=True,
                secrets=Secrets(password_hash=(user_id, password_hash)),
                taken=_taken,
            )
        except EmailTaken:
            return None
        assert isinstance(answer, Answer)
        return answer.id


def _taken(_: ClaimTaken) -> DomainError:
    return EmailTaken("Another account has this e-mail address or staff number.")
