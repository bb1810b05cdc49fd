"""compose.yaml and Containerfile as far as they can be judged by reading: no container engine is asked."""

import re
import shlex
import shutil
import subprocess
import tomllib
from base64 import b64encode
from pathlib import Path

import pytest
import yaml

from cli.main import chancery
from infrastructure.settings import SECRETS, load
from infrastructure.settings_deployment import PASSWORDS
from infrastructure.settings_sources import PREFIX

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "compose.yaml").read_text()
IMAGE = (ROOT / "Containerfile").read_text()
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::-([^}]*))?\}")
NEEDS = {
    "migrate": {"database_owner_password", "s3_secret_key"},
    "serve": {
        *("database_password", "nats_password", "s3_secret_key", "key_encryption_key"),
        *("admin_password", "internal_secret"),
    },
    "work": {
        *("database_password", "nats_password", "nats_relay_password", "redis_password"),
        *("s3_secret_key", "key_encryption_key"),
    },
    "jobs": {"database_password", "nats_password", "redis_password", "s3_secret_key", "key_encryption_key"},
}
"""Of each of our processes, the secrets it cannot do without; the owner's is migrate's, the publisher's is work's."""


@pytest.fixture(scope="module")
def compose():
    """As an engine reads it: what is set nowhere is its default, `$$` undone."""
    return yaml.safe_load(VARIABLE.sub(lambda found: found[2] or "", TEXT).replace("$$", "$"))


@pytest.fixture(scope="module")
def ours(compose):
    return {name: service for name, service in compose["services"].items() if "build" in service}


def test_every_process_runs_a_command_there_is(ours):
    assert set(ours) == set(NEEDS)
    for name, service in ours.items():
        assert service["command"] == [name]
        assert chancery.get_command(None, name) is not None


def test_each_gets_the_secrets_it_needs_and_no_other(ours):
    assert {name: set(service["secrets"]) for name, service in ours.items()} == NEEDS
    assert set().union(*NEEDS.values()) <= SECRETS


def test_no_secret_stands_in_an_environment_or_in_a_command(compose):
    for service in compose["services"].values():
        for name, value in (service.get("environment") or {}).items():
            setting = name.removeprefix(PREFIX).lower()
            secret = setting in SECRETS - {"s3_access_key"} or "PASSWORD" in name or "SECRET" in name
            assert not secret or name in (f"{PREFIX}SECRETS_DIR", "POSTGRES_PASSWORD_FILE"), name
            assert not re.search(r"://[^/@]*:[^/@]+@", str(value)), name
        assert not re.search(r"pass(word)?[ =]", " ".join(service.get("command") or ())), service


@pytest.mark.parametrize("name", NEEDS)
def test_its_environment_and_its_secrets_are_settings_that_production_accepts(ours, name, tmp_path):
    for secret in NEEDS[name]:
        value = b64encode(bytes(32)).decode() if secret == "key_encryption_key" else "a" * 64
        (tmp_path / secret).write_text(value)
    environ = {key: str(value or "") for key, value in ours[name]["environment"].items()}
    environ |= {f"{PREFIX}MODE": "production", f"{PREFIX}SECRETS_DIR": str(tmp_path)}
    needed = ("database_url", "database_owner_url") if name == "migrate" else None
    settings = load(environ=environ, needed=needed)
    known = {url for url in PASSWORDS.values() if "a" * 64 in getattr(settings, url)}
    as_weaker = {"database_owner_url": settings.database_url, "nats_relay_url": settings.nats_url}
    known -= {url for url, weaker in as_weaker.items() if getattr(settings, url) == weaker}
    assert known == {PASSWORDS[each] for each in NEEDS[name] if each in PASSWORDS}


def test_every_container_is_read_only_without_capabilities_and_bounded(compose):
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert service["pids_limit"], name
        assert name == "postgres" or "cap_add" not in service
        assert "privileged" not in service


def test_every_container_that_stays_shows_that_it_lives(compose):
    for name, service in compose["services"].items():
        check = service["healthcheck"]
        assert check == {"disable": True} if name == "migrate" else check["test"][0] in ("CMD", "CMD-SHELL")
    for name in ("serve", "work", "jobs"):
        assert compose["services"][name]["healthcheck"]["test"] == ["CMD", "chancery", "health", name]
    assert chancery.get_command(None, "health") is not None


def test_only_the_api_is_published_and_only_on_loopback(compose):
    published = {
        name: service["ports"] for name, service in compose["services"].items() if "ports" in service
    }
    assert published == {"serve": ["127.0.0.1:8400:8400"]}
    assert compose["networks"]["inside"] == {"internal": True}
    for name, service in compose["services"].items():
        assert "inside" in service["networks"]
        assert ("outside" in service["networks"]) == (name in ("serve", "work", "jobs"))


def test_what_is_depended_on_and_mounted_is_there(compose, ours):
    for service in compose["services"].values():
        for each, how in service.get("depends_on", {}).items():
            ends = how["condition"] == "service_completed_successfully"
            assert ends == (each == "migrate")
        assert set(service.get("depends_on", ())) <= set(compose["services"])
        assert {each["source"] for each in service.get("configs", ())} <= set(compose["configs"])
        assert set(service.get("secrets", ())) <= set(compose["secrets"])
        assert {each.split(":")[0] for each in service.get("volumes", ())} <= set(compose["volumes"])
    assert all((ROOT / each["file"]).is_file() for each in compose["configs"].values())
    used = {each for service in compose["services"].values() for each in service.get("secrets", ())}
    assert used == set(compose["secrets"])


def test_every_secret_is_one_that_the_script_makes(compose, tmp_path):
    made = subprocess.run(
        ["sh", ROOT / "deploy/make-secrets.sh", tmp_path / "secrets"],
        capture_output=True,
        text=True,
        check=True,
    )
    files = {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}
    assert files.keys() == compose["secrets"].keys()
    assert not any(value in made.stdout + made.stderr for value in files.values())
    assert {len(value) for name, value in files.items() if name != "key_encryption_key"} == {64}
    assert len(set(files.values())) == len(files)
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    (tmp_path / "secrets" / "redis_password").unlink()
    subprocess.run(
        ["sh", ROOT / "deploy/make-secrets.sh", tmp_path / "secrets"], check=True, capture_output=True
    )
    again = {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}
    assert {name for name in files if again[name] != files[name]} == {"redis_password"}
    for name in ("key_encryption_key", "admin_password", "internal_secret"):
        assert getattr(load(environ={f"{PREFIX}{name.upper()}": again[name]}), name) == again[name]


def test_every_image_has_a_version(compose):
    images = [each["image"] for each in compose["services"].values() if "build" not in each]
    images += re.findall(r"^FROM (\S+)", IMAGE, re.MULTILINE)
    assert len(images) == 6
    for image in images:
        assert re.fullmatch(r"[a-z/]+:\d+\.\d+(\.\d+)?(-[a-z]+)*", image), image


def test_every_variable_is_told_of_at_the_top():
    told = set(re.findall(r"\b[A-Z_]{3,}\b", TEXT.partition("name:")[0]))
    assert {found[0] for found in VARIABLE.findall(TEXT)} <= told


def test_the_image_holds_every_package_and_no_more_goes_to_its_builder():
    copied = set(re.findall(r"^COPY (\w+) \1$", IMAGE, re.MULTILINE))
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]
    assert copied == {name.rstrip("*") for name in found["include"]} | {"data"}
    files = re.search(r"^COPY (.+) \./$", IMAGE, re.MULTILINE)
    wanted = copied | set(files[1].split())
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {line[1:] for line in ignored if line.startswith("!")} == wanted
    assert "*" in ignored
    assert all((ROOT / each).exists() for each in wanted)


def test_the_image_runs_as_nobody_in_particular():
    last = IMAGE.rpartition("FROM")[2]
    assert re.search(r"^USER [1-9]\d*$", last, re.MULTILINE)
    assert "CHANCERY_MODE=production" in last
    assert not re.search(r"(PASSWORD|SECRET|KEY)=", IMAGE)


@pytest.mark.skipif(
    shutil.which("docker") is None
    or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode != 0,
    reason="no `docker compose` here",
)
def test_docker_reads_it_as_we_do(compose):
    words = shlex.split("docker compose config --quiet")
    assert subprocess.run(words, cwd=ROOT, capture_output=True, check=False).returncode == 0
