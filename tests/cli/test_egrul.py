"""`chancery egrul` as an operator types it."""

import os
from base64 import b64encode
from zipfile import ZIP_DEFLATED, ZipFile

import psycopg
import pytest
from click.testing import CliRunner

from cli.main import chancery
from tests.egrul import GONE, entity, register

ONE, TWO = "1020200000001", "1020200000002"


@pytest.fixture
def run(dsn, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CHANCERY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CHANCERY_DATABASE_URL", dsn)
    monkeypatch.setenv("CHANCERY_KEY_ENCRYPTION_KEY", b64encode(bytes(32)).decode())
    return lambda *arguments: CliRunner().invoke(chancery, ["egrul", *map(str, arguments)])


@pytest.fixture
def names(dsn):
    def found():
        with psycopg.connect(dsn) as connection:
            return [name for (name,) in connection.execute("select full_name from lookup.egrul order by 1")]

    return found


def test_a_folder_is_filled_in_with_what_is_packed_and_what_lies_deeper(run, names, tmp_path):
    deeper = tmp_path / "2024" / "01"
    deeper.mkdir(parents=True)
    (deeper / "a.XML").write_bytes(register(entity(ogrn=ONE, name="АО РОМАШКА"), entity(ogrn="1")))
    (tmp_path / "readme.txt").write_text("not for us")
    with ZipFile(tmp_path / "b.zip", "w", ZIP_DEFLATED) as packed:
        packed.writestr("x/b.xml", register(entity(ogrn=TWO, name="АО ЛЮТИК"), day="2024-01-16"))
    result = run("fill", tmp_path)
    assert result.exit_code == 0, result.output
    assert "left out 1 of a.XML: its OGRN has not 13 digits" in result.output
    assert "2 file(s) read: 2 legal entities, 0 branches, 0 no more, 1 left out." in result.output
    assert "The register has 2 entries and is valid as of 2024-01-16." in result.output
    assert names() == ["АО ЛЮТИК", "АО РОМАШКА"]


def test_an_update_changes_what_it_speaks_of(run, names, tmp_path):
    (tmp_path / "a.xml").write_bytes(register(entity(ogrn=ONE, name="АО РОМАШКА"), entity(ogrn=TWO)))
    assert run("fill", tmp_path).exit_code == 0
    (tmp_path / "a.xml").write_bytes(register(entity(ogrn=TWO, more=GONE)))
    assert run("update", tmp_path / "a.xml").exit_code == 0
    assert names() == ["АО РОМАШКА"]


def test_a_damaged_archive_changes_nothing_and_says_so(run, names, tmp_path):
    (tmp_path / "a.xml").write_bytes(register(entity(name="АО РОМАШКА")))
    assert run("fill", tmp_path).exit_code == 0
    whole = tmp_path / "whole.zip"
    with ZipFile(whole, "w", ZIP_DEFLATED) as packed:
        packed.writestr("a.xml", register(*[entity(ogrn=TWO)] * 500))
    content = bytearray(whole.read_bytes())
    content[len(content) // 2] ^= 0xFF
    for number, damaged in enumerate((bytes(content), bytes(content[:-50]), b"")):
        (tmp_path / f"{number}.zip").write_bytes(damaged)
        result = run("fill", tmp_path / f"{number}.zip")
        assert (result.exit_code, "Nothing was changed" in result.output) == (1, True), result.output
    assert names() == ["АО РОМАШКА"]


def test_an_empty_folder_does_not_empty_the_register(run, tmp_path):
    result = run("fill", tmp_path)
    assert (result.exit_code, "no legal entity" in result.output) == (1, True)
