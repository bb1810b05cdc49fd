"""Messages over HTTP with everything following, heard by 500 who listen, and counted for one who reads none."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import httpx
import uvloop
from msgspec import json, structs

from application.access import Need, system
from application.context import Context
from application.ports import Accepted, Attempt
from bench.figures import Figure, Sample, figure, sample
from bench.http import Asking, Turns, served, until
from bench.load import Plan
from bench.machine import Machine, Meter
from domain.dialog.aggregate import DIALOG, dialog_id
from domain.dialog.commands import OpenDialog
from domain.message.events import MessageSent
from domain.session.events import SessionOpened
from domain.shared import SYSTEM, Actor, Metadata
from domain.user.aggregate import USER
from domain.user.commands import RegisterUser
from infrastructure.bootstrap import System, clock, running
from infrastructure.event_store import new_id

PART = "messages"
ROUNDS = 3
SECONDS = 2.0
DIALOGS = 1_000
LISTENERS = int(os.environ.get("BENCH_LISTENERS", "500"))
A_SECOND, TOLD = 50, 6.0
"""Messages sent each second at their own pace, and for how many."""
IDLE = 5.0
MANY = int(os.environ.get("BENCH_UNREAD", "100000"))
CORRESPONDENTS = 10
"""Who sent those many, in as many dialogs."""
AT_ONCE = 64
PATIENCE = 180.0
"""Seconds that the read models may take to come as far as the log."""
TEXT = "The measurements of the north site are in; the report follows on Thursday."
API = "/api/v1"
BY_BENCH = Metadata(actor=Actor(kind="system", id=SYSTEM), request_id="bench")


T = TypeVar("T")


class Person(NamedTuple):
    id: UUID
    token: str


def run(machine: Machine) -> list[Figure]:
    """About a minute and a half."""
    with served(machine) as (serve, client), machine.program("work") as work:
        until(lambda: client.get("/readyz").status_code == 200)
        asking = Asking(machine, client)
        pids = {"serve": serve.pid, "work": work.pid, "PostgreSQL": machine.postgres.child.pid}
        me = UUID(client.get(f"{API}/me").raise_for_status().json()["id"])
        people = uvloop.run(_people(machine, LISTENERS))
        partners = [each.id for each in people] + [new_id() for _ in range(DIALOGS - len(people))]
        dialogs = uvloop.run(_dialogs(machine, me, partners))
        sent = [
            asking.post(f"{API}/dialogs/{each}/messages", json.encode({"text": TEXT})) for each in dialogs
        ]
        busy = _short(asking.plan(sent[:1], 201))
        wide = structs.replace(_short(asking.plan(sent, 201)), roaming=True)
        turns = {
            "POST messages, all into one dialog, all following": (busy, Turns(**pids)),
            f"POST messages, into {DIALOGS:,} dialogs, all following": (wide, Turns(**pids)),
        }
        for _ in range(ROUNDS):
            for plan, turn in turns.values():
                turn.run(plan)
        figures = [turn.figure(what, part=PART) for what, (_, turn) in turns.items()]
        _settled(client)
        figures += uvloop.run(_heard(machine, people, dialogs[: len(people)], client, pids))
        return figures + _counted(machine, client, me, people[:CORRESPONDENTS], pids)


def _short(plan: Plan) -> Plan:
    return structs.replace(plan, seconds=SECONDS)


def _settled(client: httpx.Client) -> None:
    """Once the read models have come as far as the log."""
    head = client.get(f"{API}/events", params={"limit": 1}).raise_for_status()
    at_least = {"x-min-position": head.headers["x-projection-position"]}
    deadline = time.monotonic() + PATIENCE
    while client.get(f"{API}/dialogs", headers=at_least).status_code == 503:
        if time.monotonic() > deadline:
            raise TimeoutError("the read models do not come as far as the log")


# --- who listens ----------------------------------------------------------------------------------------------------


async def _people(machine: Machine, many: int) -> list[Person]:
    """Signed in, without the cost of a password each."""
    async with running(machine.settings, name="bench") as serving:
        return await _together([partial(_signed_in, serving)] * many)


async def _together(asked: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """So many at once as a process has callers; in order."""
    done: list[T] = []
    for start in range(0, len(asked), AT_ONCE):
        done += await asyncio.gather(*(one() for one in asked[start : start + AT_ONCE]))
    return done


async def _signed_in(serving: System) -> Person:
    user_id, session_id, now = new_id(), new_id(), clock()
    command = RegisterUser(email=f"{user_id}@example.org", role="user")
    context = Context(caller=system(), request_id="bench")
    await serving.execute(USER, user_id, command, context, Need(right="user:create"), new=True)
    opened = SessionOpened(
        user_id=user_id,
        transport="bearer",
        method="password",
        opened_at=now,
        expires_at=now + timedelta(days=1),
    )
    await _append(serving, session_id, opened)
    return Person(user_id, serving.tokens.issue(user_id, session_id, now))


async def _append(serving: System, stream_id: UUID, event: Any) -> None:
    attempt = Attempt(stream_id=stream_id, expected=0, events=(event,), metadata=BY_BENCH)
    verdict = await serving.store.append(attempt)
    assert isinstance(verdict, Accepted), verdict


async def _dialogs(machine: Machine, mine: UUID, partners: Sequence[UUID]) -> list[UUID]:
    """With partners who need not exist: a message asks only who takes part."""
    context = Context(caller=system(), request_id="bench")
    async with running(machine.settings, name="bench") as serving:

        async def opened(partner: UUID) -> UUID:
            dialog = dialog_id(mine, partner)
            command = OpenDialog(user_id=mine, with_user_id=partner)
            await serving.execute(DIALOG, dialog, command, context, Need(right=None), upsert=True)
            return dialog

        return await _together([partial(opened, each) for each in partners])


async def _heard(
    machine: Machine,
    people: Sequence[Person],
    dialogs: Sequence[UUID],
    client: httpx.Client,
    pids: dict[str, int],
) -> list[Figure]:
    """What so many cost who hear nothing, and how long a message takes to each of those who hear it."""
    meter = Meter(**pids)
    await asyncio.sleep(IDLE)
    nobody = _cost(meter)
    seen: list[float] = []
    async with _listening(machine.settings.port, people, seen):
        meter = Meter(**pids)
        await asyncio.sleep(IDLE)
        idle = _cost(meter)
        meter, began = Meter(**pids), time.perf_counter()
        await _say(machine, client, dialogs)
        while len(seen) < A_SECOND * TOLD and time.perf_counter() - began < 3 * TOLD:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        spent, seconds = _cost(meter), time.perf_counter() - began
    if len(seen) < A_SECOND * TOLD:
        raise RuntimeError(f"{len(seen)} of {A_SECOND * TOLD:.0f} messages were heard")
    quiet = {who: max(0.0, cost - nobody[who]) for who, cost in idle.items()}
    return [
        figure(
            PART,
            f"{len(people)} who listen and hear nothing, a second of one",
            [Sample(int(len(people) * IDLE), IDLE, cost=quiet)],
        ),
        figure(
            PART,
            f"sent until seen, {len(people)} listening",
            [sample(seconds, seen)._replace(cost=spent)],
        ),
    ]


def _cost(meter: Meter) -> dict[str, float]:
    spent = meter.spent()
    spent["client"] = spent.pop("here")
    return spent


async def _say(machine: Machine, client: httpx.Client, dialogs: Sequence[UUID]) -> None:
    """Each message says when it was sent."""
    headers = {"authorization": client.headers["authorization"]}
    async with httpx.AsyncClient(base_url=machine.settings.base_url, headers=headers) as sender:

        async def one(dialog: UUID) -> None:
            said = {"text": f"sent {time.perf_counter()}"}
            (await sender.post(f"{API}/dialogs/{dialog}/messages", json=said)).raise_for_status()

        began, saying = time.perf_counter(), list[asyncio.Task[None]]()
        for number in range(int(A_SECOND * TOLD)):
            await asyncio.sleep(max(0.0, began + number / A_SECOND - time.perf_counter()))
            saying.append(asyncio.create_task(one(dialogs[number * 7 % len(dialogs)])))
        await asyncio.gather(*saying)


@asynccontextmanager
async def _listening(port: int, people: Sequence[Person], seen: list[float]) -> AsyncGenerator[None]:
    """All of them, once each has heard how many messages wait for him."""
    joined = [asyncio.get_running_loop().create_future() for _ in people]
    tasks = [
        asyncio.create_task(_listen(port, each.token, future, seen))
        for each, future in zip(people, joined, strict=True)
    ]
    try:
        async with asyncio.timeout(60):
            await asyncio.gather(*joined)
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _listen(port: int, token: str, joined: asyncio.Future[None], seen: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(
            f"GET {API}/me/stream HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n\r\n".encode()
        )
        while line := await reader.readline():
            if b'"text":"sent ' in line:
                text = line.partition(b'"text":"sent ')[2].partition(b'"')[0]
                seen.append(time.perf_counter() - float(text))
            elif line.startswith(b"event: unread") and not joined.done():
                joined.set_result(None)
    finally:
        writer.close()


# --- what waits -----------------------------------------------------------------------------------------------------


def _counted(
    machine: Machine, client: httpx.Client, me: UUID, senders: Sequence[Person], pids: dict[str, int]
) -> list[Figure]:
    """For one to whom so many were sent, and who then reads a tenth of them by one fact."""
    last = uvloop.run(_unread(machine, me, [each.id for each in senders]))
    _settled(client)
    asking, dialog = Asking(machine, client), dialog_id(me, senders[0].id)
    count = _short(asking.plan([asking.head("GET", f"{API}/messages/unread-count")], 200))
    history = _short(asking.plan([asking.head("GET", f"{API}/dialogs/{dialog}/messages")], 200))
    turns = {
        f"GET /messages/unread-count, {MANY:,} waiting": (count, Turns(**pids)),
        f"GET the newest 25 of {MANY // len(senders):,}": (history, Turns(**pids)),
    }
    for _ in range(ROUNDS):
        for plan, turn in turns.values():
            turn.run(plan)
    figures = [turn.figure(what, part=PART) for what, (_, turn) in turns.items()]
    began, meter = time.perf_counter(), Meter(**pids)
    read = client.post(f"{API}/dialogs/{dialog}/read-up-to", json={"message_id": str(last)})
    at_least = {"x-min-position": read.raise_for_status().headers["x-event-position"]}
    until(lambda: client.get(f"{API}/messages/unread-count", headers=at_least).status_code == 200)
    taken = Sample(MANY // len(senders), time.perf_counter() - began, cost=_cost(meter))
    return [*figures, figure(PART, f"{taken.done:,} read by one fact, until they are", [taken])]


async def _unread(machine: Machine, me: UUID, senders: Sequence[UUID]) -> UUID:
    """The last message of the first of them."""
    last = new_id()
    async with running(machine.settings, name="bench") as serving:

        async def sent(number: int) -> None:
            sender = senders[number % len(senders)]
            message = last if number == MANY - len(senders) else new_id()
            said = MessageSent(
                dialog_id=dialog_id(me, sender), sender_id=sender, recipient_id=me, text=f"{TEXT} {number}"
            )
            await _append(serving, message, said)

        await _together([partial(sent, number) for number in range(MANY)])
    return last
