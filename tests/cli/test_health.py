"""`chancery health`: 0 for a process that lives, 1 for one that does not, and nothing it needs a secret for."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner, Result

from cli.main import chancery
from infrastructure.heartbeat import DEAD_SECONDS


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def asked(*words: str, **settings: str) -> Result:
    environ = {f"CHANCERY_{name}": value for name, value in settings.items()}
    return CliRunner().invoke(chancery, ["health", *words], env=environ)


@pytest.fixture
def port():
    """Where something answers /base/healthz with 200, and all else with 503."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/base/healthz" else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield str(server.server_port)
        server.shutdown()
        thread.join()


def test_an_api_that_answers_lives(port):
    told = asked("serve", PORT=port, HOST="0.0.0.0", ROOT_PATH="/base")
    assert (told.exit_code, told.output) == (0, "serve lives\n")


def test_an_api_that_answers_otherwise_or_not_at_all_does_not(port):
    told = asked("serve", PORT=port)
    assert (told.exit_code, "serve answers 503" in told.output) == (1, True)
    told = asked("serve", PORT="1")
    assert (told.exit_code, "ConnectionRefusedError" in told.output) == (1, True)


@pytest.mark.parametrize("process", ["work", "jobs"])
def test_a_process_that_beats_lives_and_a_silent_one_does_not(process: str, tmp_path: Path):
    (tmp_path / process).touch()
    assert asked(process, HEALTH_DIR=str(tmp_path)).exit_code == 0
    old = (tmp_path / process).stat().st_mtime - DEAD_SECONDS - 1
    os.utime(tmp_path / process, (old, old))
    told = asked(process, HEALTH_DIR=str(tmp_path))
    assert (told.exit_code, "has been silent for" in told.output) == (1, True)
    (tmp_path / process).unlink()
    told = asked(process, HEALTH_DIR=str(tmp_path))
    assert (told.exit_code, "no sign of life" in told.output) == (1, True)


def test_without_a_directory_nobody_can_tell():
    told = asked("work")
    assert (told.exit_code, "CHANCERY_HEALTH_DIR" in told.output) == (2, True)


def test_production_lets_it_ask_without_any_secret(port):
    assert asked("serve", PORT=port, ROOT_PATH="/base", MODE="production").exit_code == 0


def test_there_is_no_other_process():
    assert asked("relay").exit_code == 2
