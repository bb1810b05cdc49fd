"""What it takes to bring a store to this release, found without changing anything."""

from collections.abc import Sequence
from math import ceil
from typing import Any

import psycopg
from msgspec import Struct

from infrastructure.event_codec import event_classes, upcasts
from infrastructure.migrations.files import migrations
from infrastructure.migrations.standing import Standing, compare
from infrastructure.release import RELEASE
from projections.projection import discover

PER_SECOND = 10_000
"""Events a read model takes in when it is built again: 14,000 to 29,000 were measured (docs/performance.md)."""
MODELS = "select name, version from projections where place = 'read' order by name"
TOPICS = "select distinct topic from stored_events"
"""Reads the whole log, a second for a million events: no index has the topics, since every append would pay for it."""


class Model(Struct, frozen=True, kw_only=True):
    """A read model of another version than this release's."""

    name: str
    version: int
    ours: int

    @property
    def newer(self) -> bool:
        return self.version > self.ours


class Upgrade(Struct, frozen=True, kw_only=True):
    """`events` is the log's head; `topics`: what this release cannot read."""

    standing: Standing
    events: int = 0
    models: tuple[Model, ...] = ()
    topics: tuple[str, ...] = ()

    @property
    def to_build(self) -> tuple[Model, ...]:
        return tuple(model for model in self.models if not model.newer)

    @property
    def to_do(self) -> bool:
        return bool(self.standing.missing or self.to_build)

    @property
    def seconds(self) -> int:
        """How long the read models take, roughly; migrations are a matter of moments."""
        return ceil(len(self.to_build) * self.events / PER_SECOND)

    @property
    def refused(self) -> list[str]:
        """Why this release cannot do it."""
        newer = [model.name for model in self.models if model.newer]
        found = [self.standing.refused] if self.standing.refused else []
        if self.topics:
            found.append(f"Release {RELEASE} cannot read what the log holds: {', '.join(self.topics)}.")
        if newer:
            found.append(
                f"A newer release than {RELEASE} has built {', '.join(newer)}: use it,"
                " or take back what it replaced (`chancery projections rollback`)."
            )
        if self.standing.waiting:
            found.append(
                f"Migration {', '.join(map(str, self.standing.waiting))} takes away what connected processes use, of"
                f" {releases(self.standing.older)}: stop them first."
            )
        return found


def releases(of: Sequence[str]) -> str:
    """Their names; before 0.2.0 a process did not say."""
    return ", ".join(release or "a release before 0.2.0" for release in of)


def look(url: str) -> Upgrade:
    """Everything there is to say. Raises psycopg.Error."""
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        standing = compare(connection, migrations())
        if standing.fresh:
            return Upgrade(standing=standing)
        ours = {name: model.version for name, model in discover().items()}
        return Upgrade(
            standing=standing,
            events=_one(connection, "select coalesce(max(notification_id), 0) from stored_events"),
            models=tuple(
                Model(name=name, version=version, ours=ours[name])
                for name, version in connection.execute(MODELS)
                if name in ours and version != ours[name]
            ),
            topics=tuple(sorted({topic for (topic,) in connection.execute(TOPICS)} - _readable())),
        )


def _readable() -> set[str]:
    return {*event_classes(), *upcasts()}


def _one(connection: psycopg.Connection[Any], query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    return int(row[0]) if row else 0
