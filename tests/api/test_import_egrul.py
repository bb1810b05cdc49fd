"""The register of legal entities over HTTP: read through, compared with what there is, loaded as a whole."""

from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

import psycopg
import pytest

from tests import importing, servers
from tests import office as offices
from tests.egrul import GONE, entity, register
from tests.importing import apply, shown, worked
from workers import imports

pytestmark = pytest.mark.anyio
ONE, TWO, THREE = "1020200000001", "1020200000002", "1020200000003"


@pytest.fixture
async def office(cluster, nats_server, object_store):
    with servers.database(cluster) as addresses:
        async with offices.opened(addresses, nats_server.url, **object_store.settings) as opened:
            yield opened


def previewed(office, content, **said):
    return importing.previewed(
        office, content, **{"kind": "egrul", "name": "e.xml", "mode": "update", **said}
    )


def applied(office, content, **said):
    return importing.applied(office, content, **{"kind": "egrul", "name": "e.xml", "mode": "update", **said})


def names(office) -> list[str]:
    with psycopg.connect(office.addresses.app) as connection:
        return [name for (name,) in connection.execute("select full_name from lookup.egrul order by ogrn")]


async def test_what_is_new_known_and_gone_is_told_before_it_is_loaded(office):
    done = await applied(office, register(entity(ogrn=ONE, name="АО РОМАШКА"), entity(ogrn=TWO)))
    assert (done["state"], done["encoding"], done["counts"]["added"]) == ("applied", "windows-1251", 2)
    update = register(
        entity(ogrn=ONE, name="АО РОЗА"), entity(ogrn=TWO, more=GONE), entity(ogrn=THREE), entity(ogrn="1")
    )
    seen = await previewed(office, update)
    assert seen["counts"] == {"added": 1, "changed": 1, "unchanged": 0, "vanished": 1, "failed": 1}
    assert [(each["row"], each["action"]) for each in seen["sample"]] == [(1, "changed"), (3, "added")]
    assert names(office)[0] == "АО РОМАШКА", "nothing is loaded before somebody says so"
    await apply(office, seen["id"])
    await worked(office, imports.apply, seen["id"])
    done = await shown(office, seen["id"])
    assert (done["state"], done["counts"]) == ("applied", seen["counts"])
    assert names(office) == ["АО РОЗА", 'ООО "РОМАШКА"']
    rows = (await office.admin.get(f"/imports/{seen['id']}/failed-rows")).content.decode("utf-8-sig")
    assert rows.splitlines()[0] == "file,ogrn,row,reason"
    assert rows.splitlines()[1].startswith("e.xml,1,4,")


async def test_fill_replaces_what_it_does_not_name(office):
    await applied(office, register(entity(ogrn=ONE), entity(ogrn=TWO)))
    done = await applied(office, register(entity(ogrn=THREE, name="АО АСТРА")), mode="fill")
    assert (done["counts"]["added"], done["counts"]["vanished"]) == (1, 2)
    assert names(office) == ["АО АСТРА"]


async def test_a_zip_is_unpacked_while_it_is_read(office):
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        archive.writestr("a/1.xml", register(entity(ogrn=ONE)))
        archive.writestr("a/2.XML", register(entity(ogrn=TWO)))
        archive.writestr("readme.txt", "not for us")
    done = await applied(office, packed.getvalue(), name="e.zip")
    assert done["counts"]["added"] == 2


BOMB = '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>\n'
OUTSIDE = '<!DOCTYPE b [<!ENTITY a SYSTEM "file:///etc/passwd">]>\n'
WHOLE = register(*[entity(ogrn=ONE)] * 50)
BROKEN = {
    "empty": (b"", "file.empty"),
    "cut off": (WHOLE[:-100], "file.not_egrul"),
    "no XML": (b"INDEX,REGION\n", "file.not_egrul"),
    "no entity": (b"<EGRUL/>", "file.empty"),
    "a bomb": (register(entity(), before=BOMB), "file.not_egrul"),
    "an outside entity": (register(entity(), before=OUTSIDE), "file.not_egrul"),
    "a damaged ZIP": (b"PK\x03\x04" + bytes(200), "file.not_egrul"),
    "another encoding than it says": (register(entity(), encoding="cp1251", said="utf-8"), "file.not_egrul"),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_file_that_is_none_fails_with_a_reason_and_changes_nothing(office, name):
    content, code = BROKEN[name]
    seen = await previewed(office, content)
    assert (seen["state"], seen["problems"][0]["code"]) == ("failed", code)
    with pytest.raises(psycopg.errors.UndefinedTable):
        names(office)
