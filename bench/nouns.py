"""What single nouns cost: grants and snapshots of rights, messages, a long contract, two processes on one log."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from itertools import count
from uuid import UUID, uuid4

import httpx
import uvloop
from msgspec import json, structs

from api.server import free_port
from application.access import Need, system
from application.context import Context
from bench.figures import Figure, Sample, figure, sample
from bench.http import CONNECTIONS, Asking, Turns, answers, served, token, until
from bench.load import Plan
from bench.machine import Machine, Meter
from bench.path import signed_in, write_path
from domain.contract.aggregate import CONTRACT
from domain.contract.commands import ChangeContract, DraftContract
from domain.dialog.aggregate import DIALOG, dialog_id
from domain.dialog.commands import OpenDialog
from domain.money import Money
from infrastructure.bootstrap import new_password, running
from infrastructure.event_store import new_id

PART = "nouns"
ROUNDS = 3
SECONDS = 2.0
HOLDERS = 16
"""Users who are given grants."""
HELD = 20
"""Grants of the one whose rights are asked for."""
DIALOGS = 1_000
EVENTS = 1_000
"""Of the long contract."""
TIMES = 40
"""A single caller's loads and commands, in each round."""
NEED = Need(right="organisation:create")
"""What the path's user holds; whose record it is makes no difference to the cost."""
TEXT = "The measurements of the north site are in; the report follows on Thursday."
JSON = {"content-type": "application/json"}
_starts = count(1, 1_000_000)


def run(machine: Machine) -> list[Figure]:
    """About a minute and a quarter."""
    figures: list[Figure] = []
    with served(machine) as (serve, client):
        asking = Asking(machine, client)
        pids = {"serve": serve.pid, "PostgreSQL": machine.postgres.child.pid}
        people = [_user(client, number) for number in range(HOLDERS)]
        grants = [asking.post("/api/v1/grants", _grant(each), longer=36 - len("{id}")) for each in people]
        snapshot, same = _snapshot(asking, client)
        partners = [UUID(each) for each in people[:1]] + [uuid4() for _ in range(DIALOGS - 1)]
        dialogs = uvloop.run(_dialogs(machine, _own_id(client), partners))
        sent = [
            asking.post(f"/api/v1/dialogs/{each}/messages", json.encode({"text": TEXT})) for each in dialogs
        ]
        plans: dict[str, Callable[[], Plan]] = {
            f"POST /grants, to {HOLDERS} people": lambda: _short(
                asking.plan(grants, 201), start=next(_starts)
            ),
            "GET /me/permissions/snapshot, 200": lambda: _short(snapshot),
            "GET /me/permissions/snapshot, 304": lambda: _short(same),
            "POST messages, all into one dialog": lambda: _short(asking.plan(sent[:1], 201)),
            f"POST messages, into {DIALOGS:,} dialogs": lambda: _short(asking.plan(sent, 201), roaming=True),
        }
        turns = {what: Turns(**pids) for what in plans}
        for _ in range(ROUNDS):
            for what, plan in plans.items():
                turns[what].run(plan())
        figures += [each.figure(what, part=PART) for what, each in turns.items()]
        figures += _two(machine, asking, pids)
    return figures + uvloop.run(_contract(machine))


def _short(plan: Plan, *, start: int = 1, roaming: bool = False) -> Plan:
    return structs.replace(plan, seconds=SECONDS, start=start, roaming=roaming)


def _user(client: httpx.Client, number: int) -> str:
    found: str = _created(client, number)["id"]
    return found


def _created(client: httpx.Client, number: int) -> dict[str, str]:
    person = {"email": _email(number), "first_name": "Jeanne", "last_name": "Dupont"}
    made: dict[str, str] = client.post("/api/v1/users", json=person).raise_for_status().json()
    return made


def _email(number: int) -> str:
    return f"bench-{number}@example.org"


def _own_id(client: httpx.Client) -> UUID:
    return UUID(client.get("/api/v1/me/permissions/snapshot").raise_for_status().json()["sub"])


def _grant(holder: str, action: str = "view") -> bytes:
    """In an organisation of its own each time."""
    return json.encode(
        {
            "subject": {"type": "user", "id": holder},
            "scope_type": "organisation",
            "scope_id": "{id}",
            "module": "contract",
            "action": action,
        }
    )


def _snapshot(asking: Asking, client: httpx.Client) -> tuple[Plan, Plan]:
    """Of somebody with a few grants: whole, and when the caller has it already."""
    made, admin = _created(client, HOLDERS), client.headers["authorization"]
    for number in range(HELD):
        body = _grant(made["id"], "edit").replace(b"{id}", str(UUID(int=number)).encode())
        client.post("/api/v1/grants", content=body, headers=JSON).raise_for_status()
    try:
        _sign_in(client, _email(HOLDERS), made["temporary_password"])
        path = "/api/v1/me/permissions/snapshot"
        etag = client.get(path).raise_for_status().headers["etag"]
        whole = asking.plan([asking.head("GET", path)], 200)
        return whole, asking.plan([asking.head("GET", path, f"if-none-match: {etag}\r\n")], 304)
    finally:
        client.headers["authorization"] = admin


def _sign_in(client: httpx.Client, email: str, temporary: str) -> None:
    """For the first time, which takes a password of one's own."""
    chosen = new_password()
    for password in (temporary, chosen):
        client.headers["authorization"] = f"Bearer {token(client, email, password)}"
        if password is temporary:
            said = {"old": temporary, "new": chosen}
            client.post("/api/v1/me/password", json=said).raise_for_status()


async def _dialogs(machine: Machine, mine: UUID, partners: list[UUID]) -> list[UUID]:
    """With partners who need not exist: a message asks only who takes part."""
    context = Context(caller=system(), request_id="bench")
    async with running(machine.settings) as serving:

        async def opened(partner: UUID) -> UUID:
            dialog = dialog_id(mine, partner)
            command = OpenDialog(user_id=mine, with_user_id=partner)
            await serving.execute(DIALOG, dialog, command, context, Need(right=None), upsert=True)
            return dialog

        return list(await asyncio.gather(*map(opened, partners)))


def _two(machine: Machine, asking: Asking, pids: dict[str, int]) -> list[Figure]:
    """The same 64 connections, on one process and on two; what the log's one lock and another's writes cost."""
    with (
        machine.program("serve", port := free_port("127.0.0.1", 0)) as second,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        until(lambda: answers(client))
        one, two = Turns(**pids), Turns(**pids, second=second.pid)
        for _ in range(ROUNDS):
            one.run(_of(asking, CONNECTIONS))
            two.run(
                _of(asking, CONNECTIONS // 2),
                structs.replace(_of(asking, CONNECTIONS // 2), port=port),
            )
    alone = "POST /organisations, one process"
    return [
        one.figure(alone, part=PART, base=one.rate),
        two.figure("POST /organisations, two processes", part=PART, base=one.rate),
    ]


def _of(asking: Asking, connections: int) -> Plan:
    return structs.replace(asking.command(), connections=connections, seconds=SECONDS)


async def _contract(machine: Machine) -> list[Figure]:
    """One caller, since all ask for the same stream."""
    database = machine.database("nouns_contract")
    async with write_path(database) as path:
        contract, context, titles = new_id(), signed_in(database), count()
        terms = DraftContract(
            kind="sale",
            organisation_id=uuid4(),
            title=TEXT,
            amount=Money(amount=Decimal("12500.00"), currency="EUR"),
        )
        await path.execute(CONTRACT, contract, terms, context, NEED, new=True)

        async def change() -> None:
            command = ChangeContract(changes={"title": f"{TEXT} {next(titles)}"})
            await path.execute(CONTRACT, contract, command, context, NEED)

        async def load() -> None:
            path.store.forget(contract)
            await path.store.load(CONTRACT, contract)

        async def change_cold() -> None:
            path.store.forget(contract)
            await change()

        for _ in range(EVENTS - 1):
            await change()
        measured: dict[str, tuple[Callable[[], Awaitable[None]], list[Sample]]] = {
            f"a contract of {EVENTS:,} events: loaded": (load, []),
            "its next command, nothing remembered": (change_cold, []),
            "its next command, state remembered": (change, []),
        }
        for _ in range(ROUNDS):
            for once, found in measured.values():
                found.append(await _times(machine, once))
    return [figure(PART, what, found) for what, (_, found) in measured.items()]


async def _times(machine: Machine, once: Callable[[], Awaitable[None]]) -> Sample:
    latencies, meter, began = [], Meter(PostgreSQL=machine.postgres.child.pid), time.perf_counter()
    for _ in range(TIMES):
        asked = time.perf_counter()
        await once()
        latencies.append(time.perf_counter() - asked)
    return sample(time.perf_counter() - began, latencies)._replace(cost=meter.spent())
