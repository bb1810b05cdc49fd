"""Users as others look them up: who sees whom, and what of them."""

import pytest

from tests.serving import ADMIN

pytestmark = pytest.mark.anyio

PHONE = "+33 1 40 20 50 50"


@pytest.fixture
async def colleague(office):
    return await office.user(first_name="Marie", last_name="Curie", phone=PHONE, job_title="Physicist")


async def test_everybody_knows_himself(office):
    user = await office.user(first_name="Marie", last_name="Curie", phone=PHONE)
    shown = (await user.client.get("/me")).json()
    assert (shown["id"], shown["email"], shown["phone"]) == (str(user.id), user.email, PHONE)
    assert (shown["display_name"], shown["role"], shown["state"]) == ("Curie Marie", "user", "active")
    assert {"version", "created_at", "updated_at", "must_change_password"} <= shown.keys()
    assert not {"password", "password_hash"} & shown.keys()
    assert (await user.client.get(f"/users/{user.id}")).json() == shown


async def test_me_is_conditional_like_any_record(office):
    user = await office.user()
    tag = (await user.client.get("/me")).headers["etag"]
    answer = await user.client.get("/me", headers={"If-None-Match": tag})
    assert (answer.status_code, answer.content) == (304, b"")
    other = await office.user()
    assert (await other.client.get("/me", headers={"If-None-Match": tag})).status_code == 200


async def test_contacts_are_for_who_may_view_them(office, colleague):
    plain, trusted = await office.user(), await office.user("user:view_contacts")
    moderator = await office.user(role="moderator")
    await office.admin.patch(f"/users/{colleague.id}", json={"phone": "+33 2 22 22 22 22"})
    for read in ("", "?as_of=v1"):
        hidden = (await plain.client.get(f"/users/{colleague.id}{read}")).json()
        assert hidden["display_name"] == "Curie Marie"
        assert not {"email", "phone"} & hidden.keys()
        for reader in (trusted, moderator):
            shown = (await reader.client.get(f"/users/{colleague.id}{read}")).json()
            assert shown["email"] == colleague.email
    for read in ("/history", "/diff?from=v1&to=v2"):
        assert PHONE not in (await plain.client.get(f"/users/{colleague.id}{read}")).text
        assert colleague.email not in (await plain.client.get(f"/users/{colleague.id}{read}")).text
        assert PHONE in (await trusted.client.get(f"/users/{colleague.id}{read}")).text


async def test_contacts_hide_from_lists_filters_and_orders_too(office, colleague):
    plain, trusted = await office.user(), await office.user("user:view_contacts")
    found = await plain.client.get("/users", params={"filter": 'name:"curie"'})
    assert str(colleague.id) in {each["id"] for each in found.json()["data"]}
    assert all(not {"email", "phone"} & each.keys() for each in found.json()["data"])
    for asked in (
        {"filter": f'email="{colleague.email}"'},
        {"filter": f"email:{colleague.email[:8]}"},
        {"filter": f'phone="{PHONE}"'},
        {"filter": "NOT phone=null AND state=active"},
        {"order_by": "email"},
        {"order_by": "phone desc, created_at"},
        {"fields": "id,email"},
        {"fields": "phone"},
    ):
        assert (await plain.client.get("/users", params=asked)).status_code == 400
        assert (await trusted.client.get("/users", params=asked)).status_code == 200
    by_email = await trusted.client.get("/users", params={"filter": f'email="{colleague.email.upper()}"'})
    assert [each["id"] for each in by_email.json()["data"]] == [str(colleague.id)]


async def test_a_token_of_a_page_is_no_way_around(office):
    plain, trusted = await office.user(), await office.user("user:view_contacts")
    asked = {"page_size": 1, "order_by": "email"}
    token = (await trusted.client.get("/users", params=asked)).json()["next_page_token"]
    for order in ({}, {"order_by": "email"}):
        answer = await plain.client.get("/users", params={"page_token": token, **order})
        assert answer.status_code == 400


async def test_there_is_no_user_of_that_name(office, colleague):
    for ref in ("00000000-0000-0000-0000-000000000000", "curie", str(colleague.id).upper(), colleague.email):
        for read in ("", "/history", "?as_of=v1", "/diff?from=v1&to=v1"):
            answer = await office.admin.get(f"/users/{ref}{read}")
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_the_directory_finds_by_the_parts_of_a_name_and_by_department(office, colleague):
    made = await office.admin.post("/departments", json={"name": f"Physics {colleague.id}"})
    body = {"department_id": made.json()["id"]}
    await office.admin.post(f"/users/{colleague.id}/department", json=body)
    plain = await office.user()
    for part in ("last_name=curie", "first_name:mar", 'name:"curie mar"', "sub={id}"):
        asked = f"{part.format(id=colleague.id)} AND department_id={made.json()['id']}"
        found = (await plain.client.get("/users", params={"filter": asked})).json()["data"]
        assert [each["id"] for each in found] == [str(colleague.id)]
        assert found[0]["department_id"] == made.json()["id"]


async def test_the_directory_filters_by_what_people_know(office, colleague):
    for asked, expected in (
        ("role=admin", False),
        ("job_title=physicist AND state=active", True),
        ("role=king", None),
    ):
        answer = await office.admin.get("/users", params={"filter": asked, "page_size": 100})
        if expected is None:
            assert (answer.status_code, answer.json()["code"]) == (400, "filter_wrong_type")
        else:
            assert (str(colleague.id) in {each["id"] for each in answer.json()["data"]}) is expected
    admins = (await office.admin.get("/users", params={"filter": "role=admin"})).json()["data"]
    assert ADMIN in {each["email"] for each in admins}


async def test_a_must_change_user_may_do_nothing_else_first(office):
    user = await office.user("organisation:view", must_change_password=True)
    place = await office.organisation()
    for answer in (
        await user.client.get(place),
        await user.client.patch(place, json={}),
        await user.client.get("/users"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "password_change_required")
    assert (await user.client.get("/me")).status_code == 200
    assert (await user.client.get("/auth/sessions")).status_code == 200
    assert (await user.client.get("/mexico")).status_code == 404
