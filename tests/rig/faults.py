"""What goes wrong, one blow after another, as a seed says; each ends by itself, and what it killed is started."""

import asyncio
import shutil
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from random import Random

import nats
import nats.errors
import psycopg
import redis
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from infrastructure.embedded.children import wait_until
from infrastructure.nats import STREAM
from infrastructure.postgres import APPEND
from tests import mailbox
from tests.rig.edge import Mode
from tests.rig.stage import LEASE, Process, Stage

Fault = Callable[[Stage, Random], None]
BROKEN = (Mode.DELAY, Mode.TRICKLE, Mode.CUT, Mode.SWALLOW, Mode.SWALLOW_ANSWERS, Mode.HALF_OPEN)
UPLOADED = 100_000
"""Bytes of a request to the object store of which it is in the middle."""


def one_of_ours(stage: Stage, dice: Random, *kinds: str) -> Process:
    return dice.choice([each for each in stage.processes.values() if not kinds or each.kind in kinds])


def kill_one_of_ours(stage: Stage, dice: Random) -> None:
    process = one_of_ours(stage, dice)
    process.kill()
    stage.pause.wait(dice.choice((0, 0, 0.5)))
    process.start()


def kill_all_of_ours(stage: Stage, _: Random) -> None:
    for process in stage.processes.values():
        process.kill()
    for process in stage.processes.values():
        process.start()


def freeze_one_of_ours(stage: Stage, dice: Random) -> None:
    with one_of_ours(stage, dice).frozen():
        stage.wait(dice.uniform(0.5, 6))


def outlive_a_lease(stage: Stage, dice: Random) -> None:
    """Whatever it was doing is begun by another before it goes on."""
    with one_of_ours(stage, dice, "jobs").frozen():
        stage.wait(LEASE + dice.uniform(1, 3))


def elect_two(stage: Stage, dice: Random) -> None:
    """A worker is frozen, and the database takes it for gone: others take its roles over. Then it goes on."""
    process = one_of_ours(stage, dice, "work")
    with stage.superuser() as database:
        before = stage.roles(database)

        def others() -> bool:
            now = stage.roles(database)
            return now.keys() >= before.keys() and now != before

        with process.edges["postgres"].doing(Mode.HALF_OPEN):
            with process.frozen():
                if wait_until(lambda: stage.roles(database) != before, 2):  # it had some
                    stage.notices("a frozen worker's roles are taken over", wait_until(others, 10))
            stage.wait(dice.uniform(0.2, 1.5))


def freeze_a_server(stage: Stage, dice: Random) -> None:
    with stage.server_frozen(dice.choice(("postgres", "nats", "redis", "s3"))):
        stage.wait(dice.uniform(0.3, 4))


def break_an_edge(stage: Stage, dice: Random) -> None:
    edge = dice.choice(stage.edges.all)
    with edge.doing(dice.choice(BROKEN)):
        stage.wait(dice.uniform(0.3, 4))


def break_every_edge_of_a_server(stage: Stage, dice: Random) -> None:
    server, mode = dice.choice(("postgres", "nats", "redis", "s3")), dice.choice(BROKEN)
    with ExitStack() as stack:
        for process in stage.processes.values():
            stack.enter_context(process.edges[server].doing(mode))
        stage.wait(dice.uniform(0.3, 2))


def cut_after_commits(stage: Stage, dice: Random) -> None:
    with ExitStack() as stack:
        for process in stage.processes.values():
            stack.enter_context(process.edges["postgres"].doing(Mode.CUT_AFTER_COMMIT))
        stage.wait(dice.uniform(0.2, 1))


def crash_postgres(stage: Stage, dice: Random) -> None:
    with stage.crashing():
        stage.crash_postgres(dice.choice((signal.SIGQUIT, signal.SIGKILL)))
        stage.postgres.start()


def fill_the_disk(stage: Stage, dice: Random) -> None:
    """Of the database: until commands are refused, and for a while longer."""
    assert stage.disk is not None
    with stage.crashing(), stage.disk.full():
        before, tries = stage.answers[503], iter(range(80))
        while stage.answers[503] == before and next(tries, None) is not None:
            stage.pause.wait(0.2)
            stage.disk.fill()
        stage.notices("a full disk refuses commands", stage.answers[503] > before)
        stage.pause.wait(dice.uniform(0, 3))


def end_all_backends(stage: Stage, _: Random) -> None:
    with stage.superuser() as database:
        database.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )


def hold_the_append_lock(stage: Stage, dice: Random) -> None:
    with stage.superuser() as database, database.transaction():
        database.execute("select pg_advisory_xact_lock(%s)", [APPEND])
        stage.wait(dice.uniform(0.5, 3))


def kill_nats(stage: Stage, _: Random) -> None:
    stage.nats.restart()


def wipe_nats(stage: Stage, _: Random) -> None:
    stage.nats.wipe()


def roll_nats_back(stage: Stage, dice: Random) -> None:
    copy = stage.copy_nats()
    stage.wait(dice.uniform(0.5, 1.5))
    stage.roll_nats_back(copy)
    shutil.rmtree(copy)


def delete_the_stream(stage: Stage, _: Random) -> None:
    asyncio.run(_at_the_stream(stage.nats.relay_url, lambda stream: stream.delete_stream(STREAM)))


def purge_the_stream(stage: Stage, _: Random) -> None:
    """Its messages are gone; it still counts from where it was."""
    asyncio.run(_at_the_stream(stage.nats.relay_url, lambda stream: stream.purge_stream(STREAM)))


def delete_consumers(stage: Stage, _: Random) -> None:
    async def delete(stream: JetStreamContext) -> None:
        for each in await stream.consumers_info(STREAM):
            await stream.delete_consumer(STREAM, each.name)

    asyncio.run(_at_the_stream(stage.nats.relay_url, delete))


async def _at_the_stream(url: str, change: Callable[[JetStreamContext], Awaitable[object]]) -> None:
    """Nothing to be done when there is none just now."""
    client = await nats.connect(url, connect_timeout=5, allow_reconnect=False)
    with suppress(NotFoundError):
        await change(client.jetstream())
    await client.close()


def flush_redis(stage: Stage, _: Random) -> None:
    stage.flush_redis()


def kill_redis(stage: Stage, dice: Random) -> None:
    stage.kill_redis()
    stage.wait(dice.uniform(0, 1))
    stage.redis.start()


def kill_s3(stage: Stage, dice: Random) -> None:
    stage.s3.kill()
    stage.wait(dice.uniform(0, 2))
    stage.s3.start()


def kill_s3_amid_an_upload(stage: Stage, dice: Random) -> None:
    """It has the beginning of an object, and goes."""
    with ExitStack() as stack:
        edges = [api.edges["s3"] for api in stage.apis]
        for edge in edges:
            stack.enter_context(edge.doing(Mode.TRICKLE))
        amid = wait_until(lambda: any(edge.longest > UPLOADED for edge in edges), 5)
        stage.notices("S3 is killed amid an upload", amid)
        stage.s3.kill()
    stage.wait(dice.uniform(0, 2))
    stage.s3.start()


def confuse_the_post(stage: Stage, dice: Random) -> None:
    """Mails are refused for now, or the connection goes instead of an answer, whether the mail was taken or not."""
    word = dice.choice(("451 later", mailbox.CUT))
    stage.post.keeps = (
        word == mailbox.CUT and dice.random() < 0.5
    )  # who says 451 has not taken it (RFC 5321 4.2.1)
    stage.post.says = {"DATA": word}
    stage.wait(dice.uniform(0.5, 2))
    stage.post.says = {}


def put_a_clock_wrong(stage: Stage, dice: Random) -> None:
    """By an hour at most, forwards or back, for a while."""
    process = one_of_ours(stage, dice)
    process.tell_time(dice.choice((-3600, -60, 60, 3600)))
    stage.wait(dice.uniform(0.5, 2))
    process.tell_time(0)


def slow_a_consumer(stage: Stage, dice: Random) -> None:
    with ExitStack() as stack:
        for process in stage.processes.values():
            if process.kind == "work":
                for server in ("postgres", "nats"):
                    stack.enter_context(process.edges[server].doing(dice.choice((Mode.DELAY, Mode.TRICKLE))))
        stage.wait(dice.uniform(1, 3))


OFTEN: list[Fault] = [
    kill_one_of_ours,
    freeze_one_of_ours,
    break_an_edge,
    cut_after_commits,
    end_all_backends,
]
FAULTS: list[Fault] = [
    *OFTEN,
    kill_all_of_ours,
    outlive_a_lease,
    elect_two,
    freeze_a_server,
    break_every_edge_of_a_server,
    crash_postgres,
    fill_the_disk,
    hold_the_append_lock,
    kill_nats,
    wipe_nats,
    roll_nats_back,
    delete_the_stream,
    purge_the_stream,
    delete_consumers,
    flush_redis,
    kill_redis,
    kill_s3,
    kill_s3_amid_an_upload,
    confuse_the_post,
    put_a_clock_wrong,
    slow_a_consumer,
]


SHORT: list[Fault] = [
    cut_after_commits,
    kill_s3_amid_an_upload,
    fill_the_disk,
    elect_two,
    end_all_backends,
    wipe_nats,
    flush_redis,
    break_every_edge_of_a_server,
    crash_postgres,
    kill_one_of_ours,
]


class Plan:
    """Which fault comes when, as the seed says; `done` counts them. `without`: faults not possible here, and why."""

    def __init__(self, seed: int, without: Mapping[Fault, str] | None = None) -> None:
        self.seed, self.dice = seed, Random(f"faults-{seed}")
        self.done: Counter[str] = Counter()
        self.without = without or {}
        self._faults = [each for each in FAULTS if each not in self.without]

    def each_once(self) -> Iterator[Fault]:
        """Every kind, in an order of the seed's."""
        yield from self.dice.sample(self._faults, len(self._faults))

    def for_ever(self, only: Collection[str] = ()) -> Iterator[Fault]:
        """`only` faults of these names, or of any, and then each at least once."""
        if not only:
            yield from self.each_once()
        among = [fault for fault in FAULTS if fault.__name__ in only] or [*OFTEN, *OFTEN, *self._faults]
        while True:
            yield self.dice.choice(among)

    def short(self) -> Iterator[Fault]:
        """One of each sort, for those who cannot wait."""
        yield from (fault for fault in SHORT if fault not in self.without)

    def strike(self, stage: Stage, fault: Fault) -> None:
        """Raises whatever a fault meets that is none of its own making."""
        self.done[fault.__name__] += 1
        with _excused():
            fault(stage, self.dice)
        stage.mend()


@contextmanager
def _excused() -> Iterator[None]:
    """A blow may meet a server that the last one took down."""
    with suppress(psycopg.OperationalError, nats.errors.Error, redis.RedisError, OSError):
        yield
