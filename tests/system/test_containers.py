"""What the containers of compose.yaml are started by, run against the same servers without a container."""

import os
import subprocess
from pathlib import Path

import dramatiq
import psycopg
import pytest
import redis
from nats.aio.client import Client
from nats.js.errors import APIError

from infrastructure.embedded.children import Child
from infrastructure.embedded.nats import binary as nats_binary
from infrastructure.embedded.postgres import binary as postgres_binary
from infrastructure.embedded.redis import binary as redis_binary
from infrastructure.migrations import migrate
from infrastructure.settings import Settings
from tests import servers
from tests.outside import free_port, listens
from tests.waiting import until
from workers.jobs import QUEUE, broker

SCRIPTS = Path(__file__).parents[2] / "deploy" / "containers"
SYSTEM = {"PATH": f"{nats_binary().parent}:{os.environ['PATH']}"}


@pytest.fixture
def secrets() -> Path:
    folder = servers.place("secrets")
    subprocess.run(["sh", SCRIPTS.parent / "make-secrets.sh", folder], check=True, capture_output=True)
    return folder


def secret(folder: Path, name: str) -> str:
    return (folder / name).read_text()


@pytest.fixture
def started(secrets: Path):
    """Starts a script as a container would; ends what it started."""
    children = []

    def start(script: str, **environment: str) -> tuple[Child, Path]:
        place = servers.place(script)
        place.mkdir(mode=0o700)
        child = Child(script, place, log=place / "log")
        told = SYSTEM | {"SECRETS": str(secrets), "CONFIG": str(place / "config")} | environment
        child.start(["sh", SCRIPTS / f"{script}.sh"], told)
        children.append(child)
        return child, place

    yield start
    for child in children:
        child.stop()


@pytest.mark.anyio
async def test_the_application_may_not_publish_events_nor_keep_their_stream(started, secrets):
    place = servers.place("jetstream")
    port = free_port()
    child, _ = started("nats", LISTEN=f"127.0.0.1:{port}", MONITOR="127.0.0.1:-1", STORE=str(place))

    async def connected(user: str, name: str) -> Client:
        client = Client()
        password = secret(secrets, name)
        await client.connect(f"nats://{user}:{password}@127.0.0.1:{port}", max_reconnect_attempts=0)
        return client

    await until(lambda: _serves(child, port))
    relay, app = await connected("relay", "nats_relay_password"), await connected("app", "nats_password")
    stream = await relay.jetstream().add_stream(name="EVENTS", subjects=["events.>"])
    assert stream.state.messages == 0
    await app.publish("events.user.blocked.v1", b"forged")
    await app.publish("bell.append", b"")
    await app.flush()
    with pytest.raises((APIError, TimeoutError)):
        await app.jetstream(timeout=1).delete_stream("EVENTS")
    assert (await relay.jetstream().stream_info("EVENTS")).state.messages == 0
    await relay.publish("events.user.blocked.v1", b"true")
    await relay.flush()
    assert (await app.jetstream().stream_info("EVENTS")).state.messages == 1
    await relay.close()
    await app.close()


@pytest.mark.anyio
async def test_the_broker_lets_jobs_do_their_work_and_nobody_else_in(started, secrets):
    data = servers.place("valkey")
    data.mkdir()
    port = free_port()
    child, place = started("valkey", PORT=str(port), DATA=str(data), SERVER=str(redis_binary()))
    await until(lambda: _serves(child, port))
    health = redis.Redis(port=port, username="health", password="-")
    await until(lambda: _pongs(health))
    password = secret(secrets, "redis_password")
    assert password not in (place / "config").read_text()
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=port).ping()
    with pytest.raises(redis.ResponseError):
        health.get("dramatiq:default")

    jobs = broker(Settings(redis_url=f"redis://jobs:{password}@127.0.0.1:{port}/0"))
    jobs.declare_queue(QUEUE)
    jobs.enqueue(dramatiq.Message(queue_name=QUEUE, actor_name="a", args=(), kwargs={}, options={}))
    consumer = jobs.consume(QUEUE, timeout=1000)
    message = next(consumer)
    consumer.ack(message)
    consumer.close()
    asked = jobs.client
    assert asked.llen(f"dramatiq:{QUEUE}") == 0
    for forbidden in (asked.flushall, lambda: asked.get("another"), lambda: asked.config_get("*")):
        with pytest.raises(redis.ResponseError):
            forbidden()
    jobs.close()


def test_the_roles_are_no_superusers_and_enough_to_migrate(cluster, secrets, tmp_path):
    """The script as it is, but for the names, which this cluster has already."""
    script = tmp_path / "roles.sh"
    name = f"deployed_{os.getpid()}"
    script.write_text((SCRIPTS / "postgres-roles.sh").read_text().replace("chancery", name))
    at = psycopg.conninfo.conninfo_to_dict(cluster.admin)
    environment = {
        "PATH": f"{postgres_binary().parent}:{os.environ['PATH']}",
        "SECRETS": str(secrets),
        "POSTGRES_USER": at["user"],
        "PGHOST": at["host"],
        "PGPASSWORD": at["password"],
    }
    told = subprocess.run(["sh", script], env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr

    def url(role: str, password: str) -> str:
        words = {"host": at["host"], "dbname": name, "user": f"{name}_{role}"}
        return psycopg.conninfo.make_conninfo(**words, password=secret(secrets, password))

    owner, app = url("owner", "database_owner_password"), url("app", "database_password")
    try:
        assert migrate(owner, f"{name}_app") > 0
        with psycopg.connect(owner, autocommit=True) as connection:
            query = (
                "select bool_or(rolsuper or rolcreaterole or rolcreatedb) from pg_roles where rolname like %s"
            )
            assert connection.execute(query, (f"{name}%",)).fetchone() == (False,)
        with psycopg.connect(app, autocommit=True) as connection:
            assert connection.execute("select count(*) from stored_events").fetchone() == (0,)
            for forbidden in ("delete from stored_events", "create table mine ()", "create role another"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(forbidden)
    finally:
        with psycopg.connect(cluster.admin, autocommit=True) as admin:
            admin.execute(f"drop database {name} with (force)")
            admin.execute(f"drop role {name}_app, {name}_owner")


def _serves(child: Child, port: int) -> bool:
    assert not child.died(), child.last_words()
    return listens(port)


def _pongs(health: redis.Redis) -> bool:
    try:
        return health.ping()
    except redis.BusyLoadingError:
        return False
