"""The embedded servers: real, private, on disk, and gone when we are gone."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import nats
import psycopg
import pytest
import redis
from minio import Minio
from minio.error import S3Error

from infrastructure.embedded.children import Child, wait_until
from infrastructure.embedded.stack import Stack, StackError, temporary_stack
from infrastructure.embedded.supervisor import GaveUp, Supervisor
from infrastructure.settings import Servers, Settings, load

HOLDER = """
import signal, sys
from pathlib import Path
from infrastructure.embedded.stack import Stack
from infrastructure.settings import Settings
Stack(Settings(), Path(sys.argv[1]), fast=True).start()
print("up", flush=True)
signal.pause()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data directory that the user PostgreSQL runs as can reach."""
    place = Path(
        tempfile.mkdtemp(prefix="chancery-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    )
    place.chmod(0o711)
    yield place / "data"
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def stack() -> Iterator[Settings]:
    with temporary_stack() as settings:
        yield settings


def query(url: str, statement: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        row = cursor.fetchone() if cursor.description else None
    return str(row[0]) if row else ""


def s3(settings: Servers, secret: str | None = None) -> Minio:
    key = settings.s3_secret_key if secret is None else secret
    return Minio(settings.s3_endpoint, settings.s3_access_key, key, secure=False, region="us-east-1")


def test_the_app_may_connect_and_nothing_else(stack: Settings) -> None:
    assert query(stack.database_url, "show server_version_num").startswith("18")
    for statement in ("create table t (x int)", "create schema s", "create role r", "create database d"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            query(stack.database_url, statement)
    query(stack.database_owner_url, "create table mine (x int)")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        query(stack.database_url.replace("chancery_app:", "chancery_owner:"), "select 1")


def test_the_database_is_durable_and_on_no_port(stack: Settings) -> None:
    shown = [
        query(stack.database_url, f"show {name}")
        for name in ("fsync", "synchronous_commit", "listen_addresses")
    ]
    assert shown == ["on", "on", ""]


def test_the_relay_alone_publishes_events_and_changes_the_stream(stack: Settings) -> None:
    async def story() -> None:
        refused: asyncio.Queue[Exception] = asyncio.Queue()
        relay = await nats.connect(stack.nats_relay_url)
        app = await nats.connect(stack.nats_url, error_cb=refused.put)

        async def refusal() -> str:
            return str(await asyncio.wait_for(refused.get(), 10)).lower()

        try:
            await relay.jetstream().add_stream(name="EVENTS", subjects=["events.>"])
            assert (await relay.jetstream().publish("events.a", b"1")).seq == 1
            await app.publish("events.a", b"2")
            await app.publish("bell.append", b"")
            assert "permissions violation" in await refusal()
            for verb in ("CREATE", "UPDATE", "DELETE", "PURGE", "MSG.DELETE"):
                await app.publish(f"$JS.API.STREAM.{verb}.EVENTS", b"{}")
                assert "permissions violation" in await refusal(), verb
            assert (await app.jetstream().stream_info("EVENTS")).state.messages == 1
        finally:
            await relay.close()
            await app.close()

    asyncio.run(story())


def test_nats_wants_a_password(stack: Settings) -> None:
    port = int(stack.nats_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 5) as connection, connection.makefile("rb") as answers:
        assert answers.readline().startswith(b"INFO")
        connection.sendall(b'CONNECT {"user":"app","pass":"x"}\r\n')
        assert answers.readline() == b"-ERR 'Authorization Violation'\r\n"


def test_redis_and_s3_want_a_password(stack: Settings) -> None:
    with redis.Redis.from_url(stack.redis_url) as client:
        assert client.set("a", "1")
    with (
        pytest.raises(redis.AuthenticationError),
        redis.Redis.from_url(stack.redis_url.replace("//:", "//:x")) as client,
    ):
        client.ping()
    assert s3(stack).bucket_exists("chancery")
    with pytest.raises(S3Error):
        s3(stack, "wrong").bucket_exists("chancery")


def test_secrets_are_files_of_ours_alone(stack: Settings) -> None:
    secrets = list((stack.data_dir / "secrets").iterdir())
    private = [*secrets, stack.data_dir / "run/servers.json", stack.data_dir / "nats/nats.conf"]
    assert len(secrets) >= 7
    assert {file.stat().st_mode & 0o777 for file in private} == {0o600}
    argv = "".join(
        file.read_bytes().decode(errors="replace")
        for file in Path("/proc").glob("[0-9]*/cmdline")
        if file.exists()
    )
    assert not [file.name for file in secrets if file.read_text() in argv]


def test_another_terminal_finds_the_servers(stack: Settings) -> None:
    found = load({"data_dir": stack.data_dir}, {})
    assert (found.database_url, found.sources["database_url"]) == (stack.database_url, "running stack")
    own = load({"data_dir": stack.data_dir}, {"DATABASE_URL": "postgresql://elsewhere/x"})
    assert own.database_owner_url == "postgresql://elsewhere/x"
    assert own.redis_url == stack.redis_url


def test_a_second_stack_on_the_directory_is_refused(stack: Settings) -> None:
    with pytest.raises(StackError, match=f"already, as process {os.getpid()}"):
        Stack(Settings(), stack.data_dir, fast=True).start()


def test_a_server_that_is_set_is_not_started(folder: Path) -> None:
    settings = Settings(
        database_url="postgresql://a/b", nats_url="nats://a", redis_url="redis://a", s3_endpoint="a:1"
    )
    stack = Stack(settings, folder, fast=True)
    assert stack.start().redis_url == "redis://a"
    assert stack.servers == []
    stack.stop()


def test_data_survive_a_kill_and_leftovers_do_not(folder: Path) -> None:
    """`up` is killed; the directory still says a PostgreSQL runs, with the pid of somebody else who lives."""
    folder = folder.parent / ("deep-" * 20) / "data"  # its sockets need a shorter place
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        try:
            assert holder.stdout.readline() == "up\n"
            url = load({"data_dir": folder}, {})
            query(url.database_owner_url, "create table kept as select 42 as x")
            s3(url).fput_object("chancery", "kept", __file__)
        finally:
            holder.kill()
    sleeper = subprocess.Popen([shutil.which("sleep") or "sleep", "60"], start_new_session=True)
    data = folder / "postgres" / "data"
    wait_until(lambda: not (data / "postmaster.pid").exists(), 5)
    (data / "postmaster.pid").write_text(f"{sleeper.pid}\n{data}\n{int(time.time())}\n5432\n\n\n\nready\n")
    (folder / "run" / "nats-server_1.ports").write_text('{"nats":["nats://127.0.0.1:1"]}')
    (folder / "run" / "jobs.pid").write_text(f"{sleeper.pid} 1 15")  # the pid came again: not ours to end
    stack = Stack(Settings(), folder, fast=True)
    try:
        found = stack.start()
        assert query(found.database_owner_url, "select x from kept") == "42"
        assert s3(found).stat_object("chancery", "kept").size == Path(__file__).stat().st_size
        assert sleeper.poll() is None
    finally:
        stack.stop()
        sleeper.kill()
        sleeper.wait()


def test_an_orphan_is_ended_with_its_group(tmp_path: Path) -> None:
    from infrastructure.embedded.children import end_orphans

    child = Child("jobs", tmp_path)
    child.start(["/bin/sh", "-c", "sleep 60 & echo $! > worker; wait"], {"PATH": os.defpath}, cwd=tmp_path)
    assert wait_until(lambda: (tmp_path / "worker").exists() and (tmp_path / "worker").read_text() != "", 5)
    worker = Path("/proc") / (tmp_path / "worker").read_text().strip()
    assert end_orphans(tmp_path) == ["jobs"]
    assert wait_until(lambda: not worker.exists() or " Z " in (worker / "stat").read_text(), 5)
    assert child.stop() == -signal.SIGTERM


def test_a_dead_server_comes_back_where_its_clients_look(folder: Path) -> None:
    stack = Stack(Settings(), folder, fast=True)
    said: list[str] = []
    try:
        found = stack.start()
        supervisor = Supervisor(said.append)
        for server in stack.servers:
            supervisor.watch(server)
            os.kill(server.child.pid, signal.SIGKILL)

        def healed() -> bool:
            supervisor.step()
            return len(said) == 4 and all(server.child.pid for server in stack.servers)

        assert wait_until(healed, 10)
        assert query(found.database_url, "select 1") == "1"
        assert s3(found).bucket_exists("chancery")
        with redis.Redis.from_url(found.redis_url) as client:
            assert client.ping()
    finally:
        stack.stop()


class Mayfly:
    def __init__(self, run: Path) -> None:
        self.child = Child("mayfly", run)

    def start(self) -> None:
        self.child.start(["/bin/sh", "-c", "exit 3"], {})


def test_what_dies_again_and_again_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infrastructure.embedded.supervisor._FIRST_PAUSE", 0.001)
    supervisor, mayfly = Supervisor(lambda _: None), Mayfly(tmp_path)
    mayfly.start()
    supervisor.watch(mayfly)

    def forever() -> bool:
        supervisor.step()
        return False

    with pytest.raises(GaveUp, match="mayfly ended with status 3, 5 times in a row"):
        wait_until(forever, 5)
