"""Settings: which source wins, and what a mistake answers."""

import base64
from pathlib import Path

import pytest

from infrastructure.settings import MASK, Settings, SettingsError, environment, load, masked

KEY = base64.b64encode(bytes(32)).decode()
OUTSIDE = {
    "DATABASE_URL": "postgresql://app:apple@db/chancery",
    "NATS_URL": "nats://app:pear@bus:4222",
    "REDIS_URL": "redis://cache:6379/0",
    "S3_ENDPOINT": "files:9000",
    "S3_ACCESS_KEY": "id",
    "S3_SECRET_KEY": "plum",
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def problems(error: pytest.ExceptionInfo[SettingsError]) -> set[str]:
    return {mistake.name for mistake in error.value.mistakes}


def test_every_source_yields_to_the_one_before_it(tmp_path: Path) -> None:
    secret, toml = tmp_path / "secret", tmp_path / "chancery.toml"
    secret.write_text("from-file\n")
    toml.write_text(
        "port = 1\nhost = 'toml'\nlog_format = 'json'\ninternal_secret = 'from-toml'\ns3_region = 'toml'\n"
    )
    environ = {"CHANCERY_PORT": "2", "CHANCERY_HOST": "env", "CHANCERY_INTERNAL_SECRET_FILE": str(secret)}
    settings = load({"port": 3}, environ | {"S3_REGION": "bare", "CHANCERY_S3_REGION": ""})
    assert (settings.port, settings.host, settings.log_format) == (3, "env", "json")
    assert (settings.internal_secret, settings.s3_region, settings.session_days) == ("from-file", "bare", 30)
    named = {
        name: settings.sources[name]
        for name in ("port", "host", "log_format", "internal_secret", "s3_region", "mode")
    }
    assert named == {
        "port": "--port",
        "host": "CHANCERY_HOST",
        "log_format": "chancery.toml",
        "internal_secret": "CHANCERY_INTERNAL_SECRET_FILE",
        "s3_region": "S3_REGION",
        "mode": "default",
    }


def test_an_empty_value_is_not_set() -> None:
    assert load({"port": None}, {"CHANCERY_PORT": "", "CHANCERY_ADMIN_EMAIL": ""}) == load({}, {})


def test_all_mistakes_are_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "chancery.toml").write_text("prot = 8400\nsession_days = 'many'\n")
    environ = {
        "CHANCERY_POTR": "1",
        "CHANCERY_PORT": "70000",
        "CHANCERY_MODE": "prod",
        "CHANCERY_TIME_ZONE": "Mars/Olympus",
        "CHANCERY_CORS_ORIGINS": "https://ok.example,*",
        "CHANCERY_EMAIL_DOMAINS": "*.example",
        "CHANCERY_TRUSTED_PROXIES": "10.0.0.0/33",
        "CHANCERY_KEY_ENCRYPTION_KEY": "c2hvcnQ=",
        "CHANCERY_ADMIN_PASSWORD_FILE": str(tmp_path / "missing"),
        "CHANCERY_DATABASE_URL": "mysql://x",
        "S3_ENDPOINT": "http://files:9000",
    }
    with pytest.raises(SettingsError) as error:
        load({}, environ)
    assert problems(error) == {
        *("CHANCERY_POTR", "port", "mode", "time_zone", "cors_origins", "email_domains", "trusted_proxies"),
        *("key_encryption_key", "admin_password", "database_url", "database_owner_url", "s3_endpoint"),
        *("s3_access_key", "s3_secret_key", "prot", "session_days"),
    } - {"database_owner_url"} | ({"database_owner_url"} & problems(error))
    assert "did you mean CHANCERY_PORT?" in str(error.value)
    assert "did you mean port?" in str(error.value)


def test_a_mistake_never_repeats_a_secret() -> None:
    with pytest.raises(SettingsError) as error:
        load({}, {"CHANCERY_KEY_ENCRYPTION_KEY": "hunter2", "DATABASE_URL": "mysql://app:hunter2@db/x"})
    assert "hunter2" not in str(error.value)


def test_production_refuses_what_up_has_made(tmp_path: Path) -> None:
    secrets = tmp_path / ".chancery" / "secrets"
    secrets.mkdir(parents=True)
    (secrets / "key_encryption_key").write_text(KEY)
    (secrets / "admin_password").write_text("made")
    assert load({}, {}).sources["key_encryption_key"] == "generated"
    with pytest.raises(SettingsError) as error:
        load({"mode": "production"}, {})
    assert {"key_encryption_key", "admin_password", "database_url", "redis_url", "s3_secret_key"} <= problems(
        error
    )
    own = {"CHANCERY_KEY_ENCRYPTION_KEY": KEY, "CHANCERY_ADMIN_PASSWORD": "of my own"}
    assert load({"mode": "production"}, OUTSIDE | own).mode == "production"


def test_production_needs_a_key_encryption_key() -> None:
    with pytest.raises(SettingsError) as error:
        load({"mode": "production"}, OUTSIDE)
    assert problems(error) == {"key_encryption_key"}


def test_one_outside_url_serves_the_stronger_role_too() -> None:
    settings = load({}, OUTSIDE)
    assert settings.database_owner_url == settings.database_url
    assert settings.sources["nats_relay_url"] == "as nats_url"


def test_secrets_are_never_shown() -> None:
    settings = load({}, OUTSIDE | {"CHANCERY_INTERNAL_SECRET": "cherry"})
    assert not any(fruit in repr(settings) for fruit in ("apple", "pear", "plum", "cherry"))
    assert masked("database_url", settings.database_url) == f"postgresql://app:{MASK}@db/chancery"


def test_settings_travel_to_a_child_through_its_environment() -> None:
    settings = load(
        {"port": 1234, "s3_secure": True},
        OUTSIDE | {"CHANCERY_CORS_ORIGINS": "https://a.example, https://b.example"},
    )
    child = load({}, environment(settings))
    assert {n: getattr(child, n) for n in Settings.__struct_fields__ if n != "sources"} == {
        n: getattr(settings, n) for n in Settings.__struct_fields__ if n != "sources"
    }


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"PASSWORD_MIN_LENGTH": "7"}, "password_min_length"),
        ({"PASSWORD_MAX_LENGTH": "257"}, "password_max_length"),
        ({"PASSWORD_MAX_LENGTH": "11"}, "password_max_length"),
        ({"PASSWORD_MIN_LENGTH": "20", "PASSWORD_MAX_LENGTH": "19"}, "password_max_length"),
        ({"PASSWORD_NEEDS": "digits"}, "password_needs"),
        ({"PASSWORD_SPECIAL_CHARACTERS": "!a"}, "password_special_characters"),
        (
            {"PASSWORD_NEEDS": "digit", "PASSWORD_FORBIDDEN_CHARACTERS": "9876543210"},
            "password_forbidden_characters",
        ),
        (
            {
                "PASSWORD_NEEDS": "special",
                "PASSWORD_SPECIAL_CHARACTERS": "!?",
                "PASSWORD_FORBIDDEN_CHARACTERS": "?! ",
            },
            "password_forbidden_characters",
        ),
    ],
)
def test_rules_that_no_password_could_keep_are_refused(given: dict[str, str], name: str) -> None:
    with pytest.raises(SettingsError) as error:
        load({}, {f"CHANCERY_{key}": value for key, value in given.items()})
    assert problems(error) == {name}


def test_the_rules_for_passwords_are_settings() -> None:
    forbidden = " ,`|/\\{}[]*:;"
    environ = {
        "CHANCERY_PASSWORD_MIN_LENGTH": "8",
        "CHANCERY_PASSWORD_MAX_LENGTH": "29",
        "CHANCERY_PASSWORD_NEEDS": "digit,special",
        "CHANCERY_PASSWORD_SPECIAL_CHARACTERS": "@?!%$^+",
        "CHANCERY_PASSWORD_FORBIDDEN_CHARACTERS": forbidden,
    }
    settings = load({}, environ)
    assert (settings.password_min_length, settings.password_max_length) == (8, 29)
    assert settings.password_needs == ("digit", "special")
    assert settings.password_forbidden_characters == forbidden
    assert {**environ, "CHANCERY_DATA_DIR": ""} == environment(settings) | {"CHANCERY_DATA_DIR": ""}


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"CHANCERY_LISTENERS_AT_ONCE": "8000"}, "listeners_at_once"),
        ({"CHANCERY_CONNECTIONS_AT_ONCE": "7200"}, "connections_at_once"),
        ({"CHANCERY_COMMANDS_AT_ONCE": "0"}, "commands_at_once"),
        ({"CHANCERY_SLOW_READER_SECONDS": "0"}, "slow_reader_seconds"),
    ],
)
def test_limits_that_let_nobody_in_are_refused(said: dict[str, str], wrong: str) -> None:
    with pytest.raises(SettingsError) as error:
        load({}, said)
    assert problems(error) == {wrong}
    assert load({}, {"CHANCERY_LISTENERS_AT_ONCE": "20000", "CHANCERY_CONNECTIONS_AT_ONCE": "30000"})
