"""The README's five minutes, as somebody pastes them into a terminal, block by block."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from api.server import free_port
from infrastructure.embedded.children import wait_until
from infrastructure.settings_sources import running_stack
from tests import servers, whole

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "README.md").read_text().partition("## Five minutes")[2].partition("\n## ")[0]
UP, *BLOCKS = re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)
MARK = "\x1e"


@pytest.fixture(scope="module")
def terminal():
    """An empty folder with the Makefile and what `make` sets up, on a port of its own: 8400 may be taken here."""
    folder = servers.place("readme")
    folder.mkdir(mode=0o711)
    for name in ("Makefile", ".venv"):
        (folder / name).symlink_to(ROOT / name)
    port = str(free_port("127.0.0.1", 0))
    environ = whole.ENVIRONMENT | {"CHANCERY_PORT": port}
    assert UP == "make up\n"
    with (folder / "up.log").open("w") as log:
        command = [*UP.split(), "--old-file=.venv/runtime"]  # set up already, or no test would run
        make = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log)
    try:
        came = wait_until(
            lambda: make.poll() is not None or bool(running_stack(folder / ".chancery").get("url")),
            whole.START,
        )
        assert came, "up takes too long"
        assert make.poll() is None, (folder / "up.log").read_text()

        def paste(blocks) -> list[str]:
            script = "set -eu\n" + f"printf '{MARK}'\n".join(blocks).replace("8400", port)
            done = subprocess.run(
                ["bash"], input=script, cwd=folder, env=environ, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout.split(MARK)

        yield paste
        assert wait_until(lambda: "Chancery is up" in (folder / "up.log").read_text(), whole.END)
    finally:
        make.send_signal(signal.SIGTERM)
        make.wait(whole.END)
    assert wait_until(lambda: running_stack(folder / ".chancery") == {}, whole.END)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids(folder))


def pids(folder) -> list[int]:
    """Of what works in this folder still."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            said = (process / "cmdline").read_bytes() + os.fsencode((process / "cwd").readlink())
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if os.fsencode(folder) in said:
            found.append(int(process.name))
    return found


def answers(told) -> list:
    """The JSON that curl printed, one after the other."""
    found, decoder = [], json.JSONDecoder()
    while told := told.strip():
        answer, end = decoder.raw_decode(told)
        found.append(answer)
        told = told[end:]
    return found


def test_the_five_minutes_work_by_copy_and_paste(terminal):
    sign_in, register, look, ask, prove, rebuild = BLOCKS
    told = terminal([sign_in, register, register, look, ask, prove, rebuild])
    assert told[0] == ""
    [receipt], [again] = answers(told[1]), answers(told[2])
    assert receipt["version"] == 1
    assert again == receipt
    found, changed, history, then = answers(told[3])
    assert [each["full_name"] for each in found["data"]] == ["La Poste"]
    assert changed["version"] == 2
    assert sorted(each["version"] for each in history["data"]) == [1, 2]
    assert then["short_name"] is None
    now, before = answers(told[4])
    assert (now["decision"], now["context"]["reason"]) == (False, "revoked")
    assert (before["decision"], before["context"]["grant"]) == (True, now["context"]["grant"])
    assert before["context"]["explain"]["grant"]["given_by"]["kind"] == "user"
    assert re.search(r"^ok: \d+ entries", told[5], re.MULTILINE), told[5]
    assert "1 and 1 rows, equal" in told[6]
    assert re.search(r"^organisation\s+\d+\s+\d+\s+\d+\s+0\s+yes", told[6], re.MULTILINE), told[6]
