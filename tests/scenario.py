"""Given, when, then: the same words at every height, from one decision to what a read model shows."""

from dataclasses import dataclass
from functools import reduce
from typing import Any
from uuid import UUID

import msgspec
import pytest

from application.ports import Accepted, Attempt
from domain.shared import SYSTEM, Actor, Command, DomainError, Event, Metadata, Rules
from infrastructure.postgres import connect
from projections.projection import Rows
from tests.store import open_store
from workers import checkpoint

BY_NOBODY = Metadata(actor=Actor(kind="system", id=SYSTEM), request_id="scenario")

Fact = tuple[UUID, Event]
"""What happened, and in which stream."""


def given(what: Rules | Rows, *happened: Any) -> Any:
    """Of a noun's rules: the events of one stream. Of a projection: facts, in the order of the log."""
    return GivenFacts(what, happened) if isinstance(what, Rows) else GivenEvents(what, happened)


@dataclass(frozen=True)
class GivenEvents:
    """given(ORGANISATION, added).when(archive).then(archived)"""

    rules: Rules
    events: tuple[Event, ...]

    def when(self, command: Command) -> "When":
        state = reduce(self.rules.evolve, self.events, self.rules.initial)
        try:
            return When(self.rules, state, self.rules.decide(state, command), None)
        except DomainError as refusal:
            return When(self.rules, state, (), refusal)


@dataclass(frozen=True)
class When:
    rules: Rules
    state: Any
    decided: tuple[Event, ...]
    refusal: DomainError | None

    def then(self, *events: Event) -> Any:
        """Exactly these facts; answers the state that follows from them."""
        if self.refusal is not None:
            raise AssertionError(f"refused: {type(self.refusal).__name__}") from self.refusal
        assert self.decided == events
        return reduce(self.rules.evolve, self.decided, self.state)

    def then_nothing(self) -> None:
        """It is so already."""
        self.then()

    def then_refused(self, error: type[DomainError], **extra: Any) -> DomainError:
        """For this reason, naming at least `extra`; answers the refusal."""
        assert type(self.refusal) is error, f"decided {self.decided}, refused {self.refusal!r}"
        assert extra.items() <= self.refusal.extra.items()
        return self.refusal


@dataclass(frozen=True)
class GivenFacts:
    """(await given(ORGANISATIONS, (one, added), (two, added)).delivered(dsn, times=2))[one].full_name"""

    projection: Rows
    facts: tuple[Fact, ...]

    async def delivered(self, dsn: str, *, times: int = 1, batch: int = 500) -> dict[UUID, Any]:
        """The facts go through the real log and the real tables, each batch `times` over; what the rows then show.

        A repeated batch must be refused by its checkpoint, as the engine relies on.
        """
        async with open_store(dsn) as (store, log), await connect(dsn) as connection:
            versions: dict[UUID, int] = {}
            for stream, event in self.facts:
                expected = versions.get(stream, 0)
                attempt = Attempt(stream_id=stream, expected=expected, events=(event,), metadata=BY_NOBODY)
                verdict = await store.append(attempt)
                assert isinstance(verdict, Accepted), verdict
                versions[stream] = verdict.version
            await checkpoint.begin(connection, self.projection, "read")
            at = await checkpoint.load(connection, self.projection.name, "read")
            while stored := await log.read(at.position, batch):
                recorded = await log.open(stored)
                before, at = at, await checkpoint.advance(connection, self.projection, "read", at, recorded)
                for _ in range(times - 1):
                    with pytest.raises(checkpoint.Moved):
                        await checkpoint.advance(connection, self.projection, "read", before, recorded)
            return await self.shown(connection)

    async def shown(self, connection: Any) -> dict[UUID, Any]:
        rows = await connection.execute(f"select id, view from read.{self.projection.name}")
        return {key: msgspec.json.decode(view, type=self.projection.view) async for key, view in rows}
