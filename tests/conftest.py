"""Fixtures every test may ask for. Servers are real: one PostgreSQL a run, a database of its own for each test."""

import os
import shutil
from collections.abc import Iterator

import pytest

from tests import servers

CLUSTER = "TESTS_CLUSTER"


def pytest_configure(config: pytest.Config) -> None:
    """The controller starts PostgreSQL; xdist workers inherit its address."""
    option = config.option
    if (
        hasattr(config, "workerinput")
        or option.collectonly
        or option.markers
        or option.help
        or option.showfixtures
    ):
        return
    folder = servers.run_folder()
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    cluster = servers.Cluster(folder / "data")
    config.add_cleanup(cluster.stop)
    os.environ[CLUSTER] = "\n".join(cluster.addresses)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def database() -> Iterator[servers.Addresses]:
    """Migrated, empty, this test's alone."""
    with servers.database(servers.Addresses(*os.environ[CLUSTER].split("\n"))) as made:
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
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Nats]:
    """A JetStream server of this module: `.url`, `.relay_url`, `.kill()`, `.start()`, `.restart()`, `.wipe()`."""
    server = servers.Nats(tmp_path_factory.mktemp("nats"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.ObjectStore]:
    with servers.object_store(tmp_path_factory.mktemp("s3")) as store:
        yield store
