"""What stands in a path where a record is meant."""

import re
from uuid import UUID

from litestar.params import FromPath

from api.problems import NotFound
from application.ports import Claims
from domain.number import number_of

Ref = FromPath[str]
"""A record's id, number or custom id, in a path."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CUSTOM_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")


def id_of(ref: str) -> UUID:
    """The id in the one form in which we write it; anything else names nothing (404).

    A noun with numbers or custom ids resolves those before: `Refs`.
    """
    if not _UUID.fullmatch(ref):
        raise NotFound
    return UUID(ref)


class Refs:
    """Custom ids and numbers as they are claimed now, so that a record is found by them as soon as it has them."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims

    async def id(self, noun: str, ref: str) -> UUID:
        """The id of the noun's record that the UUID or custom id names. Raises NotFound."""
        if _UUID.fullmatch(ref):
            return UUID(ref)
        owner = (
            await self._claims.owner(f"{noun}.custom_id", ref.lower()) if _CUSTOM_ID.fullmatch(ref) else None
        )
        if owner is None:
            raise NotFound
        return owner

    async def numbered(self, noun: str, ref: str) -> UUID:
        """The id of the noun's record that the UUID or number names. Raises NotFound."""
        if _UUID.fullmatch(ref):
            return UUID(ref)
        number = number_of(ref)
        owner = None if number is None else await self._claims.owner(f"{noun}.number", number.claim)
        if owner is None:
            raise NotFound
        return owner
