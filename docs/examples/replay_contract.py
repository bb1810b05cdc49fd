"""The life of one contract, version by version, over the ordinary API of the eventsourcing package, on the live log.

    export DATABASE_URL=...          # of a role that may read `stored_events`
    python docs/examples/replay_contract.py <contract id> [version]

The package's own PostgreSQL recorder reads the table of the log as it is. Nothing of Chancery is imported: a topic, a
version and a JSON document are all that a script needs to know. Personal fields are ciphertext to it.
"""

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.persistence import Mapper, StoredEvent
from psycopg.conninfo import conninfo_to_dict


@dataclass(frozen=True)
class Fact:
    """An event as the log holds it: its topic, and what it says."""

    originator_id: UUID
    originator_version: int
    topic: str
    says: dict[str, Any]


class Facts(Mapper[UUID]):
    """Topics of the log are names of facts, not of Python classes."""

    def to_domain_event(self, stored_event: StoredEvent) -> Fact:
        return Fact(
            UUID(str(stored_event.originator_id)),
            stored_event.originator_version,
            stored_event.topic,
            json.loads(stored_event.state),
        )


class Log(Application[UUID]):
    """The log of a Chancery, to be read."""

    name = "stored"  # so that the package looks for the table `stored_events`

    def construct_mapper(self) -> Mapper[UUID]:
        return Facts(transcoder=self.construct_transcoder())


@dataclass(frozen=True)
class Contract:
    """What a script of yours wants to know of a contract."""

    id: UUID
    version: int
    status: str = "unsigned"
    terms: dict[str, Any] = field(default_factory=dict)


TERMS = ("title", "kind", "organisation_id", "amount", "due_on")


def contract(known: Contract | None, facts: Iterable[Fact]) -> Contract | None:
    """What these facts make of it: the package's repository calls this, for any version that is asked for."""
    for fact in facts:
        known = known or Contract(fact.originator_id, fact.originator_version)
        told = {name: value for name, value in fact.says.items() if name in TERMS}
        match fact.topic.split(".")[1]:
            case "drafted" | "changed" | "amended":
                known = replace(known, terms=known.terms | told)
            case "signed" | "canceled" as status:
                known = replace(known, status=status)
            case _:
                pass
        known = replace(known, version=fact.originator_version)
    return known


def opened() -> Log:
    parts = conninfo_to_dict(os.environ["DATABASE_URL"])
    names = {"dbname": "", "host": "", "port": "5432", "user": "", "password": ""} | parts
    settings = {f"POSTGRES_{name.upper()}": str(value) for name, value in names.items()}
    return Log({"PERSISTENCE_MODULE": "eventsourcing.postgres", "CREATE_TABLE": "no", **settings})


def main(contract_id: UUID, version: int | None) -> None:
    with opened() as log:
        newest = log.repository.get(contract_id, projector_func=contract)
        for each in range(1, newest.version + 1) if version is None else [version]:
            then = log.repository.get(contract_id, version=each, projector_func=contract)
            print(f"v{then.version} {then.status} {json.dumps(then.terms, sort_keys=True)}")


if __name__ == "__main__":
    main(UUID(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
