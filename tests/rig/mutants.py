"""Deliberate faults of our own code, switched on one at a time, to see that somebody notices.

A whole process takes one by its environment (`patches/sitecustomize.py`), a test by its monkeypatch. The imports stand
in the functions: whoever switches one on needs the modules of that one, before anything has taken their names.
"""

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Any

from msgspec import Struct

Set = Callable[[Any, str, Any], None]
"""As setattr; a test's goes back by itself."""


class Finder(Enum):
    """Who is to notice."""

    RIG = "the rig, by random faults"
    SIMULATOR = "the simulator"
    TESTS = "named tests"


class Mutant(Struct, frozen=True, kw_only=True):
    """`sql`: what of `append` is replaced by what, once the database is migrated.

    `faults`: those the rig strikes with, where it takes certain ones to notice; else any. `named`: the tests.
    """

    says: str
    finder: Finder = Finder.RIG
    patch: Callable[[Set], None] = lambda _: None
    sql: tuple[str, str] | None = None
    faults: tuple[str, ...] = ()
    named: tuple[str, ...] = ()


def _keys_are_forgotten(set_: Set) -> None:
    from infrastructure import append_call

    real = append_call.packed
    writer = _module("infrastructure.writer")

    def packed(items: Any, *, again: bool) -> Any:
        import msgspec

        return real([msgspec.structs.replace(item, key=None) for item in items], again=again)

    set_(writer, "packed", packed)


def _retries_begin_anew(set_: Set) -> None:
    import msgspec

    from infrastructure.event_store import new_id

    writer = _module("infrastructure.writer").Writer
    real = writer._lost

    async def lost(self: Any, batch: Any, problem: Exception) -> None:
        for waiting in batch:
            ids = [new_id() for _ in waiting.item.event_ids]
            waiting.item = msgspec.structs.replace(waiting.item, key=None, event_ids=ids)
        await real(self, batch, problem)

    set_(writer, "_lost", lost)


def _guards_come_later(set_: Set) -> None:
    import msgspec

    from infrastructure import append_call

    writer = _module("infrastructure.writer").Writer
    real = writer._call

    async def call(self: Any, items: Any, *, again: bool) -> Any:
        """The guards' rows in a transaction of their own, behind the events'."""
        bare = [msgspec.structs.replace(item, rows=()) for item in items]
        answer = await real(self, bare, again=again)
        rows = append_call._lists(item.rows for item in items)
        if rows is not None:
            verdicts = answer[2] or [0] * len(items)
            await self._connection.execute(
                "select rig_guards(%s, %s, %s)", (verdicts, [item.stream_id for item in items], rows)
            )
        return answer

    set_(writer, "_call", call)


def _holes_are_stepped_over(set_: Set) -> None:
    tail = _module("infrastructure.tail").Tail

    def take(self: Any, after: int, limit: int) -> list[Any]:
        self._wanted = after
        run = [each for each in self._waiting if each.position > after][:limit]
        self._waiting.clear()
        self._room.set()
        return run

    set_(tail, "take", take)


def _checkpoints_stand_apart(set_: Set) -> None:
    checkpoint = _module("workers.checkpoint")
    real = checkpoint.advance

    class Nothing:
        def __init__(self, projection: Any) -> None:
            self.name = projection.name

        async def apply(self, *_: Any) -> None:
            pass

    async def advance(connection: Any, projection: Any, place: str, at: Any, batch: Any) -> Any:
        after = await real(connection, Nothing(projection), place, at, batch)
        await asyncio.sleep(0)
        async with connection.transaction():
            await projection.apply(connection.cursor(), place, batch)
        return after

    set_(checkpoint, "advance", advance)


def _positions_are_not_waited_for(set_: Set) -> None:
    async def reached(self: Any, projection: str, position: int, *, seconds: float = 2.0) -> None:
        pass

    set_(_module("infrastructure.positions").Positions, "reached", reached)


def _states_are_never_read_again(set_: Set) -> None:
    import msgspec

    store = _module("infrastructure.event_store").EventStore
    real = store.load

    async def load(self: Any, rules: Any, stream_id: Any, *, fresh: bool = False) -> Any:
        return msgspec.structs.replace(await real(self, rules, stream_id, fresh=False), fresh=True)

    set_(store, "load", load)


def _order_is_not_asked_for(set_: Set) -> None:
    relay = _module("workers.relay")

    class Careless:
        """Publishes what it is given, in whatever order, as often as it is asked."""

        def __init__(self, nats: Any) -> None:
            self._nats = nats

        def __getattr__(self, name: str) -> Any:
            return getattr(self._nats, name)

        @property
        def client(self) -> Any:
            return _Client(self._nats.client)

    class _Client:
        def __init__(self, client: Any) -> None:
            self._client = client

        def __getattr__(self, name: str) -> Any:
            return getattr(self._client, name)

        async def publish(self, subject: str, payload: bytes, reply: str = "", headers: Any = None) -> None:
            kept = {k: v for k, v in (headers or {}).items() if not k.startswith("Nats-Expected")}
            await self._client.publish(subject, payload, reply=reply, headers=kept)

    init = relay.Relay.__init__

    def made(self: Any, log: Any, positions: Any, nats: Any) -> None:
        init(self, log, positions, Careless(nats))

    set_(relay.Relay, "__init__", made)


def _attempts_are_not_compared(set_: Set) -> None:
    operations = _module("infrastructure.operations")
    for name in ("DONE", "FAILED", "LEFT"):
        set_(operations, name, getattr(operations, name).replace(b"and attempt = %s", b"and %s > 0"))


def _module(name: str) -> Any:
    import importlib

    return importlib.import_module(name)


APPEND, OPERATIONS = "tests/infrastructure/test_append.py", "tests/infrastructure/test_operations.py"
MUTANTS = {
    "no_lock": Mutant(
        says="append takes no lock",
        finder=Finder.TESTS,
        sql=("perform pg_advisory_xact_lock(4242);", ""),
        named=(f"{APPEND}::test_of_many_racing_commands_on_one_stream_one_wins",),
    ),
    "no_key": Mutant(
        says="a command's key is not kept, so that who asks again asks for something new",
        patch=_keys_are_forgotten,
        faults=("cut_after_commits", "end_all_backends", "kill_one_of_ours"),
    ),
    "new_retry": Mutant(
        says="what is tried again after a lost connection has another key and other ids",
        finder=Finder.TESTS,
        patch=_retries_begin_anew,
        named=("tests/rig/test_commits.py::test_nor_is_it_two_when_its_client_gave_it_no_key",),
    ),
    "late_guards": Mutant(
        says="guards are written after the append",
        patch=_guards_come_later,
        faults=("cut_after_commits", "end_all_backends"),
    ),
    "checkpoint_apart": Mutant(
        says="the checkpoint has a transaction of its own",
        patch=_checkpoints_stand_apart,
        faults=("kill_one_of_ours", "end_all_backends", "kill_all_of_ours"),
    ),
    "no_min_position": Mutant(
        says="X-Min-Position is not waited for",
        patch=_positions_are_not_waited_for,
        faults=("slow_a_consumer", "freeze_one_of_ours"),
    ),
    "stale_state": Mutant(says="a remembered state counts as the newest", patch=_states_are_never_read_again),
    "no_hole_check": Mutant(
        says="a hole in the stream is stepped over", finder=Finder.SIMULATOR, patch=_holes_are_stepped_over
    ),
    "no_order": Mutant(
        says="the relay does not name the message before",
        finder=Finder.SIMULATOR,
        patch=_order_is_not_asked_for,
    ),
    "no_attempt": Mutant(
        says="a job is closed whatever the attempt",
        finder=Finder.TESTS,
        patch=_attempts_are_not_compared,
        named=(f"{OPERATIONS}::test_a_silent_attempt_is_replaced_and_its_word_counts_no_more",),
    ),
}


def install(name: str) -> None:
    """In this process, for good."""
    mutant = MUTANTS[name]
    mutant.patch(setattr)
    if mutant.sql is not None or mutant.patch is _guards_come_later:
        _migrated(mutant.sql)


def _migrated(change: tuple[str, str] | None) -> None:
    """Whoever migrates a database changes it afterwards."""
    import psycopg

    migrations = _module("infrastructure.migrations")
    real = migrations.migrate

    def migrate(url: str, app: str) -> Any:
        ran = real(url, app)
        with psycopg.connect(url, autocommit=True) as owner:
            if change is not None:
                row = owner.execute(
                    "select pg_get_functiondef(oid) from pg_proc where proname = 'append'"
                ).fetchone()
                assert row is not None
                assert change[0] in row[0]
                owner.execute(row[0].replace(*change))
            owner.execute(LATE_GUARDS.format(app=app))
        return ran

    migrations.migrate = migrate


LATE_GUARDS = """create or replace function rig_guards(v int[], streams uuid[], guards jsonb) returns void
  language sql security definer set search_path = public, pg_temp
  as 'select apply_guards(v, streams, guards, clock_timestamp())';
  grant execute on function rig_guards to {app}"""
