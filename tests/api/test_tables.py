"""The tables of the docs name only what is there: tests, routes, commands, settings."""

import re
from pathlib import Path

import pytest
from click import Context
from msgspec.structs import fields

from cli.main import chancery
from infrastructure.settings import Settings

pytestmark = pytest.mark.anyio

TESTS = Path(__file__).parents[1]
DOCS = TESTS.parent / "docs"
SEEDS, HOSTILE = (DOCS / "seeds.md").read_text(), (DOCS / "hostile.md").read_text()
BESIDE = {f"GET /{name}" for name in ("healthz", "readyz", "version", "metrics", "docs", "openapi.json")}
"""Routes beside the API, which its document leaves out."""
ROWS = [line.strip("| ").split(" | ") for line in SEEDS.splitlines() if line.startswith("| ")]


@pytest.mark.parametrize("page", [SEEDS, HOSTILE], ids=["seeds", "hostile"])
def test_every_test_that_a_table_names_exists(page):
    named = set(re.findall(r"`([\w/]+\.py)::(\w+)`", page))
    assert len(named) > 20
    missing = [f"{file}::{name}" for file, name in sorted(named) if name not in defined_in(file)]
    assert missing == []


def defined_in(file) -> set[str]:
    path = TESTS / file
    return set(re.findall(r"def (test_\w+)\(", path.read_text())) if path.exists() else set()


async def test_every_route_that_a_table_names_exists(office):
    document = (await office.stranger.get("http://testserver/openapi.json")).json()
    known = {
        f"{method.upper()} {shape(path.removeprefix('/api/v1'))}"
        for path, methods in document["paths"].items()
        for method in methods
    }
    named = {(method, path) for method, path in re.findall(r"`(GET|POST|PATCH|DELETE) (/[^`?]*)`", SEEDS)}
    assert len(named) > 20
    unknown = {f"{method} {path}" for method, path in named if f"{method} {shape(path)}" not in known}
    beside = {each for each in unknown if each in BESIDE}
    for each in beside:
        answer = await office.stranger.get(f"http://testserver{each.removeprefix('GET ')}")
        assert answer.status_code in (200, 503), each
    assert unknown - beside == set()


def shape(path) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


def test_every_command_and_setting_that_a_table_names_exists():
    commands = set(re.findall(r"`chancery (\w+)", SEEDS))
    assert commands <= set(chancery.list_commands(Context(chancery)))
    settings = {f"CHANCERY_{one.name.upper()}" for one in fields(Settings)}
    assert set(re.findall(r"`(CHANCERY_\w+)", SEEDS)) <= settings


def test_a_row_has_a_test_or_says_why_not():
    told = re.compile(r"test$|here$|—|not yet|messages and files|whole, below|accounts")
    assert [row for row in ROWS if "::" not in row[-1] and not told.match(row[-1])] == []
