"""What commands on letters rely on besides the letter: organisations, the right in each, files, letters above it."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import ClassVar, Protocol
from uuid import UUID

from application.access import AccessError, Authority, Caller, require
from application.context import Context
from application.letter_thread import Threads, within
from application.order import as_judged
from application.ports import NOTHING_ELSE, Callers, Claims, ClaimTaken, Clock, EventStore, Reliance
from domain.letter.aggregate import Draft, Letter, Registered, Signed
from domain.letter.commands import ChangeLetter, DraftLetter, RegisterLetter
from domain.organisation.guards import OPEN
from domain.shared import DomainError, FieldError, Kind

CREATE, EDIT = "letter:create", "letter:edit"


class OrganisationsNotOpen(DomainError):
    """A letter is from or to organisations of the register that are not archived; `errors` says which is not."""

    code: ClassVar[str] = "letter.organisation_unknown"
    kind: ClassVar[Kind] = Kind.INVALID


class Enclosing(Protocol):
    """What files are, to a letter that encloses them."""

    async def enclosures(
        self, file_ids: Sequence[UUID], owner_id: UUID, *, already: Collection[UUID]
    ) -> Reliance:
        """That all but those it has already are the owner's, complete and free. Raises what is wrong."""
        ...

    def taken(self, taken: ClaimTaken) -> DomainError: ...


class Relying:
    def __init__(
        self, store: EventStore, callers: Callers, claims: Claims, enclosing: Enclosing, clock: Clock
    ) -> None:
        self._callers, self._claims, self._enclosing, self._clock = callers, claims, enclosing, clock
        self._threads = Threads(store, clock)

    async def first(self, command: RegisterLetter | DraftLetter, context: Context) -> Reliance:
        """Of a letter that is new. Raises Forbidden, OrganisationsNotOpen, ParentUnknown, and what files raise."""
        caller = await self._callers.caller(context.caller)
        relied: list[Reliance] = []
        if len(command.organisation_ids) > 1:  # in one alone the command itself needs it
            relied.append(self._allowed(caller, CREATE, command.organisation_ids))
        relied.append(await self._open(command.organisation_ids))
        if command.attachments:
            files = tuple(dict.fromkeys(command.attachments))
            relied.append(await self._enclosing.enclosures(files, caller.actor.id, already=()))
        if command.parent_id is not None:
            relied.append(await self._threads.answering(command.parent_id, caller))
        return _all(relied)

    async def moved(
        self, letter_id: UUID, letter: Letter, command: ChangeLetter, context: Context
    ) -> Reliance:
        """Of what becomes another value, and nothing of what stays. Raises what `first` raises, and ParentCycle,
        ThreadTooLong.
        """
        assert isinstance(letter, Draft | Registered | Signed)
        changes, details = command.changes, letter.details
        caller = await self._callers.caller(context.caller)
        relied: list[Reliance] = []
        if "organisation_ids" in changes:
            organisations = tuple(map(UUID, changes["organisation_ids"]))
            before = set(details.organisation_ids)
            relied.append(self._allowed(caller, EDIT, before ^ set(organisations)))
            relied.append(await self._open(organisations, already=before))
        if "attachments" in changes:
            files = tuple(map(UUID, dict.fromkeys(changes["attachments"])))
            relied.append(await self._enclosing.enclosures(files, caller.actor.id, already=letter.bound))
        parent = changes.get("parent_id")
        if parent is not None and UUID(parent) != details.parent_id:
            relied.append(await self._threads.moving(letter_id, UUID(parent), caller))
        return _all(relied)

    def _allowed(self, caller: Caller, right: str, organisation_ids: Collection[UUID]) -> Reliance:
        """That the grants stand by which he has the right in every one of them. Raises Forbidden."""
        now = self._clock()
        found = [require(caller, right, now, within((each,))) for each in organisation_ids]
        grant_ids = {authority.grant_id for authority in found}
        held = tuple(each for each in caller.rights if each.grant_id in grant_ids)
        return as_judged(NOTHING_ELSE, Authority(allowed_by=right, terms_of=held))

    async def _open(self, organisation_ids: Sequence[UUID], *, already: Collection[UUID] = ()) -> Reliance:
        """Raises OrganisationsNotOpen, with every one that is not."""
        asked = [(at, each) for at, each in enumerate(organisation_ids) if each not in already]
        owners = await asyncio.gather(*(self._claims.owner(OPEN, str(each)) for _, each in asked))
        detail = "No organisation with this id is open."
        wrong = tuple(
            FieldError(pointer=f"/organisation_ids/{at}", code="unknown", detail=detail)
            for (at, _), owner in zip(asked, owners, strict=True)
            if owner is None
        )
        if wrong:
            raise OrganisationsNotOpen("Not every organisation is open.", errors=wrong)
        return Reliance(require=tuple((OPEN, str(each), each) for _, each in asked))


async def ahead(relies: Callable[[], Awaitable[Reliance]]) -> Callable[[], Awaitable[Reliance]]:
    """The same, asked now, before the command's turn in its register comes: append judges what it was in any case.

    A refusal is asked for again in its turn: an answer that is kept, or a right that is missing, come before it.
    """
    known: Reliance | None
    try:
        known = await relies()
    except (DomainError, AccessError):
        known = None

    async def reliance() -> Reliance:
        nonlocal known
        found, known = known, None
        return await relies() if found is None else found

    return reliance


def _all(relied: Sequence[Reliance]) -> Reliance:
    return Reliance(
        reads=tuple(each for one in relied for each in one.reads),
        require=tuple(each for one in relied for each in one.require),
    )
