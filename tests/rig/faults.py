"""What goes wrong, one blow after another, as a seed says; each ends by itself, and what it killed is started."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from random import Random

import psycopg
import redis

from infrastructure.embedded.children import end
from tests.rig.edge import Mode
from tests.rig.stage import PROCESSES, Stage

Fault = Callable[[Stage, Random], None]
BROKEN = (Mode.DELAY, Mode.CUT, Mode.SWALLOW, Mode.SWALLOW_ANSWERS)


def kill_one_of_ours(stage: Stage, dice: Random) -> None:
    process = stage.processes[dice.choice(list(PROCESSES))]
    process.kill()
    stage.pause.wait(dice.choice((0, 0, 0.5)))
    process.start()


def kill_all_of_ours(stage: Stage, _: Random) -> None:
    for process in stage.processes.values():
        process.kill()
    for process in stage.processes.values():
        process.start()


def freeze_one_of_ours(stage: Stage, dice: Random) -> None:
    with stage.processes[dice.choice(list(PROCESSES))].frozen():
        stage.wait(dice.uniform(0.5, 6))


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


def crash_postgres(stage: Stage, _: Random) -> None:
    stage.crash_postgres()
    stage.postgres.start()


def end_all_backends(stage: Stage, _: Random) -> None:
    with stage.superuser() as database:
        database.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )


def hold_the_append_lock(stage: Stage, dice: Random) -> None:
    with stage.superuser() as database, database.transaction():
        database.execute("select pg_advisory_xact_lock(4242)")
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


def flush_redis(stage: Stage, _: Random) -> None:
    client = redis.Redis.from_url(stage.redis.url)
    client.flushall()
    client.close()


def kill_redis(stage: Stage, dice: Random) -> None:
    end(stage.redis.child.pid, 9)
    stage.wait(dice.uniform(0, 1))
    stage.redis.child.stop()
    stage.redis.start()


def kill_s3(stage: Stage, dice: Random) -> None:
    stage.s3.kill()
    stage.wait(dice.uniform(0, 2))
    stage.s3.start()


def freeze_s3(stage: Stage, dice: Random) -> None:
    with stage.s3.frozen():
        stage.wait(dice.uniform(0.3, 2))


def put_a_clock_wrong(stage: Stage, dice: Random) -> None:
    """By an hour at most, forwards or back, for a while."""
    process = stage.processes[dice.choice(list(PROCESSES))]
    process.tell_time(dice.choice((-3600, -60, 60, 3600)))
    stage.wait(dice.uniform(0.5, 2))
    process.tell_time(0)


def slow_a_consumer(stage: Stage, dice: Random) -> None:
    with ExitStack() as stack:
        for name in ("work-1", "work-2"):
            for server in ("postgres", "nats"):
                stack.enter_context(stage.processes[name].edges[server].doing(Mode.DELAY))
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
    break_every_edge_of_a_server,
    crash_postgres,
    hold_the_append_lock,
    kill_nats,
    wipe_nats,
    roll_nats_back,
    flush_redis,
    kill_redis,
    kill_s3,
    freeze_s3,
    put_a_clock_wrong,
    slow_a_consumer,
]


class Plan:
    """Which fault comes when, as the seed says; `done` counts them."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(f"faults-{seed}")
        self.done: Counter[str] = Counter()

    def each_once(self) -> Iterator[Fault]:
        """Every kind, in an order of the seed's."""
        yield from self.dice.sample(FAULTS, len(FAULTS))

    def for_ever(self) -> Iterator[Fault]:
        yield from self.each_once()
        while True:
            yield self.dice.choice([*OFTEN, *OFTEN, *FAULTS])

    def strike(self, stage: Stage, fault: Fault) -> None:
        """Raises whatever a fault meets that is none of its own making."""
        self.done[fault.__name__] += 1
        with _excused():
            fault(stage, self.dice)
        stage.mend()


@contextmanager
def _excused() -> Iterator[None]:
    """A blow may meet a database that the last one took down."""
    with suppress(psycopg.OperationalError):
        yield
