"""The whole API put together: routes, the edge around them, and the system they stand on."""

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import structlog
from litestar import Litestar, Router

from api import outages, root, socket, systems
from api.admission import admission_of
from api.arrival import Receive, Scope, Send
from api.auth import InvalidBearerToken, MissingBearerToken, anybody, lane
from api.bearer import Bearer
from api.body import BodyRequest, StrictBody
from api.client_key import REFUSALS, ClientKey
from api.command_routes import commands, own_commands
from api.commands import me as me_commands
from api.commands import session as session_commands
from api.cookie_session import CookieSession, StandingCookies
from api.cookies import Cookies
from api.declared import check_routes, index_parameters
from api.docs import documentation
from api.edge import Edge
from api.impatience import impatient
from api.lists import Lists
from api.live import Live
from api.live_topics import Known
from api.openapi import config
from api.outages import IdentityProviderUnavailable
from api.outside import OutsideTokens
from api.queries import audit as audit_queries
from api.queries import live as live_queries
from api.queries import message as message_queries
from api.queries import password as password_queries
from api.query_routes import own_queries, queries
from api.rate_limits import Limits
from api.readiness import readiness
from api.refs import Refs
from api.refusals import keeping
from api.streams import Streams
from infrastructure import log_sink
from infrastructure.bootstrap import System, clock, running
from infrastructure.first_start import first_start
from infrastructure.logging import configure
from infrastructure.migrations import wait_until_migrated
from infrastructure.security.strict_jwt import InvalidToken
from infrastructure.settings import Settings, load
from infrastructure.tasks import end
from infrastructure.watch.families import families
from projections.projection import discover

_log = structlog.get_logger("api.app")

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
    clients = ClientKey(system.known_clients, system.api_keys, limits, system.key_uses)
    ways = (bearer, browser, clients)
    for_command = lane(*ways, limits=limits, fresh=False)
    for_query = lane(*ways, limits=limits, fresh=True)
    own_command = lane(*ways, limits=limits, fresh=False, people_only=True)
    own_query = lane(*ways, limits=limits, fresh=True, people_only=True)
    streams = Streams(
        most=settings.streams_at_once,
        most_of_one=settings.streams_of_one,
        slow=settings.slow_reader_seconds,
    )
    listeners, live = streams.cheap(settings.listeners_at_once), live_of(system)
    sockets = socket.Sockets(
        dialogs=system.dialogs,
        live=live,
        streams=streams.cheap(settings.sockets_at_once),
        progress=system,
        limits=limits,
        enter=lane(bearer, StandingCookies(browser), clients, limits=limits, fresh=True, people_only=True),
    )
    positions = system.positions
    pages = Lists(
        system.pool,
        lambda name: positions.known.get(name, 0),
        system.reached,
        lambda name: positions.parked.get(name, 0),
    )
    signed_in = [
        Router("/", route_handlers=handlers, before_request=entered)
        for handlers, entered in (
            (commands(system, refs), for_command),
            (own_commands(system, cookies), own_command),
            (queries(system, pages, refs, streams), for_query),
            ([*own_queries(system, pages), live_queries.routes(live, system, listeners)], own_query),
        )
    ]
    api = Router(
        "/api/v1",
        route_handlers=[
            *session_commands.routes(
                system.sessions, own_command, me_commands.registration(system.users), cookies, browser
            ),
            password_queries.routes(system.password_policy, anybody),
            audit_queries.open_routes(system),
            *signed_in,
            *systems.routers(system, clients, limits),
            socket.routes(sockets),
        ],
        dto=StrictBody,
        return_dto=None,
        request_class=BodyRequest,
    )
    expected = sorted(discover())
    app = Litestar(
        route_handlers=[
            api,
            *root.routes(
                lambda: readiness(
                    system.positions,
                    expected,
                    system.failed,
                    system.neighbours.alive,
                    system.surveyor.recent,
                    log_sink.present(),
                ),
                streams.stopping.is_set,
                lambda: system.tokens.ring.jwks,
                lambda: families(system.surveyor.recent, system.neighbours.alive, len(system.failed)),
            ),
            *documentation((MissingBearerToken, InvalidBearerToken, IdentityProviderUnavailable, *REFUSALS)),
        ],
        exception_handlers={Exception: keeping(system.refusals)},
        openapi_config=config(root.VERSION, settings, settings.root_path),
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )
    app.state.limits, app.state.streams, app.state.sockets = limits, streams, sockets
    index_parameters(app)
    app.state.query[socket.PATH, socket.METHOD] = frozenset({"after"})
    check_routes(app)
    return app


def live_of(system: System) -> Live:
    known = Known(system.records, system.import_progress, clock)
    unread = message_queries.counting(system.pool)
    return Live(
        system.log, system.positions, system.callers.caller, known, unread, system.import_progress.moved
    )


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
        """A start that fails is said to have failed: an exception means to granian that no start was needed."""
        await receive()
        try:
            await self._serve(receive, send)
        except Exception as error:
            if self._edge is not None:
                raise
            _log.critical("serve could not start", exc_info=error)
            await send({"type": "lifespan.startup.failed", "message": type(error).__name__})

    async def _serve(self, receive: Receive, send: Send) -> None:
        async with serving(self._settings) as edge:
            self._edge = edge
            streams: Streams = edge.app.state.streams  # type: ignore[attr-defined]
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, streams.stop)
            listening = asyncio.create_task(impatient(self._settings.slow_reader_seconds))
            await send({"type": "lifespan.startup.complete"})
            await receive()
            streams.stop()
            await end(listening)
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
        body_seconds=settings.body_seconds,
        upload_seconds=settings.upload_seconds,
        admission=admission_of(settings, app.state.streams.stopping.is_set),
    )


def build_app() -> Served:
    """What granian's workers run."""
    settings = load()
    configure(settings, "serve")
    wait_until_migrated(settings.database_url)
    return Served(settings)
