"""The numbered files: what each says, and what its first lines say about how it is run."""

import re
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

OUTSIDE = "-- outside a transaction"
NOT_BEFORE = re.compile(r"^-- not before (?P<release>[0-9][\w.]*)", re.MULTILINE)
INDEX = re.compile(r"\bindex concurrently if not exists (?P<name>\w+)", re.IGNORECASE)


class Migration(NamedTuple):
    """`text` is one transaction, unless its head says otherwise.

    `-- outside a transaction`: one statement that must not be in one, as `create index concurrently if not exists`;
    it is run again whole when it was interrupted. `-- not before 0.3.0`: takes away what older releases use, so it
    waits until none of their processes is connected.
    """

    number: int
    text: str

    @property
    def sha256(self) -> str:
        return sha256(self.text.encode()).hexdigest()

    @property
    def outside(self) -> bool:
        return any(line.startswith(OUTSIDE) for line in self._head)

    @property
    def not_before(self) -> str | None:
        """The oldest release whose processes it does not disturb."""
        said = NOT_BEFORE.search("\n".join(self._head))
        return said["release"] if said else None

    @property
    def built_index(self) -> str | None:
        """The index it makes outside a transaction: PostgreSQL leaves an invalid one behind where it is interrupted."""
        said = INDEX.search(self.text) if self.outside else None
        return said["name"] if said else None

    @property
    def _head(self) -> list[str]:
        lines = self.text.splitlines()
        end = next((at for at, line in enumerate(lines) if not line.startswith("--")), len(lines))
        return lines[:end]


def migrations() -> list[Migration]:
    """Every one this release has, in order."""
    found = [f for f in files("infrastructure.migrations").iterdir() if f.name.endswith(".sql")]
    made = (Migration(int(f.name.split("_")[0]), f.read_text(encoding="utf-8")) for f in found)
    return sorted(made, key=lambda migration: migration.number)
