"""What stands in a path where a record is meant."""

import re
from uuid import UUID

from litestar.params import FromPath

from api.problems import NotFound

Ref = FromPath[str]
"""A record's id, number or custom id, in a path."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def id_of(ref: str) -> UUID:
    """The id in the one form in which we write it; anything else names nothing (404).

    A noun with numbers or custom ids resolves those before.
    """
    if not _UUID.fullmatch(ref):
        raise NotFound
    return UUID(ref)
