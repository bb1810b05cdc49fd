"""What people keep an eye on: counts of lists, each with the filter that finds what it counts."""

from collections.abc import Mapping
from datetime import date
from uuid import UUID

from msgspec import Struct


class Tile(Struct, frozen=True, kw_only=True):
    """One count: of which list, by which filter. `{me}` is who asks, `{today}` the office's calendar day."""

    list: str
    filter: str

    def asked(self, me: UUID, today: date) -> str:
        """The filter as anybody would type it."""
        return self.filter.format(me=me, today=today)


MINE = "account_manager_id={me}"
TILES: Mapping[str, Tile] = {
    "unsigned": Tile(list="contracts", filter="status=unsigned"),
    "owed": Tile(list="contracts", filter="status=signed AND remaining>0"),
    "overdue": Tile(list="contracts", filter="status=signed AND remaining>0 AND due_on<{today}"),
    "without_occasion": Tile(list="contracts", filter="status=signed AND occasions=0"),
    "my_contracts": Tile(list="contracts", filter=MINE),
    "my_unsigned": Tile(list="contracts", filter=f"{MINE} AND status=unsigned"),
    "my_owed": Tile(list="contracts", filter=f"{MINE} AND status=signed AND remaining>0"),
    "my_without_occasion": Tile(list="contracts", filter=f"{MINE} AND status=signed AND occasions=0"),
    "without_support": Tile(list="occasions", filter="assigned_to=null"),
    "my_occasions": Tile(list="occasions", filter="assigned_to={me}"),
    "letters_overdue": Tile(list="letters", filter="overdue=true"),
    "letters_unnumbered": Tile(list="letters", filter="unnumbered=true"),
}
MY_CONTRACTS = ("my_unsigned", "my_owed", "my_without_occasion")
DASHBOARDS: Mapping[str, tuple[str, ...]] = {
    "contracts": ("unsigned", "owed", "overdue", "without_occasion", "my_contracts"),
    "occasions": ("without_support", "my_occasions"),
    "letters": ("letters_overdue", "letters_unnumbered"),
    "mine": ("my_contracts", *MY_CONTRACTS, "my_occasions"),
    # By department, as the shipped ones are called (data/departments.toml).
    "commercial": ("my_contracts", *MY_CONTRACTS),
    "gestion": ("unsigned", "owed", "overdue", "without_occasion", "without_support"),
    "support": ("my_occasions", "without_support"),
    **{name: (name,) for name in TILES},
}
"""The tiles of each dashboard; a tile by itself is one, too."""
