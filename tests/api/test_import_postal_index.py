"""The postal index over HTTP: sent, previewed, applied; what is wrong with a file is said, and nothing else happens."""

import csv
from io import StringIO

import pytest

from tests import office as offices
from tests import servers
from tests.importing import MOSCOW, applied, apply, codes, dbf, previewed, shown, worked
from workers import imports

pytestmark = pytest.mark.anyio


@pytest.fixture
async def office(cluster, nats_server, object_store):
    """One for each test: an index knows all codes there are."""
    with servers.database(cluster) as addresses:
        async with offices.opened(addresses, nats_server.url, **object_store.settings) as opened:
            yield opened


async def addresses(office) -> list[dict]:
    async with office.system.pool.connection() as connection:
        await office.transport._follow()
        cursor = await connection.execute(
            "select convert_from(view, 'UTF8')::jsonb from read.address order by code"
        )
        return [row for (row,) in await cursor.fetchall()]


async def test_a_file_is_previewed_and_nothing_is_written_before_somebody_says_so(office):
    seen = await previewed(office, dbf(codes(3)))
    assert seen["state"] == "previewed"
    assert seen["counts"] == {"added": 3, "changed": 0, "unchanged": 0, "vanished": 0, "failed": 0}
    assert (seen["format"], seen["encoding"], seen["total"]) == ("dbf", "cp866", 3)
    assert seen["progress"] == {"processed": 3, "total": 3}
    assert seen["sample"][0] == {
        "row": 1,
        "action": "added",
        "code": "200000",
        "region_code": "77",
        "area": None,
        "locality": "МОСКВА",
    }
    assert await addresses(office) == []


async def test_it_is_applied_once_and_the_same_file_again_changes_nothing(office):
    done = await applied(office, dbf(codes(1_203)))
    assert (done["state"], done["counts"]["added"]) == ("applied", 1_203)
    assert done["progress"] == {"processed": 1_203, "total": 1_203}
    assert [each["code"] for each in await addresses(office)][-1] == "201202"
    async with office.nothing_stored():
        again = await apply(office, done["id"], key="another")
        assert again.json()["version"] == done["version"]
    same = await previewed(office, dbf(codes(1_203)))
    assert (same["counts"]["unchanged"], same["counts"]["added"]) == (1_203, 0)
    await apply(office, same["id"])
    before = await office.head()
    await worked(office, imports.apply, same["id"])
    assert await office.head() == before + 1, "its end, and no batch"


async def test_codes_that_are_new_lie_elsewhere_or_have_vanished_are_told_apart_and_written(office):
    await applied(office, dbf(codes(4)))
    moved = [{**MOSCOW, "INDEX": "200001", "CITY": "ЗЕЛЕНОГРАД"}]
    newer = dbf([*codes(1), *moved, *codes(2, 300_000)])
    filled = await previewed(office, newer, mode="fill")
    assert filled["counts"] == {"added": 2, "changed": 0, "unchanged": 2, "vanished": 0, "failed": 0}
    done = await applied(office, newer, mode="update")
    assert done["counts"] == {"added": 2, "changed": 1, "unchanged": 1, "vanished": 2, "failed": 0}
    found = {each["code"]: each for each in await addresses(office)}
    assert found["200001"]["locality"] == "ЗЕЛЕНОГРАД"
    assert [code for code, each in found.items() if each["vanished"]] == ["200002", "200003"]


async def test_fill_only_adds_what_is_new(office):
    await applied(office, dbf(codes(4)))
    done = await applied(
        office, dbf([{**MOSCOW, "INDEX": "200001", "CITY": "?"}, *codes(1, 300_000)]), mode="fill"
    )
    assert done["counts"] == {"added": 1, "changed": 0, "unchanged": 1, "vanished": 0, "failed": 0}
    assert [each["locality"] for each in await addresses(office)] == ["МОСКВА"] * 5


REGIONS = {
    "КЕМЕРОВСКАЯ ОБЛАСТЬ": "42",
    "ЧУВАШИЯ РЕСПУБЛИКА": "21",
    "ЧУВАШСКАЯ РЕСПУБЛИКА": "21",
    "ХАНТЫ-МАНСИЙСКИЙ АВТОНОМНЫЙ ОКРУГ": "86",
    "ХАНТЫ-МАНСИЙСКИЙ-ЮГРА АВТОНОМНЫЙ ОКРУГ": "86",
    "ЯМАЛО-НЕНЕЦКИЙ АВТОНОМНЫЙ ОКРУГ": "89",
    "НЕНЕЦКИЙ АВТОНОМНЫЙ ОКРУГ": "83",
    "ЕВРЕЙСКАЯ АВТОНОМНАЯ ОБЛАСТЬ": "79",
    "АДЫГЕЯ РЕСПУБЛИКА": "01",
    "АЛТАЙ РЕСПУБЛИКА": "04",
    "АЛТАЙСКИЙ КРАЙ": "22",
    "КАБАРДИНО-БАЛКАРСКАЯ РЕСПУБЛИКА": "07",
    "УДМУРТСКАЯ РЕСПУБЛИКА": "18",
    "САХА (ЯКУТИЯ) РЕСПУБЛИКА": "14",
    "СЕВЕРНАЯ ОСЕТИЯ-АЛАНИЯ РЕСПУБЛИКА": "15",
    "МАРИЙ ЭЛ РЕСПУБЛИКА": "12",
    "САНКТ-ПЕТЕРБУРГ": "78",
    "СЕВАСТОПОЛЬ": "92",
    "КАЗАХСТАН": "99",
    "ГЕРМАНИЯ": "99",
    "ЮЖНАЯ ОСЕТИЯ": "99",
    "Орловская область": "57",
}


async def test_regions_are_known_however_the_post_spells_them(office):
    rows = [{"INDEX": str(200_000 + at), "REGION": name} for at, name in enumerate(REGIONS)]
    rows.append({"INDEX": "300000", "AUTONOM": "ЧУКОТСКИЙ АВТОНОМНЫЙ ОКРУГ"})
    await applied(office, dbf(rows))
    assert [each["region_code"] for each in await addresses(office)] == [*REGIONS.values(), "87"]


async def test_what_is_wrong_with_a_row_is_said_and_the_others_go_in(office):
    rows = [
        *codes(2),
        {**MOSCOW, "INDEX": "300000", "REGION": "АТЛАНТИДА", "CITY": "=HYPERLINK(1)"},
        {**MOSCOW, "INDEX": "12345"},
        {**MOSCOW, "INDEX": "200000"},
        *codes(1, 400_000),
    ]
    seen = await previewed(office, dbf(rows))
    assert (seen["counts"]["added"], seen["counts"]["failed"]) == (3, 3)
    told = [(each["row"], each["pointer"], each["code"]) for each in seen["problems"]]
    assert told == [(3, "/REGION", "region_unknown"), (4, "/INDEX", "postal_code"), (5, "/INDEX", "repeated")]
    await apply(office, seen["id"])
    await worked(office, imports.apply, seen["id"])
    done = await shown(office, seen["id"])
    assert (done["state"], done["counts"]["added"], done["counts"]["failed"]) == ("applied", 3, 3)
    answer = await office.admin.get(f"/imports/{seen['id']}/failed-rows")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment")
    head, first, *others = csv.reader(StringIO(answer.content.decode("utf-8-sig")))
    assert head == ["INDEX", "OPSNAME", "REGION", "AUTONOM", "AREA", "CITY", "row", "reason"]
    assert first[0] == "300000"
    assert first[5:] == ["'=HYPERLINK(1)", "3", "/REGION: There is no region «АТЛАНТИДА»."]
    assert len(others) == 2


@pytest.mark.parametrize(
    ("encoding", "language"),
    [("cp866", 0x65), ("cp866", 0x26), ("cp866", 0x00), ("cp866", 0x01), ("cp1251", 0xC9), ("cp1251", 0x00)],
)
async def test_the_encoding_is_found_out_and_shown(office, encoding, language):
    seen = await previewed(office, dbf(codes(2), encoding=encoding, language=language))
    assert (seen["encoding"], seen["counts"]["added"]) == (encoding, 2)
    assert seen["sample"][0]["locality"] == "МОСКВА"


async def test_whoever_knows_better_says_how_a_file_is_written(office):
    said = await previewed(office, dbf(codes(1), encoding="cp1251"), encoding="cp866")
    assert (said["encoding"], said["counts"]["failed"]) == ("cp866", 1)


async def test_a_table_of_another_program_is_read_deleted_records_and_all(office):
    fields = (("CITY", 60), ("INDEX", 6), ("REGION", 60), ("ACTDATE", 8))
    table = dbf(codes(5), fields=fields, deleted=(1, 3), version=0x30)
    done = await applied(office, table, name="postal index.DBF")
    assert done["counts"]["added"] == 3
    assert [each["code"] for each in await addresses(office)] == ["200000", "200002", "200004"]


BROKEN = {
    "empty": (b"", "file.empty"),
    "no records": (dbf([]), "file.empty"),
    "cut off": (dbf(codes(10))[:-200], "file.truncated"),
    "cut off in its header": (dbf(codes(10))[:100], "file.not_dbf"),
    "a text": (b"INDEX,REGION\n101000,\xcc\n" * 50, "file.not_dbf"),
    "a ZIP": (b"PK\x03\x04" + bytes(400), "file.not_dbf"),
    "a PDF": (b"%PDF-1.7\n" + bytes(400), "file.not_dbf"),
    "one byte": (b"\x03", "file.not_dbf"),
    "zeros after a good first byte": (b"\x03" + bytes(4_000), "file.not_dbf"),
    "another table": (dbf([{"NAME": "x"}], fields=(("NAME", 20),)), "file.columns_missing"),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_file_that_is_none_fails_with_a_reason_and_changes_nothing(office, name):
    content, code = BROKEN[name]
    await applied(office, dbf(codes(2)))
    seen = await previewed(office, content)
    assert (seen["state"], seen["problems"][0]["code"], seen["problems"][0]["row"]) == ("failed", code, 0)
    assert len(await addresses(office)) == 2
    refused = await apply(office, seen["id"], expect=409)
    assert refused.json()["code"] == "import.failed"
    again = await previewed(office, dbf(codes(2)))
    assert again["counts"]["unchanged"] == 2, "a failed one keeps nobody off"


async def test_a_long_list_of_long_names_makes_events_that_fit(office):
    rows = codes(900, AREA="Ж" * 30, CITY="Щ" * 30)
    await applied(office, dbf(rows))
    loads = [
        each for each in await office.system.log.read(0, 5_000) if each.topic == "postal_index.loaded.v1"
    ]
    assert len(loads) > 2
    assert all(len(each.state) < 40_000 for each in loads)
    assert len(await addresses(office)) == 900
