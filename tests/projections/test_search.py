"""The shelves that are searched: what each event puts on them, and what goes again."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

import psycopg
import pytest

from domain.contract.events import ContractArchived, ContractChanged, ContractDrafted
from domain.file.events import FileRemoved, FileTextRead
from domain.letter.events import LetterChanged, LetterDrafted, LetterRegistered, LetterSigned, LetterWithdrawn
from domain.message.events import MessageSent
from domain.notice.events import NoticeChanged, NoticePublished, NoticeWithdrawn
from domain.organisation.events import (
    Identifiers,
    OrganisationAdded,
    OrganisationArchived,
    OrganisationChanged,
)
from domain.user.events import UserErased, UserRegistered
from projections import contract, letter, notice, organisation
from projections.columns import SYSTEM
from projections.search import MOST_WORDS, SEARCH
from tests import servers
from tests.scenario import GivenFacts

pytestmark = pytest.mark.anyio
ONE, TWO, ALPHA, ANNA, BERT, FILE, OTHER = (UUID(int=n) for n in range(1, 8))
DAY = date(2026, 3, 1)


@dataclass(frozen=True)
class Shelved(GivenFacts):
    async def shown(self, connection):
        found = {}
        for shelf in SEARCH.shelves.values():
            rows = await connection.execute(
                f"select id, view, heading, body, attached, keys from read.{shelf.name}"
            )
            async for key, view, heading, body, attached, keys in rows:
                found[key] = shelf.decode(view), heading, body, attached, keys
        return found


async def shelved(dsn, *facts, batch=500):
    return await Shelved(SEARCH, facts).delivered(dsn, times=2, batch=batch)


def said(owner_dsn, file_id, text):
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        connection.execute("insert into file_texts values (%s, %s)", (file_id, text))


def incoming(number, **fields):
    told = {"organisation_ids": (ALPHA,), "subject": "О поставках", "received_on": DAY}
    return LetterRegistered(number=f"IN-2026-{number:05d}", **(told | fields))


async def test_an_entry_with_several_names_is_the_same_wherever_a_batch_ends(dsn, cluster):
    """A view that was stored is read back with its names in order."""
    named = Identifiers(siren="732829320", nic="00074", inn="7707083893")
    facts = (
        (ALPHA, OrganisationAdded(full_name="Alpha", short_name="A", identifiers=named)),
        (ALPHA, OrganisationChanged(full_name="Alpha & Sons")),
    )
    with servers.database(cluster) as other:
        one_by_one, at_once = await shelved(dsn, *facts, batch=1), await shelved(other.app, *facts)
    assert one_by_one[ALPHA][1:] == at_once[ALPHA][1:]
    assert one_by_one[ALPHA][1] == "alpha sons 7707083893 00074 a 732829320"


@pytest.mark.parametrize("noun", ["letter", "organisation", "contract", "notice"])
def test_a_shelf_has_every_column_that_its_audience_judges_by(noun):
    module = {"letter": letter, "organisation": organisation, "contract": contract, "notice": notice}[noun]
    columns = {**SYSTEM, **SEARCH.shelves[noun].columns}
    audience = module.LISTING.audience
    assert audience is not None
    assert set(audience.by.values()) <= columns.keys()
    assert audience.within is None
    for name in audience.by.values():
        assert columns[name].type is {**SYSTEM, **module.LISTING.columns}[name].type


@pytest.mark.parametrize("batch", [1, 2, 500])
async def test_letters_are_found_by_what_they_say_now(dsn, batch):
    found = await shelved(
        dsn,
        (ONE, incoming(1, sender_number="17/3-204")),
        (TWO, LetterDrafted(organisation_ids=(ALPHA,), subject="Our answer to that")),
        (ONE, LetterChanged(subject="О ёлках", sender_number=None)),
        (TWO, LetterSigned(number="OUT-2026-00001", signed_on=DAY, signed_by=ANNA)),
        batch=batch,
    )
    one, heading, _, _, keys = found[ONE]
    assert (one.state, one.names, one.organisation_ids, one.archived) == ("registered", {}, (ALPHA,), False)
    assert (heading, keys) == ("о елках in 2026 00001", ["in-2026-00001"])
    two, heading, _, _, keys = found[TWO]
    assert (two.state, heading, keys) == (
        "signed",
        "our answer to that out 2026 00001",
        ["out-2026-00001"],
    )


@pytest.mark.parametrize("batch", [1, 500])
async def test_what_is_archived_or_withdrawn_is_marked_so(dsn, batch):
    found = await shelved(
        dsn,
        (ONE, incoming(1)),
        (TWO, NoticePublished(kind="article", title="Open", text="On Monday")),
        (ALPHA, OrganisationAdded(full_name="Alpha")),
        (OTHER, ContractDrafted(kind="cooperation", organisation_id=ALPHA, title="Roof")),
        (ONE, LetterWithdrawn(reason="twice")),
        (TWO, NoticeWithdrawn(reason="over")),
        (ALPHA, OrganisationArchived()),
        (OTHER, ContractArchived()),
        batch=batch,
    )
    assert {key: row[0].archived for key, row in found.items()} == dict.fromkeys(
        [ONE, TWO, ALPHA, OTHER], True
    )


@pytest.mark.parametrize("batch", [1, 500])
async def test_an_organisation_is_found_by_its_names_and_numbers(dsn, batch):
    found = await shelved(
        dsn,
        (
            ONE,
            OrganisationAdded(
                full_name="Ромашка",
                short_name="Р",
                identifiers=Identifiers(inn="7707083893", kpp="770701001"),
            ),
        ),
        (TWO, OrganisationAdded(full_name="Société", identifiers=Identifiers(siren="732829320"))),
        (ONE, OrganisationChanged(identifiers=Identifiers(inn="7728168971"), account_manager_id=ANNA)),
        (TWO, OrganisationChanged(short_name="Soc")),
        batch=batch,
    )
    one, heading, _, _, keys = found[ONE]
    assert (one.names, one.account_manager_id) == ({"short_name": "Р", "inn": "7728168971"}, ANNA)
    assert (sorted(heading.split()), keys) == (["7728168971", "р", "ромашка"], ["7728168971"])
    assert found[TWO][0].names == {"siren": "732829320", "short_name": "Soc"}


@pytest.mark.parametrize("batch", [1, 500])
async def test_a_contract_moves_with_its_manager_and_its_title(dsn, batch):
    found = await shelved(
        dsn,
        (ONE, ContractDrafted(kind="cooperation", organisation_id=ALPHA, custom_id="K-7", title="Roof")),
        (TWO, ContractDrafted(kind="cooperation", organisation_id=ALPHA, title="Floor")),
        (ONE, ContractChanged(title=None, account_manager_id=ANNA)),
        batch=batch,
    )
    one, heading, _, _, keys = found[ONE]
    assert (one.title, one.account_manager_id, one.organisation_id) == (None, ANNA, ALPHA)
    assert (heading, keys, found[TWO][1]) == ("k 7", ["k-7"], "floor")


@pytest.mark.parametrize("batch", [1, 500])
async def test_a_notice_is_found_by_its_text(dsn, batch):
    found = await shelved(
        dsn,
        (ONE, NoticePublished(kind="article", title="Open", text="On Monday, 9 o'clock")),
        (TWO, NoticePublished(kind="banner", file_id=FILE)),
        (ONE, NoticeChanged(text="On Friday")),
        batch=batch,
    )
    assert found[ONE][1:3] == ("open", "on friday")
    assert found[TWO][1:3] == ("", "")


@pytest.mark.parametrize("batch", [1, 2, 500])
async def test_of_who_was_forgotten_no_word_stays_and_of_others_every_one(dsn, batch):
    def sent(sender, recipient, text):
        return MessageSent(dialog_id=ALPHA, sender_id=sender, recipient_id=recipient, text=text)

    found = await shelved(
        dsn,
        (ANNA, UserRegistered(email="anna@example.org", role="user")),
        (ONE, sent(ANNA, BERT, "What I said")),
        (TWO, sent(BERT, ANNA, "What she was told")),
        (ANNA, UserErased(reason="asked for")),
        batch=batch,
    )
    assert (found[ONE][0].text, found[ONE][2]) == (None, "")
    assert (found[TWO][0].text, found[TWO][2]) == ("What she was told", "what she was told")
    assert found[ONE][0].user_ids == (ANNA, BERT)


READ = FILE, FileTextRead(outcome="read", characters=20, sha256="ab")


@pytest.mark.parametrize("batch", [1, 2, 500])
@pytest.mark.parametrize("late", [True, False], ids=["read after", "read before"])
async def test_what_a_file_says_is_found_with_what_carries_it(dsn, owner_dsn, batch, late):
    said(owner_dsn, FILE, "Насос насос, pompe 7")
    carrying, other = (ONE, incoming(1, attachments=(FILE,))), (TWO, incoming(2, attachments=(OTHER,)))
    facts = (carrying, other, READ) if late else (READ, carrying, other)
    found = await shelved(dsn, *facts, batch=batch)
    assert (found[ONE][3], found[TWO][3]) == ("насос pompe 7", "")


@pytest.mark.parametrize("batch", [1, 500])
async def test_a_file_that_is_left_out_or_removed_is_found_no_more(dsn, owner_dsn, batch):
    said(owner_dsn, FILE, "Насос")
    said(owner_dsn, OTHER, "Pompe")
    sent = MessageSent(dialog_id=ALPHA, sender_id=ANNA, recipient_id=BERT, attachments=(OTHER,))
    read = OTHER, FileTextRead(outcome="read", characters=5, sha256="cd")
    carried = (ONE, incoming(1, attachments=(FILE,))), (TWO, sent), READ, read
    gone = (ONE, LetterChanged(attachments=(), bound=(FILE,))), (OTHER, FileRemoved(reason="owner_erased"))
    found = await shelved(dsn, *carried, *gone, batch=batch)
    assert (found[ONE][3], found[TWO][3]) == ("", "")


async def test_no_file_however_full_of_words_stops_the_shelves(dsn, owner_dsn):
    """PostgreSQL refuses a text of more than 1 MB of different words."""
    files = [UUID(int=100 + n) for n in range(10)]
    for at, file_id in enumerate(files):
        digits = str.maketrans("0123456789", "абвгдежзик")
        said(owner_dsn, file_id, " ".join(f"{at}{n:06}".translate(digits) for n in range(30_000)))
    facts = [(each, FileTextRead(outcome="read", characters=9, sha256="ab")) for each in files]
    found = await shelved(dsn, (ONE, incoming(1, attachments=tuple(files))), *facts)
    assert len(found[ONE][3]) == MOST_WORDS
