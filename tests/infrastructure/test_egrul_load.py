"""Our own copy of the register: filled, brought up to date, searched, and never half of it."""

import io
import threading
from datetime import date

import psycopg
import pytest

from application.lookup import Name, Number, sought
from infrastructure.postgres import open_pool
from infrastructure.registers.egrul_file import EgrulFile, EgrulFileRefused
from infrastructure.registers.egrul_index import EgrulIndex
from infrastructure.registers.egrul_load import EgrulBusy, EgrulEmpty, load
from projections.keyset import PageTokenMalformed, PageTokenMismatch
from tests.egrul import GONE, branch, entity, register

pytestmark = pytest.mark.anyio

ONE, TWO, THREE = "1020200000001", "1020200000002", "1020200000003"


def files(*contents):
    for number, content in enumerate(contents):
        yield EgrulFile(f"{number}.xml", io.BytesIO(content))


def loaded(dsn, mode, *contents, progress=lambda _: None):
    return load(dsn, files(*contents), mode, progress)


@pytest.fixture
async def index(dsn):
    pool = await open_pool(dsn, size=2)
    yield EgrulIndex(pool)
    await pool.close()


async def names(index, q, page=None):
    return [each.full_name for each in (await index.search(sought(q), page)).data]


async def test_before_the_first_fill_there_is_no_register(index):
    assert not await index.is_there()


async def test_a_fill_is_found_by_each_number_and_by_words(dsn, index):
    done = loaded(
        dsn,
        "fill",
        register(
            entity(ogrn=ONE, name='ОБЩЕСТВО С ОГРАНИЧЕННОЙ ОТВЕТСТВЕННОСТЬЮ "РОМАШКА"', short='ООО "РОМАШКА"')
        ),
        register(entity(ogrn=TWO, inn="7701000002", kpp="770101002", name="АО МОСКОВСКИЙ ЗАВОД")),
    )
    assert (done.entities, done.entries, done.files, done.valid_as_of) == (2, 2, 2, date(2024, 1, 15))
    assert await index.is_there()
    for q in ("0265000001", "026501001", ONE, "ромашка", "РОМАШКИ", "ооо ромашка", "«Ромашка»"):
        assert await names(index, q) == ['ОБЩЕСТВО С ОГРАНИЧЕННОЙ ОТВЕТСТВЕННОСТЬЮ "РОМАШКА"'], q
    for q in ("московского завода", "московский", "7701000002", "7701 000 002"):
        assert await names(index, q) == ["АО МОСКОВСКИЙ ЗАВОД"], q


@pytest.mark.parametrize(
    "q",
    [
        "общество",
        "общество с ограниченной ответственностью",
        "12345",
        "нет такого",
        "...",
        "\0\0\0\0",
        "' OR 1=1",
    ],
)
async def test_stop_words_and_what_nobody_is_called_find_nothing(dsn, index, q):
    loaded(dsn, "fill", register(entity(name="ОБЩЕСТВО С ОГРАНИЧЕННОЙ ОТВЕТСТВЕННОСТЬЮ РОМАШКА")))
    assert await names(index, q) == []


async def test_yo_and_marks_are_folded_and_short_i_is_a_letter_of_its_own(dsn, index):
    loaded(dsn, "fill", register(entity(name="АО ЗЕЛЁНЫЙ БЕРЕГ")))
    for q in ("зеленый берег", "ЗЕЛЁНЫЙ БЕРЕГ", "зелёным берегом", "зе\u0301лёны\u0438\u0306 бере\u0301г"):
        assert await names(index, q) == ["АО ЗЕЛЁНЫЙ БЕРЕГ"], q


async def test_the_best_comes_first_then_by_name_and_pages_meet_without_a_gap(dsn, index):
    many = [
        entity(ogrn=f"10203{number:08d}", inn=f"{number:010d}", name=f"АО РОМАШКА {number:02d}")
        for number in range(44)
    ]
    loaded(dsn, "fill", register(*many, entity(ogrn=TWO, name="РОМАШКА РОМАШКА РОМАШКА")))
    found, page = [], None
    for size in (20, 20, 5):
        entries = await index.search(sought("ромашка"), page)
        assert len(entries.data) == size
        found += [each.full_name for each in entries.data]
        page = entries.next_page_token
    assert (page, entries.has_more) == (None, False)
    assert found == ["РОМАШКА РОМАШКА РОМАШКА", *(f"АО РОМАШКА {number:02d}" for number in range(44))]


async def test_a_page_token_belongs_to_its_search(dsn, index):
    loaded(dsn, "fill", register(*(entity(ogrn=f"10202{n:08d}") for n in range(21))))
    token = (await index.search(sought("ромашка"), None)).next_page_token
    with pytest.raises(PageTokenMismatch):
        await index.search(sought("лютик"), token)
    for wrong in ("", "x", "ä", token + "AAAA"):
        with pytest.raises(PageTokenMalformed):
            await index.search(sought("ромашка"), wrong)


async def test_a_branch_stands_beside_its_parent_and_each_is_found_again_by_its_ref(dsn, index):
    loaded(dsn, "fill", register(entity(name="АО ЗАВОД", branches=branch("026543002"))))
    parent, unit = (await index.search(sought(ONE), None)).data
    assert (parent.is_main, unit.is_main, unit.full_name, unit.inn, unit.ogrn) == (
        True, False, "АО ЗАВОД. ФИЛИАЛ", parent.inn, ONE,
    )  # fmt: skip
    assert (unit.address, unit.region_code) == (None, "00")
    assert [await index.entry(each.ref) for each in (parent, unit)] == [parent, unit]
    assert await index.entry("1020200000009") is None


async def test_a_fill_replaces_everything(dsn, index):
    loaded(dsn, "fill", register(entity(ogrn=ONE, name="АО ЛЮТИК"), day="2024-02-01"))
    loaded(dsn, "fill", register(entity(ogrn=TWO, name="АО РОМАШКА"), day="2024-01-01"))
    assert (await names(index, "лютик"), await names(index, "ромашка")) == ([], ["АО РОМАШКА"])
    assert (await index.search(sought("ромашка"), None)).valid_as_of == date(2024, 1, 1)


async def test_an_update_replaces_every_ogrn_it_meets_and_no_other(dsn, index):
    loaded(
        dsn,
        "fill",
        register(
            entity(ogrn=ONE, name="АО ЛЮТИК", branches=branch("026543002")),
            entity(ogrn=TWO, name="АО РОМАШКА"),
            entity(ogrn=THREE, name="АО КЛЕВЕР"),
        ),
    )
    done = loaded(
        dsn,
        "update",
        register(entity(ogrn=ONE, name="АО ВАСИЛЁК"), entity(ogrn=TWO, more=GONE), day="2024-03-01"),
    )
    assert (done.entities, done.gone, done.entries, done.valid_as_of) == (1, 1, 2, date(2024, 3, 1))
    assert (
        await names(index, "лютик") == await names(index, "ромашка") == await names(index, "026543002") == []
    )
    assert (await names(index, "василек"), await names(index, "клевер")) == (["АО ВАСИЛЁК"], ["АО КЛЕВЕР"])


async def test_an_update_of_nothing_is_a_fill(dsn, index):
    loaded(dsn, "update", register(entity(name="АО РОМАШКА")))
    assert await names(index, "ромашка") == ["АО РОМАШКА"]


async def test_the_same_files_twice_change_nothing(dsn, index):
    content = register(entity(name="АО РОМАШКА", branches=branch("026543002")))
    for mode in ("fill", "update", "update", "fill"):
        assert loaded(dsn, mode, content).entries == 2
    assert await names(index, "ромашка") == ["АО РОМАШКА", "АО РОМАШКА. ФИЛИАЛ"]


async def test_of_two_extracts_the_later_one_counts_wherever_it_stands(dsn, index):
    new = entity(name="АО НОВОЕ", made_on="2024-02-02")
    old = entity(name="АО СТАРОЕ", made_on="2023-01-01", branches=branch("026543002"))
    assert loaded(dsn, "fill", register(new), register(old)).entries == 1
    assert await names(index, ONE) == ["АО НОВОЕ"]
    gone = entity(more=GONE, made_on="2024-03-03")
    assert loaded(dsn, "update", register(gone, new, old)).entries == 0
    assert not await index.is_there()


@pytest.mark.parametrize("mode", ["fill", "update"])
async def test_a_broken_file_leaves_the_register_as_it_was(dsn, index, mode):
    loaded(dsn, "fill", register(entity(name="АО РОМАШКА")))
    whole, cut = register(entity(ogrn=TWO, name="АО ЛЮТИК")), register(entity(ogrn=THREE))[:-200]
    with pytest.raises(EgrulFileRefused, match=r"1\.xml"):
        loaded(dsn, mode, whole, cut)
    assert (await names(index, "ромашка"), await names(index, "лютик")) == (["АО РОМАШКА"], [])


@pytest.mark.parametrize("contents", [(), (register(),)], ids=["no file", "nobody in it"])
async def test_nothing_to_load_does_not_empty_the_register(dsn, index, contents):
    loaded(dsn, "fill", register(entity(name="АО РОМАШКА")))
    with pytest.raises(EgrulEmpty):
        loaded(dsn, "fill", *contents)
    assert await names(index, "ромашка") == ["АО РОМАШКА"]


async def test_what_cannot_be_read_is_counted_and_named(dsn, index):
    done = loaded(dsn, "fill", register(entity(ogrn="12345"), entity(name=" "), entity(name="АО РОМАШКА")))
    assert (done.left_out, done.entries) == (2, 1)
    assert [(each.file, each.ogrn, each.detail) for each in done.problems] == [
        ("0.xml", "12345", "its OGRN has not 13 digits"),
        ("0.xml", ONE, "it has no name"),
    ]


class Canceled(Exception):
    pass


async def test_a_load_that_is_canceled_or_killed_leaves_nothing_and_can_be_done_again(dsn, index):
    loaded(dsn, "fill", register(entity(name="АО РОМАШКА")))
    content = register(*(entity(ogrn=f"10203{n:08d}", name="АО ЛЮТИК") for n in range(2_500)))

    def canceled(progress):
        if progress.entities >= 2_000:
            raise Canceled

    def killed(progress):
        if progress.entities >= 2_000:
            with psycopg.connect(dsn, autocommit=True) as other:
                other.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where application_name like 'chancery egrul%' and datname = current_database()"
                )

    for progress, raised in ((canceled, Canceled), (killed, psycopg.OperationalError)):
        with pytest.raises(raised):
            loaded(dsn, "fill", content, progress=progress)
        assert (await names(index, "ромашка"), await names(index, "лютик")) == (["АО РОМАШКА"], [])
    assert loaded(dsn, "fill", content).entries == 2_500


async def test_searches_go_on_while_it_is_loaded_and_a_second_load_is_refused(dsn, index):
    loaded(dsn, "fill", register(entity(name="АО РОМАШКА")))
    reading, go_on = threading.Event(), threading.Event()

    def waits(_):
        reading.set()
        assert go_on.wait(30)

    first = threading.Thread(
        target=loaded, args=(dsn, "fill", register(entity(name="АО ЛЮТИК"))), kwargs={"progress": waits}
    )
    first.start()
    try:
        assert reading.wait(30)
        assert await names(index, "ромашка") == ["АО РОМАШКА"]
        with pytest.raises(EgrulBusy):
            loaded(dsn, "update", register(entity(name="АО КЛЕВЕР")))
    finally:
        go_on.set()
        first.join()
    assert await names(index, "лютик") == ["АО ЛЮТИК"]


@pytest.mark.parametrize("q", ["ромашка", "0265000001", "026501001", ONE])
async def test_every_search_has_an_index(dsn, owner_dsn, q):
    loaded(
        dsn,
        "fill",
        register(
            *(
                entity(ogrn=f"10202{n:08d}", inn=f"{n:010d}", kpp=f"{n:09d}", name=f"АО {n}")
                for n in range(5_000)
            )
        ),
    )
    what = sought(q)
    column = what.kind if isinstance(what, Number) else None
    where = f"{column} = '{q}'" if column else "words @@ plainto_tsquery('russian', 'ромашка')"
    with psycopg.connect(dsn) as connection:
        plan = "\n".join(
            row for (row,) in connection.execute(f"explain select ref from lookup.egrul where {where}")
        )
    assert "Index" in plan
    assert "Seq Scan" not in plan


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("7707083893", Number(kind="inn", digits="7707083893")),
        ("500100732259", Number(kind="inn", digits="500100732259")),
        ("1027700132195", Number(kind="ogrn", digits="1027700132195")),
        ("304500116000157", Number(kind="ogrn", digits="304500116000157")),
        ("773601001", Number(kind="kpp", digits="773601001")),
        (" 7707 083\u00a0893 ", Number(kind="inn", digits="7707083893")),
        ("12345", Name(text="12345")),
        ("12345678901", Name(text="12345678901")),
        ("٧٧٠٧٠٨٣٨٩٣", Name(text="٧٧٠٧٠٨٣٨٩٣")),
        ("ООО  Ромашка", Name(text="ООО Ромашка")),
    ],
)
def test_digits_are_told_from_names(q, found):
    assert sought(q) == found
