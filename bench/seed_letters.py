"""Letters put straight onto the shelf that is searched: a hundredth is made by the code, the rest from those by SQL.

For figures of the search alone: no event stands behind them. Words are as unevenly spread as languages have them
(Zipf); each letter has a number and a word that no other has.
"""

import asyncio
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from msgspec import json

from bench.seed import FILLING
from infrastructure.postgres import connect
from projections import columns as table
from projections.search import SEARCH
from projections.search_entry import Entry
from workers import checkpoint

SHELF = SEARCH.shelves["letter"]
COPIES = 100
FIRST = datetime(2016, 1, 1, tzinfo=UTC)
ORGANISATIONS = 5_000
RARE = "Perpetuum mobile"
"""In the subject of a hundred letters."""
_WORDS = {
    "ru": """о по на договор поставка оборудование согласование проект работа срок объект строительство
    техническое задание отчёт проверка акт счёт оплата письмо ответ претензия изменение условие насос котельная
    кабель сеть ремонт замена осмотр площадка северный восточный участок подрядчик гарантия испытание протокол
    совещание ёмкость""",
    "fr": """de la sur le contrat livraison équipement projet travaux délai chantier réception technique rapport
    contrôle facture paiement lettre réponse réclamation modification condition pompe chaudière câble réseau réparation
    remplacement visite site nord bâtiment sous-traitant garantie essai procès-verbal réunion sécurité""",
    "en": """of the on contract delivery equipment project works delay site acceptance technical report inspection
    invoice payment letter answer claim change condition pump boiler cable network repair replacement visit
    northern building subcontractor warranty test minutes meeting safety approval""",
}


def subjects(many: int, seed: int = 1) -> Iterator[str]:
    dice = random.Random(seed)
    known = {name: words.split() for name, words in _WORDS.items()}
    weights = {name: [1 / rank for rank in range(1, len(words) + 1)] for name, words in known.items()}
    for number in range(many):
        name = dice.choices(("ru", "fr", "en"), (5, 3, 2))[0]
        said = dice.choices(known[name], weights[name], k=dice.randint(5, 11))
        yield " ".join([*said, RARE] if number == 7 else said).capitalize()


def _entry(number: int, subject: str) -> Entry:
    at = FIRST + timedelta(minutes=5) * number
    return Entry(
        id=UUID(int=number),
        version=1,
        position=number + 1,
        created_at=at,
        updated_at=at,
        state="registered",
        title=subject,
        number="IN-2026-00000",
        names={"sender_number": "17/3-00000"},
        organisation_ids=(UUID(int=number % ORGANISATIONS),),
    )


# Of a made letter come a hundred, each with an id, a day and numbers of its own; what is searched is made to say so.
_MULTIPLY = """
insert into read.search_letter ({names})
select (lpad(to_hex(n), 32, '0'))::uuid, version, n + 1, at, at, archived,
  convert_to(replace(convert_from(view, 'UTF8'), '00000000-0000-0000-0000-' || right(id::text, 12),
    '00000000-0000-0000-0000-' || right(lpad(to_hex(n), 32, '0'), 12)), 'UTF8'),
  heading || ' ' || code, body, names || code,
  names_grams || array(select distinct substr(code, i, 3) from generate_series(1, length(code) - 2) i),
  array['in-2026-' || n, code], array[(lpad(to_hex(mod(n, {organisations})), 32, '0'))::uuid::text], attachments
from made, lateral (select ('x' || right(replace(id::text, '-', ''), 12))::bit(48)::bigint as m) as which,
  generate_series(%s::bigint, %s::bigint) as copy, lateral (select copy * {made} + m as n) as numbered,
  lateral (select 'k' || n || 'x' as code, %s::timestamptz + n * interval '5 minutes' as at) as told
"""


async def fill(url: str, many: int) -> None:
    """Makes the shelf's table, fills it by two connections, then makes the indexes."""
    made = max(1, many // COPIES)
    names = [
        *("id", "version", "position", "created_at", "updated_at", "archived", "view"),
        *table.physical(SHELF.columns),
    ]
    wanted = ", ".join(f'"{name}"' for name in names)
    async with await connect(url, options=FILLING, name="seed") as connection:
        await checkpoint.begin(connection, SEARCH, "read", indexed=False)
        await connection.execute(
            f"create table read.made as select {wanted} from read.search_letter".encode()
        )
        async with (
            connection.cursor() as cursor,
            cursor.copy(f"copy read.made ({wanted}) from stdin".encode()) as copy,
        ):
            for number, subject in enumerate(subjects(made)):
                await copy.write_row(_row(_entry(number, subject)))
        await asyncio.gather(
            _multiply(url, wanted, made, 0, COPIES // 2 - 1),
            _multiply(url, wanted, made, COPIES // 2, COPIES - 1),
        )
        await connection.execute(b"drop table read.made")
        await checkpoint.index(connection, SEARCH, "read")
        await connection.execute(b"vacuum analyze read.search_letter")


async def _multiply(url: str, wanted: str, made: int, first: int, last: int) -> None:
    query = _MULTIPLY.replace("from made,", "from read.made,").format(
        names=wanted, organisations=ORGANISATIONS, made=made
    )
    async with await connect(url, options=FILLING, name="seed") as connection:
        await connection.execute(query.encode(), (first, last, FIRST))


_encode = json.Encoder(order="deterministic").encode


def _row(entry: Entry) -> Sequence[object]:
    fixed = (
        entry.id,
        entry.version,
        entry.position,
        entry.created_at,
        entry.updated_at,
        False,
        _encode(entry),
    )
    return *fixed, *table.values(SHELF.columns, entry)
