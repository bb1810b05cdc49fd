"""The audit log over HTTP: entries for whoever may view them, proofs, and the tree for everybody (C2SP tlog-tiles)."""

import asyncio
from base64 import b64encode
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import Router, get
from litestar.params import FromPath, QueryParameter
from msgspec import Struct, structs

from api.answers import Answer, Header, Page, json_answer
from api.auth import anybody, caller_of
from api.conditions import min_position
from api.lists import LIST_PARAMETERS, Lists, Wanted
from api.openapi import problems
from api.problems import NotFound, Problem
from api.queries.records import Asked, MinPosition
from application.access import require
from application.ports import Clock
from infrastructure.audit.keys import PublishedKey, published_keys
from infrastructure.bootstrap import System
from projections.audit_log import LISTING, AuditEntry, Entry, entries, entry_bundle, shown
from projections.audit_tree import consistency_proof, inclusion_proof, signed_checkpoint, span_hashes, tile
from projections.merkle import Span
from projections.proofs import Malformed, Proof, exact_number
from projections.tiles import NotATile, TileAt, parse_tile_path

VIEW = "audit:view"
SIGNED_WITHIN = 2.0
"""Seconds a proof waits for the signer, who comes by every quarter of a second."""

TEXT: Header = (b"content-type", b"text/plain; charset=utf-8")
BYTES: Header = (b"content-type", b"application/octet-stream")
FRESH: Header = (b"cache-control", b"no-cache")
FOR_EVER: Header = (b"cache-control", b"public, max-age=31536000, immutable")
_encode = msgspec.json.Encoder().encode

OldSize = Annotated[int, QueryParameter(name="from", ge=0, description="The smaller number of entries.")]
NewSize = Annotated[int, QueryParameter(name="to", ge=0, description="The larger number of entries.")]


class NotSignedYet(Problem):
    """The entry is written, but no checkpoint covers it yet; ask again in a second."""

    code, status = "audit.not_signed_yet", 503


class Consistency(Struct, frozen=True, kw_only=True, rename={"old": "from", "new": "to"}):
    """That the first `from` entries are the beginning of the first `to` (RFC 9162 2.1.4); hashes in base64."""

    old: int
    new: int
    from_root: str
    to_root: str
    proof: list[str]


class Keys(Struct, frozen=True, kw_only=True):
    data: list[PublishedKey]


def routes(system: System, lists: Lists, clock: Clock) -> Router:
    """For whoever holds `audit:view`."""
    log = _Log(system)

    @get("/entries", dependencies=LIST_PARAMETERS)
    async def audit_entries(
        request: Asked, wanted: Wanted, at_least: MinPosition = None
    ) -> Answer[Page[AuditEntry]]:
        """Entries, newest first; filter by actor, subject, topic, time, request_id and more."""
        require(caller_of(request), VIEW, clock())
        listing = structs.replace(LISTING, complete=log.complete)
        return await lists.page(request, listing, wanted, at_least=at_least)

    @get("/entries/{position:str}")
    async def audit_entry(
        request: Asked, position: FromPath[str], at_least: MinPosition = None
    ) -> Answer[AuditEntry]:
        """One entry."""
        require(caller_of(request), VIEW, clock())
        await log.reached(at_least)
        found = await log.shown([_number(position)])
        if not found:
            raise NotFound
        return json_answer(found[0], headers=[log.projected()])

    @get("/entries/{position:str}/proof", media_type="text/plain", responses=problems(NotSignedYet))
    async def audit_entry_proof(
        request: Asked, position: FromPath[str], at_least: MinPosition = None
    ) -> Answer[str]:
        """That an entry is in the log: c2sp.org/tlog-proof@v1, against the newest signed checkpoint."""
        require(caller_of(request), VIEW, clock())
        await log.reached(at_least)
        proof = await log.proof(_number(position))
        return Answer(200, proof.text().encode(), [TEXT, log.projected()])

    @get("/consistency", responses=problems(NotFound))
    async def audit_consistency(
        request: Asked, old: OldSize, new: NewSize, at_least: MinPosition = None
    ) -> Answer[Consistency]:
        """That the log of one size is the beginning of the log of another."""
        require(caller_of(request), VIEW, clock())
        await log.reached(at_least)
        return json_answer(await log.consistency(old, new), headers=[log.projected()])

    @get("/tile/entries/{place:path}", media_type="application/octet-stream")
    async def audit_entry_bundle(request: Asked, place: FromPath[str]) -> Answer[bytes]:
        """The entries under a level 0 tile, each after its length: C2SP tlog-tiles."""
        require(caller_of(request), VIEW, clock())
        number, width = _tile_path(place)
        async with system.pool.connection() as connection:
            return _served(await entry_bundle(connection, number, width), (b"cache-control", b"no-store"))

    return Router(
        "/audit",
        route_handlers=[audit_entries, audit_entry, audit_entry_proof, audit_consistency, audit_entry_bundle],
    )


def open_routes(system: System) -> Router:
    """For everybody: hashes, signatures and public keys say nothing of what is written."""

    @get("/checkpoint", media_type="text/plain", security=[{}], responses=problems(NotFound))
    async def audit_checkpoint() -> Answer[str]:
        """The newest signed checkpoint: C2SP tlog-checkpoint in a signed note."""
        async with system.pool.connection() as connection:
            signed = await signed_checkpoint(connection)
        if signed is None:
            raise NotFound("Nothing is signed yet.")
        return Answer(200, signed.note.encode(), [TEXT, FRESH])

    @get("/keys", security=[{}])
    async def audit_keys() -> Answer[Keys]:
        """The keys of the log, as verifiers pin them."""
        async with system.pool.connection() as connection:
            return json_answer(Keys(data=await published_keys(connection)), headers=[FRESH])

    @get("/tile/{level:str}/{place:path}", media_type="application/octet-stream", security=[{}])
    async def audit_tile(level: FromPath[str], place: FromPath[str]) -> Answer[bytes]:
        """A tile of the tree: C2SP tlog-tiles, `<level>/<number>[.p/<width>]`."""
        number, width = _tile_path(place)
        at = TileAt(_number(level), number)
        if at.level > 63:
            raise NotFound
        async with system.pool.connection() as connection:
            return _served(await tile(connection, at, width), FOR_EVER)

    return Router("/audit", route_handlers=[audit_checkpoint, audit_keys, audit_tile], before_request=anybody)


class _Log:
    """What the routes ask of the log."""

    def __init__(self, system: System) -> None:
        self._system = system

    async def reached(self, at_least: str | None) -> None:
        position = min_position(at_least)
        if position is not None:
            await self._system.reached(LISTING.name, position)

    def projected(self) -> Header:
        return b"x-projection-position", b"%d" % self._system.positions.known.get(LISTING.name, 0)

    async def shown(self, positions: Sequence[int]) -> list[AuditEntry]:
        async with self._system.pool.connection() as connection:
            found: list[Entry] = await entries(connection, positions)
        told = await self._system.log.told(found)
        return [shown(entry, *each) for entry, each in zip(found, told, strict=True)]

    async def complete(self, rows: Sequence[bytes]) -> list[bytes]:
        return [_encode(entry) for entry in await self.shown([int(row) for row in rows])]

    async def proof(self, position: int) -> Proof:
        """Waits for the signer when the entry is newer than his last checkpoint. Raises NotFound, NotSignedYet."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SIGNED_WITHIN
        while True:
            async with self._system.pool.connection() as connection:
                proof = await inclusion_proof(connection, position)
            if proof is not None:
                return proof
            if not 1 <= position <= self._system.positions.head:
                raise NotFound
            if loop.time() > deadline:
                raise NotSignedYet(headers={"Retry-After": "1"})
            await asyncio.sleep(0.05)

    async def consistency(self, old: int, new: int) -> Consistency:
        async with self._system.pool.connection() as connection:
            proof = await consistency_proof(connection, old, new)
            if proof is None:
                raise NotFound("The log is not that long, or `from` is larger than `to`.")
            roots = await span_hashes(connection, [Span(0, old), Span(0, new)])
        from_root, to_root, *parts = (b64encode(each).decode() for each in (*roots, *proof))
        return Consistency(old=old, new=new, from_root=from_root, to_root=to_root, proof=parts)


def _served(data: bytes | None, cached: Header) -> Answer[Any]:
    if data is None:
        raise NotFound
    return Answer(200, data, [BYTES, cached])


def _tile_path(place: str) -> tuple[int, int]:
    try:
        return parse_tile_path(place.removeprefix("/"))
    except NotATile:
        raise NotFound from None


def _number(text: str) -> int:
    try:
        number = exact_number(text)
    except Malformed:
        raise NotFound from None
    if number >= 2**63:
        raise NotFound
    return number
