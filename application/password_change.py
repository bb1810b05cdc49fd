"""Another password: chosen by the user himself, or given to him by staff."""

from collections.abc import Callable
from uuid import UUID

from application.access import Need
from application.context import Context, DryRun
from application.execute import Execute
from application.password import PasswordPolicy, form
from application.ports import NOTHING_ELSE, Answer, EventStore, Reliance, Secrets
from application.proof import Passwords, Proof, Source
from application.session import Accounts
from domain.user.account import Account as Profile
from domain.user.aggregate import USER
from domain.user.commands import ChangePassword, RegisterUser, ResetPassword

NewPassword = Callable[[], str]


class PasswordChanges:
    def __init__(
        self,
        execute: Execute,
        store: EventStore,
        accounts: Accounts,
        proof: Proof,
        passwords: Passwords,
        policy: PasswordPolicy,
        new_password: NewPassword,
    ) -> None:
        self._execute, self._store, self._accounts, self._proof = execute, store, accounts, proof
        self._passwords, self._policy, self._new_password = passwords, policy, new_password

    async def change(
        self, old: str, new: str, context: Context, *, device: str | None = None
    ) -> Answer | DryRun:
        """By the user himself; his other sessions end. Raises InvalidCredentials, Throttled, PasswordRefused."""
        user_id = context.caller.actor.id
        account = await self._accounts.account(user_id)
        await self._proof(account, old, Source(origin=context.origin, device=device))
        self._policy.check(new, pointer="/new", own=await self._own(user_id), is_old=form(old) == form(new))
        secrets = Secrets(password_hash=(user_id, await self._passwords.hash(new)))
        command = ChangePassword(keep_session_id=context.caller.session_id)
        return await self._execute(USER, user_id, command, context, Need(right=None), secrets=secrets)

    async def reset(self, user_id: UUID, password: str | None, context: Context) -> Answer | DryRun:
        """By staff: the given one, or a temporary one that is shown once; to be changed at the next sign-in.

        Raises PasswordRefused, to those only who may do it.
        """
        if (answer := await self._execute.admit(context, "user:password")) is not None:
            return answer

        async def kept_rules() -> Reliance:
            if password is not None:
                account = await self._accounts.account(user_id)
                stored = None if account is None else account.password_hash
                is_old = await self._passwords.verify(stored, password)
                own = await self._own(user_id)
                self._policy.check(password, pointer="/password", own=own, is_old=is_old)
            return NOTHING_ELSE

        chosen = password or self._new_password()
        password_hash = "" if context.dry_run else await self._passwords.hash(chosen)
        return await self._execute(
            USER,
            user_id,
            ResetPassword(by_role=context.caller.role or "user"),
            context,
            Need(right="user:password", view="user:view", step_up=True),
            relies=kept_rules,
            secrets=Secrets(password_hash=(user_id, password_hash)),
            once=None if password is not None else {"temporary_password": chosen},
        )

    async def _own(self, user_id: UUID) -> tuple[str | None, ...]:
        state = (await self._store.load(USER, user_id)).state
        return own_words(state) if isinstance(state, Profile) else ()


def own_words(of: Profile | RegisterUser) -> tuple[str | None, ...]:
    """What others know of a user."""
    return of.email, of.first_name, of.last_name, of.patronymic, of.staff_number
