"""GET of what one is told by mail."""

from uuid import UUID

from litestar import Router, get

from api.answers import Answer
from api.auth import caller_of
from api.problems import NotFound
from api.queries.records import Asked, IfNoneMatch, MinPosition, Records
from api.queries.user import PRESENT
from application.access import Caller
from projections.notification import Notifications


class NotificationSight:
    """Implements Sight: one asks for one's own alone."""

    def sees(self, caller: Caller, record: bytes) -> bool:  # noqa: ARG002 - the route names nobody
        return True

    def hidden(self, caller: Caller, record_id: UUID) -> frozenset[str]:  # noqa: ARG002
        return frozenset()


def routes(records: Records) -> Router:
    @get("/")
    async def notifications(
        request: Asked, at_least: MinPosition = None, if_none_match: IfNoneMatch = None
    ) -> Answer[Notifications]:
        """What you are told by mail, where this Chancery has a mail server, and in which language."""
        himself = caller_of(request).actor.id
        try:
            return await records.one(request, himself, at_least=at_least, if_none_match=if_none_match)
        except NotFound:  # his own token has just made him: only the log knows him yet
            return await records.one(
                request, himself, at_least=at_least, if_none_match=if_none_match, as_of=PRESENT
            )

    return Router("/me/notifications", route_handlers=[notifications])
