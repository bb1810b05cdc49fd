"""That the key of an API client was used: what a program asked for leaves a trace, also where it only reads."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from domain.shared import Event


class KeyUseNoted(Event, frozen=True, kw_only=True):
    """`requests` by one key from one place since it was noted last, the first at `since`, the last at `until`.

    `routes`: how many by method and template of the address. From where stands beside it, like with any event.
    """

    TOPIC: ClassVar[str] = "key_use.noted.v1"

    client_id: UUID
    key_id: str
    since: datetime
    until: datetime
    requests: int
    routes: dict[str, int]


class KeyUsesCounted(Event, frozen=True, kw_only=True):
    """So many more requests, of more keys and places than are noted one by one, by the id of the client."""

    TOPIC: ClassVar[str] = "key_use.counted.v1"

    since: datetime
    until: datetime
    counts: dict[str, int]


KeyUseEvent = KeyUseNoted | KeyUsesCounted
