"""The composition root: every object of a running Chancery is made here, read top to bottom."""

import asyncio
import gc
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg_pool import AsyncConnectionPool

from application.api_client import ApiClients
from application.contact import Contacts
from application.contract import Contracts
from application.department import Departments
from application.document import Documents
from application.document_type import DocumentTypes
from application.evaluation import Evaluations
from application.execute import Execute
from application.file import Files
from application.file_upkeep import FileUpkeep
from application.grant import Grants
from application.message import Dialogs
from application.module import Modules
from application.organisation import Organisations
from application.party import Parties
from application.password import PasswordPolicy
from application.password_change import PasswordChanges
from application.postal_index import PostalIndex
from application.prefill import Prefill
from application.proof import Proof
from application.reference import References
from application.resource import Resources
from application.session import Sessions, Stay
from application.signing_key import Schedule, SigningKeys
from application.user import Admission, Users
from domain.file import content
from domain.shared import Event, Recorded
from infrastructure.api_clients import ApiClientLookup
from infrastructure.api_keys import ApiKeys
from infrastructure.callers import SessionCallers
from infrastructure.embedded import s3
from infrastructure.evaluation import Standings
from infrastructure.event_codec import EventCodec
from infrastructure.event_log import EventLog
from infrastructure.event_store import EventStore, new_id, read_receipts
from infrastructure.guards import Guards
from infrastructure.known_devices import KnownDevices
from infrastructure.lookups import AccountLookup, ClaimLookup, Records
from infrastructure.members import Members
from infrastructure.nats import APPENDED, Nats, projected
from infrastructure.neighbours import Neighbours
from infrastructure.object_store import ObjectStore
from infrastructure.outside import Outside
from infrastructure.passwords import PasswordHashes, Passwords, policy_of
from infrastructure.permissions import Permissions, Rights
from infrastructure.personal_data import Vault, wrapping_of
from infrastructure.positions import Positions
from infrastructure.postgres import GroupRead, open_pool
from infrastructure.rate_limit import Limiter
from infrastructure.refresh import RefreshTokens
from infrastructure.registers import Registers
from infrastructure.settings import Settings
from infrastructure.sign_in_throttle import SignInThrottle
from infrastructure.signing_keys import KeyHalves, KeyRing
from infrastructure.sniff import Sniffer
from infrastructure.tasks import end, watched
from infrastructure.tokens import Tokens
from infrastructure.unbound import UnboundFiles, id_of_time
from infrastructure.writer import Writer
from projections.projection import Fold, discover


def clock() -> datetime:
    return datetime.now(UTC)


def new_password() -> str:
    """A temporary password: 20 characters, 120 bits."""
    return secrets.token_urlsafe(15)


@dataclass(frozen=True, kw_only=True)
class System:
    """What the API serves with. `failed` names background tasks that died: nothing goes on half-alive."""

    settings: Settings
    pool: AsyncConnectionPool[Any]
    log: EventLog
    execute: Execute
    claims: ClaimLookup
    api_clients: ApiClients
    api_keys: ApiKeys
    known_clients: ApiClientLookup
    limiter: Limiter
    contacts: Contacts
    contracts: Contracts
    dialogs: Dialogs
    document_types: DocumentTypes
    documents: Documents
    files: Files
    file_upkeep: FileUpkeep
    objects: ObjectStore
    departments: Departments
    organisations: Organisations
    prefill: Prefill
    registers: Registers
    postal_index: PostalIndex
    references: References
    resources: Resources
    grants: Grants
    modules: Modules
    permissions: Permissions
    evaluations: Evaluations
    standings: Standings
    rights: Rights
    users: Users
    sessions: Sessions
    password_policy: PasswordPolicy
    password_changes: PasswordChanges
    accounts: AccountLookup
    callers: SessionCallers
    signing_keys: SigningKeys
    tokens: Tokens
    outside: Outside
    positions: Positions
    records: dict[str, Records]
    nats: Nats
    neighbours: Neighbours
    writer: Writer
    failed: list[str] = field(default_factory=list)

    async def reached(self, projection: str, position: int) -> None:
        """Raises BeyondHead, Behind, Unavailable."""
        await self.positions.reached(projection, position)

    async def written(self, position: int) -> int:
        """The log's head, at least `position`. Raises BeyondHead, Unavailable."""
        return await self.positions.written(position)

    async def recorded(self, stream_id: UUID) -> Sequence[Recorded[Event]]:
        """One record's whole past."""
        return await self.log.open(await self.log.stream(stream_id))


@asynccontextmanager
async def running(
    settings: Settings, *, name: str = "api", wakes: Sequence[str] = ()
) -> AsyncGenerator[System]:
    """A System with its background tasks at work; ends them in order when left.

    `wakes`: bells that make it look at the log, besides those of the read models.
    """
    url = settings.database_url
    wrapping = wrapping_of(settings)
    codec = EventCodec()
    pool = await open_pool(url, size=8)
    vault = Vault(pool, wrapping)
    log = EventLog(pool, codec, vault)
    positions = Positions(url)
    neighbours = Neighbours(settings)
    nats = Nats(settings.nats_url, f"chancery {name}")
    for bell in (*wakes, *map(projected, discover())):
        nats.on(bell, positions.ring)
    writer = Writer(url, bell=_bell(nats, positions))
    receipts = GroupRead(url, read_receipts, name="chancery receipts")
    store = EventStore(log, writer, codec, vault, Guards(wrapping.blind), receipts)
    claims = ClaimLookup(url, wrapping.blind)
    idle = timedelta(days=settings.session_idle_days)
    accounts, callers = AccountLookup(url, idle=idle), SessionCallers(url, idle=idle)
    permissions, rights = Permissions(url), Rights(pool)
    standings = Standings(url, pool, codec)
    ring = KeyRing(url, wrapping)
    tokens = Tokens(ring, issuer=settings.base_url)
    passwords, policy = Passwords(), policy_of(settings)
    throttle, devices = SignInThrottle(url, pool, wrapping.blind), KnownDevices(wrapping.blind)
    proof = Proof(passwords, PasswordHashes(pool), throttle, devices)
    refreshes = RefreshTokens(pool, wrapping, idle=idle)
    api_keys, known_clients, limiter = ApiKeys(), ApiClientLookup(url, pool), Limiter(url)
    execute = Execute(store, callers, clock)
    schedule = Schedule(age=timedelta(days=settings.signing_key_days))
    signing_keys = SigningKeys(execute, store, KeyHalves(url, pool, wrapping), clock, schedule)
    parties = Parties(store, callers, claims, clock)
    objects = ObjectStore(settings, s3.objects(settings.data_dir, settings.s3_bucket))
    files = Files(
        execute,
        store,
        claims,
        objects,
        Sniffer,
        {
            content.ATTACHMENT: settings.attachment_limit,
            content.DOCUMENT: settings.document_limit,
            content.AVATAR: settings.image_limit,
            content.NOTICE: settings.image_limit,
        },
        new_id,
    )
    records = {
        name: Records(url, name) for name, projection in discover().items() if isinstance(projection, Fold)
    }
    users = Users(
        execute,
        claims,
        passwords,
        policy,
        Admission(open=settings.registration == "open", domains=settings.email_domains),
        new_id,
        new_password,
        files,
    )
    organisations, registers = Organisations(execute, claims, new_id), Registers(settings, pool, claims)
    grants = Grants(execute, claims, rights, clock)
    outside = Outside(settings, execute, store, claims, accounts, users, grants, pool, wrapping)
    system = System(
        settings=settings,
        pool=pool,
        log=log,
        execute=execute,
        claims=claims,
        files=files,
        file_upkeep=FileUpkeep(execute, store, claims, objects, Sniffer, UnboundFiles(pool), id_of_time),
        objects=objects,
        api_clients=ApiClients(execute, api_keys, clock, new_id),
        api_keys=api_keys,
        known_clients=known_clients,
        limiter=limiter,
        contacts=Contacts(execute, callers, parties, new_id),
        contracts=Contracts(execute, store, callers, claims, parties, new_id),
        dialogs=Dialogs(execute, store, claims, files, new_id),
        document_types=DocumentTypes(execute, new_id),
        documents=Documents(execute, store, parties, files),
        departments=Departments(execute, Members(pool), new_id),
        organisations=organisations,
        prefill=Prefill(execute, registers.lookups, organisations),
        registers=registers,
        postal_index=PostalIndex(execute),
        references=References(execute),
        resources=Resources(execute, store, parties, new_id),
        grants=grants,
        modules=Modules(execute),
        permissions=permissions,
        evaluations=Evaluations(standings, claims),
        standings=standings,
        rights=rights,
        users=users,
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
            {
                "cli": Stay(
                    lifetime=timedelta(days=settings.cli_session_days),
                    idle=timedelta(days=settings.cli_session_idle_days),
                )
            },
        ),
        password_policy=policy,
        password_changes=PasswordChanges(execute, store, accounts, proof, passwords, policy, new_password),
        accounts=accounts,
        callers=callers,
        signing_keys=signing_keys,
        tokens=tokens,
        outside=outside,
        positions=positions,
        records=records,
        nats=nats,
        neighbours=neighbours,
        writer=writer,
    )
    tasks = {
        "writer": writer.run,
        "positions": positions.run,
        "receipts": receipts.run,
        "clients": known_clients.run,
        "limiter": limiter.run,
        "claims": claims.run,
        "callers": callers.run,
        "permissions": permissions.run,
        "standings": standings.run,
        "signing keys": ring.run,
        "sign-ins": throttle.run,
        "issuers": outside.run,
        "neighbours": neighbours.run,
        **{f"accounts {number}": run for number, run in enumerate(accounts.runs)},
        **{f"read {name}": read.run for name, read in records.items()},
    }
    async with nats:
        running_tasks = [watched(name, run, system.failed) for name, run in tasks.items()]
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        try:
            await signing_keys.ensure()
            await ring.look()
            yield system
        finally:
            await end(*running_tasks)
            passwords.close()
            api_keys.close()
            objects.close()
            await registers.close()
            await outside.close()
            await pool.close()


def _bell(nats: Nats, positions: Positions) -> Callable[[int], None]:
    ringing: set[asyncio.Task[None]] = set()

    def ring(position: int) -> None:
        positions.head = max(positions.head, position)
        if not ringing:
            task = asyncio.get_running_loop().create_task(nats.ring(APPENDED))
            ringing.add(task)
            task.add_done_callback(ringing.discard)

    return ring
