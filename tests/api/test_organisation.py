"""Organisations over HTTP: what is kept, what is refused, what each caller may do and see, and how they are listed."""

import asyncio
from itertools import count
from uuid import uuid4

import pytest

pytestmark = pytest.mark.anyio

_numbers = count(1_000_000_000)


def inn() -> str:
    """Nobody else's."""
    return str(next(_numbers))


def of(place: str) -> str:
    return place.rpartition("/")[2]


async def listed(client, **asked) -> list[str]:
    answer = await client.get("/organisations", params=asked)
    assert answer.status_code == 200, answer.text
    return [each["full_name"] for each in answer.json()["data"]]


# --- what is kept -------------------------------------------------------------------------------------------


async def test_everything_that_is_said_of_an_organisation_is_read_back(office):
    manager = await office.user()
    said = {
        "full_name": "La Poste",
        "short_name": "LP",
        "identifiers": {"siren": "356000000", "nic": "00048", "tax_id": "FR39356000000"},
        "addresses": {
            "legal": {"text": "9 rue du Colonel Pierre Avia", "postal_code": "75015", "country": "FR"}
        },
        "management": {"position": "PDG", "name": "Marie Curie"},
        "region_code": "75",
        "is_gov": True,
        "activity_code": "53.10Z",
        "headcount_band": "52",
        "started_on": "1991-01-01",
        "account_manager_id": str(manager.id),
    }
    place = (await office.admin.post("/organisations", json=said)).headers["location"].removeprefix("/api/v1")
    shown = (await office.admin.get(place)).json()
    assert said.items() <= shown.items()
    assert {
        "id",
        "version",
        "state",
        "created_at",
        "updated_at",
        "is_military",
        "is_liquidated",
    } <= shown.keys()
    assert (shown["version"], shown["state"]) == (1, "active")


async def test_a_change_merges_and_null_clears(office):
    place = await office.organisation(
        short_name="A", identifiers={"inn": (number := inn()), "ogrn": "1027700132195"}
    )
    change = {"short_name": None, "identifiers": {"ogrn": None, "kpp": "773601001"}, "region_code": "77"}
    assert (await office.admin.patch(place, json=change)).status_code == 200
    shown = (await office.admin.get(place)).json()
    assert (shown["short_name"], shown["region_code"]) == (None, "77")
    assert shown["identifiers"] == {"inn": number, "kpp": "773601001"}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"full_name": ""}, "/full_name"),
        ({"full_name": "   "}, "/full_name"),
        ({"full_name": None}, "/full_name"),
        ({"full_name": "x" * 1001}, "/full_name"),
        ({"short_name": ""}, "/short_name"),
        ({"short_name": "x" * 256}, "/short_name"),
        ({"identifiers": {"inn": "12"}}, "/identifiers/inn"),
        ({"identifiers": {"inn": "٧٧٠٧٠٨٣٨٩٣"}}, "/identifiers/inn"),
        ({"identifiers": {"siren": "356000000\n0"}}, "/identifiers/siren"),
        ({"started_on": "1991-02-30"}, "/started_on"),
        ({"is_gov": "yes"}, "/is_gov"),
        ({"is_gov": 1}, "/is_gov"),
        ({"account_manager_id": "me"}, "/account_manager_id"),
        ({"addresses": {"legal": {}}}, "/addresses/legal/text"),
        ({"identifiers": {"inn": "7707083893", "vat": "1"}}, "/identifiers/vat"),
        ({"colour": "red"}, "/colour"),
    ],
)
async def test_a_wrong_field_is_named(office, body, pointer):
    place = await office.organisation()
    async with office.nothing_stored():
        change = await office.admin.patch(place, json=body)
        add = await office.admin.post("/organisations", json={"full_name": "A", **body})
    for answer in (change, add):
        assert (answer.status_code, answer.json()["code"]) == (400, "body.invalid")
        assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]


async def test_all_wrong_fields_come_at_once(office):
    answer = await office.admin.post(
        "/organisations", json={"is_gov": 1, "identifiers": {"inn": 7}, "colour": "red"}
    )
    assert {each["pointer"] for each in answer.json()["errors"]} == {
        "/colour",
        "/full_name",
        "/identifiers/inn",
        "/is_gov",
    }


async def test_a_wrong_check_digit_is_accepted_with_a_warning(office):
    answer = await office.admin.post(
        "/organisations", json={"full_name": "A", "identifiers": {"inn": inn(), "siren": "356000001"}}
    )
    assert answer.status_code == 201
    assert [each["pointer"] for each in answer.json()["warnings"]] == [
        "/identifiers/inn",
        "/identifiers/siren",
    ]
    right = await office.admin.post(
        "/organisations",
        json={"full_name": "A", "identifiers": {"inn": "7707083893", "ogrn": "1027700132195"}},
    )
    assert "warnings" not in right.json()


@pytest.mark.parametrize(
    "name", ["شركة الاتصالات", "Ça va ĕt c̈", "\u202eevil\u202c", "👩‍👩‍👧 GmbH", "a'; drop table x--"]
)
async def test_a_name_in_any_script_is_kept_as_given_in_nfc(office, name):
    place = await office.organisation(full_name=f"  {name}  ")
    shown = (await office.admin.get(place)).json()["full_name"]
    assert shown == name.replace("ĕ", "ĕ").replace("c̈", "c̈")
    found = await office.admin.get("/organisations", params={"filter": f'name="{name}"'})
    assert of(place) in {each["id"] for each in found.json()["data"]}


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", [("inn", "kpp", "773601001"), ("siren", "nic", "00048")])
async def test_of_two_with_the_same_numbers_one_is_added_and_named_to_the_other(office, pair):
    number, part, value = pair
    same = {
        "full_name": "A",
        "identifiers": {number: inn()[-9:] if number == "siren" else inn(), part: value},
    }
    clients = (office.admin, (await office.user("organisation:create")).client)
    answers = await asyncio.gather(*(client.post("/organisations", json=same) for client in clients * 4))
    (added,) = [answer for answer in answers if answer.status_code == 201]
    refused = [answer for answer in answers if answer.status_code != 201]
    assert {(a.status_code, a.json()["code"]) for a in refused} == {(409, "organisation.duplicate")}
    assert all(a.json()["candidates"][0]["id"] == added.json()["id"] for a in refused)
    sibling = {**same, "identifiers": {**same["identifiers"], part: value[::-1]}}
    assert (await office.admin.post("/organisations", json=sibling)).status_code == 201


async def test_numbers_given_up_are_free_and_an_archived_one_keeps_its_own(office):
    first, second = inn(), inn()
    place = await office.organisation(identifiers={"inn": first})
    await office.admin.patch(place, json={"identifiers": {"inn": second}})
    await office.organisation(identifiers={"inn": first})
    back = await office.admin.patch(place, json={"identifiers": {"inn": first}})
    assert (back.status_code, back.json()["code"]) == (409, "organisation.duplicate")
    await office.admin.post(f"{place}/archive")
    taken = await office.admin.post("/organisations", json={"full_name": "B", "identifiers": {"inn": second}})
    assert (taken.status_code, taken.json()["candidates"][0]["id"]) == (409, of(place))


async def test_an_archived_organisation_stays_readable_and_cannot_be_changed(office):
    place = await office.organisation()
    assert (await office.admin.post(f"{place}/archive", json={"reason": "Closed"})).status_code == 200
    assert (await office.admin.get(place)).json()["state"] == "archived"
    answer = await office.admin.patch(place, json={"short_name": "A"})
    assert (answer.status_code, answer.json()["code"]) == (409, "organisation.archived")


async def test_the_account_manager_is_an_active_user(office):
    answer = await office.admin.post(
        "/organisations", json={"full_name": "A", "account_manager_id": str(uuid4())}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "organisation.account_manager_unknown")
    assert answer.json()["errors"][0]["pointer"] == "/account_manager_id"


async def test_another_nouns_id_is_no_organisation(office):
    user = await office.user()
    place = f"/organisations/{user.id}"
    asked = (
        office.admin.get(place),
        office.admin.get(f"{place}/history"),
        office.admin.get(f"{place}?as_of=v1"),
        office.admin.patch(place, json={"short_name": "A"}),
        office.admin.post(f"{place}/archive"),
    )
    assert [answer.status_code for answer in await asyncio.gather(*asked)] == [404] * 5


# --- who may ------------------------------------------------------------------------------------------------


async def test_who_has_no_right_sees_nothing_and_is_told_what_is_missing(office):
    place, nobody = await office.organisation(), await office.user()
    assert await listed(nobody.client) == []
    for read in ("", "?as_of=v1", "/history", "/diff?from=v1&to=v1"):
        assert (await nobody.client.get(f"{place}{read}")).status_code == 404
    async with office.nothing_stored():
        assert (await nobody.client.patch(place, json={"short_name": "A"})).status_code == 404
        assert (await nobody.client.post(f"{place}/archive")).status_code == 404
        answer = await nobody.client.post("/organisations", json={"full_name": "A"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert answer.json()["required"] == "organisation:create"


async def test_who_may_view_may_not_change(office):
    place, viewer = await office.organisation(), await office.user("organisation:view")
    assert (await viewer.client.get(place)).status_code == 200
    for answer, right in (
        (await viewer.client.patch(place, json={"short_name": "A"}), "organisation:edit"),
        (await viewer.client.post(f"{place}/archive"), "organisation:archive"),
    ):
        assert (answer.status_code, answer.json()["required"]) == (403, right)


async def test_a_right_on_one_organisation_is_a_right_on_that_one(office):
    one, other = await office.organisation(full_name="One"), await office.organisation(full_name="Other")
    rights = ("organisation:view", "organisation:edit", "organisation:create")
    clerk = await office.user(*rights, scope=("organisation", of(one)))
    assert await listed(clerk.client) == ["One"]
    assert (await clerk.client.get(one)).status_code == 200
    assert (await clerk.client.patch(one, json={"short_name": "A"})).status_code == 200
    assert (await clerk.client.get(other)).status_code == 404
    assert (await clerk.client.patch(other, json={"short_name": "A"})).status_code == 404
    assert (await clerk.client.post("/organisations", json={"full_name": "New"})).status_code == 403


async def test_a_right_on_ones_own_is_a_right_on_what_one_answers_for_now(office):
    manager = await office.user("organisation:view", "organisation:edit", scope=("own", "*"))
    own = await office.organisation(full_name="Own", account_manager_id=str(manager.id))
    other = await office.organisation(full_name="Other")
    assert await listed(manager.client) == ["Own"]
    assert (await manager.client.patch(own, json={"short_name": "A"})).status_code == 200
    taken = await manager.client.patch(other, json={"account_manager_id": str(manager.id)})
    assert taken.status_code == 404, "nobody becomes responsible by the very command he may not send"
    await office.admin.patch(own, json={"account_manager_id": None})
    assert await listed(manager.client) == []
    for read in ("", "?as_of=v1", "/history"):
        assert (await manager.client.get(f"{own}{read}")).status_code == 404
    assert (await manager.client.patch(own, json={"short_name": "B"})).status_code == 404


async def test_a_departments_right_is_its_members(office):
    department = uuid4()
    member = await office.user(department_id=department)
    office.grant(department, "organisation:view", kind="department")
    assert (await member.client.get(await office.organisation())).status_code == 200


async def test_a_right_taken_away_is_gone_at_once(office):
    place, clerk = await office.organisation(), await office.user("organisation:view")
    grant = office.grant(clerk.id, "organisation:edit")
    assert (await clerk.client.patch(place, json={"short_name": "A"})).status_code == 200
    office.revoke(grant)
    async with office.nothing_stored():
        for query, body in (("", {"short_name": "B"}), ("", {}), ("?dry_run=true", {"short_name": "B"})):
            assert (await clerk.client.patch(f"{place}{query}", json=body)).status_code == 403


# --- lists --------------------------------------------------------------------------------------------------


@pytest.fixture
async def five(office):
    """A clerk who sees five organisations of his own, and theirs names, newest first."""
    clerk = await office.user("organisation:view", scope=("own", "*"))
    for name in ("Épée", "Beta", "Gamma", "Delta", "Ypsilon"):
        await office.organisation(full_name=name, account_manager_id=str(clerk.id), region_code=name[0])
    return clerk.client


async def test_a_list_is_newest_first_and_goes_on_page_by_page(office, five):
    newest = {"X-Min-Position": str(await office.head())}
    first = await five.get("/organisations", params={"page_size": 2, "include_total": "true"}, headers=newest)
    body = first.json()
    assert [each["full_name"] for each in body["data"]] == ["Ypsilon", "Delta"]
    assert (body["has_more"], body["total"]) == (True, 5)
    assert int(first.headers["x-projection-position"]) == await office.head()
    follow = first.headers["link"]
    assert follow.startswith("</api/v1/organisations?page_size=2&")
    assert follow.endswith('; rel="next"')
    second = await five.get(follow[1:].partition(">")[0].removeprefix("/api/v1"))
    assert [each["full_name"] for each in second.json()["data"]] == ["Gamma", "Beta"]
    last = await five.get(
        "/organisations", params={"page_size": 2, "page_token": second.json()["next_page_token"]}
    )
    assert [each["full_name"] for each in last.json()["data"]] == ["Épée"]
    assert (last.json()["has_more"], last.json()["next_page_token"]) == (False, None)
    assert "link" not in last.headers


async def test_a_list_is_filtered_ordered_and_cut(five):
    assert await listed(five, filter="name=epee") == ["Épée"]
    assert await listed(five, filter="region=[B,G]", order_by="full_name") == ["Beta", "Gamma"]
    assert await listed(five, order_by="name desc", page_size=1000) == [
        "Ypsilon",
        "Gamma",
        "Épée",
        "Delta",
        "Beta",
    ]
    cut = await five.get("/organisations", params={"fields": "id,full_name", "page_size": 1})
    assert cut.json()["data"][0].keys() == {"id", "full_name"}


async def test_a_page_token_is_good_for_the_list_it_came_from_alone(office, five):
    token = (await five.get("/organisations", params={"page_size": 1})).json()["next_page_token"]
    for client, asked in (
        (five, {"filter": "region=B"}),
        (five, {"order_by": "full_name"}),
        (five, {"show_archived": "true"}),
        (office.admin, {}),
    ):
        answer = await client.get("/organisations", params={"page_token": token, **asked})
        assert (answer.status_code, answer.json()["code"]) == (400, "page_token_mismatch")


async def test_archived_ones_are_listed_on_demand(office, five):
    place = f"/organisations/{(await five.get('/organisations')).json()['data'][0]['id']}"
    await office.admin.post(f"{place}/archive")
    assert "Ypsilon" not in await listed(five)
    assert "Ypsilon" in await listed(five, show_archived="true")
    assert await listed(five, show_archived="true", filter="state=archived") == ["Ypsilon"]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"page_size": 0}, "page_size_invalid"),
        ({"page_size": -1}, "page_size_invalid"),
        ({"page_size": "many"}, "query.invalid"),
        ({"page_token": "x"}, "page_token_malformed"),
        ({"order_by": "colour"}, "order_by_unknown_field"),
        ({"order_by": "full_name sideways"}, "order_by_malformed"),
        ({"fields": "colour"}, "fields_unknown"),
        ({"filter": "colour=red"}, "filter_unknown_field"),
        ({"filter": "inn=1 or kpp=2 and siren=3"}, "filter_ambiguous"),
        ({"filters": "inn=1"}, "query.unknown_parameter"),
        ({"include_total": "perhaps"}, "query.invalid"),
    ],
)
async def test_a_list_asked_wrongly_says_what_is_wrong(office, asked, code):
    answer = await office.admin.get("/organisations", params=asked)
    assert answer.status_code == 400
    assert answer.json()["code"] == code
    assert answer.json()["errors"]


async def test_a_parameter_given_twice_is_refused(office):
    answer = await office.admin.get("/organisations?page_size=1&page_size=2")
    assert (answer.status_code, answer.json()["code"]) == (400, "query.repeated_parameter")
