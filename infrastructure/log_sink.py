"""Warnings and errors, told to a collector besides: a POST of a JSON array with a bearer token, Better Stack's shape.

Nobody waits for it: lines are kept in memory, so many at most, and a thread hands them over in order. Without it, or
while it is away, everything goes on, and every line stands on stderr anyway.
"""

import atexit
import os
import ssl
import threading
from collections import deque
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import httpx
import msgspec
import structlog
from structlog.typing import EventDict

from infrastructure.settings import Settings
from infrastructure.watch import figures

KEPT = 10_000
"""Lines kept while the sink is away; then the oldest go, and their number is told once it is back."""
BATCH = 200
LONGEST = 20_000
"""Characters of one field, of a traceback say; more is cut."""
GATHER_SECONDS = 0.2
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
FLUSH_SECONDS = 3.0
FACT = "fact"
"""The line of an event that is told whatever the level: accounts and signatures, by number and never by name."""
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}

_log = structlog.get_logger("log_sink")


class Sink:
    """`first_pause` is the first wait in seconds after a failure; each next one is twice as long."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        level: str = "warning",
        process: str = "",
        kept: int = KEPT,
        first_pause: float = FIRST_PAUSE,
        timeout: float = 5.0,
    ) -> None:
        self._url, self._token, self._process = url, token, process
        self._least, self._kept, self._first_pause, self._timeout = LEVELS[level], kept, first_pause, timeout
        # bounded: by KEPT, the oldest goes
        self._lines: deque[bytes] = deque()
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._sending, self._hurry, self._failures = 0, False, 0
        self._largest = BATCH
        self.lost = 0
        self.trouble: str | None = None
        os.register_at_fork(after_in_child=self._born_again)

    def wants(self, line: EventDict) -> bool:
        return LEVELS.get(line.get("level", ""), 0) >= self._least or line.get("event") == FACT

    def take(self, line: EventDict) -> None:
        """Keeps a line to hand over; never waits for the network."""
        encoded = self._encoded(line)
        with self._change:
            while len(self._lines) + self._sending >= self._kept and self._lines:
                self._lines.popleft()
                self.lost += 1
                figures.SINK_LOST.labels("full").inc()
            self._lines.append(encoded)
            figures.SINK_WAITING.set(len(self._lines))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log sink", daemon=True)
                self._thread.start()
            self._change.notify_all()

    def flush(self, seconds: float = FLUSH_SECONDS) -> bool:
        """Whether all was handed over; one more try is made at once, and waited for, at most so long."""
        with self._change:
            self._hurry = True
            self._change.notify_all()
            failures = self._failures
            self._change.wait_for(
                lambda: not (self._lines or self._sending) or self._failures > failures, seconds
            )
            return not (self._lines or self._sending)

    def _encoded(self, line: EventDict) -> bytes:
        told = {name: value[:LONGEST] if isinstance(value, str) else value for name, value in line.items()}
        told = {"dt": told.pop("timestamp", None), "message": told.pop("event", ""), **told}
        return msgspec.json.encode(told | {"process": self._process}, enc_hook=repr)

    def _run(self) -> None:
        with httpx.Client(
            verify=ssl.create_default_context(), trust_env=False, timeout=self._timeout
        ) as client:
            pause = self._first_pause
            while True:
                batch = self._next()
                while trouble := self._refused(client, batch):
                    self._say(trouble)
                    if trouble.hopeless:
                        figures.SINK_LOST.labels("refused").inc(len(batch))
                        break
                    if trouble.smaller:
                        batch = self._halved(batch)
                        continue
                    self._rest(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
                else:
                    self._say(None)
                    pause = self._first_pause
                    figures.SINK_SENT.inc(len(batch))
                self._done()

    def _next(self) -> list[bytes]:
        """The oldest lines, once there are any; what comes in the moment after goes along."""
        with self._change:
            self._change.wait_for(lambda: bool(self._lines))
            if len(self._lines) < self._largest and not self._hurry:
                self._change.wait_for(
                    lambda: self._hurry or len(self._lines) >= self._largest, GATHER_SECONDS
                )
            batch = [self._lines.popleft() for _ in range(min(len(self._lines), self._largest))]
            self._sending = len(batch)
            return batch

    def _halved(self, batch: Sequence[bytes]) -> list[bytes]:
        """The first half; the other waits again, before all that came since."""
        first, rest = batch[: len(batch) // 2], batch[len(batch) // 2 :]
        with self._change:
            self._lines.extendleft(reversed(rest))
            self._sending, self._largest = len(first), max(1, len(first))
        return list(first)

    def _done(self) -> None:
        with self._change:
            self._sending = 0
            if not self._lines:
                self._hurry, self._largest = False, BATCH
            figures.SINK_WAITING.set(len(self._lines))
            self._change.notify_all()

    def _rest(self, seconds: float) -> None:
        """Until it is time to try again, or somebody wants everything out now: that counts for one try."""
        with self._change:
            self._failures += 1
            self._change.notify_all()
            self._change.wait_for(lambda: self._hurry, seconds)
            self._hurry = False

    def _refused(self, client: httpx.Client, batch: Sequence[bytes]) -> "Trouble | None":
        lost = self.lost
        lines = list(batch)
        if lost:
            told = {"event": "log lines were lost", "level": "warning", "lost": lost}
            lines.insert(0, self._encoded(told))
        headers = {"authorization": f"Bearer {self._token}", "content-type": "application/json"}
        try:
            answer = client.post(self._url, content=b"[" + b",".join(lines) + b"]", headers=headers)
        except (httpx.HTTPError, OSError) as error:
            return Trouble(f"does not answer: {type(error).__name__}")
        if answer.is_success:
            with self._change:
                self.lost -= lost
            return None
        return _trouble(answer.status_code, len(batch))

    def _say(self, trouble: "Trouble | None") -> None:
        """Each change once, on stderr; what it says waits for the sink like any line."""
        before, self.trouble = self.trouble, None if trouble is None else trouble.text
        if self.trouble is not None and before != self.trouble:
            _log.warning("log sink", trouble=self.trouble)
        elif before is not None and self.trouble is None:
            _log.info("log sink", trouble=None)

    def _born_again(self) -> None:
        """In a child process: it has no thread, what waits is its parent's to send, nobody may hold the lock."""
        self._change, self._thread = threading.Condition(), None
        self._lines, self._sending, self._hurry, self.lost = deque(), 0, False, 0


class Trouble(msgspec.Struct, frozen=True):
    """Why a batch was not taken. `smaller`: half of it may be; `hopeless`: it never will."""

    text: str
    smaller: bool = False
    hopeless: bool = False


def _trouble(status: int, lines: int) -> Trouble:
    match status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return Trouble(f"refuses our token ({status})")
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE | HTTPStatus.BAD_REQUEST | HTTPStatus.UNPROCESSABLE_ENTITY:
            return Trouble(f"refuses a line ({status})", smaller=lines > 1, hopeless=lines == 1)
        case _:
            return Trouble(f"answers {status}")


# bounded: by one
_sinks: list[Sink] = []
"""The one of this process, if there is one."""


def aim(settings: Settings, process: str) -> None:
    """Send to what the settings name, from now on."""
    _sinks.clear()
    if settings.log_sink_url:
        sink = Sink(
            settings.log_sink_url, settings.log_sink_token, level=settings.log_sink_level, process=process
        )
        _sinks.append(sink)
        atexit.register(sink.flush)


def offer(_logger: Any, _method: str, line: EventDict) -> EventDict:
    """A processor: the line as it is, told to the sink if it wants it. It comes after redaction."""
    for sink in _sinks:
        if sink.wants(line):
            sink.take(line)
    return line


def flush() -> None:
    """Whatever waits goes out before the process ends, or is given up after some seconds."""
    for sink in _sinks:
        sink.flush()


def probe(settings: Settings) -> str | None:
    """What is wrong with the one the settings name; a line that it takes says who asked."""
    sink = Sink(settings.log_sink_url, settings.log_sink_token, process="doctor")
    sink.take({"event": "chancery doctor asks whether lines arrive", "level": "info"})
    sink.flush(2 * FLUSH_SECONDS)
    return sink.trouble


def present() -> Sink | None:
    """The sink of this process."""
    return _sinks[0] if _sinks else None
