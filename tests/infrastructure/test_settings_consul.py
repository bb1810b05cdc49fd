"""Consul KV as a source of settings: seed A's names, ours below CHANCERY/, and a clear word when it cannot be read."""

import socket
from pathlib import Path

import pytest

from infrastructure.settings import MASK, Settings, SettingsError, for_child, load, masked
from infrastructure.settings_consul import WITHOUT_USE
from tests.consul import TOKEN, consul

SEED_A = {
    "BASE/TITLE": "The portal",
    "BASE/DESCRIPTION": "For those inside.",
    "BASE/CONTACT/NAME": "The team",
    "BASE/CONTACT/EMAIL": "team@example.org",
    "BASE/CONTACT/URL": "https://example.org/team",
    "BASE/JWT/ACCESS_SECRET_KEY": "an access secret",
    "BASE/JWT/REFRESH_SECRET_KEY": "a refresh secret",
    "DB/POSTGRESQL/HOST": "db",
    "DB/POSTGRESQL/PORT": "5433",
    "DB/POSTGRESQL/USERNAME": "portal",
    "DB/POSTGRESQL/PASSWORD": "p@ss/word",
    "DB/POSTGRESQL/DATABASE": "portal_db",
    "DB/REDIS/HOST": "cache",
    "DB/REDIS/PORT": "6380",
    "DB/REDIS/USERNAME": "jobs",
    "DB/REDIS/PASSWORD": "plum",
    "S3/ACCESS_KEY": "id",
    "S3/SECRET_ACCESS_KEY": "cherry",
    "S3/BUCKET": "files",
    "S3/REGION": "eu-west-1",
    "S3/HOST": "store",
    "S3/PORT": "9000",
    "S3/DIRECT_URL": "https://files.example.org/",
}
"""Every key that the README of seed A lists."""
SECRETS = ("p@ss", "plum", "cherry", "access secret", TOKEN)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def below(root: str, pairs: dict) -> dict:
    return {f"{root}/{key}": value for key, value in pairs.items()}


def asking(kept, **more: str) -> dict[str, str]:
    return {"CONSUL_ROOT": "portal", "CONSUL_HTTP_ADDR": kept.url, **more}


def refused(environ: dict[str, str]) -> SettingsError:
    with pytest.raises(SettingsError) as error:
        load({}, environ)
    assert not any(secret in str(error.value) for secret in SECRETS)
    return error.value


def test_every_key_of_seed_a_becomes_a_setting() -> None:
    with consul(below("portal", SEED_A)) as kept:
        settings = load({}, asking(kept))
    assert settings.database_url == "postgresql://portal:p%40ss%2Fword@db:5433/portal_db"
    assert settings.redis_url == "redis://jobs:plum@cache:6380/0"
    assert (settings.s3_endpoint, settings.s3_public_endpoint) == ("store:9000", "files.example.org")
    assert (settings.s3_access_key, settings.s3_secret_key) == ("id", "cherry")
    assert (settings.s3_bucket, settings.s3_region) == ("files", "eu-west-1")
    assert (settings.title, settings.description) == ("The portal", "For those inside.")
    assert settings.contact_name == "The team"
    assert settings.contact_email == "team@example.org"
    assert settings.contact_url == "https://example.org/team"
    assert settings.sources["s3_bucket"] == "consul portal/S3/BUCKET"


def test_its_secrets_for_tokens_have_no_use_here() -> None:
    with consul(below("portal", SEED_A)) as kept:
        settings = load({}, asking(kept))
    assert all(key in SEED_A for key in WITHOUT_USE)
    held = {str(getattr(settings, name)) for name in Settings.__struct_fields__}
    assert not {SEED_A[key] for key in WITHOUT_USE} & held


def test_every_setting_of_ours_may_stand_there_under_its_own_name() -> None:
    pairs = {"CHANCERY/NATS_URL": "nats://app:pear@bus:4222", "CHANCERY/SESSION_DAYS": "12"}
    with consul(below("portal", pairs)) as kept:
        settings = load({}, asking(kept))
    assert (settings.nats_url, settings.session_days) == ("nats://app:pear@bus:4222", 12)
    assert settings.sources["session_days"] == "consul portal/CHANCERY/SESSION_DAYS"


def test_it_yields_to_what_is_nearer(tmp_path: Path) -> None:
    (tmp_path / "chancery.toml").write_text("title = 'from toml'\n")
    pairs = {**SEED_A, "CHANCERY/PORT": "1", "CHANCERY/HOST": "there"}
    with consul(below("portal", pairs)) as kept:
        settings = load({"port": 3}, asking(kept, CHANCERY_HOST="here", S3_BUCKET="bare"))
    assert (settings.port, settings.host, settings.s3_bucket) == (3, "here", "bare")
    assert (settings.title, settings.s3_region) == ("from toml", "eu-west-1")


def test_it_is_not_asked_unless_a_root_is_named() -> None:
    with consul(below("portal", SEED_A)) as kept:
        assert load({}, {"CONSUL_HTTP_ADDR": kept.url}).database_url == ""
        assert kept.asked == []


def test_what_others_keep_there_and_empty_values_are_left_alone() -> None:
    pairs = {"BASE/": None, "BASE/TITLE": None, "S3/BUCKET": " ", "OTHER/SERVICE": "x", "NOTE": "y"}
    with consul({**below("portal", pairs), "portal2/BASE/TITLE": "another's"}) as kept:
        settings = load({}, asking(kept, CONSUL_ROOT="/portal/"))
    assert (settings.title, settings.s3_bucket) == ("Chancery", "chancery")


def test_a_misspelt_key_is_named_with_the_right_one() -> None:
    with consul(below("portal", {"DB/REDIS/HSOT": "cache", "CHANCERY/PROT": "1"})) as kept:
        told = str(refused(asking(kept)))
    assert "did you mean DB/REDIS/HOST?" in told
    assert "did you mean CHANCERY/PORT?" in told


def test_half_a_server_is_a_mistake() -> None:
    with consul(below("portal", {"DB/POSTGRESQL/HOST": "db", "DB/REDIS/PORT": "1"})) as kept:
        told = str(refused(asking(kept)))
    assert "DB/POSTGRESQL/USERNAME is not there" in told
    assert "DB/REDIS/HOST is not there" in told


def test_a_value_that_is_no_such_setting_says_where_it_stands() -> None:
    with consul(below("portal", {"CHANCERY/PORT": "many"})) as kept:
        told = str(refused(asking(kept)))
    assert "port (consul portal/CHANCERY/PORT)" in told


def test_a_token_is_shown_by_variable_or_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    with consul(below("portal", SEED_A), TOKEN) as kept:
        assert load({}, asking(kept, CONSUL_HTTP_TOKEN=TOKEN)).s3_bucket == "files"
        assert load({}, asking(kept, CONSUL_HTTP_TOKEN_FILE=str(file))).s3_bucket == "files"
        assert "the token may not read portal/" in str(refused(asking(kept, CONSUL_HTTP_TOKEN="another")))
        both = asking(kept, CONSUL_HTTP_TOKEN=TOKEN, CONSUL_HTTP_TOKEN_FILE=str(file))
        assert "say it in one place" in str(refused(both))
        missing = asking(kept, CONSUL_HTTP_TOKEN_FILE=str(tmp_path / "nothing"))
        assert "cannot be read" in str(refused(missing))
        assert "characters that no token has" in str(refused(asking(kept, CONSUL_HTTP_TOKEN="two words")))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((404, b""), "holds nothing below portal/"),
        ((500, b"rpc error"), "answers 500"),
        ((200, b"<html>"), "no list of keys"),
        ((200, b'[{"Key":"portal/BASE/TITLE","Value":"%%%"}]'), "no list of keys"),
        ((200, b'[{"Key":"portal/BASE/TITLE","Value":"/w=="}]'), "no list of keys"),
    ],
)
def test_an_answer_without_settings_stops_the_start(answer, said) -> None:
    with consul({}) as kept:
        kept.answer = answer
        assert said in str(refused(asking(kept)))


def test_nothing_starts_without_it_once_it_is_named() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        told = str(refused({"CONSUL_ROOT": "portal", "CONSUL_HTTP_ADDR": f"127.0.0.1:{port}"}))
    assert f"http://127.0.0.1:{port} does not answer: ConnectError" in told


def test_a_child_is_told_what_was_found_and_asks_nobody() -> None:
    with consul(below("portal", SEED_A)) as kept:
        environ = asking(kept)
        settings = load({}, environ)
        child = load({}, for_child(settings, environ))
        assert len(kept.asked) == 1
    assert (child.database_url, child.title) == (settings.database_url, "The portal")


def test_its_secrets_are_masked_like_others() -> None:
    with consul(below("portal", SEED_A)) as kept:
        settings = load({}, asking(kept))
    assert not any(secret in repr(settings) for secret in SECRETS)
    assert masked("redis_url", settings.redis_url) == f"redis://jobs:{MASK}@cache:6380/0"
