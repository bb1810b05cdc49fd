"""The eventsourcing package's ProjectionRunner as documented: a tracking recorder with a table beside."""

import time
from typing import Any
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.domain import Aggregate
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.sql import SQL, Identifier

from bench.library import address

BATCH = 500


class Register(Application[UUID]):
    """What is projected: one event for each organisation."""

    def fill(self, count: int) -> None:
        for _ in range(0, count, BATCH):
            self.save(
                *[
                    Organisation(name="SOCIETE GENERALE DE MENUISERIE", siren=f"{number:09d}")
                    for number in range(BATCH)
                ]
            )


class Organisation(Aggregate):
    def __init__(self, name: str, siren: str) -> None:
        self.name, self.siren = name, siren


class Rows(PostgresTrackingRecorder):
    """A table with a row for each organisation, written in the transaction that tracks the event."""

    def __init__(self, datastore: PostgresDatastore, *, tracking_table_name: str, **kwargs: Any) -> None:
        super().__init__(datastore, tracking_table_name=tracking_table_name, **kwargs)
        table = SQL("create table if not exists {0} (id uuid primary key, name text, siren text)")
        self.sql_create_statements.append(table.format(Identifier(f"{tracking_table_name}_rows")))
        into = SQL("insert into {0} values (%s, %s, %s)").format(Identifier(f"{tracking_table_name}_rows"))
        self._insert = into

    def add(self, created: Any, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            cursor.execute(self._insert, (created.originator_id, created.name, created.siren), prepare=True)
            self._insert_tracking(cursor, tracking)


class OnRows(Projection[Rows]):
    @singledispatchmethod
    def process_event(self, domain_event: object, tracking: Tracking) -> None:
        """Everything else passes by."""

    @process_event.register
    def _(self, created: Organisation.Created, tracking: Tracking) -> None:
        self.view.add(created, tracking)


def projected(url: str, count: int, turn: int) -> float:
    """Seconds its runner takes to bring a new view up to so many events that are there already."""
    dbname, host, user, password = address(url)
    environment = {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": dbname,
        "POSTGRES_HOST": host,
        "POSTGRES_PORT": "5432",
        "POSTGRES_USER": user,
        "POSTGRES_PASSWORD": password,
    }
    with Register(environment) as register:
        if turn == 0:
            register.fill(count)
    projection = type(f"OnRows{turn}", (OnRows,), {})
    began = time.perf_counter()
    with ProjectionRunner(
        application_class=Register, projection_class=projection, view_class=Rows, env=environment
    ) as runner:
        runner.wait(count, timeout=120)
        return time.perf_counter() - began
