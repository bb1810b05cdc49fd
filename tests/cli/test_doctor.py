"""`chancery doctor`: each thing is broken for real, found, and told with what to do about it."""

import asyncio
import base64
import json
import os

import psycopg
import pytest
import redis
import structlog
from click.testing import CliRunner
from msgspec import structs

from cli import doctor
from cli.diagnosis import bus, database, log, machine, servers
from cli.diagnosis.finding import Finding
from cli.options import accept_settings
from infrastructure.alarms import alarm
from infrastructure.nats import Nats
from infrastructure.personal_data import Wrapping
from infrastructure.settings import Settings
from infrastructure.watch import kept_outside
from tests import mailbox, serving
from tests import servers as real
from tests.collecting_lines import TOKEN, collecting
from tests.waiting import until

pytestmark = pytest.mark.anyio
KEY = base64.b64encode(bytes(32)).decode()


async def found(check, settings: Settings) -> dict[str, Finding]:
    """What it says, by name. Whatever is wrong has a fix of one line; whatever is well has none."""
    findings = await asyncio.to_thread(lambda: list(check(settings)))
    for each in findings:
        assert bool(each.fix) != each.well, each
        assert "\n" not in each.said + each.fix
    return {each.what: each for each in findings}


@pytest.fixture
def owner(owner_dsn):
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def settings(dsn, nats_server) -> Settings:
    return serving.settings(dsn, nats_server.url, nats_relay_url=nats_server.relay_url)


# The machine


async def test_a_machine_as_it_should_be_is_well():
    findings = await found(machine.machine, Settings(sources={"database_url": "default"}))
    assert all(each.well for each in findings.values()), findings
    assert {"python", "binary postgres", "binary nats-server", "binary redis-server"} <= findings.keys()


async def test_secrets_that_others_may_read_are_named_with_the_command(tmp_path):
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name, mode in (("kept", 0o600), ("shown", 0o644)):
        (secrets / name).write_text("x")
        (secrets / name).chmod(mode)
    finding = (await found(machine.directory, Settings(data_dir=tmp_path)))["data directory"]
    assert (finding.well, finding.said) == (False, str(secrets / "shown"))
    assert finding.fix.startswith(f"`chmod 600 {secrets / 'shown'}`")
    (secrets / "shown").chmod(0o600)
    assert (await found(machine.directory, Settings(data_dir=tmp_path)))["data directory"].well


async def test_a_disk_without_room_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "ROOM", 1 << 80)
    finding = (await found(machine.directory, Settings(data_dir=tmp_path)))["free disk"]
    assert not finding.well
    assert "make room" in finding.fix


async def test_files_that_settings_come_from_are_for_us_alone(tmp_path):
    file = tmp_path / "key"
    file.write_text(KEY)
    file.chmod(0o644)
    (finding,) = machine.secret_files(Settings(), {"CHANCERY_KEY_ENCRYPTION_KEY_FILE": str(file)})
    assert (finding.well, finding.fix) == (False, f"`chmod o= {file}`")
    file.chmod(0o640)
    (finding,) = machine.secret_files(Settings(), {"CHANCERY_KEY_ENCRYPTION_KEY_FILE": str(file)})
    assert finding.well
    assert list(machine.secret_files(Settings(), {})) == []


async def test_a_port_that_another_program_has_is_found(tmp_path):
    assert (await found(machine.port, Settings(data_dir=tmp_path, port=0)))["API"].well
    with collecting() as other:
        finding = (await found(machine.port, Settings(data_dir=tmp_path, port=other.port)))["API"]
        assert (finding.well, finding.said) == (False, f"something else listens on 127.0.0.1:{other.port}")
        assert "CHANCERY_PORT" in finding.fix


# PostgreSQL


async def test_a_database_as_it_should_be_is_well(settings):
    findings = await found(database.database, settings)
    assert all(each.well for each in findings.values()), findings
    assert {
        "fsync",
        "clock",
        "migrations",
        "role",
        "rights of the role",
        "key-encryption key",
    } <= findings.keys()


async def test_a_database_that_is_away_or_was_never_named_is_one_finding(tmp_path):
    (finding,) = (await found(database.database, Settings())).values()
    assert (finding.what, finding.said) == ("PostgreSQL", "is not running")
    away = Settings(database_url=f"postgresql://app:apple@/x?host={tmp_path}")
    (finding,) = (await found(database.database, away)).values()
    assert (finding.what, finding.well) == ("PostgreSQL", False)
    assert "apple" not in str(finding)
    (finding,) = (await found(log.log, away)).values()
    assert not finding.well
    assert list(log.log(Settings())) == []


async def test_a_database_that_may_lose_events_is_found(settings, cluster):
    name = psycopg.conninfo.conninfo_to_dict(settings.database_url)["dbname"]
    with psycopg.connect(cluster.admin, autocommit=True) as admin:
        admin.execute(f"alter database {name} set synchronous_commit = off")
    finding = (await found(doctor.database, settings))["synchronous_commit"]
    assert (finding.well, finding.said) == (False, "off")
    assert finding.fix.startswith("`alter system set synchronous_commit = on`")


async def test_a_clock_that_is_off_is_found(settings, monkeypatch):
    monkeypatch.setattr(database, "SKEW", 0.0)
    finding = (await found(database.database, settings))["clock"]
    assert not finding.well
    assert "set-ntp" in finding.fix


async def test_a_migration_that_is_missing_or_from_a_newer_release_is_found(settings, owner):
    owner.execute("delete from migrations where number = 44")
    finding = (await found(database.database, settings))["migrations"]
    assert (finding.well, finding.said, finding.fix) == (False, "44 missing", "`chancery migrate`")
    owner.execute("insert into migrations (number) values (44), (9999)")
    finding = (await found(database.database, settings))["migrations"]
    assert (finding.well, "9999" in finding.said) == (False, True)


async def test_a_role_that_owns_the_log_is_found(settings, owner_dsn):
    finding = (await found(database.database, structs.replace(settings, database_url=owner_dsn)))["role"]
    assert (finding.well, "owns the log" in finding.said) == (False, True)
    assert "CHANCERY_DATABASE_URL" in finding.fix


async def test_a_role_that_may_write_past_append_is_found(settings, owner):
    owner.execute("grant update on stored_events to chancery_app")
    finding = (await found(database.database, settings))["role"]
    assert (finding.well, finding.said) == (False, "may write to stored_events")
    assert finding.fix.startswith("`revoke")
    owner.execute(finding.fix.strip("`"))
    assert (await found(database.database, settings))["role"].well


async def test_a_role_that_may_not_do_its_work_is_found(settings, owner):
    owner.execute("revoke delete on operations from chancery_app")
    finding = (await found(database.database, settings))["rights of the role"]
    assert (finding.well, finding.said) == (False, "it may not write to operations")
    assert "chancery migrate" in finding.fix


async def test_a_wrong_key_encryption_key_is_found_before_it_seals_anything(settings, owner):
    subject = owner.execute("select gen_random_uuid()").fetchone()[0]
    wrapped = Wrapping(bytes(32)).wrap(bytes(32), subject.bytes)
    owner.execute("insert into subject_keys (subject_id, wrapped) values (%s, %s)", (subject, wrapped))
    assert (await found(database.database, settings))["key-encryption key"].said == "opens people's keys"
    other = structs.replace(settings, key_encryption_key=base64.b64encode(b"x" * 32).decode())
    finding = (await found(database.database, other))["key-encryption key"]
    assert not finding.well
    assert "KEY_ENCRYPTION_KEY_FILE" in finding.fix
    unset = structs.replace(settings, key_encryption_key="")
    assert not (await found(database.database, unset))["key-encryption key"].well


async def test_a_restore_that_is_not_finished_is_found(settings, owner):
    owner.execute(
        "insert into restores (backup, position, epoch, moved) select gen_random_uuid(), 1, current_epoch(), true"
    )
    finding = (await found(database.database, settings))["restore"]
    assert (finding.well, "subject-keys restore" in finding.said) == (False, True)


# The log and who follows it


async def test_a_log_that_nobody_follows_is_found(settings):
    findings = await found(log.log, settings)
    assert findings["projection user"].said == "has not begun"
    assert "nobody is keys, reactor, relay" in findings["roles"].said
    assert "chancery work" in findings["roles"].fix
    assert findings["check"].well
    assert findings["kept outside: backup"].well, "it has nothing to lose yet"


@pytest.fixture
def old_log(owner):
    """One event, of long ago."""
    owner.execute(
        "insert into stored_events (originator_id, originator_version, topic, state, notification_id, event_id,"
        " recorded_at, metadata) values (gen_random_uuid(), 1, 'user.registered.v1', '{}', 1, gen_random_uuid(),"
        " now() - interval '9 days', '{}')"
    )


@pytest.mark.usefixtures("old_log")
async def test_who_is_behind_stands_still_or_lacks_streams_is_found(settings, owner):
    owner.execute(
        "insert into projections (name, place, version, position, failure) values"
        " ('user', 'read', 1, 0, 'event 1 at position 1: ValueError: zoe@example.org'),"
        " ('grant', 'read', 1, 0, null), ('contract', 'read', 1, 1, null), ('reactor', 'work', 1, 0, null)"
    )
    owner.execute(
        "insert into parked_streams (projection, place, stream_id, position, event_id, failure)"
        " values ('contract', 'read', gen_random_uuid(), 1, gen_random_uuid(), 'x')"
    )
    findings = await found(log.log, settings)
    assert findings["projection user"].said.startswith("stands still: event 1 at position 1")
    assert "zoe" not in findings["projection user"].said
    assert "chancery projections park user" in findings["projection user"].fix
    assert findings["projection grant"].said.startswith("1 events behind")
    assert "chancery work" in findings["projection grant"].fix
    assert findings["projection contract"].well
    assert "chancery projections unpark contract" in findings["parked contract"].fix
    assert not findings["signer"].well
    assert not findings["reactor"].well


@pytest.mark.usefixtures("old_log")
async def test_what_was_never_compared_or_kept_outside_is_found_until_it_was(settings, owner):
    findings = await found(log.log, settings)
    assert findings["check"].fix == "`chancery check run`"
    for what, command in {"backup": "backup create", "subject keys": "subject-keys backup"}.items():
        finding = findings[f"kept outside: {what}"]
        assert (finding.well, finding.said, command in finding.fix) == (False, "never", True)
    for what in (kept_outside.BACKUP, kept_outside.SUBJECT_KEYS, kept_outside.BACKUP):
        await asyncio.to_thread(kept_outside.note, settings.database_url, what)
    owner.execute("update kept_outside set at = at - interval '9 days' where what = 'backup'")
    findings = await found(log.log, settings)
    assert findings["kept outside: subject keys"].well
    assert (findings["kept outside: backup"].well, findings["kept outside: backup"].said) == (
        False,
        "216.0 h ago",
    )


async def test_what_waits_was_given_up_or_raised_an_alarm_is_found(settings, owner):
    owner.execute(
        "insert into operations (id, kind, about, state, run_at, ended_at) select gen_random_uuid(), kind, '{}',"
        " state, now() - ago, now() - ago from (values ('mail.send', 'failed', interval '1 hour'),"
        " ('mail.send', 'failed', interval '2 days'), ('export.run', 'queued', interval '1 hour'))"
        " as v(kind, state, ago)"
    )
    async with await psycopg.AsyncConnection.connect(settings.database_url, autocommit=True) as connection:
        await alarm(connection, "check", "one difference")
    findings = await found(log.log, settings)
    assert findings["jobs"].said == "1 wait, the oldest is due for 3600 s"
    assert "chancery jobs" in findings["jobs"].fix
    assert findings["given up: mail.send"].said == "1 in 24 hours"
    assert "last_error" in findings["given up: mail.send"].fix
    assert (findings["alarm check"].said, findings["alarm check"].fix) == (
        "one difference",
        "`chancery check run` looks again",
    )


async def test_a_stream_that_knows_more_than_the_log_is_found(settings, nats_server):
    async with Nats(nats_server.relay_url, "doctor's test") as relay:
        await until(lambda: relay.connected)
        await relay.stream.add_stream(name="EVENTS", subjects=["events.>"], first_seq=4712)
        try:
            finding = (await found(log.log, settings))["epoch"]
        finally:
            await relay.stream.delete_stream("EVENTS")
    assert (finding.well, finding.said) == (False, "the stream ends at 4711, the log at 0")
    assert "chancery epoch status" in finding.fix
    assert (await found(log.log, settings))["epoch"].well


# Servers beside


async def test_servers_that_are_well_are_said_to_be(settings, redis_url, object_store):
    whole = structs.replace(settings, redis_url=redis_url, **object_store.settings)
    findings = await found(servers.others, whole)
    assert all(each.well for each in findings.values()), findings
    assert findings.keys() == {
        *("NATS", "NATS for the relay", "Redis", "Redis keeps", "Redis when full", "S3", "S3 writes")
    }


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(bus, "ANSWER_SECONDS", 1.0)


@pytest.mark.usefixtures("impatient")
async def test_servers_that_are_not_named_or_do_not_answer_are_found(tmp_path):
    findings = await found(servers.others, Settings())
    assert {each.said for each in findings.values()} == {"is not running"}
    away = Settings(
        nats_url="nats://app:apple@127.0.0.1:1",
        redis_url=f"unix://:pear@{tmp_path}/none.sock",
        s3_endpoint="127.0.0.1:1",
        s3_access_key="a",
        s3_secret_key="plum",
    )
    findings = await found(servers.others, away)
    assert not any(each.well for each in findings.values())
    assert not any(fruit in str(findings) for fruit in ("apple", "pear", "plum"))


@pytest.mark.usefixtures("impatient")
async def test_a_password_that_nats_refuses_is_found(settings):
    wrong = structs.replace(settings, nats_url=settings.nats_url.replace("app:", "app:x"))
    assert not (await found(servers.others, wrong))["NATS"].well


async def test_a_bucket_that_is_missing_is_found(settings, object_store):
    said = object_store.settings | {"s3_bucket": "doctor-missing"}
    finding = (await found(servers.others, structs.replace(settings, **said)))["S3"]
    assert (finding.well, finding.fix) == (False, "`chancery migrate` makes it")


async def test_a_redis_that_forgets_is_found(settings):
    with real.redis(real.place("forgetful")) as url:
        with redis.Redis.from_url(url) as asking:
            asking.config_set("appendonly", "no")
            asking.config_set("maxmemory-policy", "allkeys-lru")
        findings = await found(servers.others, structs.replace(settings, redis_url=url))
    assert "appendonly yes" in findings["Redis keeps"].fix
    assert "noeviction" in findings["Redis when full"].fix


async def test_that_mail_is_not_set_up_is_said_and_no_fault():
    ((what, finding),) = (await found(servers.mail, Settings())).items()
    assert (what, finding.well, finding.said) == ("mail", True, "not set up: none is queued or sent")


async def test_a_server_that_takes_our_password_is_well():
    async with mailbox.opened(signing_in=True) as box:
        url = f"smtp://{mailbox.USER}:p%40ss%20word%3A1@127.0.0.1:{box.port}"
        finding = (await found(servers.mail, Settings(smtp_url=url, mail_from="office@example.org")))["mail"]
    assert (finding.well, finding.said) == (True, "answers, in the clear, signed in, from office@example.org")


async def test_what_is_wrong_with_mail_is_said_without_the_password():
    async with mailbox.opened(signing_in=True) as box:
        url = f"smtp://{mailbox.USER}:wrong-one@127.0.0.1:{box.port}"
        finding = (await found(servers.mail, Settings(smtp_url=url)))["mail"]
    assert (finding.well, "535" in finding.said) == (False, True)
    assert "wrong-one" not in str(finding)
    assert not (await found(servers.mail, Settings(smtp_url=box.url)))["mail"].well


async def test_a_log_sink_is_asked_with_a_line_of_its_own():
    assert (await found(servers.sink, Settings()))["log sink"].well
    with collecting() as collector:
        named = Settings(log_sink_url=collector.url, log_sink_token=TOKEN)
        assert (await found(servers.sink, named))["log sink"].said == "takes lines"
        assert collector.messages == ["chancery doctor asks whether lines arrive"]
        collector.statuses = [401] * 9
        finding = (await found(servers.sink, named))["log sink"]
    assert (finding.well, finding.said) == (False, "refuses our token (401)")
    assert TOKEN not in str(finding)


# All of it


@pytest.fixture
def own_log():
    """The command quietens the process that it runs in."""
    configured = structlog.get_config()
    yield
    structlog.configure(**configured)


@pytest.mark.usefixtures("own_log")
async def test_it_ends_with_1_when_something_is_to_do_and_prints_json_for_programs(tmp_path):
    environment = {name: "" for name in os.environ if name.startswith("CHANCERY_")}
    words = ["--json", "--data-dir", str(tmp_path / "none"), "--port", "0"]
    ran = await asyncio.to_thread(CliRunner().invoke, doctor_command(), words, env=environment)
    findings = json.loads(ran.stdout)
    assert ran.exit_code == 1
    assert {"what", "well", "said", "fix"} == findings[0].keys()
    assert {"what": "PostgreSQL", "well": False, "said": "is not running", "fix": database.START} in findings
    ran = await asyncio.to_thread(CliRunner().invoke, doctor_command(), words[1:], env=environment)
    assert database.START in ran.stdout


def doctor_command():
    return accept_settings(doctor.command)
