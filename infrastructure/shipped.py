"""Data that comes with the product, in `data/`."""

import csv
from collections.abc import Iterator
from pathlib import Path

from domain.reference.events import Entry

DATA = Path(__file__).parent.parent / "data"


def reference_data() -> Iterator[tuple[str, list[Entry]]]:
    """Kind and entries of every list of reference data that is shipped."""
    yield "okrug", [Entry(code=row["id"], name=row["name"]) for row in _rows("okrugs.csv")]
    yield (
        "region",
        [
            Entry(code=row["code"], name=row["name"], part_of=row["okrug_id"] or None)
            for row in _rows("regions.csv")
        ],
    )
    yield (
        "industry",
        [Entry(code=row["id"].zfill(2), name=row["name"]) for row in _rows("industries.csv")],
    )


def _rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
