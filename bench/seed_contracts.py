"""Contracts and what is owed, put straight into their read models by SQL: for figures of reading alone.

No event stands behind them, and a rebuild takes them away again. Of ten contracts two are unsigned, one is canceled,
seven are signed; of these some are not paid yet, and every third has no occasion.
"""

from collections.abc import Sequence

from bench.seed import FILLING
from infrastructure.postgres import connect
from projections import columns as table
from projections.contract import COLUMNS, CONTRACTS
from projections.ledger import LEDGER
from projections.projection import discover
from workers import checkpoint

MANY = 1_000_000

ROWS = """
create temporary table made as
select n, gen_random_uuid() as id, timestamptz '2016-01-01' + n * interval '5 minutes' as at,
  case when n %% 10 < 2 then 'unsigned' when n %% 10 = 2 then 'canceled' else 'signed' end as status,
  (%(parties)s::uuid[])[1 + n %% cardinality(%(parties)s::uuid[])] as party,
  (%(managers)s::uuid[])[1 + n %% cardinality(%(managers)s::uuid[])] as manager,
  (1000 + n %% 9000)::numeric(12, 2) as amount,
  case when n %% 10 > 2 and n %% 5 <> 0 then (1000 + n %% 9000)::numeric(12, 2) else 0.00 end as paid,
  date '2016-02-01' + (n / 288)::int as due_on
from generate_series(1, %(many)s) n
"""
EUROS = "json_build_object('amount', ({})::numeric(12, 2)::text, 'currency', 'EUR')"
VIEW = f"""convert_to(json_build_object('id', id, 'version', 2, 'position', n, 'status', status, 'created_at', at,
  'updated_at', at, 'kind', 'sale', 'organisation_id', party, 'contact_id', null, 'custom_id', 'C-' || n, 'title',
  'Maintenance of the north site', 'due_on', due_on, 'amount', {EUROS.format("amount")}, 'remaining',
  {EUROS.format("amount - paid")}, 'paid', {EUROS.format("paid")}, 'invoiced', {EUROS.format("paid")}, 'balance',
  {EUROS.format("0")}, 'account_manager_id', manager, 'drafted_by', manager)::text, 'UTF8')"""
VALUES = {
    "id": "id",
    "version": "2",
    "position": "n",
    "created_at": "at",
    "updated_at": "at",
    "archived": "false",
    "view": VIEW,
    "status": "status",
    "kind": "'sale'",
    "organisation_id": "party",
    "contact_id": "null",
    "custom_id": "'C-' || n",
    "title": "'maintenance of the north site'",
    "title_grams": "array['mai', 'int', 'ten', 'nor', 'ort', 'rth', 'sit', 'ite']",
    "amount": "amount",
    "currency": "'EUR'",
    "remaining": "amount - paid",
    "paid": "paid",
    "invoiced": "paid",
    "balance": "0",
    "account_manager_id": "manager",
    "due_on": "due_on",
    "signed_at": "case when status <> 'unsigned' then at end",
    "signed_by": "case when status <> 'unsigned' then manager end",
    "occasions": "(status = 'signed' and n % 3 <> 0)::int",
}
BALANCES = """insert into read.balance
  select party, who, 'EUR', sum(amount), sum(paid), sum(paid) from made, unnest(array[null, party]) who
  where status = 'signed' group by 1, 2"""


async def fill(url: str, many: int, parties: Sequence[str], managers: Sequence[str]) -> None:
    """`parties`: organisations, `managers`: users, among whom the contracts are shared out in turn."""
    names = list(VALUES)
    if strange := set(table.physical(COLUMNS)) - set(names):
        raise LookupError(f"nobody says what {', '.join(sorted(strange))} of a contract is to be here")
    wanted, made = ", ".join(f'"{name}"' for name in names), ", ".join(VALUES.values())
    async with await connect(url, options=FILLING, name="seed") as connection:
        for projection in discover().values():
            await checkpoint.begin(connection, projection, "read", indexed=projection is not CONTRACTS)
        told = {"many": many, "parties": list(parties), "managers": list(managers)}
        await connection.execute(ROWS, told)
        await connection.execute(f"insert into read.contract ({wanted}) select {made} from made".encode())
        await connection.execute(BALANCES.encode())
        await checkpoint.index(connection, CONTRACTS, "read")
        for name in (CONTRACTS.name, LEDGER.name, "balance"):
            await connection.execute(f"vacuum analyze read.{name}".encode())
