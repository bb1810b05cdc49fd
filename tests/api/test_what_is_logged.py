"""What the audit log has of a day: every event, sign-ins, step-ups and exports; by whom, from where, by what right."""

from uuid import UUID, uuid4

import pytest

from tests.serving import PASSWORD

pytestmark = pytest.mark.anyio
FROM_WHERE = {"User-Agent": "Zoe's browser", "X-Request-Id": "what-is-logged"}


async def entries(office, **wanted) -> list[dict]:
    """Oldest first."""
    asked = " AND ".join(f"{name}={value}" for name, value in wanted.items())
    found = await office.admin.get("/audit/entries", params={"filter": asked, "page_size": 100})
    return found.json()["data"][::-1]


async def told(office, topic, **wanted) -> dict:
    """The one entry of this topic; all of it that stands beside the fact is there."""
    (entry,) = await entries(office, topic=topic, **wanted)
    assert (entry["address"], entry["agent"]) == ("127.0.0.1", "Zoe's browser")
    assert entry["request_id"] == "what-is-logged"
    stored = office.owner.execute(
        "select convert_from(metadata, 'utf8') from stored_events where notification_id = %s",
        (entry["position"],),
    ).fetchone()[0]
    assert "browser" not in stored
    assert "127.0.0.1" not in stored
    return entry


@pytest.fixture
async def zoe(office):
    """Somebody with a few rights, who signs in from a browser of hers."""
    made = await office.user("organisation:create", "user:export", "organisation:view")
    made.client.headers.update(FROM_WHERE)
    return made


async def test_a_sign_in_a_step_up_and_a_sign_out_are_events(office, zoe):
    answer = await office.stranger.post(
        "/auth/login", json={"login": zoe.email, "password": PASSWORD}, headers=FROM_WHERE
    )
    session = answer.json()["session_id"]
    me = {"kind": "user", "id": str(zoe.id)}
    opened = await told(office, "session.opened.v1", subject=session)
    assert (opened["actor"], opened["allowed_by"]) == (me, "self")
    assert (opened["data"]["user_id"], opened["data"]["method"]) == (str(zoe.id), "password")
    client = {"Authorization": f"Bearer {answer.json()['access_token']}"} | FROM_WHERE
    (
        await office.stranger.post("/auth/step-up", json={"password": PASSWORD}, headers=client)
    ).raise_for_status()
    proved = await told(office, "session.proved.v1", subject=session)
    assert (proved["actor"], proved["session_id"], proved["allowed_by"]) == (me, session, "self")
    (await office.stranger.post("/auth/logout", json={}, headers=client)).raise_for_status()
    closed = await told(office, "session.closed.v1", subject=session)
    assert (closed["actor"], closed["session_id"], closed["data"]["reason"]) == (me, session, "signed_out")


async def test_whoever_takes_data_out_is_in_the_log_with_the_right_that_he_used(office, zoe):
    asked = {"list": "organisations", "format": "csv", "filter": 'name="Alpha"'}
    (await zoe.client.post("/exports", json=asked)).raise_for_status()
    requested = await told(office, "export.requested.v1", actor=zoe.id)
    assert (requested["data"]["list"], requested["data"]["filter"]) == ("organisations", 'name="Alpha"')
    assert right_of(office, requested) == "organisation:view"
    anna = await office.user()
    (await zoe.client.get(f"/users/{anna.id}/personal-data")).raise_for_status()
    given = await told(office, "user.exported.v1", subject=anna.id)
    assert given["actor"]["id"] == str(zoe.id)
    assert right_of(office, given) == "user:export"


async def test_a_change_names_the_grant_it_rests_on_and_an_administrators_his_role(office, zoe):
    made = (await zoe.client.post("/organisations", json={"full_name": "Alpha"})).raise_for_status()
    added = await told(office, "organisation.added.v1", subject=made.json()["id"])
    assert right_of(office, added) == "organisation:create"
    assert UUID(added["session_id"])
    assert added["client"] is None
    changed = await office.admin.patch(f"/organisations/{made.json()['id']}", json={"short_name": "A"})
    (entry,) = await entries(office, position=changed.json()["position"])
    assert entry["allowed_by"] == "role:admin"


def right_of(office, entry) -> str:
    """What the grant gives that the entry rests on."""
    module, action = office.owner.execute(
        "select module, action from rights where grant_id = %s", (entry["allowed_by"],)
    ).fetchone()
    return f"{module}:{action}"


async def test_every_event_there_is_has_an_entry_and_says_by_whom_and_on_what_it_rests(office, zoe):
    (await zoe.client.post("/organisations", json={"full_name": uuid4().hex})).raise_for_status()
    await office.admin.get("/users")  # read models follow
    count, last = office.owner.execute("select count(*), max(notification_id) from stored_events").fetchone()
    async with office.system.pool.connection() as connection:
        rows = await connection.execute("select count(*), max(position) from read.audit_entry")
        assert await rows.fetchone() == (count, last)
    log, at = office.system.log, 0
    while stored := await log.read(at, 500):
        at = stored[-1].position
        for recorded in await log.open(stored):
            said = recorded.metadata
            assert said.allowed_by, recorded.topic
            assert said.request_id, recorded.topic
            assert said.actor.kind in ("user", "client", "service", "system", "anonymous")
    assert at == last
