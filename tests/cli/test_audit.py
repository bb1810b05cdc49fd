"""`chancery audit` as an auditor types it: exit codes and what is said."""

import asyncio
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import chancery
from infrastructure.personal_data import Wrapping
from infrastructure.postgres import connect
from projections.audit_log import AuditLog
from tests.auditing import follow, happen, superuser
from tests.servers import Addresses
from workers.signer import sign_once

ORIGIN = "chancery.example/audit/1"


@pytest.fixture(autouse=True)
def bare(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty directory, and no setting but those of the test."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CHANCERY_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def log(dsn: str, bare: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """A signed log of 600 entries in the database that the settings name."""

    async def build() -> None:
        async with await connect(dsn) as connection:
            await connection.execute(AuditLog().ddl("read").encode())
            happen(dsn, 600)
            await follow(connection, AuditLog(), [600])
            await sign_once(connection, Wrapping(bytes(32)), ORIGIN)

    asyncio.run(build())
    monkeypatch.setenv("CHANCERY_DATABASE_URL", dsn)
    return dsn


def audit(*words: str | Path) -> Result:
    return CliRunner().invoke(chancery, ["audit", *map(str, words)])


def key_in(told: str) -> str:
    return next(line.split()[2] for line in told.splitlines() if line.startswith("signed by "))


def test_an_export_verifies_without_the_server(
    log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert audit("export", "log.ndjson").output.endswith("600 entries in log.ndjson\n")
    monkeypatch.delenv("CHANCERY_DATABASE_URL")
    told = audit("verify", "log.ndjson", "--keep", "kept")
    assert told.exit_code == 0, told.output
    assert "pin the key with --key" in told.output
    pinned = audit("verify", "log.ndjson", "--key", key_in(told.output), "--checkpoint", "kept")
    assert pinned.exit_code == 0
    assert pinned.output.endswith(f"ok: 600 entries under the signed root of {ORIGIN}\n")


def test_each_way_to_fail_has_its_exit_code(log: str) -> None:
    audit("export", "log.ndjson")
    lines = Path("log.ndjson").read_bytes().splitlines(keepends=True)
    Path("cut").write_bytes(b"".join(lines[:100]))
    Path("bent").write_bytes(
        b"".join([*lines[:50], lines[50].replace(b'"leaf":"WzUw', b'"leaf":"WzUx'), *lines[51:]])
    )
    assert audit("verify", "cut").exit_code == 3
    bent = audit("verify", "bent")
    assert bent.exit_code == 2
    assert "entry 50:" in bent.output
    stranger = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    assert audit("verify", "log.ndjson", "--key", stranger).exit_code == 4
    assert audit("verify", "log.ndjson", "--key", "rubbish").exit_code == 2
    assert audit("verify").exit_code == 2


def test_the_database_itself_is_verified(log: str, database: Addresses) -> None:
    assert audit("verify", "--live").exit_code == 0
    superuser(database, "update stored_events set state = '{}  ' where notification_id = 77")
    told = audit("verify", "--live")
    assert told.exit_code == 2
    assert told.output.endswith("TAMPERED: 1 finding(s), first at entry 77\n")


def test_one_entry_is_proved_out_of_an_export(log: str) -> None:
    audit("export", "log.ndjson")
    key = key_in(audit("verify", "log.ndjson").output)
    for position in (1, 256, 257, 600):
        told = audit("prove", position, "log.ndjson", "--key", key)
        assert told.exit_code == 0, told.output
        assert told.output.startswith(f"c2sp.org/tlog-proof@v1\nindex {position - 1}\n")
        assert told.output.count("\n") <= 3 + 10 + 6
    assert audit("prove", 601, "log.ndjson").exit_code == 3


def test_a_range_and_what_fits_are_exported_with_proofs(log: str) -> None:
    assert audit("export", "some", "--from", 100, "--to", 120).output.endswith("21 entries in some\n")
    told = audit("verify", "some", "--keep", "kept")
    assert told.exit_code == 0, told.output
    assert (
        "a selection out of 600 entries: entries 100 to 120\nevery entry of that range is in it"
        in told.output
    )
    assert audit("export", "more", "--topic", "thing", "--continues", "kept").exit_code == 0
    told = audit("verify", "more", "--key", key_in(told.output), "--checkpoint", "kept")
    assert told.exit_code == 0, told.output
    assert "only a whole export shows that nothing is left out" in told.output
    assert told.output.endswith(f"ok: 600 entries under the signed root of {ORIGIN}\n")
    assert audit("export", "none", "--topic", "contract").output.endswith("0 entries in none\n")
    assert audit("prove", 110, "some").output == audit("prove", 110, "more").output
    assert audit("prove", 121, "some").exit_code == 3


def test_a_range_of_a_log_that_was_tampered_with_names_the_entry(log: str, database: Addresses) -> None:
    audit("export", "sound")
    key = key_in(audit("verify", "sound", "--keep", "kept").output)
    superuser(database, "update stored_events set state = '{}  ' where notification_id = 77")
    superuser(database, "delete from stored_events where notification_id > 590")
    asked = (["--from", "70", "--to", "80"], ["--from", "500"], ["--topic", "thing"])
    for words, said in zip(asked, ("entry 77:", "entry 591:", "entry 77:"), strict=True):
        audit("export", "bent", *words, "--continues", "kept")
        told = audit("verify", "bent", "--key", key, "--checkpoint", "kept")
        assert (told.exit_code, said in told.output) == (2, True), told.output


def test_progress_is_for_terminals_alone(log: str) -> None:
    for words in ((), ("--from", "5")):
        assert audit("export", "log", *words).stderr == ""


def test_a_selection_that_cannot_be_is_refused(log: str, tmp_path: Path) -> None:
    for wrong in (["--from", "601"], ["--from", "9", "--to", "8"], ["--to", "2001-01-01"]):
        told = audit("export", "none", *wrong)
        assert (told.exit_code, "there is nothing from" in told.output) == (3, True), told.output
    for nonsense in ("yesterday", "2026-13-01", "2026-01-01T00:00:00", "-5"):
        assert audit("export", "none", "--from", nonsense).exit_code == 2
    Path("other").write_text("other.example\n1\n" + "A" * 43 + "=\n\n— other.example AAAAAAA=\n")
    assert audit("export", "none", "--from", "1", "--continues", "other").exit_code == 3
    assert {each.name for each in tmp_path.iterdir()} == {"other"}


def test_without_a_database_it_says_what_to_do(tmp_path: Path) -> None:
    told = audit("export", "log.ndjson")
    assert told.exit_code == 3
    assert "chancery up" in told.output
    assert not list(tmp_path.iterdir())
