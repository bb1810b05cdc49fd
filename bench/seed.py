"""`python -m bench.seed <database url> [how many]`: organisations put straight into their read model.

For figures of lists alone: no event stands behind them, and a rebuild takes them away again. Names are Russian and
French, half each; agreements, documents and regions are as unevenly spread as registers have them.
"""

import asyncio
import random
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import psycopg
from msgspec import json

from domain.organisation.events import Address, Addresses, Identifiers
from infrastructure.postgres import connect
from projections import columns as table
from projections.organisation import COLUMNS, ORGANISATIONS, Agreement, Organisation
from workers import checkpoint

MANY = 1_000_000
FIRST = datetime(2016, 1, 1, tzinfo=UTC)
FILLING = "-c synchronous_commit=off -c maintenance_work_mem=512MB -c max_parallel_maintenance_workers=2"

_FORMS = ("ООО", "АО", "ПАО", "ЗАО", "ИП", "ФГУП")
_RUSSIAN = """
Север Восток Заря Ромашка Ёлка Берёзка Энергия Прогресс Металл Строй Техно Агро Сибирь Урал Волга Балтика Кедр Орион
Вектор Гарант Импульс Каскад Маяк Новатор Победа Родник Салют Темп Факел Янтарь
""".split()  # noqa: SIM905 - a list of words is read more easily so
_FRENCH = """
Menuiserie Boulangerie Électricité Société Générale Transports Bâtiment Énergie Santé Conseil Études Forêt Crèche Hôtel
Librairie Maçonnerie Pêcherie Éditions Atelier Garage Océan Rivière Château Beauté Qualité Mécanique Fenêtre Théâtre
""".split()  # noqa: SIM905 - a list of words is read more easily so
_OKRUGS = {
    "77": "1",
    "78": "2",
    "50": "1",
    "66": "6",
    "55": "7",
    "25": "8",
    "23": "3",
    "16": "5",
    "63": "5",
    "54": "7",
    "05": "4",
}
_REGIONS = ("77",) * 6 + ("78",) * 3 + tuple(_OKRUGS)[:-1] + (None,) * 4
_DOCUMENTS: tuple[tuple[str, ...], ...] = (
    *((),) * 60,
    *(("charter",),) * 25,
    *(("charter", "licence"),) * 8,
    *(("agreement", "charter", "licence"),) * 6,
    ("agreement",),
)
RARE = ("charter", "order", "secrecy")
"""Documents that one organisation in 20,000 has."""
RARE_REGION = "05"
"""Of one in 1,000; it is alone in its okrug."""


def organisations(many: int, *, seed: int = 1) -> Iterator[Organisation]:
    """The same for the same numbers, the oldest first."""
    dice = random.Random(seed)
    step = timedelta(days=3650) / many
    for number in range(many):
        yield _organisation(number, FIRST + number * step, dice)


def _organisation(number: int, at: datetime, dice: random.Random) -> Organisation:
    region = RARE_REGION if number % 1_000 == 500 else dice.choice(_REGIONS)
    documents = RARE if number % 20_000 == 77 else dice.choice(_DOCUMENTS)
    agreement = (
        Agreement(
            date=date(2020, 1, 1) + timedelta(days=number % 2000),
            source="document",
            source_id=UUID(int=number),
        )
        if "agreement" in documents
        else None
    )
    russian = number % 2 == 0
    if russian:
        name = (
            f"{dice.choice(_FORMS)} «{dice.choice(_RUSSIAN)}{dice.choice(_RUSSIAN).lower()}-{number % 9973}»"
        )
        numbers = Identifiers(
            inn=f"{7_700_000_000 + number}", kpp="770701001", ogrn=f"{1_027_700_000_000 + number}"
        )
    else:
        name = f"{dice.choice(_FRENCH)} {dice.choice(_FRENCH)} {dice.choice(_FRENCH)} {number % 9973}"
        numbers = Identifiers(siren=f"{300_000_000 + number}", nic="00017")
    return Organisation(
        id=UUID(int=(int(at.timestamp() * 1000) << 80) | 0x7000 << 64 | 1 << 63 | number),
        version=1,
        position=number + 1,
        state="active",
        created_at=at,
        updated_at=at,
        full_name=name,
        short_name=name.partition(" ")[2] or None,
        identifiers=numbers,
        addresses=Addresses(legal=Address(text="ул. Ленина, 1" if russian else "9 rue de la Paix")),
        management=None,
        region_code=region,
        given_region_code=region,
        okrug_id=_OKRUGS.get(region or ""),
        is_gov=number % 50 == 0,
        is_military=number % 400 == 0,
        is_liquidated=False,
        activity_code=f"{number % 90 + 10}.{number % 7}",
        headcount_band="12",
        started_on=date(2000, 1, 1) + timedelta(days=number % 8000),
        account_manager_id=UUID(int=number % 500) if number % 3 else None,
        agreement=agreement,
        agreements=() if agreement is None else (agreement,),
        document_types=documents,
    )


async def fill(url: str, many: int) -> None:
    """Makes the read model's table, copies them in, then makes the indexes. `url`: the application's own role."""
    async with await connect(url, options=FILLING, name="seed") as connection:
        await checkpoint.begin(connection, ORGANISATIONS, "read", indexed=False)
        names = [
            "id",
            "version",
            "position",
            "created_at",
            "updated_at",
            "archived",
            "view",
            *table.physical(COLUMNS),
        ]
        wanted = ", ".join(f'"{name}"' for name in names)
        copying = f"copy read.organisation ({wanted}) from stdin".encode()
        async with connection.cursor() as cursor, cursor.copy(copying) as copy:
            for view in organisations(many):
                await copy.write_row(_row(view))
        await checkpoint.index(connection, ORGANISATIONS, "read")
        await connection.execute(b"vacuum analyze read.organisation")


_encode = json.Encoder(order="deterministic").encode


def _row(view: Organisation) -> Sequence[object]:
    fixed = (view.id, view.version, view.position, view.created_at, view.updated_at, False, _encode(view))
    return *fixed, *table.values(COLUMNS, view)


def main(arguments: Sequence[str]) -> int:
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    many = int(arguments[1]) if len(arguments) > 1 else MANY
    began = time.perf_counter()
    asyncio.run(fill(arguments[0], many))
    with psycopg.connect(arguments[0]) as connection:
        row = connection.execute(
            "select pg_size_pretty(pg_total_relation_size('read.organisation'))"
        ).fetchone()
    print(f"{many:,} organisations in {time.perf_counter() - began:.0f} s, {row and row[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
