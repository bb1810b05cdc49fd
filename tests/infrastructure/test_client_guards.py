"""The guards of API clients: kept by append, named when damaged, made again without throwing anybody out."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from application.ports import Secrets
from domain.api_client.events import (
    ApiClientChanged,
    ApiClientDisabled,
    ApiClientEnabled,
    ApiClientKeyAdded,
    ApiClientRegistered,
    ApiKey,
)
from infrastructure import guard_check
from infrastructure.event_store import new_id
from infrastructure.postgres import connect
from infrastructure.security.api_clients import _READ
from tests import people
from tests.store import WRAPPING, open_store

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 5, 3, 12, tzinfo=UTC)
KEY = ApiKey(key_id="a", made_at=NOW)


@pytest.fixture
async def store(dsn):
    async with open_store(dsn) as (opened, _):
        yield opened


async def registered(store, **terms):
    client_id = new_id()
    event = ApiClientRegistered(name="A", client_key=str(client_id), kind="server", keys=(KEY,), **terms)
    await people.append(store, client_id, event, secrets=Secrets(api_key_hash=("a", "sha256:00")))
    return client_id


async def test_a_rebuild_gives_every_client_back_as_it_was(store, dsn, owner_dsn):
    plain = await registered(store)
    full = await registered(store, allowed_ips=("10.0.0.0/8",), expires_at=NOW + timedelta(days=4000))
    second = ApiKey(key_id="b", made_at=NOW, retires_at=NOW)
    facts = (
        ApiClientChanged(rate_limit_per_min=5, allowed_paths=("/organisations",), expires_at=None),
        ApiClientKeyAdded(key_id="b", keys=(KEY, second)),
        ApiClientDisabled(),
        ApiClientEnabled(),
        ApiClientChanged(expires_at=NOW + timedelta(days=4000)),
    )
    for version, fact in enumerate(facts, 1):
        await people.append(store, full, fact, expected=version)
    assert await guard_check.verify(dsn, WRAPPING) == []
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        before = connection.execute("select * from clients order by client_id").fetchall()
        connection.execute("delete from clients")
        connection.execute("update sessions set ended = true")
        connection.execute("update principals set state = 'inactive'")
    assert len(await guard_check.verify(dsn, WRAPPING)) == 6
    done = await guard_check.rebuild(owner_dsn, WRAPPING)
    assert (done.rows["clients"], done.sessions_ended) == (2, 0)
    assert await guard_check.verify(dsn, WRAPPING) == []
    with psycopg.connect(owner_dsn) as connection:
        assert connection.execute("select * from clients order by client_id").fetchall() == before
        assert connection.execute("select count(*) from client_keys").fetchone() == (2,)
        standing = connection.execute("select session_id from sessions where not ended").fetchall()
        assert {each for (each,) in standing} == {plain, full}


async def test_a_hash_is_kept_for_as_long_as_its_key_is(store, owner_dsn):
    client_id = await registered(store)
    only = ApiClientKeyAdded(key_id="b", keys=(ApiKey(key_id="b", made_at=NOW),))
    secrets = Secrets(api_key_hash=("b", "sha256:01"))
    await people.append(store, client_id, only, expected=1, secrets=secrets)
    with psycopg.connect(owner_dsn) as connection:
        assert connection.execute("select key_id, hash from client_keys").fetchall() == [("b", "sha256:01")]


async def test_the_application_may_write_no_terms_and_no_keys_of_its_own(store, dsn):
    await registered(store)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in (
            "update clients set allowed_ips = '{}'",
            "delete from clients",
            "insert into client_keys select client_id, 'x', 'sha256:02' from clients",
            "update client_keys set key_id = 'x'",
            "delete from client_keys",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


async def test_the_statement_is_index_probes_only(dsn):
    async with await connect(dsn) as connection:
        await connection.execute(f"prepare q as {_READ.replace('%s', '$1::text[]')}".encode())
        rows = await (await connection.execute("explain execute q ('{}')")).fetchall()
    plan = "\n".join(row[0] for row in rows)
    assert "Seq Scan" not in plan
    assert "Hash" not in plan
    assert "Merge" not in plan
