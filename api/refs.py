"""What stands in a path where a record is meant."""

import re
from uuid import UUID

from api.problems import NotFound

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


def id_of(ref: str) -> UUID:
    """The id; anything else names nothing (404). A noun with numbers or custom ids resolves those before."""
    if not _UUID.fullmatch(ref):
        raise NotFound
    return UUID(ref)
