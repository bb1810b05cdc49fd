"""The filters that the seed systems' users typed (seed D's lists, seed E's command line), run as written."""

from uuid import uuid4

import pytest

from infrastructure.first_start import first_start
from tests import office as offices
from tests import servers
from tests.arranging import of_support

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def office(cluster, nats_server, object_store):
    """A register of four organisations with documents, agreements, resources and contracts."""
    with servers.database(cluster) as addresses:
        async with offices.opened(addresses, nats_server.url, **object_store.settings) as opened:
            await first_start(opened.system)
            await register(opened)
            yield opened


async def post(client, path, *, status=201, **body):
    answer = await client.post(path, json=body, headers={"Idempotency-Key": str(uuid4())})
    assert answer.status_code == status, answer.text
    return answer.json()["id"]


async def register(office):
    """North and South have a signed agreement, North and East both documents."""
    admin = office.admin
    charter = await post(admin, "/document-types", name="Charter", prefix="charter")
    licence = await post(admin, "/document-types", name="Licence", prefix="licence", is_main=False)
    main = await post(admin, "/document-types", name="Agreement", prefix="agreement", is_main=True)
    places = {
        name: await post(admin, "/organisations", full_name=full_name, **fields)
        for name, full_name, fields in (
            ("north", "АО «Север Ёлка»", {"region_code": "77", "identifiers": {"inn": "7707083893"}}),
            ("south", "ООО «Юг»", {"region_code": "78", "is_gov": True, "is_military": True}),
            ("east", "Société Générale de l'Est", {"region_code": "25", "headcount_band": "12"}),
            ("west", "ЗАО «Запад»", {}),
        )
    }
    documents = {"north": (charter, licence, main), "south": (licence, main), "east": (charter, licence)}
    for name, types in documents.items():
        for type_id in types:
            await post(
                admin,
                f"/organisations/{places[name]}/documents",
                type_id=type_id,
                date_approved="2026-03-01" if name == "north" else "2025-12-31",
                confidential=True,
            )
    industry = (await admin.get("/industries")).json()["data"][0]["id"]
    for name, fields in {
        "north": {"category": 1, "is_okii": True, "industry_ids": [industry]},
        "east": {"category": 3, "fstec_reg_number": "000123-77"},
    }.items():
        await post(admin, "/resources", organisation_id=places[name], name=f"Resource {name}", **fields)
    await contracts(office, places["north"])


async def contracts(office, organisation_id):
    seller = (await office.admin.get("/me")).json()["id"]
    await office.admin.patch(f"/users/{seller}", json={"staff_number": "ccial001"})
    await office.admin.patch(f"/organisations/{organisation_id}", json={"account_manager_id": seller})
    for custom_id, amount, due_on in (
        ("c1", "999.99", "2026-03-01"),
        ("c2", "0.00", None),
        ("c3", "50.00", None),
    ):
        money = {"amount": amount, "currency": "EUR"}
        contract_id = await post(
            office.admin,
            "/contracts",
            kind="sale",
            organisation_id=organisation_id,
            custom_id=custom_id,
            title=f"Contrat {custom_id}",
            amount=money,
            **({} if due_on is None else {"due_on": due_on}),
        )
        if custom_id != "c3":
            await post(office.admin, f"/contracts/{contract_id}/sign", status=200)
            await occasion(office, custom_id, contract_id)


async def occasion(office, custom_id, contract_id):
    """Of c1 one is held by supp001, of c2 nobody holds one yet."""
    starts, ends = ("2023-07-15T18:00:00Z", "2023-07-15T23:00:00Z")
    if custom_id == "c2":
        starts, ends = ("2026-06-04T18:00:00Z", "2026-06-05T01:00:00Z")
    body = {"contract_id": contract_id, "title": custom_id, "attendees": 75, "place": "53 rue du Château"}
    made = await post(office.admin, "/occasions", **body, starts_at=starts, ends_at=ends)
    if custom_id == "c1":
        member = await of_support(office, staff_number="supp001")
        await post(office.admin, f"/occasions/{made}/assign", status=200, user_id=str(member.id))


ORGANISATIONS = {
    # seed D: the organisations' filters
    'name:"север"': "north",
    "name:СЕВЕР": "north",
    'name:"елка"': "north",
    "name:societe": "east",
    "inn=7707083893": "north",
    "inn:7707": "north",
    "agreement=yes": "north south",
    "agreement=no": "east west",
    "agreement=да": "north south",
    "agreement=нет": "east west",
    "agreement=null": "east west",
    "NOT agreement=null": "north south",
    "agreement!=None": "north south",
    "agreement>01-01-2026": "north",
    "agreement=01-03-2026": "north",
    "region=77": "north",
    "region=[77,78]": "north south",
    "NOT region=[77,78]": "east west",  # "not in", as seed D's later state has it
    "region!=77": "south east west",
    "okrug=8": "east",
    "okrug=[1,2]": "north south",
    "NOT okrug=[1,2]": "east west",
    "documents:[charter,licence]": "north east",
    "documents:licence": "north south east",
    "documents=[charter,agreement]": "north south east",
    "documents=null": "west",
    "is_gov=yes": "south",
    "is_gov=нет": "north east west",
    "is_military=1": "south",
    "is_subject_kii=oui": "north",
    "documents:[charter,licence] AND agreement=no AND region=[25,77]": "east",
    "(region=77 OR region=78) и не is_gov=да": "north",
    'company_name:"générale"': "east",
    "company_registration_number!=None": "",
    "siren=None et nic=None": "north south east west",
}
RESOURCES = {
    "category=1": "north",
    "category>=1": "north east",
    "category=>2": "east",
    "is_okii=yes": "north",
    "fstec_reg_number=000123-77": "east",
    "fstec_reg_number=None": "north",
    "industry:{industry}": "north",
    "industry=[{industry}]": "north",
    "organisation={north}": "north",
}
CONTRACTS = {
    # seed E: as its README has them
    "status=signed et remain_amount_to_pay>0": "c1",
    "status=signed et remain_amount_to_pay =>0": "c1 c2",
    "status=signed et remain_amount_to_pay=>0": "c1 c2",
    "status=signed et remain_amount_to_pay>=0": "c1 c2",
    "status=unsigned ou remain_amount_to_pay=0": "c2 c3",
    "full_amount_to_pay=<50": "c2 c3",
    "full_amount_to_pay<=999.99": "c1 c2 c3",
    "commercial_id=ccial001": "c1 c2 c3",
    "commercial_id=ccial002": "",
    "commercial_id=None": "",
    "due_on=None": "c2 c3",
    "due_on!=None": "c1",
    "due_on=01-03-2026": "c1",
    "due_on>=01-03-2026 et due_on<02-03-2026": "c1",
    "signed_at=None": "c3",
    "created_at>01-01-2020": "c1 c2 c3",
    "contract_id=c1": "c1",
    "creation_date>01-01-2020 et contract_id=c3": "c3",
    'title="contrat c2"': "c2",
    "STATUS=SIGNED ET remain_amount_to_pay>0": "c1",
}
OCCASIONS = {
    # seed E: as the help of oc12_events has them
    "creation_date>15-07-2023": "c1 c2",
    "event_start_date>15-07-2023": "c2",
    "event_start_date=15-07-2023": "c1",
    "event_start_date=>15-07-2023 et event_end_date<=31-12-2026": "c1 c2",
    "event_end_date=05-06-2026": "c2",
    "attendees=>75": "c1 c2",
    "attendees>75": "",
    "collaborator_id=None": "c2",
    "collaborator_id!=None": "c1",
    "collaborator_id=supp001": "c1",
    "collaborator_id=supp002": "",
    "commercial_id=ccial001": "c1 c2",
    "client_id=None": "c1 c2",
    "contract=c1": "c1",
    "contract=c1 ou collaborator_id=None": "c1 c2",
    'place:"chateau"': "c1 c2",
    'title="c2"': "c2",
}


async def found(office, path, text):
    answer = await office.admin.get(path, params={"filter": text, "include_total": "true"})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["total"] == len(body["data"])
    return body["data"]


@pytest.mark.parametrize("text", ORGANISATIONS)
async def test_organisations_are_found_as_seed_d_found_them(office, text):
    marks = {"Север": "north", "Юг": "south", "Est": "east", "Запад": "west"}
    names = {
        mark
        for each in await found(office, "/organisations", text)
        for part, mark in marks.items()
        if part in each["full_name"]
    }
    assert names == set(ORGANISATIONS[text].split())


@pytest.mark.parametrize("text", RESOURCES)
async def test_resources_are_found_as_seed_d_found_them(office, text):
    industry = (await office.admin.get("/industries")).json()["data"][0]
    (north,) = (await office.admin.get("/organisations", params={"filter": "region=77"})).json()["data"]
    typed = text.format(industry=industry["id"], north=north["id"])
    assert {each["name"].split()[1] for each in await found(office, "/resources", typed)} == set(
        RESOURCES[text].split()
    )


@pytest.mark.parametrize("text", CONTRACTS)
async def test_contracts_are_found_as_seed_e_found_them(office, text):
    assert {each["custom_id"] for each in await found(office, "/contracts", text)} == set(
        CONTRACTS[text].split()
    )


@pytest.mark.parametrize("text", OCCASIONS)
async def test_occasions_are_found_as_seed_e_found_events(office, text):
    assert {each["title"] for each in await found(office, "/occasions", text)} == set(OCCASIONS[text].split())


@pytest.mark.parametrize(
    "text",
    ["title=x' or '1'='1", "title=\"x' or '1'='1\"", 'title="; drop table x --"', "status=signed;", "=>0"],
)
async def test_what_was_injected_then_is_a_value_or_refused_now(office, text):
    answer = await office.admin.get("/contracts", params={"filter": text})
    assert answer.status_code in (200, 400)
    assert answer.json().get("data", []) == []
