"""How PostgreSQL reads a long dialog: by an index made for it, the first page and the last alike."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from infrastructure.postgres import TIMEOUTS, connect
from projections.conditions import where
from projections.lists import ListQuery, page, statements
from projections.message import LISTING, MESSAGES, Message
from tests import servers

pytestmark = pytest.mark.anyio

MANY, DIALOGS = 20_000, 200
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
DIALOG = UUID(int=1)
MINE = where("{column} = %s", "dialog_id", DIALOG)


def message(number: int) -> Message:
    at = BEGAN + timedelta(seconds=number)
    return Message(
        id=UUID(int=1_000 + number),
        version=1,
        position=number,
        state="unread" if number > MANY - 400 else "read",
        created_at=at,
        updated_at=at,
        dialog_id=UUID(int=number % DIALOGS),
        sender_id=UUID(int=100),
        recipient_id=UUID(int=101),
        text=f"{number}",
        attachments=(),
    )


@pytest.fixture(scope="module")
async def url(cluster):
    with servers.database(cluster) as addresses:
        async with await connect(addresses.app) as connection:
            await connection.execute(MESSAGES.ddl("read").encode())
            await MESSAGES.keep(connection.cursor(), "read", [message(number) for number in range(MANY)])
            await connection.execute("analyze read.message")
        yield addresses.app


def plan(url: str, query: str | psycopg.sql.Composable, parameters: object) -> str:
    with psycopg.connect(url, options=TIMEOUTS, autocommit=True) as connection:
        text = query if isinstance(query, str) else query.as_string(connection)
        rows = connection.execute(f"explain {text}".encode(), parameters).fetchall()
    return "\n".join(line for (line,) in rows)


async def test_every_page_of_a_dialog_is_one_range_of_an_index(url):
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        first = await page(connection, LISTING, ListQuery(), scope=MINE)
    assert len(first.rows) == 25
    for token in (None, first.next_page_token):
        wanted = statements(LISTING, ListQuery(page_token=token), scope=MINE).rows
        found = plan(url, wanted.sql, wanted.parameters)
        assert "message_dialog_id_created_at_id_idx" in found, found
        assert "Sort" not in found, found


async def test_what_waits_in_it_is_found_among_what_is_unread(url):
    waiting = (
        "select view from read.message where dialog_id = %s and recipient_id = %s and state = 'unread'"
        " and position <= %s order by position limit 2000"
    )
    found = plan(url, waiting, (DIALOG, UUID(int=101), MANY))
    assert "message_dialog_id_recipient_id_position_idx" in found, found
