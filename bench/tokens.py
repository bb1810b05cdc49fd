"""Tokens: refreshes a second in one process, and what it costs to know who asks, at first sight and later."""

from collections import deque
from collections.abc import Awaitable, Callable
from itertools import cycle
from time import perf_counter

import uvloop

from bench.figures import Figure, Sample, closed_loop, figure
from bench.machine import Machine, Meter
from infrastructure.bootstrap import System, clock, running
from infrastructure.first_start import first_admin
from infrastructure.migrations import apply
from infrastructure.security.tokens import Tokens

PART = "tokens"
CALLERS = 64
ROUNDS = 3
SECONDS = 2.0
TOKENS = 2_000


def run(machine: Machine) -> list[Figure]:
    """Half a minute."""
    apply(machine.settings)
    return uvloop.run(_run(machine))


async def _run(machine: Machine) -> list[Figure]:
    found: dict[str, list[Sample]] = {}
    async with running(machine.settings, name="bench") as system:
        await first_admin(system)
        asking = await _signed_in(system)
        for _ in range(ROUNDS):
            for what, sample in asking.checks():
                found.setdefault(what, []).append(sample)
            for what, once in asking.questions.items():
                meter = Meter(PostgreSQL=machine.postgres.child.pid)
                sample = await closed_loop(CALLERS, SECONDS, once)
                found.setdefault(what, []).append(sample._replace(cost=meter.spent()))
    return [figure(PART, what, samples) for what, samples in found.items()]


class Asking:
    """Signed-in people, each with the refresh token that is good now."""

    def __init__(self, system: System, people: list[tuple[str, str]]) -> None:
        self._system = system
        self._said = [system.tokens.verify(access) for access, _ in people]
        self._turn = cycle(self._said)
        self._refresh_tokens = deque(refresh for _, refresh in people)
        self.questions: dict[str, Callable[[], Awaitable[object]]] = {
            "who asks, for a query: read each time": lambda: self._caller(fresh=True),
            "who asks, for a command: remembered": lambda: self._caller(fresh=False),
            f"refresh, {CALLERS} sessions": self._refresh,
        }

    def checks(self) -> list[tuple[str, Sample]]:
        """Signatures alone, one after the other."""
        turn = zip(range(TOKENS), self._turn, strict=False)
        issued = [self._system.tokens.issue(each.user_id, each.session_id, clock()) for _, each in turn]
        tokens = Tokens(self._system.tokens.ring, issuer=self._system.settings.base_url)
        return [
            ("verify a token at first sight", _verified(tokens, issued)),
            ("verify a token, remembered", _verified(tokens, issued)),
        ]

    async def _caller(self, *, fresh: bool) -> object:
        said = next(self._turn)
        return await self._system.callers.of_session(said.session_id, said.user_id, fresh=fresh)

    async def _refresh(self) -> None:
        given = self._refresh_tokens.popleft()
        successor = await self._system.sessions.refresh(given, request_id="bench", origin=None)
        assert successor.refresh_token is not None
        self._refresh_tokens.append(successor.refresh_token)


async def _signed_in(system: System) -> Asking:
    people = []
    for _ in range(CALLERS):
        signed_in = await system.sessions.sign_in(
            system.settings.admin_email,
            system.settings.admin_password,
            transport="bearer",
            request_id="bench",
            origin=None,
        )
        assert signed_in.refresh_token is not None
        people.append((signed_in.access_token, signed_in.refresh_token))
    return Asking(system, people)


def _verified(tokens: Tokens, issued: list[str]) -> Sample:
    began = perf_counter()
    for token in issued:
        tokens.verify(token)
    return Sample(len(issued), perf_counter() - began)
