"""A worker that counts the events of each topic, each event exactly once, whatever befalls NATS or itself.

    export NATS_URL=... CHANCERY_CLIENT_KEY=... CHANCERY_API_KEY=...     # a client that holds events:read
    python docs/examples/event_worker.py counts.db

Its own last position is the truth: it moves in the transaction of what was made of the event. NATS makes it quick; what
NATS has lost, or does not have any more, comes from the feed. Settings: CHANCERY_URL, NATS_URL, the client's two keys.
"""

import asyncio
import json
import os
import signal
import sqlite3
import sys
from typing import NamedTuple

import httpx
import nats
import nats.errors
import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

STREAM, DURABLE = "EVENTS", "example-counter"
BATCH = 100
QUIET = 1.0
"""Seconds without a message after which it asks the feed whether it has missed something: that is the guarantee."""


class Event(NamedTuple):
    position: int
    event_id: str
    topic: str


class Counts:
    """A small store of its own."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path)
        with self._db:
            self._db.execute(
                "create table if not exists dealt_with (position integer primary key, event_id unique)"
            )
            self._db.execute("create table if not exists counts (topic primary key, events integer not null)")
        row = self._db.execute("select position, event_id from dealt_with order by position desc").fetchone()
        self.position, self.event_id = row or (0, None)

    def take(self, event: Event) -> None:
        """The count and the position move together, or neither does."""
        if event.position <= self.position:
            return  # told twice: after a crash, or by both ways
        assert event.position == self.position + 1, "a position was skipped"
        with self._db:
            self._db.execute("insert into dealt_with values (?, ?)", (event.position, event.event_id))
            self._db.execute(
                "insert into counts values (?, 1) on conflict do update set events = events + 1",
                (event.topic,),
            )
        self.position, self.event_id = event.position, event.event_id


class Worker:
    def __init__(self, counts: Counts, http: httpx.AsyncClient) -> None:
        self._counts, self._http = counts, http

    async def run(self, nats_url: str) -> None:
        """For ever: by NATS as long as it is there and has what is next, by the feed whenever not."""
        client = await nats.connect(nats_url, max_reconnect_attempts=-1, ping_interval=5, error_cb=_told)
        while True:
            try:
                await self._follow(client.jetstream(timeout=2))
            except (nats.errors.Error, nats.js.errors.Error, TimeoutError) as error:
                print(f"NATS: {error!r}", file=sys.stderr, flush=True)
            await self._catch_up()
            await asyncio.sleep(QUIET)

    async def _follow(self, stream: JetStreamContext) -> None:
        """By a durable consumer, made anew where it is lost. What went wrong is raised: then there is another one."""
        await self._catch_up()
        try:
            await stream.consumer_info(STREAM, DURABLE)
        except nats.js.errors.NotFoundError:
            config = ConsumerConfig(
                durable_name=DURABLE,
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=self._counts.position + 1,
                ack_policy=AckPolicy.EXPLICIT,
            )
            await stream.add_consumer(STREAM, config)
        subscription = await stream.pull_subscribe_bind(DURABLE, STREAM)
        while True:
            try:
                messages = await subscription.fetch(BATCH, timeout=QUIET)
            except TimeoutError:  # it proves nothing: the consumer may be gone with all that NATS had
                await self._catch_up()
                await stream.consumer_info(STREAM, DURABLE)
                continue
            for message in messages:
                position, event_id, _, _, topic, *_ = json.loads(message.data)
                if position > self._counts.position + 1:  # the consumer is ahead of us
                    await self._catch_up()
                self._counts.take(Event(position, event_id, topic))
                await message.ack()

    async def _catch_up(self) -> None:
        """Everything that the feed has beyond our position; asked from one before, which we must know.

        Else the log was restored to an earlier point, and what comes now is another history: SystemExit.
        """
        more = True
        while more:
            known = self._counts.position
            try:
                answer = await self._http.get("/events", params={"after": max(known - 1, 0), "limit": 1000})
                if answer.status_code == 400:
                    raise SystemExit(f"the log does not reach {known} any more: it was restored")
                page = answer.raise_for_status().json()
            except httpx.HTTPError as error:
                print(f"the feed: {error!r}", file=sys.stderr, flush=True)
                await asyncio.sleep(QUIET)
                continue
            if known and (not page["data"] or page["data"][0]["event_id"] != self._counts.event_id):
                raise SystemExit(f"another event is at {known} now: the log was restored")
            for event in page["data"]:
                self._counts.take(Event(event["position"], event["event_id"], event["topic"]))
            more = page["has_more"]


async def _told(error: Exception) -> None:
    print(f"NATS: {error!r}", file=sys.stderr, flush=True)


async def main(path: str) -> None:
    url = os.environ.get("CHANCERY_URL", "http://127.0.0.1:8400")
    keys = {"X-Client-Key": os.environ["CHANCERY_CLIENT_KEY"], "X-API-Key": os.environ["CHANCERY_API_KEY"]}
    async with httpx.AsyncClient(base_url=f"{url}/api/v1", headers=keys, timeout=30) as http:
        work = asyncio.ensure_future(Worker(Counts(path), http).run(os.environ["NATS_URL"]))
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, work.cancel)
        await asyncio.wait([work])
    if not work.cancelled():
        work.result()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
