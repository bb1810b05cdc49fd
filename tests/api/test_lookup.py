"""Look-ups over HTTP: what registers of other people know, and that nothing waits for them when they fail."""

import asyncio
import io
import os
import time
from datetime import date
from itertools import count

import pytest

from domain.postal_index.events import PostalCode, PostalIndexLoaded, batch_id
from infrastructure.event_store import new_id
from infrastructure.registers.egrul_file import EgrulFile
from infrastructure.registers.egrul_load import load
from tests import office as offices
from tests import people, servers
from tests.conftest import CLUSTER
from tests.egrul import branch, entity, register
from tests.register_server import MISBEHAVIOURS, SLOW, RegisterServer, raw, says

pytestmark = pytest.mark.anyio

SECONDS = 5.0
"""Within which everything is answered: the limit of 3, and what a busy machine adds."""
_numbers = count(1)


class Outside:
    """The three services, each on a port of its own."""

    def __init__(self):
        self.egrul, self.sirene, self.geo = RegisterServer(), RegisterServer(), RegisterServer()

    @property
    def all(self):
        return self.egrul, self.sirene, self.geo


@pytest.fixture(scope="module")
async def outside():
    outside = Outside()
    for server in outside.all:
        await server.start()
    yield outside
    for server in outside.all:
        await server.stop()


@pytest.fixture(scope="module")
async def office(nats_server, outside):
    """One API that has all three services."""
    with servers.database(servers.Addresses(*os.environ[CLUSTER].split("\n"))) as addresses:
        urls = {
            "egrul_url": outside.egrul.url + "/",
            "sirene_url": outside.sirene.url,
            "geo_url": outside.geo.url,
        }
        async with offices.opened(addresses, nats_server.url, **urls) as opened:
            yield opened


@pytest.fixture(autouse=True)
async def well_behaved(office, outside):
    """Every test begins with services that are there and know nobody, and with closed breakers."""
    for server in outside.all:
        server.at, server.always, server.asked = {}, ..., []
    outside.egrul.at["/api/organizations/"] = outside.egrul.at["/api/organizations/fts-search/"] = says([])
    outside.sirene.at["/search"] = says({"results": [], "total_results": 0})
    outside.geo.at["/communes"] = says([])
    for service in office.system.registers.services.values():
        service.breaker.__init__()


@pytest.fixture
async def bare(nats_server):
    """An API for which nothing is set up."""
    with servers.database(servers.Addresses(*os.environ[CLUSTER].split("\n"))) as addresses:
        async with offices.opened(addresses, nats_server.url) as opened:
            yield opened


def inn():
    return f"77{next(_numbers):08d}"


def row(number, **said):
    return {
        "full_name": 'ОБЩЕСТВО "РОМАШКА"',
        "short_name": 'ООО "РОМАШКА"',
        "inn": "7707083893",
        "kpp": "773601001",
        "relative_addr": f"/api/organizations/{number}/",
        **said,
    }


def detail(**said):
    told = row(
        0, ogrn="1027700132195", factual_address="УЛ. ЛЕНИНА, Д. 1, Г. МОСКВА, 101000", region_code="77"
    )
    del told["relative_addr"]
    return told | said


def page(*rows, following=None):
    return {
        "count": len(rows),
        "next": following,
        "previous": None,
        "date_info": "2024-01-15",
        "results": rows,
    }


def company(siren="552100554", nic="00013", **seat):
    return {
        "siren": siren,
        "nom_complet": "RENAULT (RNLT)",
        "nom_raison_sociale": "RENAULT",
        "sigle": "RNLT",
        "date_mise_a_jour": "2024-02-03T04:05:06",
        "siege": {
            "siret": siren + nic,
            "adresse": "122 AV DU GENERAL LECLERC 92100 BOULOGNE-BILLANCOURT",
            "complement_adresse": "BAT A",
            "code_postal": "92100",
            "libelle_commune": "BOULOGNE-BILLANCOURT",
            "cedex": "92109",
            "region": "11",
            "activite_principale": "29.10Z",
            "date_debut_activite": "1955-01-01",
            "tranche_effectif_salarie": "53",
            **seat,
        },
        "matching_etablissements": [{"siret": siren + "00021", "adresse": "1 RUE DE LYON", "region": "84"}],
    }


def problem(answer):
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


async def found(client, path, **params):
    answer = await client.get(f"/lookups/{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


# --- the Russian register, at a service -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("q", "path", "asked"),
    [
        ("7707083893", "", {"inn": "7707083893"}),
        ("500100732259", "", {"inn": "500100732259"}),
        ("773601001", "", {"kpp": "773601001"}),
        ("1027700132195", "", {"ogrn": "1027700132195"}),
        ("12345", "fts-search/", {"q": "12345"}),
        ("123456789012345678", "fts-search/", {"q": "123456789012345678"}),
        (" ООО  Ромашка&inn=1 ", "fts-search/", {"q": "ООО Ромашка&inn=1"}),
    ],
)
async def test_digits_are_told_apart_by_how_many_they_are(office, outside, q, path, asked):
    assert (await found(office.admin, "egrul", q=q))["data"] == []
    assert outside.egrul.asked == [(f"/api/organizations/{path}", asked)]


async def test_a_few_are_shown_with_all_the_service_knows(office, outside):
    outside.egrul.at["/api/organizations/"] = says(page(row(7)))
    outside.egrul.at["/api/organizations/7/"] = says(detail())
    said = await found(office.admin, "egrul", q="7707083893")
    assert (said["valid_as_of"], said["source"], said["has_more"], said["next_page_token"]) == (
        "2024-01-15", "remote", False, None,
    )  # fmt: skip
    (entry,) = said["data"]
    assert entry == {
        "ref": "id-7",
        "full_name": 'ОБЩЕСТВО "РОМАШКА"',
        "short_name": 'ООО "РОМАШКА"',
        "inn": "7707083893",
        "kpp": "773601001",
        "ogrn": "1027700132195",
        "siren": None,
        "nic": None,
        "address": {
            "text": "УЛ. ЛЕНИНА, Д. 1, Г. МОСКВА, 101000",
            "postal_code": None,
            "locality": None,
            "complement": None,
            "cedex": None,
            "country": "RU",
        },
        "region_code": "77",
        "activity_code": None,
        "headcount_band": None,
        "started_on": None,
        "is_main": None,
        "already_added": False,
    }


async def test_texts_come_in_our_form(office, outside):
    said = row(7, full_name="  АО\u00a0 «ТРОИ\u0306КА» ", short_name=" ", inn="", kpp=None)
    outside.egrul.at["/api/organizations/"] = says(page(said))
    outside.egrul.at["/api/organizations/7/"] = says(
        detail(**{**said, "factual_address": "НЕ УКАЗАН", "ogrn": None})
    )
    (entry,) = (await found(office.admin, "egrul", q="7707083893"))["data"]
    told = [entry[name] for name in ("full_name", "short_name", "inn", "kpp", "ogrn", "address")]
    assert told == ["АО «ТРОЙКА»", None, None, None, None, None]


async def test_a_name_of_blanks_is_no_answer(office, outside):
    outside.egrul.at["/api/organizations/7/"] = says(detail(full_name="   "))
    async with office.nothing_stored():
        answer = await office.admin.post(
            "/organisations/from-lookup", json={"source": "egrul", "ref": "id-7"}
        )
    assert problem(answer) == (503, "lookup_unavailable")


async def test_many_come_in_pages(office, outside):
    def serve(query):
        more = "http://elsewhere/?page=2" if query.get("page") is None else None
        return says(
            page(*(row(n, full_name=f"АО {query.get('page', 1)}") for n in range(20)), following=more)
        )

    outside.egrul.at["/api/organizations/fts-search/"] = serve
    first = await found(office.admin, "egrul", q="ромашка")
    second = await found(office.admin, "egrul", q="ромашка", page_token=first["next_page_token"])
    assert [(len(each["data"]), each["data"][0]["full_name"]) for each in (first, second)] == [
        (20, "АО 1"),
        (20, "АО 2"),
    ]
    assert (first["has_more"], second["has_more"]) == (True, False)
    strange = await office.admin.get(
        "/lookups/egrul", params={"q": "лютик", "page_token": first["next_page_token"]}
    )
    assert problem(strange) == (400, "page_token_mismatch")


async def test_what_was_found_stands_when_the_details_fail(office, outside):
    outside.egrul.at["/api/organizations/"] = says(page(row(7)))
    outside.egrul.at["/api/organizations/7/"] = raw(b"", 500)
    (entry,) = (await found(office.admin, "egrul", q="7707083893"))["data"]
    assert (entry["ref"], entry["address"]) == ("id-7", None)


@pytest.mark.parametrize("params", [{}, {"q": ""}, {"q": "ab"}, {"q": "   ab   "}, {"q": "x" * 256}])
async def test_too_little_and_too_much_is_not_looked_up(office, outside, params):
    answer = await office.admin.get("/lookups/egrul", params=params)
    assert problem(answer) == (400, "query.invalid")
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/q"]
    assert outside.egrul.asked == []


@pytest.mark.parametrize("kpp", ["773601001", None, ""])
async def test_already_added_is_told_by_inn_and_kpp(office, outside, kpp):
    number = inn()
    outside.egrul.at["/api/organizations/"] = says(
        page(row(7, inn=number, kpp=kpp), row(8, inn=number, kpp="770000001"))
    )
    await office.organisation(identifiers={"inn": number, **({"kpp": kpp} if kpp else {})})
    entries = (await found(office.admin, "egrul", q=number))["data"]
    assert [each["already_added"] for each in entries] == [True, False]


# --- our own copy -----------------------------------------------------------------------------------------------


async def test_our_own_copy_is_asked_where_there_is_one(bare):
    content = register(entity(name="АО РОМАШКА", short="АО «Ромашка»", branches=branch("026543002")))
    await asyncio.to_thread(load, bare.addresses.app, [EgrulFile("a.xml", io.BytesIO(content))], "fill")
    said = await found(bare.admin, "egrul", q="ромашки")
    assert (said["source"], said["valid_as_of"]) == ("local", "2024-01-15")
    assert [each["ref"] for each in said["data"]] == ["1020200000001", "1020200000001-026543002"]
    assert said["data"][0]["address"]["postal_code"] == "452613"
    for each in said["data"]:
        made = await bare.admin.post(
            "/organisations/from-lookup", json={"source": "egrul", "ref": each["ref"]}
        )
        assert made.status_code == 201, made.text
    assert all(each["already_added"] for each in (await found(bare.admin, "egrul", q="ромашки"))["data"])
    unit = (await bare.admin.get(made.headers["location"].removeprefix("/api/v1"))).json()
    assert (unit["full_name"], unit["short_name"]) == ("АО РОМАШКА. ФИЛИАЛ", "АО РОМАШКА. ФИЛИАЛ")
    assert (unit["addresses"], unit["region_code"]) == ({}, None), (
        "what the register does not know stays empty"
    )


# --- the French register ----------------------------------------------------------------------------------------


async def test_a_siren_gives_the_company_and_its_establishments(office, outside):
    outside.sirene.at["/search"] = says({"results": [company(siren="999999999"), company()]})
    said = await found(office.admin, "siren", siren="552100554")
    assert (said["source"], said["valid_as_of"]) == ("remote", "2024-02-03")
    seat, other = said["data"]
    assert (seat["ref"], seat["siren"], seat["nic"], seat["is_main"]) == (
        "55210055400013",
        "552100554",
        "00013",
        True,
    )
    assert (seat["full_name"], seat["short_name"], seat["region_code"]) == ("RENAULT", "RNLT", "11")
    assert (seat["activity_code"], seat["started_on"], seat["headcount_band"]) == (
        "29.10Z",
        "1955-01-01",
        "53",
    )
    assert seat["address"] == {
        "text": "122 AV DU GENERAL LECLERC 92100 BOULOGNE-BILLANCOURT",
        "postal_code": "92100",
        "locality": "BOULOGNE-BILLANCOURT",
        "complement": "BAT A",
        "cedex": "92109",
        "country": "FR",
    }
    assert (other["nic"], other["is_main"], other["already_added"]) == ("00021", False, False)


async def test_a_nic_that_is_not_the_seat_is_asked_for_by_its_whole_number(office, outside):
    def serve(query):
        known = company()
        known["matching_etablissements"] = (
            [{"siret": "55210055400099"}] if query["q"].endswith("00099") else []
        )
        return says({"results": [known]})

    outside.sirene.at["/search"] = serve
    (entry,) = (await found(office.admin, "siren", siren="552100554", nic="00099"))["data"]
    assert (entry["nic"], entry["address"], entry["is_main"]) == ("00099", None, False)
    assert [query["q"] for _, query in outside.sirene.asked] == ["552100554", "55210055400099"]


@pytest.mark.parametrize("state", ["away", "unknown there"])
async def test_a_company_of_the_file_is_found_without_the_service(office, outside, state):
    if state == "away":
        outside.sirene.always = raw(b"", 500)
    said = await found(office.admin, "siren", siren="356000000", nic="00048")
    (entry,) = said["data"]
    assert (said["source"], said["valid_as_of"]) == ("local", None)
    assert (entry["full_name"], entry["nic"], entry["activity_code"]) == ("LA POSTE", "00048", "53.10Z")
    assert (entry["started_on"], entry["headcount_band"], entry["region_code"]) == ("2014-04-29", "53", "11")
    assert (entry["address"]["postal_code"], entry["address"]["locality"]) == ("75015", "PARIS 15")


async def test_a_company_nobody_knows_is_none(office):
    assert (await found(office.admin, "siren", siren="123456789"))["data"] == []
    assert (await found(office.admin, "siren", siren="356000000", nic="99999"))["data"] == []


async def test_a_service_that_is_away_and_a_company_not_in_the_file_is_503(office, outside):
    outside.sirene.always = raw(b"", 500)
    assert problem(await office.admin.get("/lookups/siren", params={"siren": "552100554"})) == (
        503,
        "lookup_unavailable",
    )


@pytest.mark.parametrize(
    ("params", "pointer"),
    [
        ({}, "/siren"),
        ({"siren": "12345678"}, "/siren"),
        ({"siren": "1234567890"}, "/siren"),
        ({"siren": "12345678\u0661"}, "/siren"),
        ({"siren": "356000000\n"}, "/siren"),
        ({"siren": "356000000", "nic": "48"}, "/nic"),
    ],
)
async def test_a_wrong_siren_or_nic_is_not_looked_up(office, outside, params, pointer):
    answer = await office.admin.get("/lookups/siren", params=params)
    assert problem(answer) == (400, "query.invalid")
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]
    assert outside.sirene.asked == []


# --- postal codes -----------------------------------------------------------------------------------------------


async def test_a_french_postal_code_gives_its_communes(office, outside):
    outside.geo.at["/communes"] = says(
        [
            {"nom": "Lyon", "code": "69123", "codeRegion": "84", "population": 522250,
             "region": {"code": "84", "nom": "Auvergne-Rhône-Alpes"}},
            {"nom": "Elsewhere", "code": "00000"},
        ]
    )  # fmt: skip
    said = await found(office.admin, "commune", postal_code="69001")
    assert said["data"] == [
        {"locality": "Lyon", "region": "Auvergne-Rhône-Alpes", "region_code": "84", "population": 522250},
        {"locality": "Elsewhere", "region": None, "region_code": None, "population": None},
    ]
    assert outside.geo.asked[0][1]["codePostal"] == "69001"


async def test_a_russian_postal_code_is_looked_up_in_our_own_index(office, outside):
    event = PostalIndexLoaded(
        import_id=(load_id := new_id()),
        number=1,
        codes=(PostalCode(code="644000", region_code="55", locality="ОМСК"),),
    )
    await people.append(office.system.execute._store, batch_id(load_id, 1), event)
    assert (await office.admin.get("/addresses")).status_code == 200  # the read model follows
    outside.geo.always = SLOW
    (place,) = (await found(office.admin, "commune", postal_code="644000"))["data"]
    assert (place["locality"], place["region_code"]) == ("ОМСК", "55")
    assert (await found(office.admin, "commune", postal_code="999999"))["data"] == []


@pytest.mark.parametrize("code", ["", "1234", "1234567", "7501a", "75 01", "٧٥٠١٥"])
async def test_a_wrong_postal_code_is_not_looked_up(office, outside, code):
    answer = await office.admin.get("/lookups/commune", params={"postal_code": code})
    assert problem(answer) == (400, "query.invalid")
    assert outside.geo.asked == []


# --- adding what was found --------------------------------------------------------------------------------------


async def test_what_the_register_says_now_is_added(office, outside):
    number = inn()
    outside.egrul.at["/api/organizations/7/"] = says(detail(inn=number, short_name=None))
    answer = await office.admin.post("/organisations/from-lookup", json={"source": "egrul", "ref": "id-7"})
    assert answer.status_code == 201, answer.text
    shown = (await office.admin.get(answer.headers["location"].removeprefix("/api/v1"))).json()
    assert shown["full_name"] == shown["short_name"] == 'ОБЩЕСТВО "РОМАШКА"'
    assert shown["identifiers"] == {"inn": number, "kpp": "773601001", "ogrn": "1027700132195"}
    assert shown["addresses"]["factual"] == {"text": "УЛ. ЛЕНИНА, Д. 1, Г. МОСКВА, 101000", "country": "RU"}
    assert (shown["region_code"], shown["version"]) == ("77", 1)
    assert [each["code"] for each in answer.json()["warnings"]] == ["check_digit"]


async def test_a_french_one_is_added_with_all_that_is_known(office, outside):
    outside.sirene.at["/search"] = says({"results": [company()]})
    answer = await office.admin.post(
        "/organisations/from-lookup", json={"source": "siren", "ref": "55210055400013"}
    )
    assert answer.status_code == 201, answer.text
    shown = (await office.admin.get(answer.headers["location"].removeprefix("/api/v1"))).json()
    assert shown["identifiers"] == {"siren": "552100554", "nic": "00013"}
    assert (shown["activity_code"], shown["headcount_band"], shown["started_on"]) == (
        "29.10Z",
        "53",
        "1955-01-01",
    )
    assert (await found(office.admin, "siren", siren="552100554"))["data"][0]["already_added"]


async def test_who_is_there_already_is_named_and_nothing_is_stored(office, outside):
    number = inn()
    outside.egrul.at["/api/organizations/7/"] = says(detail(inn=number))
    place = await office.organisation(identifiers={"inn": number, "kpp": "773601001"})
    async with office.nothing_stored():
        answer = await office.admin.post(
            "/organisations/from-lookup", json={"source": "egrul", "ref": "id-7"}
        )
    assert problem(answer) == (409, "organisation.duplicate")
    assert answer.json()["candidates"] == [{"id": place.rpartition("/")[2], "same": "inn_kpp"}]


async def test_a_repeat_gets_the_kept_answer_without_asking_the_register(office, outside):
    outside.egrul.at["/api/organizations/7/"] = says(detail(inn=inn()))
    ask = dict(json={"source": "egrul", "ref": "id-7"}, headers={"Idempotency-Key": "from-lookup"})
    first = await office.admin.post("/organisations/from-lookup", **ask)
    outside.egrul.always = raw(b"", 500)
    again = await office.admin.post("/organisations/from-lookup", **ask)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    other = dict(ask, json={"source": "egrul", "ref": "id-8"})
    assert problem(await office.admin.post("/organisations/from-lookup", **other)) == (
        422,
        "idempotency_key_reused",
    )


async def test_a_dry_run_shows_the_event_and_stores_nothing(office, outside):
    outside.egrul.at["/api/organizations/7/"] = says(detail(inn=inn()))
    async with office.nothing_stored():
        answer = await office.admin.post(
            "/organisations/from-lookup?dry_run=true", json={"source": "egrul", "ref": "id-7"}
        )
    (event,) = answer.json()["events"]
    assert (event["topic"], event["data"]["full_name"]) == ("organisation.added.v1", 'ОБЩЕСТВО "РОМАШКА"')


@pytest.mark.parametrize(
    "asked",
    [
        {"source": "egrul", "ref": "id-404"},
        {"source": "egrul", "ref": "1027700132195"},
        {"source": "egrul", "ref": "nonsense"},
        {"source": "siren", "ref": "55210055499999"},
        {"source": "siren", "ref": "x"},
    ],
)
async def test_a_ref_nobody_gave_out_is_unknown(office, asked):
    async with office.nothing_stored():
        assert problem(await office.admin.post("/organisations/from-lookup", json=asked)) == (
            404,
            "lookup.unknown",
        )


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/ref", "/source"]),
        ({"source": "insee", "ref": "1"}, ["/source"]),
        ({"source": "egrul", "ref": ""}, ["/ref"]),
        ({"source": "egrul", "ref": "../../etc/passwd"}, ["/ref"]),
        ({"source": "egrul", "ref": "1" * 41}, ["/ref"]),
        ({"source": "egrul", "ref": "1", "full_name": "Mine"}, ["/full_name"]),
    ],
)
async def test_a_wrong_body_is_named(office, outside, body, pointers):
    async with office.nothing_stored():
        answer = await office.admin.post("/organisations/from-lookup", json=body)
    assert problem(answer) == (400, "body.invalid")
    assert sorted(each["pointer"] for each in answer.json()["errors"]) == pointers
    assert outside.egrul.asked == []


# --- who may ----------------------------------------------------------------------------------------------------

ROUTES = [
    ("GET", "/lookups/egrul?q=7707083893"),
    ("GET", "/lookups/siren?siren=356000000"),
    ("GET", "/lookups/commune?postal_code=75015"),
    ("POST", "/organisations/from-lookup"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_looking_up_needs_the_right_to_add(office, outside, method, path):
    body = {"json": {"source": "egrul", "ref": "id-7"}} if method == "POST" else {}
    viewer, clerk = await office.user("organisation:view"), await office.user("organisation:create")
    async with office.nothing_stored():
        stranger = await office.stranger.request(method, path, **body)
        assert problem(stranger) == (401, "missing_bearer_token")
        refused = await viewer.client.request(method, path, **body)
        assert problem(refused) == (403, "forbidden")
        assert refused.json()["required"] == "organisation:create"
    assert not any(server.asked for server in outside.all)
    assert (await clerk.client.request(method, path, **body)).status_code == (
        404 if method == "POST" else 200
    )


@pytest.mark.parametrize("path", [path for method, path in ROUTES if method == "GET"])
async def test_a_parameter_nobody_declared_is_refused(office, path):
    assert problem(await office.admin.get(f"{path}&page_size=5")) == (400, "query.unknown_parameter")


async def test_a_look_up_says_up_to_where_it_knows_the_log(office):
    head = await office.head()
    said = await office.admin.get("/lookups/siren?siren=356000000", headers={"X-Min-Position": str(head)})
    assert int(said.headers["x-projection-position"]) >= head
    future = await office.admin.get("/lookups/siren?siren=356000000", headers={"X-Min-Position": "999999"})
    assert future.status_code == 400


# --- services that misbehave ------------------------------------------------------------------------------------


async def everything(office):
    """One of each look-up that only its service can answer, and an addition."""
    return [
        await office.admin.get("/lookups/egrul?q=7707083893"),
        await office.admin.get("/lookups/egrul", params={"q": "ромашка"}),
        await office.admin.get("/lookups/siren?siren=552100554"),
        await office.admin.get("/lookups/commune?postal_code=69001"),
        await office.admin.post("/organisations/from-lookup", json={"source": "egrul", "ref": "id-7"}),
        await office.admin.post(
            "/organisations/from-lookup", json={"source": "siren", "ref": "55210055400013"}
        ),
    ]


@pytest.mark.parametrize("how", MISBEHAVIOURS)
async def test_a_service_that_misbehaves_is_503_and_nothing_is_stored(office, outside, how):
    for server in outside.all:
        server.always = MISBEHAVIOURS[how]
    async with office.nothing_stored():
        started = time.monotonic()
        for answer in await everything(office):
            assert problem(answer) == (503, "lookup_unavailable"), answer.url
            assert int(answer.headers["retry-after"]) >= 1
        assert time.monotonic() - started < SECONDS
    assert (await office.admin.post("/organisations", json={"full_name": "By hand"})).status_code == 201


async def test_a_slow_service_is_given_up_in_time_and_keeps_nobody_else_waiting(office, outside):
    outside.egrul.always = outside.geo.always = SLOW
    started = time.monotonic()
    slow = [
        asyncio.create_task(office.admin.get(path))
        for path in ("/lookups/egrul?q=7707083893", "/lookups/commune?postal_code=69001")
    ]
    await asyncio.sleep(0)
    asked = time.monotonic()
    assert (await office.admin.post("/organisations", json={"full_name": "By hand"})).status_code == 201
    assert (await office.admin.get("/lookups/siren?siren=356000000")).status_code == 200
    assert time.monotonic() - asked < 2.0
    for answer in await asyncio.gather(*slow):
        assert problem(answer) == (503, "lookup_unavailable")
    assert 2.5 < time.monotonic() - started < SECONDS


async def test_a_body_that_trickles_is_given_up_in_time(office, outside):
    outside.geo.at["/communes"] = raw(b"[", length=100)  # and then nothing, on a connection that stays open

    async def trickling(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw(b"[", length=100))
        await reader.read()
        writer.close()

    outside.geo._serve, usual = trickling, outside.geo._serve
    started = time.monotonic()
    try:
        await outside.geo.stop()
        await outside.geo.start()
        answer = await office.admin.get("/lookups/commune?postal_code=69001")
    finally:
        outside.geo._serve = usual
        await outside.geo.stop()
        await outside.geo.start()
    assert problem(answer) == (503, "lookup_unavailable")
    assert time.monotonic() - started < SECONDS


async def test_a_service_that_is_not_there_is_503_on_search_and_on_addition(office, outside):
    await outside.egrul.stop()
    try:
        async with office.nothing_stored():
            search = await office.admin.get("/lookups/egrul?q=7707083893")
            add = await office.admin.post(
                "/organisations/from-lookup", json={"source": "egrul", "ref": "id-7"}
            )
    finally:
        await outside.egrul.start()
    for answer in (search, add):
        assert problem(answer) == (503, "lookup_unavailable")
        assert "POST /organisations" in answer.json()["hint"]
    assert (await found(office.admin, "egrul", q="7707083893"))["data"] == []


async def test_after_five_failures_the_service_is_left_alone_and_then_tried_again(office, outside):
    outside.geo.always = raw(b"", 500)
    breaker = office.system.registers.services["geo"].breaker
    for _ in range(5):
        assert (await office.admin.get("/lookups/commune?postal_code=69001")).status_code == 503
    assert (breaker.state, len(outside.geo.asked)) == ("open", 5)
    outside.geo.always = ...
    answer = await office.admin.get("/lookups/commune?postal_code=69001")
    assert problem(answer) == (503, "lookup_unavailable")
    assert (len(outside.geo.asked), 9 <= int(answer.headers["retry-after"]) <= 11) == (5, True)
    metrics = (await office.stranger.get("http://testserver/metrics")).text
    assert 'chancery_outside_breaker_open{service="geo"} 1.0' in metrics
    assert (await found(office.admin, "siren", siren="356000000"))["data"], (
        "each service has a breaker of its own"
    )
    breaker._opened_at -= 11
    assert (await found(office.admin, "commune", postal_code="69001"))["data"] == []
    assert breaker.state == "closed"


async def test_nothing_set_up_is_503_and_the_shipped_file_still_helps(bare):
    for path in (
        "/lookups/egrul?q=7707083893",
        "/lookups/egrul?q=12345",
        "/lookups/commune?postal_code=75015",
    ):
        assert problem(await bare.admin.get(path)) == (503, "lookup_unavailable")
    add = await bare.admin.post(
        "/organisations/from-lookup", json={"source": "egrul", "ref": "1027700132195"}
    )
    assert problem(add) == (503, "lookup_unavailable")
    assert (await found(bare.admin, "siren", siren="356000000"))["source"] == "local"
    made = await bare.admin.post(
        "/organisations/from-lookup", json={"source": "siren", "ref": "35600000000048"}
    )
    assert made.status_code == 201
    shown = (await bare.admin.get(made.headers["location"].removeprefix("/api/v1"))).json()
    assert (shown["full_name"], shown["started_on"]) == ("LA POSTE", str(date(2014, 4, 29)))
