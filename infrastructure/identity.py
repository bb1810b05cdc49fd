"""Everything that answers who asks and what he may, put together."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog

from application.api_client import ApiClients
from application.department import Departments
from application.evaluation import Evaluations
from application.file import Files
from application.grant import Grants
from application.key_use import NOTED_A_SECOND as USES_NOTED_A_SECOND
from application.key_use import KeyUses
from application.module import Modules
from application.notification import Notifications
from application.password import PasswordPolicy
from application.password_change import PasswordChanges
from application.proof import Proof
from application.refusal import NOTED_A_SECOND, Refusals
from application.session import Sessions, Stay
from application.signing_key import Schedule, SigningKeys
from application.user import Admission, Users
from infrastructure.core import Core, Run, clock
from infrastructure.event_store import new_id
from infrastructure.lookups import AccountLookup
from infrastructure.outside import Outside
from infrastructure.personal_data import SubjectErased
from infrastructure.security.api_clients import ApiClientLookup
from infrastructure.security.api_keys import ApiKeys
from infrastructure.security.evaluation import Standings
from infrastructure.security.known_devices import KnownDevices
from infrastructure.security.members import Members
from infrastructure.security.passwords import PasswordHashes, Passwords, policy_of
from infrastructure.security.permissions import Permissions, Rights
from infrastructure.security.rate_limit import Limiter
from infrastructure.security.refresh import RefreshTokens
from infrastructure.security.sign_in_throttle import SignInThrottle
from infrastructure.security.signing_keys import KeyHalves, KeyRing
from infrastructure.security.tokens import Tokens


def new_password() -> str:
    """A temporary password: 20 characters, 120 bits."""
    return secrets.token_urlsafe(15)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who asks, and what he may: accounts and sessions, keys and grants, API clients and outside issuers."""

    users: Users
    notifications: Notifications
    departments: Departments
    accounts: AccountLookup
    passwords: Passwords
    password_policy: PasswordPolicy
    password_changes: PasswordChanges
    throttle: SignInThrottle
    sessions: Sessions
    signing_keys: SigningKeys
    ring: KeyRing
    tokens: Tokens
    outside: Outside
    grants: Grants
    modules: Modules
    rights: Rights
    permissions: Permissions
    evaluations: Evaluations
    standings: Standings
    api_clients: ApiClients
    api_keys: ApiKeys
    known_clients: ApiClientLookup
    limiter: Limiter
    refusals: Refusals
    key_uses: KeyUses


def identity_of(core: Core, files: Files) -> Identity:
    settings, url, pool, execute, claims = core.settings, core.url, core.pool, core.execute, core.claims
    idle = timedelta(days=settings.session_idle_days)
    accounts, rights = AccountLookup(url, idle=idle), Rights(pool)
    standings = Standings(url, pool, core.codec)
    ring = KeyRing(url, core.wrapping)
    tokens = Tokens(ring, issuer=settings.base_url)
    passwords, policy = Passwords(), policy_of(settings)
    throttle = SignInThrottle(url, pool, core.wrapping.blind)
    proof = Proof(passwords, PasswordHashes(pool), throttle, KnownDevices(core.wrapping.blind))
    api_keys = ApiKeys()
    admission = Admission(open=settings.registration == "open", domains=settings.email_domains)
    users = Users(execute, claims, passwords, policy, admission, new_id, new_password, files)
    grants = Grants(execute, claims, rights, clock)
    schedule = Schedule(age=timedelta(days=settings.signing_key_days))
    refreshes = RefreshTokens(pool, core.wrapping, idle=idle)
    for_long = Stay(
        lifetime=timedelta(days=settings.cli_session_days),
        idle=timedelta(days=settings.cli_session_idle_days),
    )
    return Identity(
        users=users,
        notifications=Notifications(execute),
        departments=Departments(execute, Members(pool), new_id),
        accounts=accounts,
        passwords=passwords,
        password_policy=policy,
        password_changes=PasswordChanges(
            execute, core.store, accounts, proof, passwords, policy, new_password
        ),
        throttle=throttle,
        sessions=Sessions(
            execute,
            claims,
            accounts,
            proof,
            refreshes,
            tokens,
            clock,
            new_id,
            Stay(lifetime=timedelta(days=settings.session_days)),
            {"cli": for_long},
        ),
        signing_keys=SigningKeys(execute, core.store, KeyHalves(url, pool, core.wrapping), clock, schedule),
        ring=ring,
        tokens=tokens,
        outside=Outside(settings, execute, core.store, claims, accounts, users, grants, pool, core.wrapping),
        grants=grants,
        modules=Modules(execute),
        rights=rights,
        permissions=Permissions(url),
        evaluations=Evaluations(standings, claims),
        standings=standings,
        api_clients=ApiClients(execute, api_keys, clock, new_id),
        api_keys=api_keys,
        known_clients=ApiClientLookup(url, pool),
        limiter=Limiter(url),
        refusals=Refusals(
            execute,
            new_id,
            SubjectErased,
            partial(_complain, "refusals"),
            at_once=NOTED_A_SECOND // settings.http_workers,
        ),
        key_uses=KeyUses(
            execute,
            new_id,
            partial(_complain, "key uses"),
            at_once=USES_NOTED_A_SECOND // settings.http_workers,
        ),
    )


def _complain(what: str, error: Exception, waiting: int) -> None:
    structlog.get_logger(what).warning("not written yet", waiting=waiting, error=repr(error))


def identity_tasks(identity: Identity) -> dict[str, Run]:
    """What must be at work for it."""
    return {
        "clients": identity.known_clients.run,
        "limiter": identity.limiter.run,
        "permissions": identity.permissions.run,
        "refusals": identity.refusals.run,
        "key uses": identity.key_uses.run,
        "standings": identity.standings.run,
        "signing keys": identity.ring.run,
        "sign-ins": identity.throttle.run,
        "issuers": identity.outside.run,
        **{f"accounts {number}": run for number, run in enumerate(identity.accounts.runs)},
    }


async def close_identity(identity: Identity) -> None:
    identity.passwords.close()
    identity.api_keys.close()
    await identity.outside.close()
