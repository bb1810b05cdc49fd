"""Secrets by file: one file each, a directory of them, and passwords that stand apart from their URLs."""

from pathlib import Path

import pytest

from infrastructure.settings import Settings, SettingsError, for_child, load
from infrastructure.settings_deployment import PASSWORDS

URLS = {
    "CHANCERY_DATABASE_URL": "postgresql://app@db:5432/chancery",
    "CHANCERY_DATABASE_OWNER_URL": "postgresql://owner@db/chancery",
    "CHANCERY_NATS_URL": "nats://app@one:4222,nats://app@two:4222",
    "CHANCERY_NATS_RELAY_URL": "nats://relay@one:4222",
    "CHANCERY_REDIS_URL": "redis://cache:6379/0",
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(environ: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as error:
        load({}, environ)
    assert "hunter2" not in str(error.value)
    return str(error.value)


def written(folder: Path, **secrets: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, value in secrets.items():
        (folder / name).write_text(value)
    return folder


def test_a_file_is_read_without_the_end_of_its_line(tmp_path: Path) -> None:
    for end in ("", "\n", "\r\n"):
        file = tmp_path / "secret"
        file.write_bytes(b" hunter2 with blanks " + end.encode())
        settings = load({}, {"CHANCERY_INTERNAL_SECRET_FILE": str(file)})
        assert settings.internal_secret == " hunter2 with blanks "


def test_a_secret_said_twice_is_a_mistake(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hunter2")
    environ = {"CHANCERY_INTERNAL_SECRET": "hunter2", "CHANCERY_INTERNAL_SECRET_FILE": str(file)}
    assert "CHANCERY_INTERNAL_SECRET are both set" in refused(environ)


def test_a_file_that_is_missing_empty_or_no_text_is_named(tmp_path: Path) -> None:
    empty, binary = tmp_path / "empty", tmp_path / "binary"
    empty.write_text("\n")
    binary.write_bytes(b"hunter2\xff")
    told = refused(
        {
            "CHANCERY_INTERNAL_SECRET_FILE": str(tmp_path / "missing"),
            "CHANCERY_ADMIN_PASSWORD_FILE": str(empty),
            "CHANCERY_IDP_ADMIN_TOKEN_FILE": str(binary),
            "CHANCERY_S3_SECRET_KEY_FILE": str(tmp_path),
        }
    )
    assert "internal_secret (CHANCERY_INTERNAL_SECRET_FILE): cannot be read" in told
    assert "admin_password (CHANCERY_ADMIN_PASSWORD_FILE): is an empty file" in told
    assert "idp_admin_token (CHANCERY_IDP_ADMIN_TOKEN_FILE): cannot be read: it is not UTF-8" in told
    assert "s3_secret_key (CHANCERY_S3_SECRET_KEY_FILE): cannot be read" in told


def test_a_directory_of_secrets_is_read_by_their_names(tmp_path: Path) -> None:
    secrets = written(tmp_path / "secrets", internal_secret="one\n", admin_password="two")
    (secrets / "..data").mkdir()
    settings = load({}, {"CHANCERY_SECRETS_DIR": str(secrets), "CHANCERY_ADMIN_PASSWORD": "nearer"})
    assert (settings.internal_secret, settings.admin_password) == ("one", "nearer")
    assert settings.sources["internal_secret"] == str(secrets / "internal_secret")


def test_a_directory_that_is_not_there_or_holds_what_is_no_setting_is_a_mistake(tmp_path: Path) -> None:
    assert "cannot be read" in refused({"CHANCERY_SECRETS_DIR": str(tmp_path / "nothing")})
    secrets = written(tmp_path / "secrets", internal_secrt="hunter2", admin_password="")
    told = refused({"CHANCERY_SECRETS_DIR": str(secrets)})
    assert "did you mean internal_secret?" in told
    assert "is an empty file" in told


def test_passwords_are_put_into_the_urls_that_name_their_users(tmp_path: Path) -> None:
    secrets = written(
        tmp_path / "secrets",
        database_password="a/p@ple",
        database_owner_password="owns",
        nats_password="pear",
        nats_relay_password="quince",
        redis_password="pl:um",
    )
    settings = load({}, URLS | {"CHANCERY_SECRETS_DIR": str(secrets)})
    assert settings.database_url == "postgresql://app:a%2Fp%40ple@db:5432/chancery"
    assert settings.database_owner_url == "postgresql://owner:owns@db/chancery"
    assert settings.nats_url == "nats://app:pear@one:4222,nats://app:pear@two:4222"
    assert settings.nats_relay_url == "nats://relay:quince@one:4222"
    assert settings.redis_url == "redis://:pl%3Aum@cache:6379/0"


def test_who_gets_no_password_of_the_owner_has_the_apps_in_its_place() -> None:
    environ = {"CHANCERY_DATABASE_URL": URLS["CHANCERY_DATABASE_URL"], "CHANCERY_DATABASE_PASSWORD": "apple"}
    settings = load({}, environ)
    assert settings.database_owner_url == settings.database_url == "postgresql://app:apple@db:5432/chancery"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"CHANCERY_DATABASE_PASSWORD": "hunter2"}, "goes with database_url, which is not set"),
        (
            {"CHANCERY_DATABASE_URL": "postgresql://app:x@db/c", "CHANCERY_DATABASE_PASSWORD": "hunter2"},
            "is not the one in database_url",
        ),
        (
            {"CHANCERY_DATABASE_URL": "postgresql://db/c", "CHANCERY_DATABASE_PASSWORD": "hunter2"},
            "names no user",
        ),
        (
            {"CHANCERY_NATS_URL": "nats://app@bus", "CHANCERY_NATS_PASSWORD": "hunter2/"},
            "letters, digits",
        ),
    ],
)
def test_a_password_that_fits_no_url_is_a_mistake(given: dict[str, str], problem: str) -> None:
    assert problem in refused(given)


def test_a_child_gets_the_values_and_none_of_the_files(tmp_path: Path) -> None:
    secrets = written(tmp_path / "secrets", database_password="apple", internal_secret="cherry")
    (tmp_path / "chancery.toml").write_text("port = 9000\n")
    environ = {
        "CHANCERY_DATABASE_URL": URLS["CHANCERY_DATABASE_URL"],
        "CHANCERY_DATABASE_PASSWORD_FILE": str(secrets / "database_password"),
        "CHANCERY_SECRETS_DIR": str(secrets),
        "PATH": "/bin",
    }
    (secrets / "database_password").rename(tmp_path / "apart")
    environ["CHANCERY_DATABASE_PASSWORD_FILE"] = str(tmp_path / "apart")
    settings = load({"port": 8400}, environ)
    given = for_child(settings, environ)
    assert "PATH" in given
    assert not any(name.endswith("_FILE") or name == "CHANCERY_SECRETS_DIR" for name in given)
    child = load({}, given)
    assert {n: getattr(child, n) for n in Settings.__struct_fields__ if n != "sources"} == {
        n: getattr(settings, n) for n in Settings.__struct_fields__ if n != "sources"
    }, "a flag that says the default again outdoes the file, there as here"


def test_each_password_has_a_url_and_is_a_secret() -> None:
    assert set(PASSWORDS) | set(PASSWORDS.values()) <= set(Settings.__struct_fields__)
    assert "hunter2" not in repr(Settings(**dict.fromkeys(PASSWORDS, "hunter2")))
