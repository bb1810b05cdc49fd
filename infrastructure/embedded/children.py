"""Child processes that end when we do: each leads a session of its own, and the whole group goes with it."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

_PR_SET_PDEATHSIG = 1
_LOG_LIMIT = 10_000_000
_libc = ctypes.CDLL(None, use_errno=True)


class StartError(Exception):
    """A child did not come up; the message ends with what it said last."""


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def die_with_parent(stop_signal: int, parent: int) -> None:
    """Have the kernel send us `stop_signal` when `parent` ends, even by SIGKILL (on Linux only)."""
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_PDEATHSIG, stop_signal)
        if os.getppid() != parent:
            os._exit(1)


class Child:
    """One process that can be started, watched and ended again and again.

    Start it from the main thread only: the parent-death signal fires when the *thread* that started it ends.
    A note in `run` tells the next `up` which process it was, should we be killed.
    """

    def __init__(
        self, name: str, run: Path, stop_signal: int = signal.SIGTERM, log: Path | None = None
    ) -> None:
        self.name = name
        self._log = log
        self._note = run / f"{name}.pid"
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[Any] | None = None

    @property
    def pid(self) -> int:
        """Of the running process; 0 when there is none."""
        return self._process.pid if self._process else 0

    def start(self, command: Sequence[str | Path], env: Mapping[str, str], **who: Any) -> None:
        """`who`: user, group, extra_groups, cwd and umask as subprocess.Popen takes them."""
        parent = os.getpid()
        with self._output() as output, _signals_held() as before:

            def prepare() -> None:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
                die_with_parent(self._stop_signal, parent)

            self._process = subprocess.Popen(
                [str(part) for part in command],
                env=dict(env),
                preexec_fn=prepare,  # noqa: PLW1509
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                **who,
            )
            self._note.write_text(f"{self.pid} {_seen(self.pid).started} {int(self._stop_signal)}")

    def died(self) -> bool:
        """Whether it ended. It is not reaped here, so the number of its group cannot be given to others."""
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return self._process is not None and os.waitid(os.P_PID, self.pid, how) is not None

    def stop(self, patience: float = 20.0) -> int | None:
        """Ask it to end, wait `patience` seconds, kill what is left of its group. Returns the exit status."""
        if self._process is None:
            return None
        if not self.died():
            self._process.send_signal(self._stop_signal)
            wait_until(self.died, patience)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        status = self._process.wait()
        self._process = None
        self._note.unlink(missing_ok=True)
        return status

    def wait_ready(self, ready: Callable[[], bool], seconds: float = 60.0) -> None:
        """Raises StartError when it ends first, or is not ready in time."""
        came = wait_until(lambda: self.died() or ready(), seconds)
        if not came or self.died():
            what = f"was not ready within {seconds:.0f} s" if not came else "ended while it started"
            raise StartError(f"{self.name} {what}. {self.last_words()}")

    def last_words(self) -> str:
        """The end of its log, for an error message."""
        if self._log is None or not self._log.exists():
            return "Its lines are above."
        return f"Its log {self._log} ends with:\n" + "\n".join(
            self._log.read_text(errors="replace").splitlines()[-8:]
        )

    @contextlib.contextmanager
    def _output(self) -> Generator[IO[bytes] | None]:
        if self._log is None:
            yield None
            return
        if self._log.exists() and self._log.stat().st_size > _LOG_LIMIT:
            self._log.replace(self._log.with_suffix(".1.log"))
        with self._log.open("ab") as output:
            yield output


@contextlib.contextmanager
def _signals_held() -> Generator[set[int]]:
    """Signals that ask us to end come after the block; yields the mask of before.

    What a handler raises while Python forks is swallowed, and a child that is not noted yet would never be ended.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    try:
        yield set(before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Seen(NamedTuple):
    """One line of /proc/<pid>/stat; a process is named by its pid and its start, since pids come again."""

    pid: int
    state: str
    group: int
    started: int


def _seen(pid: int) -> _Seen:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return _Seen(pid, "X", 0, 0)
    return _Seen(pid, fields[0], int(fields[2]), int(fields[19]))


def processes() -> Iterator[int]:
    """Pids of all processes that can be seen; none where there is no /proc."""
    return (int(entry.name) for entry in Path("/proc").glob("[0-9]*"))


def end_orphans(run: Path, patience: float = 3.0) -> list[str]:
    """End what a killed `up` has left behind, group by group; returns the names. Call only under the lock.

    Whatever holds data here is made to be killed, so nobody waits long for what does not end when asked.
    """
    notes = {
        note: [int(word) for word in note.read_text().split() or (0, 0, 0)] for note in run.glob("*.pid")
    }
    left = {note: said for note, said in notes.items() if _group(*said[:2])}
    for leader, started, stop_signal in left.values():
        for pid in _group(leader, started):
            end(pid, stop_signal)

    def alive() -> list[int]:
        return [pid for leader, started, _ in left.values() for pid in _group(leader, started)]

    if not wait_until(lambda: not alive(), patience):
        for pid in alive():
            end(pid, signal.SIGKILL)
        wait_until(lambda: not alive(), 10.0)
    for note in notes:
        note.unlink()
    return [note.stem for note in left]


def end(pid: int, signal_number: int) -> None:
    """Send a signal to a process that may be gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal_number)


def _group(leader: int, started: int) -> list[int]:
    """What lives of the group; nothing when another process has the leader's number by now."""
    if leader == 0 or _seen(leader).started not in (0, started):
        return []
    alive = (_seen(pid) for pid in processes())
    return [
        seen.pid
        for seen in alive
        if seen.group == leader and seen.started >= started and seen.state not in "ZX"
    ]
