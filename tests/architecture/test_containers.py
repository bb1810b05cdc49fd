"""compose.yaml and Containerfile as far as they can be judged by reading: no container engine is asked."""

import re
import tomllib
from base64 import b64encode
from pathlib import Path

import pytest
import yaml

from cli.main import chancery
from infrastructure.embedded.nats import FORBIDDEN
from infrastructure.settings import load

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "compose.yaml").read_text()
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::[?-][^}]*)?\}")
OURS = {"migrate", "serve", "work", "jobs"}
GIVEN = {"KEK": b64encode(bytes(32)).decode(), "PUBLIC_URL": "http://127.0.0.1:8400"}


@pytest.fixture(scope="module")
def compose():
    """As the processes would get it: variables filled in, `$$` undone."""
    filled = VARIABLE.sub(lambda found: GIVEN.get(found[1], found[1].lower()), TEXT)
    return yaml.safe_load(filled.replace("$$", "$"))


def test_every_process_runs_a_command_there_is(compose):
    ours = {name: service for name, service in compose["services"].items() if "build" in service}
    assert set(ours) == OURS
    for name, service in ours.items():
        assert service["command"] == [name]
        assert chancery.get_command(None, name) is not None
        assert service["read_only"] is True


def test_its_environment_is_settings_that_production_accepts(compose):
    environment = compose["services"]["serve"]["environment"] | {"CHANCERY_MODE": "production"}
    settings = load(environ={name: str(value) for name, value in environment.items()})
    assert settings.database_owner_url != settings.database_url
    assert settings.nats_relay_url != settings.nats_url


def test_what_is_depended_on_and_mounted_is_there(compose):
    for service in compose["services"].values():
        assert set(service.get("depends_on", ())) <= set(compose["services"])
        assert {each["source"] for each in service.get("configs", ())} <= set(compose["configs"])
        assert {each.split(":")[0] for each in service.get("volumes", ())} <= set(compose["volumes"])


def test_every_variable_is_told_of_at_the_top():
    told = set(re.findall(r"\b[A-Z0-9_]{3,}\b", TEXT.split("name:")[0]))
    assert set(VARIABLE.findall(TEXT)) - {"PUBLIC_URL"} <= told


def test_the_application_may_do_in_nats_what_it_may_do_in_the_embedded_one(compose):
    denied = re.search(r"deny: \[(.*?)\]", compose["configs"]["nats"]["content"], re.DOTALL)
    assert tuple(re.findall(r'"(.+?)"', denied[1])) == FORBIDDEN


def test_the_image_holds_every_package():
    copied = set(re.findall(r"^COPY (\w+) \1$", (ROOT / "Containerfile").read_text(), re.MULTILINE))
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]
    assert copied == {name.rstrip("*") for name in found["include"]} | {"data"}
