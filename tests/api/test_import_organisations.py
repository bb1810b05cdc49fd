"""Organisations from a CSV over HTTP: columns, encodings, match keys, bad rows; written as whoever applied it."""

import csv
from io import StringIO
from pathlib import Path

import pytest

from tests import importing, servers
from tests import office as offices
from tests.importing import apply, shown, worked
from workers import imports

pytestmark = pytest.mark.anyio
FRENCH = Path(__file__).parents[2] / "data" / "french_companies.csv"


@pytest.fixture(scope="module")
async def office(cluster, nats_server, object_store):
    """One for all tests here: each speaks of organisations with numbers of its own."""
    with servers.database(cluster) as addresses:
        async with offices.opened(addresses, nats_server.url, **object_store.settings) as opened:
            yield opened


NUMBERS = iter(range(1, 10_000))


def sirens(count: int) -> list[str]:
    return [f"{next(NUMBERS):09}" for _ in range(count)]


def table(*rows, encoding="utf-8", delimiter=",") -> bytes:
    """The first row is the heading."""
    written = StringIO()
    csv.writer(written, delimiter=delimiter).writerows(rows)
    return written.getvalue().encode(encoding)


def previewed(office, content, **said):
    return importing.previewed(office, content, **{"kind": "organisations", "name": "a.csv", **said})


def applied(office, content, **said):
    return importing.applied(office, content, **{"kind": "organisations", "name": "a.csv", **said})


async def found(office, siren) -> list[dict]:
    answer = await office.admin.get("/organisations", params={"filter": f"siren={siren}"})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def counts(seen) -> tuple[int, ...]:
    return tuple(seen["counts"][name] for name in ("added", "changed", "unchanged", "failed"))


async def test_the_french_register_is_previewed_applied_and_the_second_time_nothing_changes(office):
    with FRENCH.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    distinct = len({row["siret"] for row in rows})
    seen = await previewed(office, FRENCH.read_bytes())
    assert counts(seen) == (distinct, 0, len(rows) - distinct, 0), seen["problems"]
    assert (seen["encoding"], seen["columns"]["nom_raison_sociale"]) == ("utf-8", "full_name")
    assert len(seen["sample"]) == min(distinct, 20)
    first = seen["sample"][0]
    assert (first["row"], first["action"], first["full_name"]) == (2, "added", "LA POSTE")
    assert first["identifiers"] == {"siren": "356000000", "nic": "00048"}
    done = await applied(office, FRENCH.read_bytes())
    assert (done["state"], counts(done)) == ("applied", counts(seen))
    assert done["progress"] == {"processed": len(rows), "total": len(rows)}
    (post,) = await found(office, "356000000")
    assert post["addresses"]["legal"]["text"] == "9 DU COLONEL PIERRE AVIA, 75015 PARIS 15"
    assert (post["started_on"], post["region_code"]) == ("2014-04-29", "11")
    again = await previewed(office, FRENCH.read_bytes())
    assert counts(again) == (0, 0, len(rows), 0)
    await apply(office, again["id"])
    before = await office.head()
    await worked(office, imports.apply, again["id"])
    assert await office.head() == before + 1
    assert counts(await shown(office, again["id"])) == (0, 0, len(rows), 0)


async def test_fill_only_adds_update_only_changes_both_does_both(office):
    known, new = sirens(2)
    await applied(office, table(["full_name", "siren"], ["Alpha", known]))
    rows = table(["full_name", "siren"], ["Alpha & sons", known], ["Beta", new])
    assert counts(await applied(office, rows, mode="update")) == (0, 1, 1, 0)
    assert [each["full_name"] for each in await found(office, known)] == ["Alpha & sons"]
    assert await found(office, new) == []
    rows = table(["full_name", "siren"], ["Alpha once more", known], ["Beta", new])
    assert counts(await applied(office, rows, mode="fill")) == (1, 0, 1, 0)
    assert [each["full_name"] for each in await found(office, known)] == ["Alpha & sons"]
    assert counts(await applied(office, rows, mode="both")) == (0, 1, 1, 0)


@pytest.mark.parametrize(
    ("encoding", "name", "told"),
    [
        ("utf-8", "Société générale d'œuvres", "utf-8"),
        ("utf-8-sig", "ООО «Ромашка»", "utf-8"),
        ("cp1251", "ООО «Ромашка»", "cp1251"),
        ("latin-1", "Société générale", "latin-1"),
        ("cp1252", "Société d’œuvres", "cp1252"),
        ("utf-16", "Ромашка", "utf-16"),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
async def test_encoding_and_delimiter_are_found_out(office, encoding, name, told, delimiter):
    (siren,) = sirens(1)
    rows = table(["full_name", "siren"], [name, siren], encoding=encoding, delimiter=delimiter)
    seen = await previewed(office, rows)
    assert (seen["encoding"], counts(seen)) == (told, (1, 0, 0, 0))
    assert seen["sample"][0]["full_name"] == name


async def test_columns_are_known_by_name_or_said(office):
    (inn,) = ("7707083893",)
    rows = table(
        ["Полное наименование", "ИНН", "КПП", "Чужое", "Since"],
        ["Сбербанк", inn, "773601001", "?", "20.06.1991"],
    )
    seen = await previewed(office, rows, mapping='{"Since": "started_on"}')
    assert seen["columns"] == {
        "Полное наименование": "full_name",
        "ИНН": "identifiers.inn",
        "КПП": "identifiers.kpp",
        "Since": "started_on",
    }
    assert seen["sample"][0]["started_on"] == "1991-06-20"


@pytest.mark.parametrize(
    ("kind", "mapping", "pointer"),
    [
        ("organisations", "[1]", "/mapping"),
        ("organisations", '{"a": 1}', "/mapping"),
        ("organisations", '{"a": "colour"}', "/mapping/a"),
        ("organisations", "{" * 2_000, "/mapping"),
        ("postal-index", '{"a": "inn"}', "/mapping"),
    ],
)
async def test_a_mapping_that_says_nothing_is_refused(office, kind, mapping, pointer):
    async with office.nothing_stored():
        answer = await importing.sent(office.admin, b"x", kind=kind, mapping=mapping, expect=400)
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]


async def test_of_ten_rows_one_is_bad_and_nine_go_in(office):
    numbers = sirens(90)
    rows = [["full_name", "siren", "started_on"]]
    rows += [[f"Company {each}", each, "2020-01-01"] for each in numbers]
    bad = [["", "000123456", ""], ["=HYPERLINK(1)", "12345", ""], ["No date", sirens(1)[0], "yesterday"]]
    bad += [["No number", "", ""], ["Too much", "000000001", "", "?"], ["Too little"]]
    bad += [["A\0B", sirens(1)[0], ""], ["@SUM(A1)", "x" * 300, ""], ["N" * 2_000, sirens(1)[0], ""]]
    bad += [["M" * 1_000_000, sirens(1)[0], ""]]
    for at, each in enumerate(bad):
        rows.insert(1 + at * 10, each)
    done = await applied(office, table(*rows))
    assert (done["state"], counts(done)) == ("applied", (90, 0, 0, 10))
    answer = await office.admin.get(f"/imports/{done['id']}/failed-rows")
    head, *failed = csv.reader(StringIO(answer.content.decode("utf-8-sig")))
    assert head == ["full_name", "siren", "started_on", "row", "reason"]
    assert [int(each[3]) for each in failed] == [2 + at * 10 for at in range(10)]
    assert failed[1][0] == "'=HYPERLINK(1)"
    assert failed[7][0] == "'@SUM(A1)"
    told = {each["row"]: (each["pointer"], each["code"]) for each in done["problems"]}
    assert told[2][0] == "/full_name"
    assert told[12] == ("/identifiers/siren", "wrong_format")
    assert told[22] == ("/started_on", "wrong_format")
    assert told[32] == ("/identifiers", "missing")
    assert [told[row][1] for row in (42, 52, 62, 92)] == ["ragged", "ragged", "nul", "too_long"]
    again = await previewed(office, table(*rows))
    assert counts(again) == (0, 0, 90, 10)


async def test_a_formula_is_stored_as_it_was_given(office):
    (siren,) = sirens(1)
    name = '=HYPERLINK("http://localhost","x")'
    await applied(office, table(["full_name", "siren"], [name, siren]))
    assert [each["full_name"] for each in await found(office, siren)] == [name]


async def test_names_of_any_script_come_in_as_they_are_composed(office):
    one, two = sirens(2)
    await applied(
        office, table(["full_name", "siren"], ["\u202eשלום עולם", one], ["Cafe\u0301 Ivr\u0443\u0306", two])
    )
    assert [each["full_name"] for each in await found(office, one)] == ["\u202eשלום עולם"]
    assert [each["full_name"] for each in await found(office, two)] == ["Café Ivr\u045e"]


async def test_rows_on_one_organisation_follow_each_other(office):
    (siren,) = sirens(1)
    rows = [["full_name", "siren"], ["First", siren], ["Second", siren], ["Second", siren], ["Third", siren]]
    done = await applied(office, table(*rows))
    assert counts(done) == (1, 2, 1, 0)
    assert [each["full_name"] for each in await found(office, siren)] == ["Third"]


async def test_a_row_that_is_two_organisations_and_one_that_is_archived_fail(office):
    one, two, gone = sirens(3)
    await applied(
        office,
        table(["full_name", "siren", "inn"], ["A", one, ""], ["B", two, "7707083894"], ["C", gone, ""]),
    )
    (record,) = await found(office, gone)
    assert (await office.admin.post(f"/organisations/{record['id']}/archive")).status_code == 200
    done = await applied(
        office, table(["full_name", "siren", "inn"], ["AB", one, "7707083894"], ["C2", gone, ""])
    )
    assert counts(done) == (0, 0, 0, 2)
    assert {each["code"] for each in done["problems"]} == {"ambiguous", "organisation.archived"}


BROKEN = {
    "empty": (b"", "file.empty"),
    "a byte order mark": (b"\xef\xbb\xbf", "file.empty"),
    "blank": (b"\n\n", "file.empty"),
    "a workbook": (b"PK\x03\x04" + bytes(100), "file.not_csv"),
    "a PDF": (b"%PDF-1.7 " + bytes(100), "file.not_csv"),
    "bytes": (bytes(range(256)) * 10, "file.not_csv"),
    "no column is known": (b"a,b\n1,2\n", "file.columns_missing"),
    "no match key": (b"full_name,kpp\nA,773601001\n", "file.columns_missing"),
    "a column twice": (b"full_name,siren,siren\nA,1,2\n", "file.column_repeated"),
    "one field twice": (b"name,full_name,siren\nA,B,2\n", "file.column_repeated"),
    "10,000 columns": (b"siren," + b",".join(b"c%d" % at for at in range(10_000)), "file.too_many_columns"),
    "one endless line": (b"full_name,siren\n" + b"x" * 3_000_000, "file.not_csv"),
    "not in UTF-8 at its end": (b"full_name,siren\n" + b"a,1\n" * 2_000_000 + b"\xff", None),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_file_that_is_none_fails_with_a_reason(office, name):
    content, code = BROKEN[name]
    if code is None:  # read another way, not refused; it need not be read to its end here
        content, code = b"full_name,siren\nA\xff,1\n", None
    seen = await previewed(office, content)
    if code is None:
        assert (seen["state"], seen["encoding"]) == ("previewed", "latin-1")
        return
    assert (seen["state"], seen["problems"][0]["code"]) == ("failed", code)


async def test_a_wrong_encoding_is_told_not_guessed_away(office):
    seen = await previewed(
        office, table(["full_name", "siren"], ["Ромашка", "1"], encoding="cp1251"), encoding="utf-8"
    )
    assert (seen["state"], seen["problems"][0]["code"]) == ("failed", "file.encoding")


async def test_rows_are_written_as_whoever_applied_it(office):
    (siren,) = sirens(1)
    clerk = await office.user("import:run", "organisation:create", "organisation:edit", "organisation:view")
    seen = await previewed(office, table(["full_name", "siren"], ["Alpha", siren]))
    began = (await apply(office, seen["id"], who=clerk.client)).json()["position"]
    await worked(office, imports.apply, seen["id"])
    (record,) = await found(office, siren)
    (event,) = await office.system.recorded(record["id"])
    assert event.metadata.actor.id == clerk.id
    assert event.metadata.request_id == f"import.{seen['id']}.2"
    assert event.metadata.cause == (await office.system.log.read(began - 1, 1))[0].event_id


@pytest.mark.parametrize(
    ("mode", "rights", "required"),
    [
        ("both", ("import:run", "organisation:create"), "organisation:edit"),
        ("fill", ("import:run",), "organisation:create"),
        ("update", ("import:run", "organisation:create"), "organisation:edit"),
    ],
)
async def test_whoever_may_not_write_organisations_may_not_apply(office, mode, rights, required):
    clerk = await office.user(*rights)
    seen = await previewed(office, table(["full_name", "siren"], ["Alpha", sirens(1)[0]]), mode=mode)
    async with office.nothing_stored():
        refused = await apply(office, seen["id"], who=clerk.client, expect=403)
    assert refused.json()["required"] == required


async def test_a_right_that_is_lost_meanwhile_stops_it(office):
    clerk = await office.user("import:run", "organisation:create")
    seen = await previewed(office, table(["full_name", "siren"], ["Alpha", sirens(1)[0]]), mode="fill")
    await apply(office, seen["id"], who=clerk.client)
    office.owner.execute("delete from rights where subject_id = %s and module = 'import'", (clerk.id,))
    await worked(office, imports.apply, seen["id"])
    done = await shown(office, seen["id"])
    assert (done["state"], done["problems"][0]["code"]) == ("failed", "import.not_allowed")
    assert done["counts"]["added"] == 0
