"""The API as its callers meet it, in this process."""

import os
from collections.abc import AsyncIterator

import httpx
import pytest

from tests import office as offices
from tests import servers, serving
from tests.conftest import CLUSTER


@pytest.fixture
async def stranger(dsn: str, nats_server: servers.Nats) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API, in this process, that has not signed in."""
    async with serving.served(serving.settings(dsn, nats_server.url)) as client:
        yield client


@pytest.fixture
async def client(stranger: httpx.AsyncClient) -> httpx.AsyncClient:
    """The same, signed in as the administrator."""
    stranger.headers.update(await serving.sign_in(stranger))
    return stranger


@pytest.fixture(scope="module")
async def office(nats_server: servers.Nats) -> AsyncIterator[offices.Office]:
    """One API for all tests of a module, which therefore speak of what they made themselves."""
    with servers.database(servers.Addresses(*os.environ[CLUSTER].split("\n"))) as addresses:
        async with offices.opened(addresses, nats_server.url) as opened:
            yield opened
