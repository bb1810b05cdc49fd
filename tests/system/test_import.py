"""`chancery import` against a whole Chancery: a file becomes records through the API, reactor, broker and jobs."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cli.running import Stack, stack_of_ones_own
from infrastructure.embedded.children import wait_until
from tests.importing import codes, dbf

ROOT = Path(__file__).parents[2]
FRENCH = ROOT / "data" / "french_companies.csv"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with stack_of_ones_own() as running:
        yield running


@pytest.fixture
def environ(stack):
    who = {
        "CHANCERY_URL": stack.url,
        "CHANCERY_LOGIN": stack.admin_email,
        "CHANCERY_PASSWORD": stack.admin_password,
    }
    ours = {name: value for name, value in os.environ.items() if not name.startswith("CHANCERY_")}
    return ours | who | {"PYTHONPATH": str(ROOT)}


def run(environ, *arguments, code=0):
    command = [sys.executable, "-m", "cli.main", "import", *map(str, arguments)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def admin(stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{stack.url}/api/v1", timeout=30) as client:
        who = {"login": stack.admin_email, "password": stack.admin_password}
        token = client.post("/auth/login", json=who).json()["access_token"]
        client.headers["authorization"] = f"Bearer {token}"
        yield client


def total(admin, path, **params) -> int:
    return admin.get(path, params={"include_total": "true", **params}).json()["total"]


def test_a_check_shows_what_would_become_of_a_file_and_leaves_it_at_that(environ, admin):
    said = run(environ, FRENCH, "--kind", "organisations", "--check")
    assert "french_companies.csv: csv, written in utf-8." in said
    assert "column nom_raison_sociale is full_name" in said
    assert "10 added, 0 changed, 90 unchanged, 0 vanished, 0 failed." in said
    assert total(admin, "/organisations") == 0
    assert admin.get("/imports").json()["data"][0]["state"] == "canceled"


def test_a_file_is_imported_and_the_second_time_nothing_changes(environ, admin, tmp_path):
    assert "Applied: 10 added" in run(environ, FRENCH, "--kind", "organisations", "--yes")
    assert total(admin, "/organisations") == 10
    assert "Applied: 0 added, 0 changed, 100 unchanged" in run(
        environ, FRENCH, "--kind", "organisations", "--yes"
    )
    index = tmp_path / "PIndx.dbf"
    index.write_bytes(dbf(codes(2_000)))
    assert "Applied: 2000 added" in run(environ, index, "--kind", "postal-index", "--mode", "fill", "--yes")
    found = admin.get("/addresses", params={"index": "201999"}).json()["data"]
    assert [each["code"] for each in found] == ["201999"]


def test_what_goes_wrong_is_said_and_shows_in_the_exit_code(environ, tmp_path):
    wrong = tmp_path / "PIndx.dbf"
    wrong.write_bytes(b"INDEX;REGION\n")
    said = run(environ, wrong, "--kind", "postal-index", "--yes", code=1)
    assert "the file: This is no dBase table, whatever its name says. (file.not_dbf)" in said
    said = run(environ, wrong, "--kind", "organisations", "--column", "INDEX=colour", "--yes", code=1)
    assert "/mapping/INDEX: There is no field `colour`." in said
    stranger = environ | {"CHANCERY_PASSWORD": "wrong " * 3}
    assert "auth.invalid_credentials" in run(stranger, wrong, "--kind", "egrul", code=1)
    nowhere = environ | {"CHANCERY_URL": "http://127.0.0.1:9"}
    assert "does not answer" in run(nowhere, wrong, "--kind", "egrul", code=1)


def test_ctrl_c_cancels_it_and_what_was_written_stays(environ, admin, tmp_path):
    table = tmp_path / "many.csv"
    table.write_text("full_name,siren\n" + "".join(f"Company {at},{at:09}\n" for at in range(8_000)))
    command = [sys.executable, "-m", "cli.main", "import", str(table), "--kind", "organisations", "--yes"]
    running = subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )

    def newest():
        return admin.get("/imports", params={"filter": f'name:"{table.name}"'}).json()["data"]

    assert wait_until(lambda: newest() and newest()[0]["state"] == "applying", 60)
    path = f"/imports/{newest()[0]['id']}"
    assert wait_until(lambda: admin.get(path).json()["progress"]["processed"] > 0, 60)
    slowest = 0.0
    for _ in range(20):
        began = time.monotonic()
        assert admin.post("/organisations", json={"full_name": "Meanwhile"}).status_code == 201
        slowest = max(slowest, time.monotonic() - began)
    running.send_signal(signal.SIGINT)
    said, _ = running.communicate(timeout=30)
    assert running.returncode == 130, said
    assert "What was written stays." in said
    assert admin.get(path).json()["state"] == "canceled"
    assert slowest < 2, "other commands stay quick"


def test_the_how_to_works_as_it_is_pasted(stack, environ, admin):
    page = (ROOT / "docs" / "how-to" / "import.md").read_text()
    pasted = "".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL))
    token = admin.headers["authorization"].removeprefix("Bearer ")
    script = f"""set -eu
curl() {{ command curl -sS --fail-with-body "$@"; }}
chancery() {{ {sys.executable} -m cli.main "$@"; }}
"""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "data").symlink_to(ROOT / "data")
        done = subprocess.run(
            ["bash"],
            input=script + pasted,
            env=environ | {"URL": f"{stack.url}/api/v1", "TOKEN": token},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"state":"applied"' in done.stdout
    assert "siren,siret,nom_raison_sociale" in done.stdout
