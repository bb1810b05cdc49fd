"""The routes of other systems' back ends, with lanes of their own: no person comes here."""

from uuid import UUID

from litestar import Router

from api.auth import Limits, lane
from api.client_key import ClientKey, InvalidClient
from api.commands import client_grant as client_grant_commands
from api.commands import internal as internal_commands
from api.queries import internal as internal_queries
from api.queries.past import Past
from api.service_secret import ServiceSecret
from infrastructure.bootstrap import System
from projections.user import USERS


def routers(system: System, clients: ClientKey, limits: Limits) -> list[Router]:
    """/internal/* for the service secret and API clients, /admin/permissions for API clients alone."""
    secret, past = ServiceSecret(system.settings.internal_secret), Past(system, USERS)
    inside = (secret, clients)

    async def shown(user_id: UUID) -> bytes:
        state = (await past.life(user_id)).present()
        assert state is not None, "a user who was just written is not there"
        return state.body

    return [
        Router(
            "/",
            route_handlers=internal_commands.routes(
                system.users, system.outside.provider, shown, system.outside.people.default
            ),
            before_request=lane(*inside, limits=limits, fresh=False, missing=secret.missing),
            security=[{"internal": []}, {"client_key": [], "api_key": []}],
        ),
        Router(
            "/",
            route_handlers=[internal_queries.routes(system.permissions, system.outside.people, system)],
            before_request=lane(*inside, limits=limits, fresh=True, missing=secret.missing),
            security=[{"internal": []}, {"client_key": [], "api_key": []}],
        ),
        Router(
            "/",
            route_handlers=[client_grant_commands.routes(system.outside.grants)],
            before_request=lane(clients, limits=limits, fresh=False, missing=InvalidClient),
            security=[{"client_key": [], "api_key": []}],
        ),
    ]
