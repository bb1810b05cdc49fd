"""A start that fails: granian must be told, or it serves an application that never began."""

import pytest

from api.app import Served
from tests.serving import settings

pytestmark = pytest.mark.anyio


async def test_a_start_that_fails_is_said_to_have_failed_and_nothing_is_served():
    said, asked = [], [{"type": "lifespan.startup"}]

    async def receive():
        return asked.pop()

    async def send(message):
        said.append(message["type"])

    broken = Served(settings("postgresql://nobody@127.0.0.1:1/none", ""))
    await broken({"type": "lifespan"}, receive, send)
    assert said == ["lifespan.startup.failed"]
    with pytest.raises(AssertionError):
        await broken({"type": "http"}, receive, send)
