"""Search over HTTP: what is found, where in it, in which order, and by whom."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
import typst

from infrastructure.operations import Taken
from projections import search_query
from tests import office as offices
from tests import servers
from workers import operations

pytestmark = pytest.mark.anyio
DAY = datetime.now(UTC).date().isoformat()


@pytest.fixture(scope="module")
async def office(cluster, nats_server, object_store):
    with servers.database(cluster) as addresses:
        async with offices.opened(addresses, nats_server.url, **object_store.settings) as opened:
            yield opened


@pytest.fixture(scope="module")
async def alpha(office):
    return (await office.organisation(full_name="Société Générale de Menuiserie")).rpartition("/")[2]


async def made(client, path, **body):
    answer = await client.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def letter(client, *organisation_ids, subject, **fields):
    told = {"sender_number": "17/3-204", "sender_date": DAY, "received_on": DAY}
    body = {"organisation_ids": organisation_ids, "subject": subject} | told | fields
    return await made(client, "/letters/incoming", **body)


async def article(client, title, text="There is more to it."):
    return (await made(client, "/notices", kind="article", title=title, text=text))["id"]


async def dialog(one, other):
    opened = await one.client.post("/dialogs", json={"user_id": str(other.id)})
    return f"/dialogs/{opened.json()['id']}/messages"


async def search(client, q, **parameters):
    answer = await client.get("/search", params={"q": q, **parameters})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def ids(client, q, **parameters):
    return [each["id"] for each in (await search(client, q, **parameters))["data"]]


def hits(found):
    """What is marked, by field."""
    marked = {}
    for each in found["highlights"]:
        marked.setdefault(each["field"], []).extend(p["text"] for p in each["pieces"] if p["hit"])
    return marked


# --- words, in three languages ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "asked", "marked"),
    [
        ("О поставках оборудования для котельной", "поставка оборудованию", ["поставках", "оборудования"]),
        ("Северный район: отключение воды", "северного района", ["Северный", "район"]),
        ("Ёлка в фойе зажжётся в пятницу", "елка", ["Ёлка"]),
        ("Ремонт ёлочных гирлянд", "ЁЛОЧНЫЕ ГИРЛЯНДЫ", ["ёлочных", "гирлянд"]),
        ("Les réunions sont reportées au printemps", "réunion reportée", ["réunions", "reportées"]),
        ("Crèche: inscriptions ouvertes", "creche inscription", ["Crèche", "inscriptions"]),
        ("Vœux de fin d'année", "annee voeux", ["Vœux", "année"]),
        ("The measurements were delivered late", "measurement delivering", ["measurements", "delivered"]),
        ("Straße gesperrt", "strasse", ["Straße"]),
        ("ＦＵＬＬ　ｗｉｄｔｈ letters", "full width", ["ＦＵＬＬ　ｗｉｄｔｈ"]),
    ],
)
async def test_a_word_is_found_in_any_form_of_it(office, title, asked, marked):
    wanted = await article(office.admin, title)
    found = (await search(office.admin, asked, **{"in": "notices"}))["data"]
    (one,) = [each for each in found if each["id"] == wanted]
    assert set(marked) <= set(hits(one)["title"])
    (shown,) = [each for each in one["highlights"] if each["field"] == "title"]
    assert "".join(piece["text"] for piece in shown["pieces"]) == title


async def test_all_words_count_but_those_that_say_nothing(office):
    both = await article(office.admin, "The turbine and the generator")
    await article(office.admin, "The turbine alone")
    assert await ids(office.admin, "generator of the turbine") == [both]
    assert await ids(office.admin, "turbine locomotive") == []


async def test_a_word_is_found_by_how_it_begins(office):
    wanted = await article(office.admin, "Thermodynamics for beginners")
    assert await ids(office.admin, "thermody") == [wanted]
    assert await ids(office.admin, "thermodynamo") == []


# --- numbers, names, parts -------------------------------------------------------------------------------------


async def test_a_number_is_found_whole_and_in_part_and_stands_first(office, alpha):
    subject = "On the pump of the second boiler"
    one = await letter(office.admin, alpha, subject=subject, sender_number="АБ-77/991-к")
    number = one["number"]
    about = await letter(office.admin, alpha, subject=f"Our question on your letter {number}")
    where = {"in": "letters"}
    assert (await ids(office.admin, number, **where)) == [one["id"], about["id"]]
    assert (await ids(office.admin, number.lower(), **where))[0] == one["id"]
    assert (await ids(office.admin, number.replace("-", " "), **where))[0] in (one["id"], about["id"])
    assert one["id"] in await ids(office.admin, number[3:], **where)
    assert await ids(office.admin, "аб-77/991-к", **where) == [one["id"]]
    assert await ids(office.admin, "77/991", **where) == [one["id"]]
    (found,) = (await search(office.admin, "77/991", **where))["data"]
    assert hits(found) == {"sender_number": ["77/991"]}
    assert (found["kind"], found["number"], found["state"]) == ("letter", number, "registered")


async def test_an_organisation_is_found_by_any_of_its_numbers_and_a_piece_of_its_name(office):
    numbers = {"inn": "7707083893", "kpp": "773601001", "ogrn": "1027700132195"}
    bank = await made(office.admin, "/organisations", full_name="ПАО «Сбербанк-Тест»", identifiers=numbers)
    post = await made(
        office.admin, "/organisations", full_name="La Poste d'essai", identifiers={"siren": "356000000"}
    )
    where = {"in": "organisations"}
    for asked in (*numbers.values(), "77070838", "132195", "сбербанк", "банк-тест", "«сбер"):
        assert await ids(office.admin, asked, **where) == [bank["id"]], asked
    for asked in ("356000000", "356 000 000", "poste essai", "ESSAI la"):
        assert await ids(office.admin, asked, **where) == [post["id"]], asked


async def test_a_contract_is_found_by_the_name_that_was_given_to_it(office, alpha):
    body = {"kind": "cooperation", "organisation_id": alpha, "custom_id": "North.Site_7", "title": "Roof"}
    made_of = await made(office.admin, "/contracts", **body)
    for asked in ("north.site_7", "site_7", "Roof north"):
        assert await ids(office.admin, asked, **{"in": "contracts"}) == [made_of["id"]], asked
    for asked in ("n%rth", "n_rth", "n\\orth"):
        assert await ids(office.admin, asked, **{"in": "contracts"}) == [], asked


async def test_what_stands_in_the_title_comes_before_what_stands_in_the_text(office):
    told = await article(office.admin, "Of other things", "Somewhere here is the quasar.")
    named = await article(office.admin, "Quasar", "Of other things.")
    assert await ids(office.admin, "quasar") == [named, told]


async def test_a_hit_in_a_long_text_is_shown_with_what_stands_around_it(office):
    text = "Nothing of it. " * 100 + "Here is the heliograph, at last. " + "Nothing more. " * 100
    wanted = await article(office.admin, "A long one", text)
    (found,) = (await search(office.admin, "heliographs"))["data"]
    (shown,) = found["highlights"]
    whole = "".join(piece["text"] for piece in shown["pieces"])
    assert (found["id"], shown["field"], hits(found)) == (wanted, "text", {"text": ["heliograph"]})
    assert whole.startswith("…")
    assert whole.endswith("…")
    assert whole.strip("…") in text
    assert len(whole) <= 250


async def test_what_others_typed_is_given_back_as_text_and_never_as_html(office):
    title = '<script>alert("zeppelin")</script> & <b>zeppelin</b>'
    await article(office.admin, title)
    answer = await office.admin.get("/search", params={"q": "zeppelin"})
    assert answer.headers["content-type"] == "application/json"
    (found,) = answer.json()["data"]
    assert hits(found)["title"] == ["zeppelin", "zeppelin"]
    assert "".join(piece["text"] for piece in found["highlights"][0]["pieces"]) == title


# --- who finds what --------------------------------------------------------------------------------------------


async def test_letters_and_contracts_are_found_where_one_may_view_them(office):
    mine, other = [(await office.organisation(full_name=name)).rpartition("/")[2] for name in "AB"]
    clerk = await office.user("letter:view", "contract:view", scope=("organisation", mine))
    nobody = await office.user()
    expected = {"letters": set(), "contracts": set()}
    for place in (mine, other):
        made_of = (await letter(office.admin, place, subject="On the obelisk in the yard"))["id"]
        body = {"kind": "cooperation", "organisation_id": place, "title": "Obelisk"}
        contract = (await made(office.admin, "/contracts", **body))["id"]
        if place == mine:
            expected = {"letters": {made_of}, "contracts": {contract}}
    for within, wanted in expected.items():
        assert set(await ids(clerk.client, "obelisk", **{"in": within})) == wanted
        assert len(await ids(office.admin, "obelisk", **{"in": within})) == 2
    assert set(await ids(clerk.client, "obelisk")) == set().union(*expected.values())
    found = await search(nobody.client, "obelisk", page_size=1)
    assert (found["data"], found["has_more"], found["next_page_token"]) == ([], False, None)


async def test_who_answers_for_a_record_finds_it(office):
    manager = await office.user("organisation:view", "contract:view", scope=("own", "*"))
    theirs = await made(
        office.admin, "/organisations", full_name="Palimpsest", account_manager_id=str(manager.id)
    )
    other = await made(office.admin, "/organisations", full_name="Palimpsest & Cie")
    for place in (theirs, other):
        body = {"kind": "cooperation", "organisation_id": place["id"], "title": "Palimpsest"}
        await made(office.admin, "/contracts", **body)
    found = (await search(manager.client, "palimpsest"))["data"]
    assert sorted(each["kind"] for each in found) == ["contract", "organisation"]
    assert theirs["id"] in [each["id"] for each in found]
    moved = await office.admin.patch(f"/organisations/{theirs['id']}", json={"account_manager_id": None})
    assert moved.status_code == 200
    assert await ids(manager.client, "palimpsest", **{"in": "organisations"}) == []


async def test_a_message_is_found_by_the_two_of_its_dialog_and_not_by_an_administrator(office):
    anna, bert, eve = await office.user(), await office.user(), await office.user()
    sent = await made(anna.client, await dialog(anna, bert), text="Шифр от сейфа знает только Вера")
    for person in (anna, bert):
        (found,) = (await search(person.client, "сейф"))["data"]
        assert (found["id"], found["kind"], found["sender_id"]) == (sent["id"], "message", str(anna.id))
        assert hits(found) == {"text": ["сейфа"]}
    for client in (eve.client, office.admin):
        found = await search(client, "сейф")
        assert (found["data"], found["has_more"]) == ([], False)


async def test_what_somebody_wrote_who_was_forgotten_is_found_by_nobody(office):
    anna, bert = await office.user(), await office.user()
    place = await dialog(anna, bert)
    await made(anna.client, place, text="My sextant is in the attic")
    answer = await made(bert.client, place, text="Which sextant?")
    assert len(await ids(bert.client, "sextant")) == 2
    erased = await office.admin.post(f"/users/{anna.id}/erase", json={"reason": "She asked for it."})
    assert erased.status_code == 200, erased.text
    assert await ids(bert.client, "sextant") == [answer["id"]]
    with psycopg.connect(office.addresses.app) as connection:
        kept = connection.execute(
            "select names, body, vector::text, view from read.search_message"
        ).fetchall()
    assert "sextant" in str(kept)
    assert "attic" not in str(kept)


async def test_a_right_that_ends_ends_what_is_found(office, alpha):
    clerk = await office.user()
    grant = office.grant(clerk.id, "letter:view")
    await letter(office.admin, alpha, subject="On the periscope and its lens")
    assert len(await ids(clerk.client, "periscope")) == 1
    office.revoke(grant)
    assert await ids(clerk.client, "periscope") == []


async def test_withdrawn_and_archived_records_are_found_by_who_asks_for_them(office, alpha):
    one = await letter(office.admin, alpha, subject="On the catapult behind the house")
    two = await article(office.admin, "The catapult")
    for place in (f"/letters/{one['id']}", f"/notices/{two}"):
        gone = await office.admin.post(f"{place}/withdraw", json={"reason": "It was none."})
        assert gone.status_code == 200
    assert await ids(office.admin, "catapult") == []
    assert set(await ids(office.admin, "catapult", show_archived=True)) == {one["id"], two}


# --- what files say --------------------------------------------------------------------------------------------


async def uploaded(client, content, name, kind):
    answer = await client.post("/files", files={"file": (name, content, kind)})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def test_what_a_file_says_is_found_by_whoever_may_see_what_carries_it(office, alpha):
    clerk, nobody = await office.user("letter:view", "letter:create"), await office.user()
    pdf = bytes(typst.compile("Акт обследования дирижабля".encode()))
    scan = await uploaded(clerk.client, pdf, "scan.pdf", "application/pdf")
    assert (await clerk.client.get(f"/files/{scan}")).json()["text"] is None
    one = await letter(clerk.client, alpha, subject="On what was seen there", attachments=[scan])
    assert await ids(clerk.client, "дирижабль") == []
    await office.system.file_texts.read(UUID(scan))
    assert (await clerk.client.get(f"/files/{scan}")).json()["text"] == "read"
    (found,) = (await search(clerk.client, "дирижабль"))["data"]
    assert (found["id"], found["highlights"][0]["file_id"]) == (one["id"], scan)
    assert hits(found) == {"attachment": ["дирижабля"]}
    assert await ids(nobody.client, "дирижабль") == []
    async with office.nothing_stored():  # once more is nothing new
        await office.system.file_texts.read(UUID(scan))


async def test_a_file_read_before_it_was_sent_is_found_and_gone_with_it(office):
    anna, bert = await office.user(), await office.user()
    note = await uploaded(anna.client, "Пароль: одуванчик".encode(), "note.txt", "text/plain")
    await office.system.file_texts.read(UUID(note))
    sent = await made(anna.client, await dialog(anna, bert), attachments=[note])
    assert await ids(bert.client, "одуванчики") == [sent["id"]]
    assert await ids(office.admin, "одуванчики") == []
    await office.system.file_upkeep.forget(UUID(note))
    assert await ids(bert.client, "одуванчики") == []
    await office.system.file_texts.read(UUID(note))  # a job that comes too late
    kept = office.owner.execute("select count(*) from file_texts where file_id = %s", (note,)).fetchone()
    assert kept == (0,)


async def test_a_file_that_is_not_what_it_seems_says_so_and_harms_nothing(office, alpha):
    broken = await uploaded(office.admin, b"%PDF-1.7\n" + bytes(200), "scan.pdf", "application/pdf")
    image = await uploaded(office.admin, b"\x89PNG\r\n\x1a\n" + bytes(32), "a.png", "image/png")
    await office.system.file_texts.read(UUID(broken))
    assert (await office.admin.get(f"/files/{broken}")).json()["text"] == "damaged"
    made_of = await letter(
        office.admin, alpha, subject="On a trebuchet in pieces", attachments=[broken, image]
    )
    assert await ids(office.admin, "trebuchet") == [made_of["id"]]


# --- pages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("few", [4_000, 5], ids=["from the index of words", "from the newest back"])
async def test_pages_follow_each_other_and_show_each_hit_once(office, monkeypatch, few):
    monkeypatch.setattr(search_query, "FEW", few)
    word = f"barometer{few}"
    wanted = [await article(office.admin, f"{word} {f'{word} ' * (n % 3)}") for n in range(9)]
    seen, token = [], None
    while True:
        more = {} if token is None else {"page_token": token}
        page = await search(office.admin, word, page_size=4, **more)
        seen += [each["id"] for each in page["data"]]
        token = page["next_page_token"]
        if token is None:
            break
        assert page["has_more"] is True
    assert sorted(seen) == sorted(wanted)
    assert seen == await ids(office.admin, word, page_size=100)


async def test_a_page_token_goes_on_with_its_own_question_alone(office):
    for title in ("Hygrometer one", "Hygrometer two"):
        await article(office.admin, title)
    answer = await office.admin.get("/search", params={"q": "hygrometer", "page_size": 1})
    token = answer.json()["next_page_token"]
    assert 'rel="next"' in answer.headers["link"]
    for more, code in (
        ({"q": "hygrometers"}, "page_token_mismatch"),
        ({"in": "notices"}, "page_token_mismatch"),
        ({"show_archived": True}, "page_token_mismatch"),
        ({"page_token": "!"}, "page_token_malformed"),
        ({"page_size": 0}, "page_size_invalid"),
    ):
        asked = {"q": "hygrometer", "page_size": 1, "page_token": token} | more
        answer = await office.admin.get("/search", params=asked)
        assert (answer.status_code, answer.json()["code"]) == (400, code), more


async def test_an_answer_says_how_far_it_has_read_and_waits_for_what_it_is_asked_to(office):
    await article(office.admin, "Theodolite")
    head = await office.head()
    waited = await office.admin.get(
        "/search", params={"q": "theodolite"}, headers={"X-Min-Position": str(head)}
    )
    assert (waited.status_code, len(waited.json()["data"])) == (200, 1)
    assert int(waited.headers["x-projection-position"]) >= head
    ahead = {"X-Min-Position": str(head + 1_000_000)}
    answer = await office.admin.get("/search", params={"q": "theodolite"}, headers=ahead)
    assert (answer.status_code, answer.json()["code"]) == (400, "position.unknown")


# --- bad input -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({}, "/q"),
        ({"q": ""}, "/q"),
        ({"q": "   "}, "/q"),
        ({"q": "a" * 501}, "/q"),
        ({"q": "ж" * 2_000}, "/q"),
        ({"q": "\u0301\u0308\u0301"}, "/q"),
        ({"q": "🙂🙂🙂"}, "/q"),
        ({"q": "%%%"}, "/q"),
        ({"q": "' \" \\ & | ! ( ) : *"}, "/q"),
        ({"q": "\u200e\u202e\u200f"}, "/q"),
        ({"q": "a", "in": "letters,users"}, "/in"),
        ({"q": "a", "in": ""}, "/in"),
        ({"q": "a", "in": "Letters"}, "/in"),
        ({"q": "a", "in": "letters,,notices"}, "/in"),
        ({"q": "a", "colour": "red"}, "/colour"),
    ],
)
async def test_a_question_that_is_none_is_refused_with_the_place_in_it(office, asked, pointer):
    answer = await office.admin.get("/search", params=asked)
    assert answer.status_code == 400, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize(
    "asked",
    [
        "a",
        "ж",
        "7",
        "the",
        "on",
        "и",
        "a & | ! <-> b",
        "'a':*",
        "to_tsquery('x')",
        "'; drop table read.search_letter; --",
        "x' or '1'='1",
        "\\",
        "back\\slash 'quote",
        "100%_of",
        "a\x00b",
        "a\x07b\x1b[31m",
        "tab\there\nand there",
        "\u202eמרחבא שלום",
        "مرحبا بالعالم",
        "🙂 smile",
        "汉字 かな",
        "a\u0301" * 100,
        "ZWJ\u200djoined",
        "{a,b} null NULL \\N",
        "a b c d e f g h i j k l m n o p q r s t u v w x y z",
        "w" * 500,
        "one two " * 62,
        "<b>bold</b>",
        "../../etc/passwd",
        "-1 +2 ~3 ^4",
        "１２３",
        "\ud7ff\ue000",
    ],
)
async def test_whatever_else_is_typed_is_a_question_like_any_other(office, asked):
    answer = await office.admin.get("/search", params={"q": asked})
    assert answer.status_code in (200, 400), answer.text
    if "\x00" not in asked and any(each.isalnum() for each in asked):
        assert answer.status_code == 200
    plain = await office.admin.get("/search", params={"q": "theodolite"})
    assert plain.status_code == 200


@pytest.mark.parametrize("typed", ["%ff", "%ed%a0%80", "%00", "a%00", "%c0%ae"])
async def test_bytes_that_are_no_text_are_refused_or_found_nowhere(office, typed):
    answer = await office.admin.get(f"/search?q={typed}")
    assert answer.status_code in (200, 400), answer.text


async def test_who_has_not_signed_in_finds_nothing(office):
    answer = await office.stranger.get("/search", params={"q": "theodolite"})
    assert (answer.status_code, answer.json()["code"]) == (401, "missing_bearer_token")


async def test_a_file_that_nobody_has_read_is_asked_for_again(office, monkeypatch):
    one = await uploaded(office.admin, b"To be read once", "note.txt", "text/plain")
    other = await uploaded(office.admin, b"\x89PNG\r\n\x1a\n" + bytes(32), "a.png", "image/png")
    done = await uploaded(office.admin, b"It was read", "note.txt", "text/plain")
    await office.system.file_texts.read(UUID(done))
    await ids(office.admin, "follow")  # every read model is there
    asked = Taken(id=UUID(int=1), kind="file.read_missing", about={}, attempt=1)

    async def waiting():
        await operations.file_read_missing(office.system, asked)
        rows = office.owner.execute(
            "select about ->> 'file_id' from operations where kind = 'file.read_text'"
        )
        return {file_id for (file_id,) in rows.fetchall()} & {one, other, done}

    assert await waiting() == set()  # it may be read any moment
    monkeypatch.setattr(operations, "READ_WITHIN", timedelta(seconds=-60))
    assert await waiting() == {one}
