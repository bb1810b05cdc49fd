"""The guards against the log: append kept them right, damage is named, a rebuild heals it and signs all out."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest
from cryptography.exceptions import InvalidTag

from domain.organisation.events import Identifiers, OrganisationAdded, OrganisationChanged
from domain.session.events import SessionClosed, SessionProved
from domain.shared import Principal, Responsible, RightGone, RightHeld
from domain.user.events import UserErased, UserRegistered, UserSignedOut
from domain.user.guards import EMAIL
from infrastructure import guard_check
from infrastructure.event_store import new_id
from infrastructure.guards import Guards
from infrastructure.personal_data import Wrapping
from tests import people
from tests.store import WRAPPING, open_store

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(dsn):
    async with open_store(dsn) as (opened, _):
        yield opened


@pytest.fixture
async def live(store):
    """Some of everything; the live sessions among it."""
    anna = await people.registered(store, role="admin", email="Anna@Example.org ")
    boris = await people.registered(store, email="boris@example.org")
    first, second, third = [await people.signed_in(store, anna) for _ in range(3)]
    await people.append(store, first, SessionProved(proved_at=datetime.now(UTC)), expected=1)
    await people.append(store, second, SessionClosed(reason="signed_out"), expected=1)
    await people.signed_in(store, boris)
    await people.append(store, boris, UserSignedOut(), expected=1)
    await people.append(store, boris, UserSignedOut(), expected=2)  # though nothing is left to end
    moved = new_id()
    await people.append(store, moved, OrganisationAdded(full_name="A", identifiers=Identifiers(inn="1")))
    await people.append(store, moved, OrganisationChanged(identifiers=Identifiers(inn="2")), expected=1)
    await people.append(store, new_id(), OrganisationAdded(full_name="B", identifiers=Identifiers(inn="1")))
    return {first, third}


def execute(owner_dsn, *statements):
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        return [connection.execute(statement) and None for statement in statements]


async def test_what_append_kept_is_what_the_log_says(live, dsn, owner_dsn):
    assert await guard_check.verify(dsn, WRAPPING) == []
    assert await guard_check.verify(owner_dsn, WRAPPING) == []


async def test_damage_is_named(live, dsn, owner_dsn):
    execute(
        owner_dsn,
        "update principals set role = 'admin' where role = 'user'",
        "delete from claims where kind = 'user.admin'",
        "insert into claims values ('organisation.inn_kpp', '3:', gen_random_uuid())",
        "update sessions set ended = false",
        "insert into responsibles values (gen_random_uuid(), gen_random_uuid())",
        "insert into rights values (gen_random_uuid(), 'user', gen_random_uuid(), 'global', '*', 'm', 'a', true)",
    )
    found = await guard_check.verify(dsn, WRAPPING)
    said = sorted(str(each).split(": ", 1)[1] for each in found)
    assert said == [
        "ended is False, the log says True",
        "ended is False, the log says True",
        *["extra, the log knows nothing of it"] * 3,
        "missing",
        "role is admin, the log says user",
    ]
    assert not any("example.org" in str(each) for each in found)


async def test_a_rebuild_heals_and_signs_everybody_out(live, dsn, owner_dsn):
    execute(
        owner_dsn,
        "delete from claims",
        "delete from principals",
        "update sessions set ended = not ended",
        "insert into responsibles values (gen_random_uuid(), gen_random_uuid())",
    )
    done = await guard_check.rebuild(owner_dsn, WRAPPING)
    assert done.sessions_ended == len(live)
    assert done.rows["principals"] == 2
    assert await guard_check.verify(dsn, WRAPPING) == []
    with psycopg.connect(owner_dsn) as connection:
        assert connection.execute("select count(*) from sessions where not ended").fetchone() == (0,)
        closed = connection.execute(
            "select originator_id, originator_version from stored_events where notification_id > %s",
            (done.position,),
        ).fetchall()
        assert {stream for stream, _ in closed} == live
        assert connection.execute("select count(*) = max(notification_id) from stored_events").fetchone() == (
            True,
        )
    assert (await guard_check.rebuild(owner_dsn, WRAPPING)).sessions_ended == 0


async def test_a_rebuild_beside_writers_loses_nobodys_claim(store, dsn, owner_dsn):
    writing = True

    async def write():
        number = 0
        while writing:
            await people.registered(store, email=f"{number}@example.org")
            number += 1
        return number

    task = asyncio.create_task(write())
    for _ in range(3):
        await guard_check.rebuild(owner_dsn, WRAPPING)
        assert await guard_check.verify(dsn, WRAPPING) == [], "in its snapshot, though the log grows"
    writing = False
    assert await task > 3
    assert await guard_check.verify(dsn, WRAPPING) == []


async def test_an_erased_persons_released_claim_is_expected_no_more(store, dsn, owner_dsn):
    user = await people.registered(store, email="gone@example.org")
    execute(
        owner_dsn,
        f"update subject_keys set wrapped = null, destroyed_at = now() where subject_id = '{user}'",
        f"delete from claims where kind = '{EMAIL}' and owner = '{user}'",
    )
    assert await guard_check.verify(dsn, WRAPPING) == []


async def test_another_installations_key_opens_nothing(live, dsn):
    with pytest.raises(InvalidTag):
        await guard_check.verify(dsn, Wrapping(b"k" * 32))


async def test_a_session_opened_beside_a_sign_out_is_judged_in_the_order_of_the_log(store, dsn):
    """In one batch they would not be: guards are applied list by list."""
    user = await people.registered(store)
    for version in range(1, 6):
        await asyncio.gather(
            *(people.append(store, new_id(), OrganisationAdded(full_name="busy")) for _ in range(3)),
            people.append(store, user, UserSignedOut(), expected=version),
            people.signed_in(store, user),
        )
    assert await guard_check.verify(dsn, WRAPPING) == []


RULES = {
    "user.registered.v1": lambda stream, event: (
        Principal(role=event.role, state="active", department_id=None, must_change_password=False),
        RightHeld(
            subject_kind="user", subject_id=stream, scope_type="own", scope_id="*", module="m", action="a",
            expires_at=datetime(2030, 1, 1, tzinfo=UTC),
        ),
        Responsible(user_id=stream),
    ),
    "user.signed_out.v1": lambda stream, event: (Principal(state="blocked"), RightGone(), Responsible(user_id=None)),
}  # fmt: skip


async def test_rights_responsibles_and_partial_principals_replay_as_append_applies_them(
    store, dsn, monkeypatch
):
    """With rules of this test's own: no noun uses these guards yet."""
    monkeypatch.setattr(Guards, "of", lambda _, stream, event: RULES[event.TOPIC](stream, event))
    gone, stays = uuid4(), uuid4()
    for user in (gone, stays):
        await people.append(store, user, UserRegistered(email=f"{user}@example.org", role="user"))
    await people.append(store, gone, UserSignedOut(), expected=1)
    assert await guard_check.verify(dsn, WRAPPING) == []
    with psycopg.connect(dsn) as connection:
        assert connection.execute("select state from principals where user_id = %s", (gone,)).fetchone() == (
            "blocked",
        )
        assert connection.execute("select grant_id from rights").fetchall() == [(stays,)]
        assert connection.execute("select record_id from responsibles").fetchall() == [(stays,)]


async def test_a_key_that_was_brought_back_is_named_and_destroyed_again(live, store, dsn, owner_dsn):
    kevin = await people.registered(store, email="kevin@example.org")
    key = f"subject_id = '{kevin}'"
    execute(owner_dsn, f"create table older as select * from subject_keys where {key}")
    await people.append(store, kevin, UserErased(reason="asked for it"), expected=1)
    assert await guard_check.verify(dsn, WRAPPING) == []
    execute(
        owner_dsn,
        f"update subject_keys k set wrapped = o.wrapped, destroyed_at = null from older o where k.{key}",
    )
    (found,) = await guard_check.verify(dsn, WRAPPING)
    assert str(found) == f"subject_keys {kevin}: destroyed is False, the log says True"
    await guard_check.rebuild(owner_dsn, WRAPPING)
    assert await guard_check.verify(dsn, WRAPPING) == []
