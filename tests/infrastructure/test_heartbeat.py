"""How a process shows that it lives: to `chancery health` by a file, to systemd by its socket."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from infrastructure.heartbeat import Heartbeat, notify, silence
from infrastructure.tasks import end
from tests.waiting import until

pytestmark = pytest.mark.anyio


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its end of the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.settimeout(10)
        listening.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listening


async def test_it_beats_while_its_loop_runs_and_leaves_nothing_behind(tmp_path: Path):
    folder = tmp_path / "health"
    beating = asyncio.create_task(Heartbeat(str(folder), "work").run())
    await until(lambda: silence(str(folder), "work") is not None)
    assert silence(str(folder), "jobs") is None
    await end(beating)
    assert list(folder.iterdir()) == []


async def test_silence_is_counted_from_the_last_beat(tmp_path: Path):
    (tmp_path / "work").touch()
    os.utime(tmp_path / "work", (0, 0))
    assert silence(str(tmp_path), "work") > 1e9
    os.utime(tmp_path / "work", (9e9, 9e9))
    assert silence(str(tmp_path), "work") == 0, "a clock that was set back makes nobody dead"


async def test_what_cannot_be_written_ends_nobody(tmp_path: Path):
    (tmp_path / "file").touch()
    beating = asyncio.create_task(Heartbeat(str(tmp_path / "file" / "below"), "work").run())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not beating.done()
    await end(beating)
    assert beating.cancelled()


async def test_systemd_hears_that_it_is_ready_and_lives(systemd):
    beating = asyncio.create_task(Heartbeat("", "work").run())
    await asyncio.sleep(0)
    assert [systemd.recv(100), systemd.recv(100)] == [b"READY=1", b"WATCHDOG=1"]
    await end(beating)


async def test_nobody_minds_a_systemd_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "@chancery-nobody-listens-here")
    notify("READY=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("READY=1")
