"""The feed of changed permissions: whoever follows it alone knows what everybody may do, now and later."""

import random
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from msgspec import structs

from application.permission import snapshot
from domain.grant.events import GrantChanged, GrantExpired, GrantGiven, GrantRevoked, Subject
from domain.module.events import ModuleChanged, ModuleRegistered, module_id
from domain.user.events import (
    UserBlocked,
    UserDeactivated,
    UserDepartmentChanged,
    UserReactivated,
    UserRegistered,
    UserRoleChanged,
    UserUnblocked,
)
from infrastructure.event_store import new_id
from projections.permission_change import projection
from tests import people
from tests.api.test_grant import code, given
from workers.rebuild import compare

pytestmark = pytest.mark.anyio

FEED = "/permissions/changes"
ROLES = ("user", "moderator", "admin")


class Consumer:
    """A system that keeps what it was told: forget what is named, keep what is said."""

    def __init__(self, client, after=0):
        self.client, self.after = client, after
        self.held = {}

    async def follow(self, limit=100):
        more = True
        while more:
            answer = await self.client.get(FEED, params={"after": self.after, "limit": limit})
            assert answer.status_code == 200, answer.text
            body = answer.json()
            for entry in body["data"]:
                assert entry["position"] > self.after
                held = self.held.setdefault(entry["sub"], {})
                for one in (*entry["removed"], *entry["added"]):
                    held.pop(key(one), None)
                for one in entry["added"]:
                    held.setdefault(key(one), []).append(one)
            assert body["next_after"] >= self.after
            self.after, more = body["next_after"], body["has_more"]

    def may(self, sub, instant):
        """As a snapshot says it."""
        found = {}
        for right, windows in self.held.get(str(sub), {}).items():
            ends = [
                end(one)
                for one in windows
                if begin(one) <= instant and (end(one) is None or instant < end(one))
            ]
            if ends:
                found[right] = None if None in ends else max(ends)
        return found


def key(one):
    return one["scope_type"], one["scope_id"], one["module"], one["action"]


def begin(one):
    return datetime.fromisoformat(one.get("not_before", "0001-01-01T00:00:00Z"))


def end(one):
    return datetime.fromisoformat(one["expires_at"]) if "expires_at" in one else None


class History:
    """Whatever can happen to rights, at random, straight into the log."""

    def __init__(self, office, seed):
        self.store, self.dice = office.system.execute._store, random.Random(seed)
        self.users, self.departments = [new_id() for _ in range(4)], [uuid4(), uuid4(), None]
        self.module, self.versions, self.grants, self.state = f"tw{uuid4().hex[:8]}", {}, {}, {}
        self.scopes = [("global", "*"), ("organisation", str(uuid4())), ("own", "*")]

    async def put(self, stream, event):
        version = self.versions.get(stream, 0)
        await people.append(self.store, stream, event, expected=version)
        self.versions[stream] = version + 1

    async def begin(self):
        for user in self.users:
            role = self.dice.choice(ROLES)
            self.state[user] = ("active", role)
            await self.put(
                user,
                UserRegistered(
                    email=f"{user}@example.org", role=role, department_id=self.dice.choice(self.departments)
                ),
            )

    async def step(self):
        steps = (
            self.grant,
            self.grant,
            self.grant,
            self.end,
            self.block,
            self.role,
            self.move,
            self.register,
        )
        await self.dice.choice(steps)()

    async def grant(self):
        subject = self.dice.choice(
            [Subject(type="user", id=each) for each in self.users]
            + [Subject(type="department", id=each) for each in self.departments if each]
        )
        scope, right = (
            self.dice.choice(self.scopes),
            self.dice.choice(["contract:sign", "user:view", "foreign"]),
        )
        module, action = (self.module, "edit") if right == "foreign" else right.split(":")
        now = datetime.now(UTC)
        begins, ends = (self.dice.choice([None, None, None, -2, -1, 1, 2, 4]) for _ in range(2))
        event = GrantGiven(
            subject=subject, scope_type=scope[0], scope_id=scope[1], module=module, action=action,
            not_before=None if begins is None else now + timedelta(hours=begins),
            expires_at=None if ends is None else now + timedelta(hours=ends),
        )  # fmt: skip
        grant_id = event.stream_id
        if self.grants.get(grant_id):
            event = GrantChanged(**structs.asdict(event))
        self.grants[grant_id] = True
        await self.put(grant_id, event)

    async def end(self):
        if held := [each for each, there in self.grants.items() if there]:
            grant_id = self.dice.choice(held)
            self.grants[grant_id] = False
            ended = self.dice.choice(
                [GrantRevoked(reason="left"), GrantExpired(expired_at=datetime.now(UTC))]
            )
            await self.put(grant_id, ended)

    async def block(self):
        user = self.dice.choice(self.users)
        state, role = self.state[user]
        new, event = {
            "active": self.dice.choice(
                [("blocked", UserBlocked(reason="holidays")), ("deactivated", UserDeactivated())]
            ),
            "blocked": ("active", UserUnblocked(role=role)),
            "deactivated": ("active", UserReactivated(role=role)),
        }[state]
        self.state[user] = (new, role)
        await self.put(user, event)

    async def role(self):
        user, role = self.dice.choice(self.users), self.dice.choice(ROLES)
        state, _ = self.state[user]
        self.state[user] = (state, role)
        await self.put(user, UserRoleChanged(role=role, active=state == "active"))

    async def move(self):
        department = self.dice.choice(self.departments)
        await self.put(self.dice.choice(self.users), UserDepartmentChanged(department_id=department))

    async def register(self):
        actions = tuple(sorted(self.dice.sample(["edit", "view", "sign"], self.dice.randint(1, 3))))
        kind = ModuleChanged if self.versions.get(module_id(self.module)) else ModuleRegistered
        event = kind(module=self.module, actions=actions, scope_types=("site",))
        await self.put(module_id(self.module), event)


@pytest.mark.parametrize("seed", range(6))
async def test_the_feed_alone_tells_what_a_snapshot_would(office, seed):
    history, consumer = History(office, seed), Consumer(office.admin)
    await history.begin()
    for _ in range(12):
        for _ in range(6):
            await history.step()
        await consumer.follow(limit=history.dice.choice([1, 3, 100]))
        for user in history.users:
            for later in (0, 1.5, 3, 5):
                instant, said = await snapped(office, user, later)
                assert consumer.may(user, instant) == said


@pytest.mark.parametrize("seed", range(6, 9))
async def test_a_snapshot_and_the_feed_from_its_position_on_tell_what_the_next_would(office, seed):
    history = History(office, seed)
    await history.begin()
    for _ in range(8):
        for _ in range(10):
            await history.step()
        for user in history.users:
            first = await office.system.permissions.snapshot(user)
            consumer = Consumer(office.admin, first.position)
            one_by_one = [
                {"expires_at": each.expires_at and each.expires_at.isoformat()} for each in first.permissions
            ]
            consumer.held[str(user)] = {
                (each.scope_type, each.scope_id, each.module, each.action): [
                    {name: text for name, text in window.items() if text}
                ]
                for each, window in zip(first.permissions, one_by_one, strict=True)
            }
            for _ in range(3):
                await history.step()
            await consumer.follow()
            instant, said = await snapped(office, user)
            assert consumer.may(user, instant) == said


async def test_built_again_the_feed_says_the_same(office):
    history = History(office, 9)
    await history.begin()
    for _ in range(60):
        await history.step()
    await office.transport._follow()
    built = await compare(office.system.settings.database_url, office.system.log, projection)
    assert built.comparison.equal


async def snapped(office, user, hours=0):
    """What the snapshot says then, should nothing happen until then but the clock."""
    held = await office.system.permissions._read(user)
    instant = held.now + timedelta(hours=hours)
    found = snapshot(user, structs.replace(held, now=instant))
    return instant, {
        (one.scope_type, one.scope_id, one.module, one.action): one.expires_at for one in found.permissions
    }


# --- one entry ---------------------------------------------------------------------------------------------------


async def changes(client, after, **parameters):
    answer = await client.get(FEED, params={"after": after} | parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_entry_says_what_who_when_and_by_which_grant(office):
    anna, before = await office.user(), await office.head()
    made = await given(office.admin, anna.id, "contract:sign", expires_at="2999-01-01T00:00:00Z")
    version = (await anna.client.get("/me/permissions/snapshot")).json()["version"]
    revoked = await office.admin.post(f"/grants/{made['id']}/revoke", json={"reason": "left"})
    me = (await office.admin.get("/me")).json()["id"]
    right = {"scope_type": "global", "scope_id": "*", "module": "contract", "action": "sign"}
    page = await changes(office.admin, before)
    gave, took = page["data"]
    assert (gave["added"], gave["removed"]) == ([right | {"expires_at": "2999-01-01T00:00:00Z"}], [])
    assert (took["added"], took["removed"]) == ([], gave["added"])
    assert [each["topic"] for each in (gave, took)] == ["grant.given.v1", "grant.revoked.v1"]
    assert {each["grant"] for each in (gave, took)} == {made["id"]}
    assert {each["sub"] for each in (gave, took)} == {str(anna.id)}
    assert gave["subject"] == {"type": "user", "id": str(anna.id)}
    assert gave["actor"] == {"kind": "user", "id": me}
    assert gave["version"] == gave["position"] == made["position"] == version
    assert took["version"] == revoked.json()["position"] == page["next_after"]
    assert page["has_more"] is False


async def test_who_is_blocked_loses_everything_and_has_it_again_when_unblocked(office):
    anna = await office.user("contract:sign")
    await given(office.admin, anna.id, "contract:edit")
    before = await office.head()
    await office.admin.post(f"/users/{anna.id}/block", json={"reason": "holidays"})
    assert (await office.system.permissions.snapshot(anna.id)).permissions == ()
    await office.admin.post(f"/users/{anna.id}/unblock", json={})
    lost, back = (await changes(office.admin, before))["data"]
    assert {(one["module"], one["action"]) for one in lost["removed"]} == {
        ("user", "view"),
        ("contract", "edit"),
    }
    assert (lost["added"], back["removed"], back["added"]) == ([], [], lost["removed"])


async def test_what_a_role_gives_anyway_is_neither_added_nor_removed(office):
    boss, before = await office.user(role="admin"), await office.head()
    made = await given(office.admin, boss.id, "contract:sign")
    await office.admin.post(f"/grants/{made['id']}/revoke", json={"reason": "left"})
    assert [(each["added"], each["removed"]) for each in (await changes(office.admin, before))["data"]] == [
        ([], []),
        ([], []),
    ]


async def test_a_departments_grant_reaches_each_member_and_a_page_never_splits_a_position(office):
    sales = uuid4()
    members = [await office.user(department_id=sales) for _ in range(3)]
    before = await office.head()
    right = GrantGiven(
        subject=Subject(type="department", id=sales),
        scope_type="own",
        scope_id="*",
        module="contract",
        action="view",
    )
    await people.append(office.system.execute._store, right.stream_id, right)
    await given(office.admin, members[0].id, "contract:edit")
    first = await changes(office.admin, before, limit=1)
    assert {each["sub"] for each in first["data"]} == {str(each.id) for each in members}
    assert (first["has_more"], first["next_after"]) == (True, before + 1)
    second = await changes(office.admin, first["next_after"], limit=1)
    assert [each["sub"] for each in second["data"]] == [str(members[0].id)]


async def test_positions_that_change_nobodys_rights_are_passed_over(office):
    before = await office.head()
    await office.organisation()
    page = await changes(office.admin, before)
    assert (page["data"], page["next_after"]) == ([], await office.head())


async def test_the_feed_is_for_those_who_may_view_all_grants(office):
    anna, boris = (
        await office.user("grant:view"),
        await office.user("grant:view", scope=("organisation", str(uuid4()))),
    )
    assert (await anna.client.get(FEED)).status_code == 200
    assert code(await boris.client.get(FEED)) == (403, "forbidden")
    assert (await office.stranger.get(FEED)).status_code == 401


@pytest.mark.parametrize("query", ["after=-1", "limit=0", "after=x", "limit=-5", "after=1.5", "after="])
async def test_a_place_that_is_none_is_refused(office, query):
    assert (await office.admin.get(f"{FEED}?{query}")).status_code == 400


async def test_a_position_that_was_never_given_is_refused(office):
    """After a restore to an earlier point a consumer learns that he knows too much."""
    answer = await office.admin.get(FEED, params={"after": await office.head() + 1000})
    assert code(answer) == (400, "position.unknown")


async def test_a_feed_that_is_behind_says_so_to_who_waits_for_it(office):
    anna = await office.user()
    made = await given(office.admin, anna.id, "contract:sign")
    office.transport.follows = False
    try:
        made = await given(office.admin, anna.id, "contract:edit")
        at_least = {"X-Min-Position": str(made["position"])}
        answer = await office.admin.get(FEED, headers=at_least)
    finally:
        office.transport.follows = True
    assert code(answer) == (503, "projection_behind")
    assert answer.headers["retry-after"] == "1"
    assert (await office.admin.get(FEED, headers=at_least)).status_code == 200
