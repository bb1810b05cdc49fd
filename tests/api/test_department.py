"""Departments over HTTP: opened, renamed, archived when nobody is in them; who is in one has its rights at once."""

import asyncio
from uuid import uuid4

import pytest

from infrastructure.guard_check import verify
from infrastructure.personal_data import wrapping_of

pytestmark = pytest.mark.anyio


def code(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def named(**fields) -> dict:
    return {"name": f"Department {uuid4()}", **fields}


@pytest.fixture
def department(office):
    async def opened(**fields) -> str:
        answer = await office.admin.post("/departments", json=named(**fields))
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    return opened


@pytest.fixture
def put(office):
    """Puts somebody into a department."""

    async def into(person, department_id: str | None):
        return await office.admin.post(
            f"/users/{person.id}/department", json={"department_id": department_id}
        )

    return into


async def test_a_department_is_opened_and_shown(office):
    body = named(custom_id=f"d-{uuid4().hex}", description="Who sells.")
    made = await office.admin.post("/departments", json=body)
    assert (made.status_code, made.json()["version"]) == (201, 1)
    assert made.headers["location"] == f"/api/v1/departments/{made.json()['id']}"
    for ref in (made.json()["id"], body["custom_id"], body["custom_id"].upper()):
        shown = await office.admin.get(f"/departments/{ref}")
        assert shown.status_code == 200
        assert body.items() <= shown.json().items()
        assert (shown.json()["state"], shown.json()["version"]) == ("open", 1)
    listed = await office.admin.get("/departments", params={"filter": f'custom_id="{body["custom_id"]}"'})
    assert [each["id"] for each in listed.json()["data"]] == [made.json()["id"]]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": "x" * 129}, "/name"),
        ({"name": 7}, "/name"),
        ({"name": "A", "custom_id": str(uuid4())}, "/custom_id"),
        ({"name": "A", "custom_id": "a b"}, "/custom_id"),
        ({"name": "A", "custom_id": ""}, "/custom_id"),
        ({"name": "A", "members": []}, "/members"),
    ],
)
async def test_what_is_no_department_is_refused(office, body, pointer):
    async with office.nothing_stored():
        answer = await office.admin.post("/departments", json=body)
    assert code(answer) == (400, "body.invalid")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_names_and_custom_ids_are_taken_whatever_their_case(office):
    name, custom_id = f"Straße {uuid4()}", f"d-{uuid4().hex}"
    await office.admin.post("/departments", json={"name": name, "custom_id": custom_id})
    other = (await office.admin.post("/departments", json=named())).json()["id"]
    async with office.nothing_stored():
        for body, refusal in (
            ({"name": name.upper()}, "department.name_taken"),
            (named(custom_id=custom_id.upper()), "department.custom_id_taken"),
        ):
            assert code(await office.admin.post("/departments", json=body)) == (409, refusal)
            patched = {key: value for key, value in body.items() if refusal[11:] == f"{key}_taken"}
            assert code(await office.admin.patch(f"/departments/{other}", json=patched)) == (409, refusal)


async def test_one_name_asked_for_twice_at_once_is_given_once(office):
    body = named()
    answers = await asyncio.gather(*(office.admin.post("/departments", json=body) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]


async def test_a_department_is_renamed_and_its_old_name_is_free(office, department):
    old, new = f"Old {uuid4()}", f"New {uuid4()}"
    one = await department(name=old, custom_id=f"d-{uuid4().hex}")
    changed = await office.admin.patch(f"/departments/{one}", json={"name": new, "custom_id": None})
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    shown = (await office.admin.get(f"/departments/{one}")).json()
    assert (shown["name"], shown["custom_id"]) == (new, None)
    async with office.nothing_stored():
        assert (await office.admin.patch(f"/departments/{one}", json={"name": new})).json()["version"] == 2
    await department(name=old)
    entries = (await office.admin.get(f"/departments/{one}/history")).json()["data"]
    assert [entry["topic"] for entry in entries] == ["department.added.v1", "department.changed.v1"]


async def test_an_empty_department_is_archived_and_stays_so(office, department):
    name, custom_id = f"Short-lived {uuid4()}", f"d-{uuid4().hex}"
    one = await department(name=name, custom_id=custom_id)
    archived = await office.admin.post(f"/departments/{one}/archive", json={"reason": "merged"})
    assert archived.status_code == 200
    async with office.nothing_stored():
        again = await office.admin.post(f"/departments/{custom_id}/archive")
        assert (again.status_code, again.json()["version"]) == (200, 2)
        refused = await office.admin.patch(f"/departments/{one}", json={"name": "x"})
        assert code(refused) == (409, "department.archived")
        taken = await office.admin.post("/departments", json=named(custom_id=custom_id))
        assert code(taken) == (409, "department.custom_id_taken")
    assert (await office.admin.get(f"/departments/{custom_id}")).json()["state"] == "archived"
    listed = {"filter": f'custom_id="{custom_id}"'}
    assert (await office.admin.get("/departments", params=listed)).json()["data"] == []
    shown = await office.admin.get("/departments", params=listed | {"show_archived": "true"})
    assert len(shown.json()["data"]) == 1
    await department(name=name)


async def test_a_department_with_members_is_not_archived_whatever_became_of_them(office, department, put):
    one, anna = await department(), await office.user()
    await put(anna, one)
    for become in ({}, {"block": {"reason": "r"}}, {"deactivate": {}}):
        for command, body in become.items():
            done = await office.admin.post(f"/users/{anna.id}/{command}", json=body)
            assert done.status_code == 200
        async with office.nothing_stored():
            refused = await office.admin.post(f"/departments/{one}/archive")
            assert code(refused) == (409, "department.has_members")
            rehearsed = await office.admin.post(f"/departments/{one}/archive?dry_run=true")
            assert code(rehearsed) == (409, "department.has_members")
    await put(anna, None)
    assert (await office.admin.post(f"/departments/{one}/archive")).status_code == 200


async def test_of_an_archive_and_a_new_member_at_once_one_is_refused(office, department, put):
    people = [await office.user() for _ in range(4)]
    for _ in range(5):
        one = await department()
        first, *rest = await asyncio.gather(
            office.admin.post(f"/departments/{one}/archive"), *(put(person, one) for person in people)
        )
        members = [answer for answer in rest if answer.status_code == 200]
        assert (first.status_code == 200) is not bool(members)
        if members:
            assert code(first) == (409, "department.has_members")
        for refused in set(rest) - set(members):
            assert code(refused) == (422, "user.department_not_open")


async def test_append_itself_refuses_to_archive_around_a_member(office, department, put, monkeypatch):
    """The look before says nobody is there, as it may a moment too early."""
    one, anna = await department(), await office.user()
    await put(anna, one)
    looks = []

    async def any_in(department_id):
        looks.append(department_id)
        return len(looks) > 1

    monkeypatch.setattr(office.system.departments._members, "any_in", any_in)
    async with office.nothing_stored():
        refused = await office.admin.post(f"/departments/{one}/archive")
    assert code(refused) == (409, "department.has_members")
    assert len(looks) == 2


@pytest.mark.parametrize("archived", [True, False])
async def test_nobody_is_put_where_nobody_can_belong(office, department, put, archived):
    place, anna = str(uuid4()), await office.user()
    if archived:
        place = await department()
        await office.admin.post(f"/departments/{place}/archive")
    body = {"email": f"{uuid4()}@example.org", "first_name": "Anna", "last_name": "Berg"}
    right = {"scope_type": "global", "scope_id": "*", "module": "contract", "action": "view"}
    async with office.nothing_stored():
        for answer in (
            await put(anna, place),
            await office.admin.post("/users", json=body | {"department_id": place}),
        ):
            assert code(answer) == (422, "user.department_not_open")
            assert [error["pointer"] for error in answer.json()["errors"]] == ["/department_id"]
        granted = await office.admin.post(
            "/grants", json={"subject": {"type": "department", "id": place}, **right}
        )
        assert code(granted) == (422, "grant.invalid")


async def test_staff_opens_an_account_in_a_department(office, department):
    one = await department()
    body = {"email": f"{uuid4()}@example.org", "first_name": "Anna", "last_name": "Berg"}
    made = await office.admin.post("/users", json=body | {"department_id": one, "job_title": "Clerk"})
    assert made.status_code == 201
    shown = (await office.admin.get(f"/users/{made.json()['id']}")).json()
    assert (shown["department_id"], shown["job_title"]) == (one, "Clerk")
    found = await office.admin.get("/users", params={"filter": f"department_id={one}"})
    assert [each["id"] for each in found.json()["data"]] == [made.json()["id"]]
    assert code(await office.admin.post(f"/departments/{one}/archive")) == (409, "department.has_members")


async def test_the_rights_of_a_department_are_its_members_at_once_and_no_longer_than_they_are(
    office, department, put
):
    """Seed E, issue 0009: a fourth department has what is granted to it."""
    one, anna = await department(), await office.user()
    right = {"scope_type": "global", "scope_id": "*", "module": "organisation", "action": "create"}
    granted = await office.admin.post("/grants", json={"subject": {"type": "department", "id": one}, **right})
    assert granted.status_code == 201
    body = {"full_name": "By Anna"}
    assert code(await anna.client.post("/organisations", json=body)) == (403, "forbidden")
    before = (await anna.client.get("/me/permissions/snapshot")).json()
    await put(anna, one)
    assert (await anna.client.post("/organisations", json=body)).status_code == 201
    inside = (await anna.client.get("/me/permissions/snapshot")).json()
    assert inside["version"] > before["version"]
    assert right in inside["permissions"]
    async with office.nothing_stored():
        assert (await put(anna, one)).status_code == 200
    await put(anna, None)
    assert code(await anna.client.post("/organisations", json=body)) == (403, "forbidden")
    after = (await anna.client.get("/me/permissions/snapshot")).json()
    assert after["version"] > inside["version"]
    assert right not in after["permissions"]


async def test_nobody_but_an_administrator_moves_himself(office, department, put):
    """A department is rights, and nobody gives himself a right."""
    one, mover = await department(), await office.user("user:department")
    path, body = f"/users/{mover.id}/department", {"department_id": one}
    async with office.nothing_stored():
        assert code(await mover.client.post(path, json=body)) == (403, "user.department_of_oneself")
    admin = await office.user(role="admin")
    assert (await admin.client.post(f"/users/{admin.id}/department", json=body)).status_code == 200
    anna = await office.user()
    moved = await mover.client.post(f"/users/{anna.id}/department", json=body)
    assert moved.status_code == 200
    refused = await mover.client.post(f"/users/{admin.id}/department", json={"department_id": None})
    assert code(refused) == (403, "user.above_you")


async def test_moving_people_takes_the_right_to(office, department):
    one, moderator, anna = await department(), await office.user(role="moderator"), await office.user()
    body = {"department_id": one}
    async with office.nothing_stored():
        refused = await moderator.client.post(f"/users/{anna.id}/department", json=body)
        assert (code(refused), refused.json()["required"]) == ((403, "forbidden"), "user:department")
        unknown = await office.admin.post(f"/users/{uuid4()}/department", json=body)
        assert code(unknown) == (404, "user.unknown")
        for wrong in ({}, {"department_id": "sales"}, {"department_id": one, "x": 1}):
            answer = await office.admin.post(f"/users/{anna.id}/department", json=wrong)
            assert code(answer) == (400, "body.invalid")


async def test_departments_take_the_rights_to_them(office, department):
    one, other, plain = await department(), await department(), await office.user()
    viewer = await office.user("department:view", scope=("department", one))
    async with office.nothing_stored():
        for ask in (
            lambda client: client.get(f"/departments/{one}"),
            lambda client: client.get(f"/departments/{one}/history"),
            lambda client: client.patch(f"/departments/{one}", json={"name": "x"}),
            lambda client: client.post(f"/departments/{one}/archive"),
        ):
            assert (await ask(plain.client)).status_code == 404
        refused = await plain.client.post("/departments", json=named())
        assert (code(refused), refused.json()["required"]) == ((403, "forbidden"), "department:create")
        assert (await plain.client.get("/departments")).json()["data"] == []
        assert [each["id"] for each in (await viewer.client.get("/departments")).json()["data"]] == [one]
        assert (await viewer.client.get(f"/departments/{other}")).status_code == 404
        refused = await viewer.client.patch(f"/departments/{one}", json={"name": "x"})
        assert code(refused) == (403, "forbidden")
        for ref in (uuid4(), "nowhere", "x" * 121, "..%2f"):
            assert (await office.admin.get(f"/departments/{ref}")).status_code == 404
            assert (await office.admin.post(f"/departments/{ref}/archive")).status_code == 404


async def test_a_version_that_is_not_the_present_one_is_refused(office, department):
    one = await department()
    stale = {"If-Match": '"v7"'}
    async with office.nothing_stored():
        for answer in (
            await office.admin.patch(f"/departments/{one}", json=named(), headers=stale),
            await office.admin.post(f"/departments/{one}/archive", headers=stale),
        ):
            assert (answer.status_code, answer.json()["current"]) == (412, 1)


async def test_claims_and_memberships_follow_from_the_log(office, department, put):
    one, gone, anna = await department(custom_id=f"d-{uuid4().hex}"), await department(), await office.user()
    await put(anna, gone)
    await put(anna, one)
    await office.admin.post(f"/departments/{gone}/archive")
    found = await verify(office.addresses.app, wrapping_of(office.system.settings))
    assert [each for each in found if each.table in ("claims", "principals")] == []
