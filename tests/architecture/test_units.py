"""The systemd units as far as they can be judged without a systemd that runs them."""

import re
import shutil
import subprocess
from base64 import b64encode
from pathlib import Path

import pytest

from cli.main import chancery
from infrastructure.settings import load
from infrastructure.settings_sources import PREFIX
from tests.architecture.test_containers import NEEDS

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
ALL = sorted(UNITS.glob("*.service"))
EXPOSED = 15
"""Tenths that `systemd-analyze security` may find: the network, and children that say they live, are what we need."""
analysed = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")


def name_of(unit: Path) -> str:
    found = re.fullmatch(r"chancery-(\w+)@?\.service", unit.name)
    assert found
    return found[1]


def said(unit: Path, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", unit.read_text(), re.MULTILINE)


def test_there_is_one_for_each_process():
    assert {name_of(unit) for unit in ALL} == set(NEEDS)
    wanted = re.findall(r"chancery-\w+(?:@\w+)?\.service", (UNITS / "chancery.target").read_text())
    assert {re.sub(r"@\w+", "@", each) for each in wanted} == {unit.name for unit in ALL}


@pytest.mark.parametrize("unit", ALL, ids=name_of)
def test_it_runs_a_command_there_is_and_gets_the_secrets_that_needs(unit):
    (command,) = said(unit, "ExecStart")
    assert command.split()[1] == name_of(unit)
    assert chancery.get_command(None, name_of(unit)) is not None
    credentials = [each.split(":") for each in said(unit, "LoadCredential")]
    assert {name for name, _ in credentials} == NEEDS[name_of(unit)]
    assert all(path == f"/etc/chancery/secrets/{name}" for name, path in credentials)


@pytest.mark.parametrize("unit", ALL, ids=name_of)
def test_its_environment_is_settings_that_production_accepts(unit, tmp_path):
    for secret in NEEDS[name_of(unit)]:
        value = b64encode(bytes(32)).decode() if secret == "key_encryption_key" else "a" * 64
        (tmp_path / secret).write_text(value)
    lines = [*" ".join(said(unit, "Environment")).split(), *(UNITS / "chancery.env").read_text().splitlines()]
    environ = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    assert environ[f"{PREFIX}SECRETS_DIR"] == "%d"
    needed = ("database_url", "database_owner_url") if name_of(unit) == "migrate" else None
    settings = load(environ=environ | {f"{PREFIX}SECRETS_DIR": str(tmp_path)}, needed=needed)
    assert settings.mode == "production"
    assert (settings.database_owner_url == settings.database_url) == (name_of(unit) != "migrate")
    assert (settings.nats_relay_url == settings.nats_url) == (name_of(unit) != "work")


@pytest.mark.parametrize("unit", ALL, ids=name_of)
def test_it_may_do_what_it_must_and_no_more(unit):
    for key, value in {
        "DynamicUser": "yes",
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "PrivateDevices": "yes",
        "CapabilityBoundingSet": "",
    }.items():
        assert said(unit, key) == [value], key
    if name_of(unit) != "migrate":
        assert said(unit, "Type") == ["notify"]
        assert said(unit, "NotifyAccess") == ["all"], "an API worker speaks, not the one that watches it"
        assert said(unit, "KillMode") == ["mixed"], "who watches the others tells them"


@pytest.fixture
def placed(tmp_path) -> list[Path]:
    """The units as installed, on a machine where Chancery is `true`."""
    files = []
    for unit in ALL:
        text = unit.read_text().replace(
            "/opt/chancery/.venv/bin/chancery", shutil.which("true") or "/bin/true"
        )
        file = tmp_path / unit.name.replace("@", "@8400")
        file.write_text(re.sub(r"^EnvironmentFile=.*$", "", text, flags=re.MULTILINE))
        files.append(file)
    return files


@analysed
def test_systemd_understands_them(placed):
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *placed], capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stderr) == (0, "")


@analysed
def test_systemd_finds_little_exposed(placed):
    for unit in placed:
        words = ["systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSED}", str(unit)]
        told = subprocess.run(words, capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stdout[-300:]
