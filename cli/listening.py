"""Somebody of the demo who listens at GET /me/stream, in a thread of his own, and what he hears as it is told."""

from collections.abc import Generator
from contextlib import contextmanager, suppress
from queue import Empty, Queue
from socket import SHUT_RDWR
from threading import Thread
from time import perf_counter
from typing import Any

import httpx
from msgspec import Struct, json

from cli.people import Person
from cli.story import API, SOON, Broken, Story


class Heard(Struct, frozen=True, kw_only=True):
    """`position`: where in the log; 0: nowhere. `at`: when, by this process's clock."""

    name: str
    position: int
    data: Any
    at: float


class Ear:
    """What one person hears, in order."""

    def __init__(self, story: Story, person: Person) -> None:
        self._story, self._person = story, person
        self._heard: Queue[Heard] = Queue()

    def hears(self, name: str) -> Heard:
        """The next thing of this name. Raises Broken when it does not come."""
        while True:
            try:
                heard = self._heard.get(timeout=SOON)
            except Empty:
                raise Broken(f"{self._person.name} does not hear of {name}") from None
            if heard.name == name:
                return heard

    def shows(self, name: str, sentence: str) -> Heard:
        """The same, told: who hears what, where it stands, and the sentence, with what was heard filled in."""
        heard = self.hears(name)
        place = f" at {heard.position}" if heard.position else ""
        told = sentence.format_map(heard.data)
        self._story.shows(f"{self._person.name.split()[0]} hears {name}{place}: {told}")
        return heard

    def listen(self, answer: httpx.Response) -> None:
        """Until it ends, or is cut."""
        name, position = "", 0
        with suppress(httpx.TransportError):
            for line in answer.iter_lines():
                field, _, value = line.partition(": ")
                match field:
                    case "event":
                        name, position = value, 0
                    case "id":
                        position = int(value)
                    case "data":
                        self._heard.put(
                            Heard(name=name, position=position, data=json.decode(value), at=perf_counter())
                        )
                    case _:
                        continue


@contextmanager
def listening(story: Story, person: Person) -> Generator[Ear]:
    """An ear that has heard how many messages wait. Raises Broken."""
    ear = Ear(story, person)
    with (
        httpx.Client(base_url=story.stack.url, timeout=SOON) as client,
        client.stream("GET", f"{API}/me/stream", headers=person.headers) as answer,
    ):
        if answer.status_code != 200:
            raise Broken(f"{person.name} may not listen: {answer.status_code}")
        thread = Thread(target=ear.listen, args=(answer,), daemon=True)
        thread.start()
        try:
            ear.hears("unread")
            yield ear
        finally:
            answer.extensions["network_stream"].get_extra_info("socket").shutdown(SHUT_RDWR)
            thread.join()
