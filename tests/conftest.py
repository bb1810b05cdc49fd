"""Fixtures every test may ask for. Servers are real: one PostgreSQL a run, a database of its own for each test."""

import os
import shutil
import signal
from collections.abc import Iterator

import pytest

from infrastructure.embedded.children import die_with_parent
from tests import servers

CLUSTER = "TESTS_CLUSTER"
"""How xdist workers are told; not CHANCERY_..., since the product refuses settings that it does not know."""


def pytest_configure(config: pytest.Config) -> None:
    """The controller starts PostgreSQL; xdist workers inherit its address, and end with it even by kill -9.

    A shell's background job ignores Ctrl-C, and so would whatever a test starts: not here.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(config, "workerinput"):
        die_with_parent(signal.SIGKILL, os.getppid())
    elif not any(getattr(config.option, look) for look in ("collectonly", "markers", "help", "showfixtures")):
        folder = servers.run_folder()
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        cluster = servers.Cluster(folder / "postgres")
        config.add_cleanup(cluster.stop)
        os.environ[CLUSTER] = "\n".join(cluster.addresses)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def cluster() -> servers.Addresses:
    """The server all databases are on; `servers.database(cluster)` makes one that lives longer than a test."""
    return servers.Addresses(*os.environ[CLUSTER].split("\n"))


@pytest.fixture
def database(cluster: servers.Addresses) -> Iterator[servers.Addresses]:
    """Migrated, empty, this test's alone."""
    with servers.database(cluster) as made:
        yield made


@pytest.fixture
def dsn(database: servers.Addresses) -> str:
    """The database of this test, as the application may use it: no write to the log but by its functions."""
    return database.app


@pytest.fixture
def owner_dsn(database: servers.Addresses) -> str:
    """The same database as its owner, who migrates and rebuilds guards."""
    return database.owner


@pytest.fixture(scope="module")
def nats_server() -> Iterator[servers.Nats]:
    """A JetStream server of this module: `.url`, `.relay_url`, `.kill()`, `.start()`, `.restart()`, `.wipe()`."""
    server = servers.Nats(servers.place("nats"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with servers.redis(servers.place("redis")) as url:
        yield url


@pytest.fixture(scope="module")
def object_store() -> Iterator[servers.ObjectStore]:
    store = servers.ObjectStore(servers.place("s3"))
    yield store
    store.stop()
