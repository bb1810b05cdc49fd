"""The whole API put together: routes, the edge around them, and the system they stand on."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from litestar import Litestar, Router

from api import outages, root, systems
from api.arrival import Receive, Scope, Send
from api.auth import InvalidBearerToken, MissingBearerToken, anybody, lane
from api.bearer import Bearer
from api.body import BodyRequest, StrictBody
from api.client_key import REFUSALS, ClientKey
from api.commands import api_client as api_client_commands
from api.commands import contact as contact_commands
from api.commands import contract as contract_commands
from api.commands import department as department_commands
from api.commands import document as document_commands
from api.commands import file as file_commands
from api.commands import grant as grant_commands
from api.commands import lookup as lookup_commands
from api.commands import me as me_commands
from api.commands import message as message_commands
from api.commands import organisation as organisation_commands
from api.commands import permission as permission_commands
from api.commands import resource as resource_commands
from api.commands import session as session_commands
from api.commands import user as user_commands
from api.cookie_session import CookieSession
from api.cookies import Cookies
from api.declared import check_routes, index_parameters
from api.docs import documentation
from api.edge import Edge
from api.errors import on_error
from api.lists import Lists
from api.openapi import config
from api.outages import IdentityProviderUnavailable
from api.outside import OutsideTokens
from api.queries import access as access_queries
from api.queries import api_client as api_client_queries
from api.queries import audit as audit_queries
from api.queries import contact as contact_queries
from api.queries import contract as contract_queries
from api.queries import department as department_queries
from api.queries import document as document_queries
from api.queries import file as file_queries
from api.queries import grant as grant_queries
from api.queries import lookup as lookup_queries
from api.queries import message as message_queries
from api.queries import organisation as organisation_queries
from api.queries import password as password_queries
from api.queries import permission as permission_queries
from api.queries import reference as reference_queries
from api.queries import resource as resource_queries
from api.queries import session as session_queries
from api.queries import user as user_queries
from api.queries.past import Past
from api.queries.records import Records, Sight
from api.rate_limits import Limits
from api.refs import Refs
from infrastructure.bootstrap import System, clock, running
from infrastructure.first_start import first_start
from infrastructure.logging import configure
from infrastructure.migrations import wait_until_migrated
from infrastructure.settings import Settings, load
from infrastructure.strict_jwt import InvalidToken
from projections.api_client import API_CLIENTS
from projections.contact import CONTACTS
from projections.contract import CONTRACTS
from projections.department import DEPARTMENTS
from projections.document import DOCUMENTS
from projections.grant import GRANTS
from projections.message import MESSAGES
from projections.organisation import ORGANISATIONS
from projections.projection import Fold, discover
from projections.resource import RESOURCES
from projections.user import USERS

__all__ = ["build_app", "create_app", "outages"]
"""Importing `outages` teaches the errors what the infrastructure cannot do."""


def create_app(system: System) -> Litestar:
    """Every route, wired by hand, read top to bottom."""
    outside = OutsideTokens(system.outside.issuers, system.outside.sign_ins, system.callers)
    bearer = Bearer(system.tokens, system.callers, InvalidToken, outside)
    settings = system.settings
    limits = Limits(system.limiter, settings.requests_per_minute, settings.stranger_requests_per_minute)
    refs, cookies = Refs(system.claims), Cookies(system.settings.base_url)
    browser = CookieSession(
        cookies,
        bearer,
        system.sessions,
        base_url=system.settings.base_url,
        origins=system.settings.cors_origins,
        idle=timedelta(days=system.settings.session_idle_days),
    )
    clients = ClientKey(system.known_clients, system.api_keys, limits)
    ways = (bearer, browser, clients)
    for_command = lane(*ways, limits=limits, fresh=False)
    for_query = lane(*ways, limits=limits, fresh=True)
    own_command = lane(*ways, limits=limits, fresh=False, people_only=True)
    own_query = lane(*ways, limits=limits, fresh=True, people_only=True)
    commands = Router(
        "/",
        route_handlers=[
            api_client_commands.routes(system.api_clients),
            *contact_commands.routes(system.contacts),
            contract_commands.routes(system.contracts, refs),
            *document_commands.routes(system.documents, system.document_types),
            file_commands.routes(system.files),
            department_commands.routes(system.departments, refs),
            organisation_commands.routes(system.organisations),
            resource_commands.routes(system.resources),
            lookup_commands.routes(system.prefill),
            user_commands.routes(system.users, system.password_changes),
            grant_commands.routes(system.grants),
            permission_commands.routes(system.modules),
        ],
        before_request=for_command,
    )
    own_commands = Router(
        "/",
        route_handlers=[
            me_commands.routes(system.users, system.password_changes, cookies),
            *message_commands.routes(system.dialogs),
        ],
        before_request=own_command,
    )
    pages = Lists(system.pool, lambda name: system.positions.known.get(name, 0), system.reached)
    api_clients = api_client_queries.WithUse(system.records[API_CLIENTS.name], system.known_clients)
    queries = Router(
        "/",
        route_handlers=[
            api_client_queries.routes(api_clients, system, Past(system, API_CLIENTS), pages, clock),
            *contact_queries.routes(
                _records(system, CONTACTS, contact_queries.ContactSight(clock)),
                system.records["organisation"],
                pages,
                clock,
            ),
            contract_queries.routes(
                _records(system, CONTRACTS, contract_queries.ContractSight(clock)), pages, refs, clock
            ),
            *document_queries.routes(
                _records(system, DOCUMENTS, document_queries.DocumentSight(clock)),
                document_queries.Reads(
                    system.records["document"],
                    system.records["document_type"],
                    system.records["organisation"],
                    system.records["file"],
                ),
                system.objects,
                pages,
                system,
                clock,
            ),
            file_queries.routes(
                system.records["file"],
                system,
                system.objects,
                file_queries.FileSight(
                    system.claims,
                    viewers=(
                        message_queries.viewer(system.records[MESSAGES.name]),
                        document_queries.viewer(system.records[DOCUMENTS.name], clock),
                    ),
                    clock=clock,
                ),
            ),
            department_queries.routes(
                _records(system, DEPARTMENTS, department_queries.DepartmentSight(clock)), pages, refs, clock
            ),
            organisation_queries.routes(
                _records(system, ORGANISATIONS, organisation_queries.OrganisationSight(clock)), pages, clock
            ),
            user_queries.routes(_records(system, USERS, user_queries.UserSight(clock)), pages, clock),
            grant_queries.routes(_records(system, GRANTS, grant_queries.GrantSight(clock)), pages, clock),
            access_queries.routes(system.evaluations, system.standings, system.outside.people, system, clock),
            permission_queries.routes(
                system.permissions, system.rights, system, system.records[USERS.name], system.pool, clock
            ),
            reference_queries.routes(pages),
            resource_queries.routes(
                _records(system, RESOURCES, resource_queries.ResourceSight(clock)), pages, clock
            ),
            lookup_queries.routes(system.registers.lookups, system, clock),
            audit_queries.routes(system, pages, clock),
        ],
        before_request=for_query,
    )
    own_queries = Router(
        "/",
        route_handlers=[
            user_queries.own_routes(_records(system, USERS, user_queries.UserSight(clock))),
            *message_queries.routes(
                _records(system, MESSAGES, message_queries.MessageSight()),
                system.records["dialog"],
                pages,
                system.pool,
                system,
            ),
            session_queries.routes(pages, system.accounts),
        ],
        before_request=own_query,
    )
    api = Router(
        "/api/v1",
        route_handlers=[
            *session_commands.routes(
                system.sessions, own_command, me_commands.registration(system.users), cookies, browser
            ),
            password_queries.routes(system.password_policy, anybody),
            audit_queries.open_routes(system),
            commands,
            own_commands,
            queries,
            own_queries,
            *systems.routers(system, clients, limits),
        ],
        dto=StrictBody,
        return_dto=None,
        request_class=BodyRequest,
    )
    app = Litestar(
        route_handlers=[
            api,
            *root.routes(
                lambda: root.readiness(
                    system.positions, frozenset(discover()), system.failed, system.neighbours.alive
                ),
                lambda: system.tokens.ring.jwks,
            ),
            *documentation((MissingBearerToken, InvalidBearerToken, IdentityProviderUnavailable, *REFUSALS)),
        ],
        exception_handlers={Exception: on_error},
        openapi_config=config(root.VERSION, system.settings.root_path),
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )
    app.state.limits = limits
    index_parameters(app)
    check_routes(app)
    return app


def _records(system: System, fold: Fold[Any], sight: Sight) -> Records:
    return Records(system.records[fold.name], system, Past(system, fold), sight)


class Served:
    """An ASGI application that makes its system in the server's own loop, at start-up, and ends it at shutdown."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._edge: Edge | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        assert self._edge is not None
        await self._edge(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with serving(self._settings) as edge:
            self._edge = edge
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


@asynccontextmanager
async def serving(settings: Settings) -> AsyncGenerator[Edge]:
    async with running(settings) as system:
        await first_start(system)
        yield edge_of(system)


def edge_of(system: System) -> Edge:
    settings = system.settings
    app: Any = create_app(system)
    return Edge(
        app,
        production=settings.mode == "production",
        origins=settings.cors_origins,
        trusted_proxies=settings.trusted_proxies,
        root_path=settings.root_path,
    )


def build_app() -> Served:
    """What granian's workers run."""
    settings = load()
    configure(settings.log_format)
    wait_until_migrated(settings.database_url)
    return Served(settings)
